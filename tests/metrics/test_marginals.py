import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.data.domain import Domain
from dpsynth.metrics.binned import BinnedView
from dpsynth.metrics.marginals import Workload, marginal_scores, total_variations


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


def test_two_samples_of_one_law_score_inside_the_floor_band(domain, draw):
    holdout, blind = draw(3000, 1), draw(3000, 2)
    floors = []
    for seed in range(3, 13):
        floor = draw(1500, seed)
        score = marginal_scores(holdout, floor, domain, floor=floor, baseline=blind, counts={2: None})[0]
        floors.append(score.value)
    fresh = marginal_scores(holdout, draw(1500, 99), domain, floor=blind, baseline=blind, counts={2: None})[0]
    assert abs(fresh.value - np.mean(floors)) < 4 * np.std(floors, ddof=1)


def test_shuffling_a_column_moves_pairs_but_not_single_columns(domain, draw):
    real = draw(4000, 0)
    broken = real.copy()
    broken["age"] = np.random.default_rng(0).permutation(broken["age"])
    assert (distances(real, broken, domain, 1) < 1e-12).all()
    pairs = dict(zip(Workload.draw(6, 2).columns, distances(real, broken, domain, 2), strict=True))
    assert pairs[(0, 5)] > 0.15  # age and bought
    assert all(value < 1e-12 for columns, value in pairs.items() if 0 not in columns)


def test_orders_beyond_the_table_are_absent():
    domain = Domain.from_yaml("columns:\n  b: {kind: integer, bounds: [0, 9]}\n")
    frame = pd.DataFrame({"b": [1]})
    scores = marginal_scores(frame, frame, domain, floor=frame, baseline=frame, counts={1: None, 2: None})
    assert scores[0].value == 0.0
    assert scores[1].value is None
    assert "1 column" in scores[1].reason


def test_the_worst_marginals_are_named(domain, draw):
    real = draw(500, 0)
    broken = real.assign(region="south")
    score = marginal_scores(real, broken, domain, floor=draw(500, 1), baseline=real, counts={1: None})[0]
    assert score.detail["worst"][0]["columns"] == ["region"]
    assert score.detail["workload"] == "all 6 1-way marginals"
