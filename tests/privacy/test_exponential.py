"""dpsynth/privacy/exponential.py"""

import math

import numpy as np
import pytest
from dp_accounting import SelfComposedDpEvent
from scipy import stats

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting import prove
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.exponential import (
    choices_charge,
    composed_epsilon,
    composed_event,
    exponential,
    exponential_event,
)
from dpsynth.privacy.gaussian import gaussian_event
from dpsynth.privacy.ledger import Charge
from dpsynth.privacy.random import PrivacyStream

SCORES = np.array([3.0, 1.0, 0.0, -2.0])


def test_choices_follow_their_law():
    stream = PrivacyStream.seeded(3)
    epsilon, sensitivity, rounds = 2.0, 1.5, 8000
    chosen = [exponential(stream, "e", SCORES, sensitivity=sensitivity, epsilon=epsilon, step=k) for k in range(rounds)]
    law = np.exp(epsilon * SCORES / (2 * sensitivity))
    assert stats.chisquare(np.bincount(chosen, minlength=4), rounds * law / law.sum()).pvalue > 1e-4


def test_one_choice_costs_its_pure_epsilon_and_many_compose_as_zcdp():
    event = exponential_event(0.5)
    assert prove([Charge("e", event)], Budget(9, 1e-5)).epsilon <= 0.501
    many = prove([Charge("e", SelfComposedDpEvent(event, 100))], Budget(99, 1e-5))
    rho = 100 * 0.5**2 / 8
    assert many.epsilon <= rho + 2 * math.sqrt(rho * math.log(1e5))


def test_huge_and_broken_scores_do_not_break_the_choice():
    stream = PrivacyStream.seeded(3)
    scores = np.array([math.nan, 1e200, -math.inf, 1e199])
    assert exponential(stream, "e", scores, sensitivity=1.0, epsilon=1.0) == 1


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.inf, math.nan])
def test_absent_noise_is_refused(epsilon):
    with pytest.raises(BudgetError):
        exponential(PrivacyStream.fresh(), "e", SCORES, sensitivity=1.0, epsilon=epsilon)
    with pytest.raises(BudgetError):
        exponential(PrivacyStream.fresh(), "e", np.zeros(0), sensitivity=1.0, epsilon=1.0)


def test_infinite_epsilon_takes_the_best():
    stream = PrivacyStream.fresh(infinite=True)
    assert exponential(stream, "e", SCORES, sensitivity=1.0, epsilon=math.inf) == 0


@pytest.mark.parametrize("epsilon", [0.01, 0.3, 1.0, 4.0, 12.0])
def test_a_choice_is_charged_as_a_gaussian_that_is_no_better(epsilon):
    """Every coin with log ratios t and t - epsilon has its kink on or above the Gaussian trade-off function."""
    mu = 1 / composed_event(epsilon).noise_multiplier
    t = np.linspace(1e-6, 1 - 1e-6, 4001) * epsilon
    alpha = -np.expm1(t - epsilon) / (np.exp(t) - np.exp(t - epsilon))  # chance of the likely side under the other law
    beta = np.exp(t - epsilon) * (1 - alpha)
    assert (stats.norm.cdf(stats.norm.isf(alpha) - mu) <= beta + 1e-12).all()
    assert composed_epsilon(1 / mu) == pytest.approx(epsilon)


def test_choices_beside_gaussians_are_proven_together():
    charge = choices_charge("pick", 20, composed_epsilon(math.sqrt(20) * 4))
    same_as = Charge("sum", gaussian_event(4.0))
    budget = Budget(9, 1e-5)
    assert prove([charge], budget).epsilon == pytest.approx(prove([same_as], budget).epsilon)


def test_infinite_choices_are_marked_as_not_private():
    charge = choices_charge("pick", 3, composed_epsilon(0.0))
    assert prove([charge], Budget(9, 1e-5)).epsilon == math.inf
