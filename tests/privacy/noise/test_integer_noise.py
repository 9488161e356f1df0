"""dpsynth/privacy/noise/integer_noise.py"""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dpsynth.errors import BudgetError
from dpsynth.privacy import Budget, Ledger, NoisyMarginals, Plan, RandomGenerators
from dpsynth.privacy.noise.integer_noise import (
    _SMALL_TAIL,
    _settle_score,
    sample_rounded_gaussian,
)
from dpsynth.privacy.noise.keystream import Keystream
from dpsynth.privacy.noise.random import PrivacyGenerator

STREAM = PrivacyGenerator.seeded(11)
EVERY_SCORE = 1e12  # a band that sends every score to the exact arithmetic, also where sigma is small


def gaussian_pmf(sigma, x):
    return stats.norm.cdf((x + 0.5) / sigma) - stats.norm.cdf((x - 0.5) / sigma)


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
def test_the_rounded_gaussian_follows_its_exact_distribution(sigma):
    sample = sample_rounded_gaussian(STREAM.keystream("rounded", int(100 * sigma)), sigma, 100_000)
    assert agrees(sample, lambda x: gaussian_pmf(sigma, x))


@pytest.mark.parametrize("sigma", [0.1, 1.7])
def test_exact_arithmetic_alone_gives_the_same_distribution(sigma):
    sample = sample_rounded_gaussian(STREAM.keystream("exact"), sigma, 1500, EVERY_SCORE)
    assert agrees(sample, lambda x: gaussian_pmf(sigma, x))


@pytest.mark.parametrize("sigma", [2.0**-20, 0.3, 1.0, 4.4, 123.456, 1e6])
def test_settled_draws_are_the_very_same_as_fast_ones(sigma):
    fast = sample_rounded_gaussian(STREAM.keystream("score"), sigma, 500)
    settled = sample_rounded_gaussian(STREAM.keystream("score"), sigma, 500, EVERY_SCORE)
    assert np.array_equal(fast, settled)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 50.0])
@pytest.mark.parametrize("word", [0, 1, 5, 1 << 20, _SMALL_TAIL - 1, 1 << 40, (1 << 62) - 1])
def test_a_settled_score_lies_between_the_chances_of_its_edges(sigma, word):
    """Also far out, where 62 bits alone would not tell the chances apart; and from whichever guess it starts."""
    import mpmath

    drawn = _settle_score(Keystream(bytes(32)), word, sigma, 0)
    assert drawn == _settle_score(Keystream(bytes(32)), word, sigma, drawn + 3)
    with mpmath.workprec(400):
        low, high = (mpmath.mpf(word + k) / mpmath.mpf(2) ** 62 for k in (0, 1))

        def beyond(edge):
            return mpmath.erfc(mpmath.mpf(edge) / (mpmath.mpf(sigma) * mpmath.sqrt(2)))

        assert high >= beyond(drawn + 0.5)
        assert drawn == 0 or low <= beyond(drawn - 0.5)


@pytest.mark.parametrize(("sigma", "count", "distinct"), [(4.0, 200, 2), (10.0, 200, 4), (1000.0, 60, 30)])
def test_the_smallest_words_reach_beyond_the_62_bits(monkeypatch, sigma, count, distinct):
    """A word of zeros says only that the tail is below 2^-62; the bytes behind it say how far out it lies."""
    monkeypatch.setattr(Keystream, "words64", lambda self, count: np.zeros(count, dtype=np.uint64))
    drawn = sample_rounded_gaussian(Keystream(bytes(32)), sigma, count)
    least = int(np.rint(sigma * stats.norm.isf(2.0**-63)))
    assert (drawn >= least).all()
    assert len(set(drawn.tolist())) >= distinct
    # Given that, the tail is uniform below 2^-62; a whole number covers a range of it.
    beyond = 2 * stats.norm.sf((drawn + 0.5) / sigma) * 2.0**62
    reached = 2 * stats.norm.sf((drawn - 0.5) / sigma) * 2.0**62
    for edge in (0.1, 0.3, 0.6):
        slack = 5 * math.sqrt(edge * (1 - edge) / count)
        assert (reached <= edge).mean() - slack <= edge <= (beyond <= edge).mean() + slack


def test_the_bytes_behind_a_smallest_word_decide_also_where_sigma_is_small(monkeypatch):
    """2^-126 < chance < 2^-125 is 12.9 deviations out, or 3.87 at sigma .3; from the word alone it would be 2.75."""
    monkeypatch.setattr(Keystream, "words64", lambda self, count: np.zeros(count, dtype=np.uint64))
    monkeypatch.setattr(Keystream, "bytes", lambda self, count: b"\1" + bytes(count - 1))
    assert sample_rounded_gaussian(Keystream(bytes(32)), 0.3, 1).tolist() == [4]


def test_the_rounded_gaussian_is_symmetric_and_has_the_stated_variance():
    for sigma in (0.4, 1.0, 9.0):
        sample = sample_rounded_gaussian(STREAM.keystream("symmetry", int(10 * sigma)), sigma, 200_000)
        x = np.arange(-400, 401)
        variance = float((gaussian_pmf(sigma, x) * x**2).sum())
        assert abs(sample.mean()) < 5 * math.sqrt(variance / sample.size)
        assert sample.var() == pytest.approx(variance, rel=0.03)
        if sigma >= 1:
            assert variance == pytest.approx(sigma**2 + 1 / 12, rel=1e-2)
        above, below = (sample > 0).sum(), (sample < 0).sum()
        assert abs(int(above) - int(below)) < 5 * math.sqrt(above + below)


