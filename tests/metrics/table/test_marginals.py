import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.encoding import BinnedView
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.marginals import Marginals, Workload, total_variations


def distances(real, synthetic, domain, order):
    view = BinnedView(domain)
    workload = Workload.draw(len(view.sizes), order)
    return total_variations(view.codes(real), view.codes(synthetic), view.sizes, workload)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_identical_tables_score_zero(domain, draw, order):
    frame = draw(300, 0)
    assert (distances(frame, frame.sample(frac=1, random_state=1), domain, order) < 1e-12).all()


@pytest.mark.parametrize("order", [1, 2])
def test_disjoint_supports_score_one(order):
    domain = Domain.from_yaml(
        "columns:\n  a: {kind: category, categories: [x, y]}\n  b: {kind: integer, bounds: [0, 9]}\n"
    )
    real = pd.DataFrame({"a": ["x"] * 5, "b": [1, 2, 3, 1, 2]})
    synthetic = pd.DataFrame({"a": ["y"] * 3, "b": [7, 8, 9]})
    assert distances(real, synthetic, domain, order) == pytest.approx(1.0)


def test_value_is_half_the_l1_distance_of_contingency_tables(domain, draw):
    real, synthetic = draw(400, 0), draw(250, 1)
    p, q = (pd.crosstab(f["region"], f["bought"], normalize=True) for f in (real, synthetic))
    expected = 0.5 * (p - q).abs().to_numpy().sum()
    names = domain.names
    pairs = Workload.draw(len(names), 2).columns
    found = distances(real, synthetic, domain, 2)[pairs.index((names.index("region"), names.index("bought")))]
    assert found == pytest.approx(expected)


@given(st.integers(1, 12), st.integers(1, 3), st.integers(1, 400), st.integers(0, 9))
def test_workloads_are_distinct_sets_of_columns(width, order, count, seed):
    workload = Workload.draw(width, order, count, seed)
    everything = list(itertools.combinations(range(width), order))
    assert len(workload.columns) == min(count, len(everything))
    assert sorted(set(workload.columns)) == list(workload.columns)
    assert set(workload.columns) <= set(everything)
    assert workload == Workload.draw(width, order, count, seed)
    assert Workload.draw(width, order).columns == tuple(everything)


def test_workloads_of_very_wide_tables_are_drawn_at_once():
    workload = Workload.draw(3000, 3, 200)
    assert len(set(workload.columns)) == 200
    assert math.comb(3000, 3) > 10**9


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_sparse_and_dense_counting_agree_and_stay_in_range(a, b):
    real, synthetic = (np.array(codes)[:, None].repeat(2, axis=1) for codes in (a, b))
    workload = Workload.draw(2, 2)
    dense = total_variations(real, synthetic, (6, 6), workload)[0]
    sparse = total_variations(real, synthetic, (6, 100_000), workload)[0]
    assert dense == pytest.approx(sparse)
    assert 0.0 <= dense <= 1.0
    assert dense == pytest.approx(total_variations(synthetic, real, (6, 6), workload)[0])


def test_scores_name_their_marginals(domain, draw):
    reference = Reference(Sample(draw(300, 1), domain))
    scores = Marginals({1: None, 2: None, 7: None}).measure(Sample(draw(300, 0), domain), reference)
    assert [score.name for score in scores] == ["tv_1way", "tv_2way", "tv_7way"]
    assert set(scores[0].parts) == set(domain.names)
    assert scores[1].value == pytest.approx(np.mean(list(scores[1].parts.values())))
    assert "age x bought" in scores[1].parts
    assert scores[2].reason == "the table has 6 column(s), fewer than 7"
