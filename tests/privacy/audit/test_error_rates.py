"""The bounds hold at their confidence whatever the scores, and come close to the truth where it is Gaussian."""

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from dpsynth.errors import ConfigError
from dpsynth.privacy import Budget, PoissonBatches, prove
from dpsynth.privacy.accounting.accounting import StatedCharge
from dpsynth.privacy.audit.error_rates import Errors, gaussian_epsilon, largest_rate, lower_bound

DELTA = 1e-5


def gaussian_scores(mu: float, n: int, seed: int, rate: float = 1.0):
    draw = np.random.default_rng(seed)
    return draw.standard_normal(n), draw.standard_normal(n) + mu * (draw.random(n) < rate)


@pytest.mark.parametrize("trials", [1, 20, 300])
@pytest.mark.parametrize("error", [0.025, 0.2])
def test_the_clopper_pearson_bound_lies_below_the_rate_as_seldom_as_it_says(trials, error):
    bounds = np.array([largest_rate(k, trials, error) for k in range(trials + 1)])
    for rate in (0.001, 0.02, 0.3, 0.5, 0.97):
        missed = binom.pmf(np.arange(trials + 1), trials, rate)[bounds < rate].sum()
        assert missed <= error + 1e-12
    assert bounds[-1] == 1.0


@pytest.mark.parametrize("mu", [0.01, 0.27, 1.0, 5.0])
@pytest.mark.parametrize("delta", [1e-9, 1e-5, 1e-2])
def test_the_epsilon_of_mu_is_that_of_the_accountant(mu, delta):
    proven = prove([StatedCharge("one", GaussianDpEvent(1 / mu))], Budget(1.0, delta)).epsilon
    assert gaussian_epsilon(mu, delta) == pytest.approx(proven, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("mu", "rate"), [(0.4, 0.5), (0.8, 0.1), (3.0, 0.01)])
def test_the_epsilon_of_a_sampled_release_is_that_of_the_accountant(mu, rate):
    proven = prove([StatedCharge("one", PoissonBatches(rate, 1).event(1 / mu))], Budget(1.0, DELTA)).epsilon
    assert gaussian_epsilon(mu, DELTA, rate) == pytest.approx(proven, rel=1e-3)


def test_no_mu_is_no_epsilon():
    assert gaussian_epsilon(0.0, DELTA) == 0.0
    assert gaussian_epsilon(1e-7, DELTA) == 0.0


@pytest.mark.parametrize(("mu", "rate"), [(0.27, 1.0), (2.0, 1.0), (1.0, 0.5)])
def test_on_gaussian_releases_the_bounds_exceed_the_truth_at_most_as_often_as_they_may(mu, rate):
    truth, repetitions = gaussian_epsilon(mu, DELTA, rate), 200
    bounds = [lower_bound(*gaussian_scores(mu, 150, seed, rate), DELTA, rate=rate) for seed in range(repetitions)]
    allowed = binom.isf(1e-3, repetitions, 0.05)
    assert sum(bound.mu > mu for bound in bounds) <= allowed
    assert sum(bound.epsilon_by_mu > truth for bound in bounds) <= allowed
    assert sum(bound.epsilon > truth for bound in bounds) <= allowed


@pytest.mark.parametrize(("mu", "rate", "n"), [(0.268, 1.0, 30_000), (1.0, 1.0, 4_000), (0.4, 0.5, 80_000)])
def test_with_enough_runs_they_reach_four_fifths_of_it(mu, rate, n):
    bound = lower_bound(*gaussian_scores(mu, n, 0, rate), DELTA, rate=rate)
    assert bound.epsilon_by_mu >= 0.8 * gaussian_epsilon(mu, DELTA, rate)
    assert bound.runs == 2 * n


@pytest.mark.parametrize("target", ["mu", "epsilon"])
def test_on_the_same_distribution_the_bound_is_nothing(target):
    bounds = [lower_bound(*gaussian_scores(0.0, 200, seed), DELTA, target=target) for seed in range(200)]
    assert sum(max(bound.mu, bound.epsilon) > 0 for bound in bounds) <= binom.isf(1e-3, 200, 0.05)


def test_scores_that_are_all_equal_infinite_or_no_numbers_prove_what_they_may():
    zeros, infinite = np.zeros(100), np.full(100, np.inf)
    assert lower_bound(zeros, zeros, DELTA).mu == 0.0
    assert lower_bound(np.full(100, np.nan), zeros, DELTA).mu == 0.0
    apart = lower_bound(-infinite, infinite, DELTA)
    assert (apart.errors.false_positives, apart.errors.false_negatives) == (0, 0)
    assert apart.mu > 3


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_randomised_response_is_bounded_by_its_epsilon_and_nearly_reached(epsilon):
    truth, n = np.exp(epsilon) / (1 + np.exp(epsilon)), 20_000
    draw = np.random.default_rng(3)
    without, with_record = (draw.random(n) < p for p in (1 - truth, truth))
    bound = lower_bound(without.astype(float), with_record.astype(float), 0.0, target="epsilon")
    assert 0.85 * epsilon < bound.epsilon <= epsilon


@given(st.integers(0, 50), st.integers(0, 50))
def test_more_errors_prove_less(first, second):
    few, more = Errors(first, 60, second, 60), Errors(first + 5, 60, second + 5, 60)
    assert more.mu() <= few.mu()
    assert more.epsilon(DELTA) <= few.epsilon(DELTA)
    assert Errors(first, 60, second, 60, 0.99).mu() <= few.mu()


def test_too_few_runs_are_refused():
    with pytest.raises(ConfigError, match="at least 40 runs"):
        lower_bound(np.zeros(19), np.zeros(50), DELTA)