def test_the_rounded_gaussian_rounds_the_gaussian():
    """The nearest whole number of sigma times the normal score of the same uniform bits."""
    words = STREAM.keystream("rounding").words64(20_000)
    negative, tails = words & np.uint64(1), (words >> np.uint64(2)).astype(float)
    normals = stats.norm.isf((tails + 0.5) * 2.0**-63) * np.where(negative, -1, 1)
    drawn = sample_rounded_gaussian(STREAM.keystream("rounding"), 3.3, 20_000)
    assert np.array_equal(drawn, np.rint(3.3 * normals))


def normal_scores(pmf, reach):
    """Phi^-1 of P[X < k] for k = 1 - reach to 0, where sums of a symmetric pmf lose nothing."""
    below = np.cumsum(pmf(np.arange(-20 * reach, 1)))
    return stats.norm.ppf(below[-reach - 1 : -1])


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("shift", [1, 2, 3])
def test_a_count_with_rounded_noise_is_exactly_gaussian_dp(sigma, shift):
    """Every corner of the trade-off function between X and X + shift lies on the curve of shift / sigma-GDP.

    Tests by likelihood are thresholds: alpha = P[X >= k], beta = P[X + shift < k]. Between its corners the trade-off
    function is straight, and the curve is convex, so corners on or above it put the whole function there.
    """
    reach = math.ceil(6 * sigma) + 4
    scores = normal_scores(lambda x: gaussian_pmf(sigma, x), reach)
    k = np.arange(1 - reach, 1)
    beta = stats.norm.cdf(scores[:-shift])  # P[X < k - shift]
    curve = stats.norm.cdf(scores[shift:] - shift / sigma)  # at alpha = 1 - P[X < k]
    np.testing.assert_allclose(beta, curve, rtol=1e-7)
    np.testing.assert_allclose(scores, (k - 0.5) / sigma, rtol=1e-7)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 5.0])
def test_the_discrete_gaussian_is_not(sigma):
    """Its normal scores lie more than 1 / sigma apart, by about 1 / (24 sigma^3): corners below the curve."""

    def pmf(x):
        support = np.arange(-int(60 * sigma) - 60, int(60 * sigma) + 61)
        return np.exp(-(x**2) / (2 * sigma**2)) / np.exp(-(support**2) / (2 * sigma**2)).sum()

    excess = np.diff(normal_scores(pmf, math.ceil(3 * sigma) + 1)) - 1 / sigma
    assert (excess > 0).all()
    if sigma >= 1:
        assert excess.max() == pytest.approx(1 / (24 * sigma**3), rel=0.12 / sigma**2)


@pytest.mark.parametrize(("sigma", "count"), [(1e3, 50_000), (1e6, 50_000), (2.0**40, 4000)])
def test_large_scales_have_the_right_spread(sigma, count):
    x = sample_rounded_gaussian(STREAM.keystream("large"), sigma, count).astype(float) / sigma
    assert stats.kstest(x, "norm").pvalue > 1e-4


def test_a_large_table_is_noised_in_seconds():
    start = time.process_time()
    sample_rounded_gaussian(STREAM.keystream("speed"), 123.456, 1_000_000)
    assert time.process_time() - start < 5


def counts(sigma, epsilon=50.0):
    return NoisyMarginals(name="c", neighbours="add_remove", sigma=sigma, marginals=1), Budget(epsilon, 1e-5)


def released(sigma, value, epsilon=50.0):
    mechanism, budget = counts(sigma, epsilon)
    return Ledger(Plan(budget, (mechanism,)), RandomGenerators()).release(mechanism, value)


def test_release_adds_to_integers_and_keeps_shape():
    value = np.arange(6, dtype=np.int64).reshape(2, 3) * 10**9
    out = released(2.0, value)
    assert out.dtype == np.int64
    assert out.shape == (2, 3)
    assert np.abs(out - value).max() < 60
    assert sample_rounded_gaussian(STREAM.keystream("none"), 1.0, 0).shape == (0,)


@given(seed=st.integers(0, 2**32), sigma=st.floats(0.1, 1e9), value=st.integers(-(2**40), 2**40))
@settings(max_examples=50, deadline=None)
def test_noise_is_the_same_whatever_the_count(seed, sigma, value):
    """The answer is the count plus a number that depends on the key alone."""
    mechanism, _ = counts(sigma)
    stream = PrivacyGenerator.seeded(seed)
    zero, other = (mechanism.draw(np.array([v]), stream.keystream("c")) for v in (0, value))
    assert other - zero == value


@pytest.mark.parametrize("sigma", [-1.0, math.nan, math.inf])
def test_scales_without_a_meaning_make_no_mechanism(sigma):
    with pytest.raises(BudgetError, match="noise"):
        counts(sigma)


def test_no_noise_is_refused_under_a_finite_budget():
    with pytest.raises(BudgetError, match="no noise"):
        released(0.0, np.array([1]))


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf, 1e-9, 1e15])
def test_no_sampler_takes_a_scale_beyond_its_range(sigma):
    with pytest.raises(BudgetError, match="scale"):
        sample_rounded_gaussian(STREAM.keystream("bad"), sigma, 1)


def test_floats_are_refused_and_infinite_epsilon_is_exact():
    with pytest.raises(TypeError, match="integers"):
        released(2.0, np.array([1.0]))
    assert released(0.0, np.array([7]), math.inf)[0] == 7
