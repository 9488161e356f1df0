import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, wasserstein_distance

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.columns import Columns, distances

samples = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=30)


def measure(real: pd.DataFrame, evaluated: pd.DataFrame, domain: Domain):
    scores = Columns().measure(Sample(evaluated, domain), Reference(Sample(real, domain)))
    return {score.name: score for score in scores}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # p-values of single values, which are not looked at
@given(samples, samples)
def test_agrees_with_scipy(a, b):
    moved, apart = distances(np.array(a), np.array(b))
    assert moved == pytest.approx(wasserstein_distance(a, b), abs=1e-12)
    assert apart == pytest.approx(ks_2samp(a, b, method="asymp").statistic, abs=1e-12)


def test_scaled_by_the_declared_range_not_by_the_sample():
    domain = Domain.from_yaml("columns:\n  x: {kind: number, bounds: [0, 200]}\n")
    real, moved = pd.DataFrame({"x": [10.0, 20.0]}), pd.DataFrame({"x": [30.0, 40.0]})
    scores = measure(real, moved, domain)
    assert scores["wasserstein"].value == pytest.approx(0.1)
    assert scores["ks"].value == 1.0


def test_missing_values_are_left_out_and_reported_apart(domain, draw):
    real = draw(400, 0)
    kept = real.copy()
    kept["gain"] = kept["gain"].fillna(kept["gain"].dropna().iloc[0])
    kept["flag"] = pd.Series(pd.NA, index=real.index, dtype="boolean")
    scores = measure(real, kept, domain)
    assert set(scores["wasserstein"].parts) == set(scores["ks"].parts) == {"age", "gain", "day"}
    assert scores["wasserstein"].parts["day"] == 0.0
    gaps = scores["missing_gap"].parts
    assert set(gaps) == {"gain", "day", "flag"}
    assert gaps["day"] == 0.0
    assert gaps["gain"] == pytest.approx(real["gain"].isna().mean())
    assert gaps["flag"] == pytest.approx(1 - real["flag"].isna().mean())
    assert scores["missing_gap"].value == pytest.approx(np.mean(list(gaps.values())))


def test_an_all_missing_column_is_as_far_as_can_be(domain, draw):
    real = draw(50, 0)
    gone = real.assign(gain=np.nan)
    assert measure(real, gone, domain)["wasserstein"].parts["gain"] == 1.0
    assert measure(real, gone, domain)["ks"].parts["gain"] == 1.0
    assert measure(gone, gone, domain)["wasserstein"].parts["gain"] == 0.0


def test_constant_columns_and_single_rows(domain, draw):
    row = draw(1, 0)
    assert all(score.value == 0.0 for score in measure(row, row, domain).values())
    constant = draw(20, 1).assign(age=7)
    assert measure(constant, constant, domain)["ks"].parts["age"] == 0.0


def test_sees_a_shifted_mean_and_a_moved_point_mass_in_their_column_only(domain, draw):
    real, fresh = draw(4000, 0), draw(4000, 1)
    broken = fresh.assign(age=np.minimum(fresh["age"] + 10, 99), gain=fresh["gain"].replace(0.0, 5.0))
    usual, found = measure(real, fresh, domain), measure(real, broken, domain)
    assert found["wasserstein"].parts["age"] == pytest.approx(10 / 99, abs=0.02)
    assert usual["wasserstein"].parts["age"] < 0.01
    assert found["ks"].parts["gain"] > 0.5 > 0.05 > usual["ks"].parts["gain"]
    assert found["wasserstein"].parts["gain"] < 0.01, "half a percent of the range: for ks alone to see"
    assert found["wasserstein"].parts["day"] == usual["wasserstein"].parts["day"]


def test_the_order_of_the_rows_does_not_matter(domain, draw):
    real, evaluated = draw(300, 0), draw(200, 1)
    mixed = evaluated.sample(frac=1, random_state=0)
    before, after = measure(real, evaluated, domain), measure(real, mixed, domain)
    assert [score.value for score in before.values()] == pytest.approx([score.value for score in after.values()])


def test_scores_are_absent_where_nothing_can_be_measured():
    domain = Domain.from_yaml("columns:\n  c: {kind: category, categories: [a, b]}\n")
    frame = pd.DataFrame({"c": ["a", "b"]})
    scores = measure(frame, frame, domain)
    assert list(scores) == ["wasserstein", "ks", "missing_gap"]
    assert all(score.value is None and score.reason for score in scores.values())
