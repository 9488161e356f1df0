"""dpsynth/privacy/noise/exponential.py"""

import math
from typing import NamedTuple

import numpy as np
import pytest
from dp_accounting import SelfComposedDpEvent
from dp_accounting.dp_event import DiscreteLaplaceDpEvent
from scipy import stats

from dpsynth.errors import BudgetError
from dpsynth.privacy import Budget, ExponentialMechanism, GaussianQuery, Ledger, Plan, RandomGenerators, prove
from dpsynth.privacy.noise.exponential import choice_epsilon, gaussian_multiplier


class Coins(NamedTuple):
    """A charge for the accountant."""

    event: SelfComposedDpEvent
    delta: float = 0.0


SCORES = np.array([3.0, 1.0, 0.0, -2.0])


def mechanism(epsilon, releases=1, bound=1.0):
    return ExponentialMechanism(name="e", neighbours="add_remove", bound=bound, epsilon=epsilon, releases=releases)


def ledger_of(choice, epsilon=math.inf):
    return Ledger(Plan(Budget(epsilon, 1e-5), (choice,)), RandomGenerators(3, "seeded"))


def test_choices_follow_their_distribution():
    epsilon, bound, rounds = 2.0, 1.5, 8000
    choice = mechanism(epsilon, rounds, bound)
    ledger = ledger_of(choice)
    chosen = [ledger.release(choice, SCORES) for _ in range(rounds)]
    distribution = np.exp(epsilon * SCORES / (2 * bound))
    assert stats.chisquare(np.bincount(chosen, minlength=4), rounds * distribution / distribution.sum()).pvalue > 1e-4


@pytest.mark.parametrize("count", [1, 30, 300])
@pytest.mark.parametrize("epsilon", [0.05, 0.5])
def test_many_choices_are_charged_no_less_than_coins_of_their_largest_ratios(epsilon, count):
    """Coins with log ratios +-epsilon / 2 are choices of two candidates; their composition is known numerically."""
    budget = Budget(99, 1e-5)
    coins = Coins(SelfComposedDpEvent(DiscreteLaplaceDpEvent(epsilon / 2, 1), count))
    charged = prove([mechanism(epsilon, count)], budget)
    assert charged.accountant == "analytic Gaussian"
    assert charged.epsilon >= prove([coins], budget).epsilon * (1 - 1e-3)
    assert mechanism(epsilon).release_event.noise_multiplier == pytest.approx(1 / (0.6267 * epsilon), rel=0.02)


@pytest.mark.parametrize("delta", [1e-5, 1e-2])
def test_a_choice_costs_no_less_than_its_randomised_response(delta):
    """The coin with log ratios +-epsilon / 2 is a choice of two; its delta(epsilon') is no lie about the charge."""
    epsilon = 1.0
    proven = prove([mechanism(epsilon)], Budget(99, delta)).epsilon
    p = 1 / (1 + math.exp(-epsilon / 2))
    assert max(0.0, p - math.exp(proven) * (1 - p)) <= delta + 1e-12


def test_huge_and_broken_scores_do_not_break_the_choice():
    choice = mechanism(1.0)
    scores = np.array([math.nan, 1e200, -math.inf, 1e199])
    assert ledger_of(choice, 20.0).release(choice, scores) == 1


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan])
def test_a_choice_without_a_meaning_is_refused(epsilon):
    with pytest.raises(BudgetError, match="epsilon"):
        mechanism(epsilon)


def test_absent_noise_is_refused():
    with pytest.raises(BudgetError, match="no noise"):
        ledger_of(mechanism(math.inf), 1.0)


@pytest.mark.parametrize("shape", [0, (2, 2)])
def test_what_is_no_list_of_candidates_is_refused(shape):
    choice = mechanism(1.0)
    with pytest.raises(BudgetError, match="candidate"):
        ledger_of(choice, 20.0).release(choice, np.zeros(shape))


def test_infinite_epsilon_takes_the_best():
    choice = mechanism(math.inf)
    assert ledger_of(choice).release(choice, SCORES) == 0


@pytest.mark.parametrize("epsilon", [0.01, 0.3, 1.0, 4.0, 12.0])
def test_a_choice_is_charged_as_a_gaussian_that_is_no_better(epsilon):
    """Every coin with log ratios t and t - epsilon has its kink on or above the Gaussian trade-off function."""
    mu = 1 / mechanism(epsilon).release_event.noise_multiplier
    assert mu == 1 / gaussian_multiplier(epsilon)
    t = np.linspace(1e-6, 1 - 1e-6, 4001) * epsilon
    alpha = -np.expm1(t - epsilon) / (
        np.exp(t) - np.exp(t - epsilon)
    )  # chance of the likely side under the other distribution
    beta = np.exp(t - epsilon) * (1 - alpha)
    assert (stats.norm.cdf(stats.norm.isf(alpha) - mu) <= beta + 1e-12).all()
    assert choice_epsilon(1 / mu) == pytest.approx(epsilon)


def test_choices_beside_gaussians_are_proven_together():
    choices = mechanism(choice_epsilon(math.sqrt(20) * 4), 20)
    same_as = GaussianQuery(name="sum", neighbours="add_remove", noise_multiplier=4.0, bound=1.0)
    budget = Budget(9, 1e-5)
    assert prove([choices], budget).epsilon == pytest.approx(prove([same_as], budget).epsilon)
    twice = GaussianQuery(name="sum", neighbours="add_remove", noise_multiplier=4.0 / math.sqrt(2), bound=1.0)
    assert prove([choices, same_as], budget).epsilon == pytest.approx(prove([twice], budget).epsilon)


def test_infinite_choices_are_marked_as_not_private():
    assert choice_epsilon(0.0) == math.inf
    assert prove([mechanism(math.inf, 3)], Budget(9, 1e-5)).epsilon == math.inf
