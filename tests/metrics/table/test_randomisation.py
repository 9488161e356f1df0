import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance, wasserstein_distance_nd

from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.randomisation import RandomisationRatio, Randomised, directions, exact, sliced


def points(rows, width=3, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1.0, (rows, width))


def part(first, rows):
    return np.arange(rows) < first


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_sliced_is_the_mean_of_distances_on_lines(n, m, seed):
    projected = np.round(points(n + m, 4, seed), 1)  # with ties
    expected = np.mean([wasserstein_distance(column[:n], column[n:]) for column in projected.T])
    assert sliced(projected)(part(n, n + m)) == pytest.approx(expected)


def test_sliced_agrees_with_pot():
    ot = pytest.importorskip("ot")
    x, y, along = points(70), points(50, seed=1, shift=0.4), directions(3, 20)
    found = sliced(np.concatenate([x, y]) @ along)(part(70, 120))
    assert found == pytest.approx(ot.sliced_wasserstein_distance(x, y, projections=along, p=1))


def test_exact_agrees_with_pot_and_scipy():
    x, y = points(40), points(40, seed=1, shift=0.4)
    found = exact(np.concatenate([x, y]))(part(40, 80))
    assert found == pytest.approx(wasserstein_distance_nd(x, y))
    ot = pytest.importorskip("ot")
    costs = ot.dist(x, y, metric="euclidean")
    assert found == pytest.approx(ot.emd2(np.full(40, 1 / 40), np.full(40, 1 / 40), costs))


@given(st.integers(2, 25), st.integers(0, 99))
def test_exact_is_symmetric_and_no_less_than_sliced(rows, seed):
    both, first = points(2 * rows, 3, seed), part(rows, 2 * rows)
    found = exact(both)(first)
    assert found == pytest.approx(exact(both)(~first))
    assert found >= sliced(both @ directions(3, 30))(first) - 1e-12


@pytest.mark.parametrize("name", ["two samples of one distribution", "shifted"])
@pytest.mark.parametrize("kind", [lambda x: sliced(x @ directions(3, 20)), exact], ids=["sliced", "exact"])
def test_the_null_value_is_one_and_the_p_value_is_uniform(kind, name):
    shift = 0.8 if name == "shifted" else 0.0
    results = []
    for seed in range(40):
        both = np.concatenate([points(60, 3, 2 * seed), points(60, 3, 2 * seed + 1, shift)])
        results.append(Randomised.of(kind(both), 60, 120, 39, seed))
    ratios, p_values = (np.array([getattr(each, key) for each in results]) for key in ("ratio", "p_value"))
    if shift:
        assert ratios.min() > 1.0
        assert np.mean(p_values < 0.06) > 0.95
    else:
        assert np.mean(ratios) == pytest.approx(1.0, abs=0.1)
        assert 0.2 < np.mean(p_values <= 0.5) < 0.8
        assert np.mean(p_values <= 0.05) < 0.2


def test_ratio_of_equal_rows():
    same = np.zeros((6, 2))
    assert Randomised.of(sliced(same), 3, 6, 5).ratio == 1.0
    split = Randomised.of(sliced(np.array([[0.0], [0.0], [1.0], [1.0]])), 2, 4, 99)
    assert np.median(split.null) == 0.0  # most splits of a, a, b, b are even
    assert split.ratio is None


def test_a_shift_is_measured_on_the_declared_range_not_by_each_side_itself(domain, draw):
    holdout = Sample(draw(1500, 0), domain)
    moved = draw(1500, 1).assign(age=lambda f: (f["age"] + 25).clip(upper=99))
    near, far = (
        RandomisationRatio(count=20, relabellings=20).measure(Sample(frame, domain), Reference(holdout))[0].value
        for frame in (draw(1500, 1), moved)
    )
    assert near < 1.5
    assert far > 2 * near


@pytest.mark.parametrize("use_exact", [False, True])
def test_rows_are_capped_and_named(domain, draw, use_exact):
    holdout, evaluated = Sample(draw(150, 0), domain), Sample(draw(120, 1), domain)
    family = RandomisationRatio(max_rows=100, count=5, relabellings=9, use_exact=use_exact, exact_rows=60)
    [score] = family.measure(evaluated, Reference(holdout))
    rows = 60 if use_exact else 100
    assert (score.detail["rows"], score.detail["holdout_rows"]) == (rows, rows)
    assert ("exact" in score.detail["kind"]) == use_exact
    cut = family.measure(evaluated.head(rows), Reference(holdout.head(rows)))[0]
    assert cut.value == score.value
