import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy, hypergeom

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.marginals import (
    Divergence,
    Workload,
    expected_variation,
    kl_divergence,
    subsample_equivalent,
    total_variations,
)

NAMES = ["kl_1way", "kl_2way", "nist"]
counts = st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(any)


def measure(real: pd.DataFrame, evaluated: pd.DataFrame, domain: Domain, family: Divergence | None = None):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = (family or Divergence()).measure(Sample(evaluated, domain), Reference(Sample(real, domain)))
    assert [score.name for score in scores] == NAMES
    return {score.name: score for score in scores}


@given(counts, counts)
def test_kl_agrees_with_scipy_with_one_more_row_spread_evenly(a, b):
    found = kl_divergence(np.array(a), np.array(b), 4)
    assert found == pytest.approx(entropy(a, np.array(b) + 0.25), abs=1e-12)
    assert 0 <= found <= math.log(4 * (sum(b) + 1))


@given(counts, counts)
def test_cells_without_rows_may_be_left_out(a, b):
    occupied = (np.array(a) > 0) | (np.array(b) > 0)
    sparse = kl_divergence(np.array(a)[occupied], np.array(b)[occupied], 4)
    assert sparse == pytest.approx(kl_divergence(np.array(a), np.array(b), 4))


def test_parts_are_the_kl_of_contingency_tables(domain, draw):
    real, evaluated = draw(400, 0), draw(300, 1)
    cells = pd.MultiIndex.from_product([[*domain["region"].values, None], ["no", "yes", None]])
    p, q = (f.groupby(["region", "bought"]).size().reindex(cells, fill_value=0).to_numpy() for f in (real, evaluated))
    expected = entropy(p, q + 1 / 15)
    found = measure(real, evaluated, domain)["kl_2way"]
    assert found.parts["region x bought"] == pytest.approx(1 / (1 + expected))
    assert len(found.parts) == 15
    assert found.value == pytest.approx(np.mean(list(found.parts.values())))


def test_nist_is_a_thousand_less_the_mean_total_variation(domain, draw):
    real, evaluated = Sample(draw(500, 0), domain), Sample(draw(400, 1), domain)
    score = Divergence(triples=7, seed=3).measure(evaluated, Reference(real))[2]
    workload = Workload.draw(6, 3, 7, 3)
    errors = total_variations(real.codes, evaluated.codes, real.sizes, workload)
    assert score.value == pytest.approx(1000 * (1 - errors.mean()))
    assert list(score.parts.values()) == pytest.approx(1000 * (1 - errors))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5).filter(any), st.data())
def test_expected_variation_is_the_mean_over_all_draws(marked, data):
    total = sum(marked)
    rows = data.draw(st.integers(1, total))
    profile = np.bincount(marked, minlength=total + 1)
    expected = 0.0
    for k in marked:
        distribution = hypergeom(total, k, rows)
        values = np.arange(rows + 1)
        expected += 0.5 * float(distribution.pmf(values) @ np.abs(values / rows - k / total))
    assert expected_variation(profile, 1, rows) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=8))
def test_more_rows_are_nearer_and_the_equivalent_is_the_first_that_is_near_enough(marked):
    total = sum(marked)
    profile = np.bincount(marked, minlength=total + 1)
    errors = np.array([expected_variation(profile, 1, rows) for rows in range(1, total + 1)])
    for rows in range(1, total + 1):
        fraction = subsample_equivalent(profile, 1, errors[rows - 1] + 1e-12)
        assert errors[round(fraction * total) - 1] <= errors[rows - 1] + 1e-12
    assert subsample_equivalent(profile, 1, 0.0) == 1.0
    assert subsample_equivalent(profile, 1, 1.0 + 1e-9) == 0.0


