"""dpsynth/privacy/discrete.py"""

import math
import time
from fractions import Fraction

import numpy as np
import pytest
from dpsynth.privacy.discrete import (
    _coins,
    discrete_gaussian,
    discrete_laplace,
    sample_gaussian,
    sample_laplace,
)
from scipy import stats

from dpsynth.errors import BudgetError
from dpsynth.privacy.random import PrivacyStream

STREAM = PrivacyStream.seeded(11)
EVERYTHING = 2.0  # a band that sends every coin to the exact arithmetic


def gaussian_pmf(sigma, x):
    support = np.arange(-int(60 * sigma) - 60, int(60 * sigma) + 61)
    return np.exp(-(x**2) / (2 * sigma**2)) / np.exp(-(support**2) / (2 * sigma**2)).sum()


def laplace_pmf(scale, x):
    return (math.exp(1 / scale) - 1) / (math.exp(1 / scale) + 1) * np.exp(-np.abs(x) / scale)


def agrees(sample, pmf):
    """Chi-square of the sample against an exact pmf, rare values pooled into the two tails."""
    reach = int(np.quantile(np.abs(sample), 0.999)) + 1
    x = np.arange(-reach, reach + 1)
    expected = pmf(x) * sample.size
    observed = np.array([(sample == value).sum() for value in x], dtype=float)
    keep = expected >= 5
    rest = sample.size - expected[keep].sum()
    outside = sample.size - observed[keep].sum()
    observed, expected = observed[keep], expected[keep]
    if rest > 5:
        observed, expected = np.append(observed, outside), np.append(expected, rest)
    else:
        expected = expected * observed.sum() / expected.sum()
    if observed.size == 1:
        return observed[0] == pytest.approx(expected[0], rel=1e-3)
    return stats.chisquare(observed, expected, sum_check=False).pvalue > 1e-4


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 1.7, 3.0, 12.25])
def test_gaussian_follows_its_exact_law(sigma):
    sample = sample_gaussian(STREAM.keystream("dg", int(100 * sigma)), sigma, 100_000)
    assert agrees(sample, lambda x: gaussian_pmf(sigma, x))


@pytest.mark.parametrize("scale", [0.25, 1.0, 2.5, 10.0])
def test_laplace_follows_its_exact_law(scale):
    sample = sample_laplace(STREAM.keystream("dl", int(100 * scale)), scale, 100_000)
    assert agrees(sample, lambda x: laplace_pmf(scale, x))


def test_exact_arithmetic_alone_gives_the_same_law():
    sample = sample_gaussian(STREAM.keystream("exact"), 1.7, 1500, EVERYTHING)
    assert agrees(sample, lambda x: gaussian_pmf(1.7, x))


def test_coins_of_both_roads_have_the_same_chance():
    for gamma in (0.0, 0.3, 1.0, 4.0):
        for band, count in ((2.0**-34, 200_000), (EVERYTHING, 4000)):
            heads = _coins(
                STREAM.keystream(f"coin {gamma}"), np.full(count, gamma), lambda _, g=gamma: Fraction(g), band
            )
            chance = math.exp(-gamma)
            assert abs(heads.mean() - chance) <= 5 * math.sqrt(chance * (1 - chance) / count) + 1e-12


def test_exact_road_decides_as_the_fast_one_where_both_know():
    gamma = np.linspace(0.01, 5, 500)
    fast = _coins(STREAM.keystream("same"), gamma, lambda i: Fraction(gamma[i]), 2.0**-34)
    exact = _coins(STREAM.keystream("same"), gamma, lambda i: Fraction(gamma[i]), EVERYTHING)
    assert np.array_equal(fast, exact)


def test_large_scales_have_the_right_spread():
    for sigma in (1e3, 1e6, 2.0**39):
        x = sample_gaussian(STREAM.keystream("large"), sigma, 50_000).astype(float) / sigma
        assert stats.kstest(x, "norm").pvalue > 1e-4


def test_a_large_table_is_noised_in_seconds():
    start = time.process_time()
    sample_gaussian(STREAM.keystream("speed"), 123.456, 100_000)
    assert time.process_time() - start < 5


def test_release_adds_to_integers_and_keeps_shape():
    stream = PrivacyStream.fresh()
    value = np.arange(6, dtype=np.int32).reshape(2, 3) * 10**9
    out = discrete_gaussian(stream, "c", value.astype(np.int64), sensitivity=1.0, sigma=2.0)
    assert out.dtype == np.int64
    assert out.shape == (2, 3)
    assert np.abs(out - value.astype(np.int64)).max() < 60
    assert discrete_laplace(stream, "l", np.array([5]), sensitivity=1, scale=0.5).shape == (1,)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf, 1e-9, 1e15])
def test_scales_without_a_meaning_are_refused(sigma):
    with pytest.raises(BudgetError):
        discrete_gaussian(PrivacyStream.fresh(), "c", np.array([1]), sensitivity=1.0, sigma=sigma)


def test_floats_are_refused_and_infinite_epsilon_is_exact():
    with pytest.raises(TypeError):
        discrete_gaussian(PrivacyStream.fresh(), "c", np.array([1.0]), sensitivity=1.0, sigma=1.0)
    stream = PrivacyStream.fresh(infinite=True)
    assert discrete_gaussian(stream, "c", np.array([7]), sensitivity=1.0, sigma=0.0)[0] == 7
