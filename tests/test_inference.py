"""Rubin's rules: the formula, the fallback, and the coverage they promise where their assumptions hold."""

import numpy as np
import pytest
from scipy import stats

from dpsynth.errors import ConfigError
from dpsynth.inference import combine


def test_the_formula_by_hand():
    q, u = np.array([[1.0, 5.0], [2.0, 9.0], [4.0, 7.0]]), np.full((3, 2), 0.25)
    found = combine(q, u)
    b = np.array([7 / 3, 4.0])
    np.testing.assert_allclose(found.estimate, [7 / 3, 7.0])
    np.testing.assert_allclose(found.variance, 4 / 3 * b - 0.25)
    np.testing.assert_allclose(found.degrees, 2 * (1 - 0.25 / (4 / 3 * b)) ** 2)
    low, high = found.interval(0.9)
    np.testing.assert_allclose((low + high) / 2, found.estimate)
    np.testing.assert_allclose((high - low) / 2, stats.t.ppf(0.95, found.degrees) * np.sqrt(found.variance))


def test_a_negative_variance_falls_back_and_says_so():
    found = combine([1.0, 1.1, 0.9], [0.5, 0.6, 0.4], rows=2000, original=1000)
    assert found.fallback
    np.testing.assert_allclose(found.variance, 2 * 0.5)
    assert np.isinf(found.degrees)
    np.testing.assert_allclose(found.interval()[1] - 1.0, stats.norm.ppf(0.975))
    same = combine([1.0, 1.0], [0.5, 0.5])
    assert same.fallback
    assert same.variance == 0.5


@pytest.mark.parametrize(
    ("estimates", "variances", "options", "message"),
    [
        ([1.0], [1.0], {}, "two sets"),
        ([1.0, 2.0], [1.0], {}, "shape"),
        ([1.0, np.nan], [1.0, 1.0], {}, "finite"),
        ([1.0, 2.0], [1.0, 0.0], {}, "above 0"),
        ([1.0, 2.0], [1.0, 1.0], {"rows": 3}, "both"),
    ],
)
def test_what_cannot_be_combined_is_refused(estimates, variances, options, message):
    with pytest.raises(ConfigError, match=message):
        combine(estimates, variances, **options)
    with pytest.raises(ConfigError, match="level"):
        combine([1.0, 2.0], [1.0, 1.0]).interval(1.0)


def test_intervals_cover_when_sets_come_from_a_posterior_with_noise():
    """A normal mean known through Gaussian noise: its posterior is exact, so coverage is nominal; without the noise in
    the posterior the same rules cover far less, and so does one set taken for real rows."""
    draw = np.random.default_rng(0)
    n, m, sigma, trials = 400, 60, 30.0, 1500  # noise on the sum of n rows of variance 1
    noisy = draw.normal(0, 1 / np.sqrt(n), trials) + draw.normal(0, sigma / n, trials)
    covered = {}
    for name, spread in (("aware", np.sqrt(1 / n + (sigma / n) ** 2)), ("naive", np.sqrt(1 / n))):
        distribution = noisy + spread * draw.standard_normal((m, trials))
        estimates = distribution + draw.normal(0, 1 / np.sqrt(n), (m, trials))
        low, high = combine(estimates, np.full((m, trials), 1 / n)).interval()
        covered[name] = np.mean((low < 0) & (high > 0))
    single = noisy + draw.normal(0, 1 / np.sqrt(n), trials)
    covered["as real"] = np.mean(np.abs(single) < 1.96 / np.sqrt(n))
    assert abs(covered["aware"] - 0.95) < 0.03
    assert covered["naive"] < 0.85
    assert covered["as real"] < 0.85