def test_a_draw_of_the_holdout_is_worth_its_own_size(domain, draw):
    real = draw(4_000, 0)
    for rows in (40, 400, 2_000):
        fractions = [
            measure(real, real.sample(rows, random_state=seed), domain)["nist"].detail["subsample_equivalent"]
            for seed in range(4)
        ]
        assert np.mean(fractions) == pytest.approx(rows / 4_000, rel=0.15)
    fresh = measure(real, draw(4_000, 1), domain)["nist"].detail
    assert fresh["subsample_equivalent"] == pytest.approx(fresh["fresh_equivalent"], rel=0.2)


def test_equal_tables_are_as_near_as_can_be(domain, draw):
    real = draw(2_000, 0)
    found = measure(real, real.sample(frac=1, random_state=1), domain)
    assert found["kl_1way"].value > 0.999
    assert found["kl_2way"].value > 0.99
    assert found["nist"].value == pytest.approx(1000)
    assert found["nist"].detail["subsample_equivalent"] == 1.0


def test_a_dropped_mode_and_a_shuffled_column_are_seen_where_they_are(domain, draw):
    real, fresh = draw(4_000, 0), draw(4_000, 1)
    usual = measure(real, fresh, domain)
    dropped = measure(real, fresh[fresh["region"] != "east"], domain)
    assert dropped["kl_1way"].parts["region"] < 0.6 < 0.99 < usual["kl_1way"].parts["region"]
    assert dropped["nist"].value < usual["nist"].value - 30
    shuffled = measure(real, fresh.assign(age=np.random.default_rng(0).permutation(fresh["age"])), domain)
    assert shuffled["kl_1way"].value == pytest.approx(usual["kl_1way"].value)
    assert shuffled["kl_2way"].parts["age x bought"] < usual["kl_2way"].parts["age x bought"] - 0.1
    assert shuffled["nist"].detail["subsample_equivalent"] < usual["nist"].detail["subsample_equivalent"] * 0.8


@pytest.mark.parametrize("rows", [1, 2, 40])
def test_odd_tables_give_numbers_in_range_without_warnings(domain, draw, rows):
    real = draw(300, 0)
    odd = draw(rows, 1).assign(age=5, gain=np.nan, region="north")
    for a, b in ((real, odd), (odd, real), (odd, odd)):
        found = measure(a, b, domain)
        assert 0 < found["kl_1way"].value <= 1
        assert 0 < found["kl_2way"].value <= 1
        assert 0 <= found["nist"].value <= 1000
        assert 0 <= found["nist"].detail["subsample_equivalent"] <= 1


def test_many_categories_are_counted_sparsely():
    many = "{kind: category, categories: [" + ", ".join(f"v{k}" for k in range(5_000)) + "]}"
    domain = Domain.from_yaml("columns:\n" + "".join(f"  {name}: {many}\n" for name in "abc"))
    g = np.random.default_rng(0)
    real, evaluated = (
        pd.DataFrame({name: [f"v{k}" for k in g.integers(5_000, size=200)] for name in "abc"}) for _ in range(2)
    )
    found = measure(real, evaluated, domain)
    assert found["nist"].value == pytest.approx(0, abs=1e-9)
    assert 0 < found["kl_2way"].value < found["kl_1way"].value < 0.5
    assert measure(real, real, domain)["nist"].value == pytest.approx(1000)


def test_absent_for_narrow_tables():
    domain = Domain.from_yaml("columns:\n  b: {kind: integer, bounds: [0, 9]}\n")
    frame = pd.DataFrame({"b": [1, 2]})
    found = measure(frame, frame, domain)
    assert found["kl_1way"].value is not None
    assert [found[name].value for name in NAMES[1:]] == [None, None]
    assert "1 column" in str(found["nist"].reason)


def test_workloads_are_bounded_and_the_same_for_every_table(domain, draw):
    family = Divergence(pairs=4, triples=5)
    one, other = (measure(draw(50, seed), draw(60, seed + 9), domain, family) for seed in (0, 1))
    for name, size in (("kl_1way", 6), ("kl_2way", 4), ("nist", 5)):
        assert list(one[name].parts) == list(other[name].parts)
        assert len(one[name].parts) == size
