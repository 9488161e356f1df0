import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from dpsynth.data.domain import Domain
from dpsynth.metrics.wasserstein import column_distances, missing_gaps, wasserstein, wasserstein_scores

samples = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(samples, samples)
def test_agrees_with_scipy(a, b):
    assert wasserstein(np.array(a), np.array(b)) == pytest.approx(wasserstein_distance(a, b), abs=1e-12)


def test_scaled_by_the_declared_range_not_by_the_sample():
    domain = Domain.from_yaml("columns:\n  x: {kind: number, bounds: [0, 200]}\n")
    real, moved = pd.DataFrame({"x": [10.0, 20.0]}), pd.DataFrame({"x": [30.0, 40.0]})
    assert column_distances(real, moved, domain) == {"x": pytest.approx(0.1)}


def test_missing_values_are_left_out_and_reported_apart(domain, draw):
    real = draw(400, 0)
    emptied = real.copy()
    emptied.loc[emptied["gain"].notna(), "gain"] = emptied["gain"]
    emptied["flag"] = pd.Series(pd.NA, index=real.index, dtype="boolean")
    assert column_distances(real, emptied, domain) == {"age": 0.0, "gain": 0.0, "day": 0.0}
    gaps = missing_gaps(real, emptied, domain)
    assert set(gaps) == {"gain", "day", "flag"}
    assert gaps["gain"] == 0.0
    assert gaps["flag"] == pytest.approx(1 - real["flag"].isna().mean())


def test_an_all_missing_column_is_as_far_as_can_be(domain, draw):
    real = draw(50, 0)
    gone = real.assign(gain=np.nan)
    assert column_distances(real, gone, domain)["gain"] == 1.0
    assert column_distances(gone, gone, domain)["gain"] == 0.0


def test_constant_columns_and_single_rows(domain, draw):
    row = draw(1, 0)
    assert all(value in (0.0, 1.0) for value in column_distances(row, row, domain).values())
    constant = draw(20, 1).assign(age=7)
    assert column_distances(constant, constant, domain)["age"] == 0.0


def test_scores_are_absent_where_nothing_can_be_measured():
    domain = Domain.from_yaml("columns:\n  c: {kind: category, categories: [a, b]}\n")
    frame = pd.DataFrame({"c": ["a", "b"]})
    scores = wasserstein_scores(frame, frame, domain, floor=frame, baseline=frame)
    assert [score.value for score in scores] == [None, None]
    assert all(score.reason for score in scores)
