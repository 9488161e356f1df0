import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.support import STEPS, Support, SupportScores, distances

NAMES = ("precision", "recall", "density", "coverage", "alpha_precision", "beta_recall")


def points(rows, width=3, seed=0, shift=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(shift, scale, (rows, width))


def by_definition(real, synthetic, k):
    """Precision, recall, density and coverage point by point, as the papers write them."""

    def radius(points, i):
        return sorted(np.linalg.norm(points[i] - other) for j, other in enumerate(points) if j != i)[k - 1]

    def held(centres):
        others = synthetic if centres is real else real
        reach = [radius(centres, i) for i in range(len(centres))]
        return np.array([[np.linalg.norm(c - o) <= r for o in others] for c, r in zip(centres, reach, strict=True)])

    around_real, around_synthetic = held(real), held(synthetic)
    return {
        "precision": around_real.any(axis=0).mean(),
        "recall": around_synthetic.any(axis=0).mean(),
        "density": around_real.sum() / (k * len(synthetic)),
        "coverage": around_real.any(axis=1).mean(),
    }


def integrated_by_definition(real, synthetic):
    """Alpha-precision and beta-recall with one loop over alpha, for tables of one size."""
    precision, recall = [], []
    centre, middle = real.mean(axis=0), synthetic.mean(axis=0)
    own = np.sort(np.linalg.norm(real[:, None] - real, axis=2) + np.diag([np.inf] * len(real)), axis=1)[:, 0]
    cross = np.linalg.norm(real[:, None] - synthetic, axis=2)
    matched = synthetic[cross.argmin(axis=1)]
    alphas = np.linspace(0, 1, STEPS)
    for alpha in alphas:
        inner = np.quantile(np.linalg.norm(real - centre, axis=1), alpha)
        precision.append(np.mean(np.linalg.norm(synthetic - centre, axis=1) <= inner))
        outer = np.quantile(np.linalg.norm(matched - middle, axis=1), alpha)
        recall.append(np.mean((cross.min(axis=1) <= own) & (np.linalg.norm(matched - middle, axis=1) <= outer)))
    return [1 - np.abs(alphas - np.array(fractions)).sum() / alphas.sum() for fractions in (precision, recall)]


@given(st.integers(4, 25), st.integers(4, 25), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_values_are_those_of_the_definitions(n, m, k, seed):
    real, synthetic = points(n, 2, seed), points(m, 2, seed + 100, 0.3)
    support = Support(real, synthetic, k)
    for name, expected in by_definition(real, synthetic, k).items():
        assert getattr(support, name) == pytest.approx(expected), name


@given(st.integers(5, 60), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_integrated_values_are_those_of_the_definitions(n, seed):
    real, synthetic = points(n, 2, seed), points(n, 2, seed + 100, 0.3)
    support = Support(real, synthetic)
    expected = integrated_by_definition(real, synthetic)
    assert [support.alpha_precision, support.beta_recall] == pytest.approx(expected)


@given(st.integers(2, 30), st.integers(0, 99), st.floats(-6, 6))
def test_equal_points_are_at_distance_zero_and_ties_hold(n, seed, exponent):
    x = np.random.default_rng(seed).integers(0, 3, (n, 4)) * 10.0**exponent
    found, expected = distances(x, x[::-1]), np.linalg.norm(x[:, None] - x[::-1], axis=2)
    np.testing.assert_allclose(found, expected, atol=1e-4 * 10.0**exponent)
    assert ((found == 0) == (expected == 0)).all()
    assert (found == distances(x[::-1], x).T).all()


@pytest.mark.parametrize("k", [1, 3, 5])
def test_one_distribution_scores_the_expected_values(k):
    """Density 1, coverage 1 - prod (n - i) / (2n - i), i = 1..k (Naeem et al., lemma 2), beta-recall about half."""
    n, found = 300, {name: [] for name in NAMES}
    for seed in range(8):
        support = Support(points(n, 3, 2 * seed), points(n, 3, 2 * seed + 1), k)
        for name in NAMES:
            found[name].append(getattr(support, name))
    means = {name: np.mean(values) for name, values in found.items()}
    missed = np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])
    assert means["coverage"] == pytest.approx(1 - missed, abs=0.03)
    assert means["density"] == pytest.approx(1.0, abs=0.05)
    assert means["alpha_precision"] > 0.9
    assert 0.4 < means["beta_recall"] < 0.6
    assert means["precision"] == pytest.approx(means["recall"], abs=0.05)


def test_identical_points_score_one():
    x = points(40)
    support = Support(x, x)
    assert [getattr(support, name) for name in NAMES if name != "density"] == pytest.approx([1.0] * 5, abs=0.05)
    assert support.density == pytest.approx(1.2)  # each point lies in the k balls that reach it, and in its own


def test_discrete_rows_cover_their_equals():
    """Most neighbours coincide, so balls have radius 0: open ones would hold nothing."""
    x = np.random.default_rng(0).integers(0, 2, (200, 2)).astype(float)
    support = Support(x, x[::-1].copy())
    assert support.coverage == support.precision == support.recall == 1.0


def test_a_dropped_mode_lowers_recall_and_coverage_only():
    left, right = points(200, 2, 0), points(200, 2, 1, 20.0)
    real = np.concatenate([left, right])
    support = Support(real, points(400, 2, 2))
    assert support.coverage < 0.55
    assert support.recall < 0.55
    assert support.beta_recall < 0.5
    assert support.precision > 0.9


def test_invented_rows_lower_precision_and_density_only():
    real = points(400, 2, 0)
    support = Support(real, np.concatenate([points(200, 2, 1), points(200, 2, 2, 20.0)]))
    assert support.precision < 0.55
    assert support.density < 0.6
    assert support.alpha_precision < 0.7
    assert support.coverage > 0.75


def test_moving_everything_together_changes_nothing():
    real, synthetic = points(60), points(50, seed=1)
    turn = np.linalg.qr(points(3, 3, 5))[0]
    one, two = Support(real, synthetic), Support(real @ turn + 4.0, synthetic @ turn + 4.0)
    assert [getattr(one, name) for name in NAMES] == pytest.approx([getattr(two, name) for name in NAMES])


def test_rows_are_capped_and_fewer_of_wide_tables(domain, draw):
    evaluated, reference = Sample(draw(90, 0), domain), Reference(Sample(draw(70, 1), domain))
    width = evaluated.coordinates.shape[1]
    for family, rows in (
        (SupportScores(), 70),
        (SupportScores(max_rows=50), 50),
        (SupportScores(max_rows=50, width=width), 50),
        (SupportScores(max_rows=50, width=-(-width // 4)), 25),
    ):
        scores = family.measure(evaluated, reference)
        assert all(abs(score.detail["rows"] - rows) <= 1 for score in scores)
