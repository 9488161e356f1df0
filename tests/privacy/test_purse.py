"""dpsynth/privacy/purse.py: adaptive releases never take more than the plan holds."""

import math

import numpy as np
import pytest
from dpsynth.privacy.purse import Purse, purse_charge
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import BudgetError
from dpsynth.privacy import Budget, Ledger, Plan, Streams

COUNTS = np.array([[3, 0], [1, 9]])
BUDGETS = [Budget(1.0, 1e-5), Budget(3.0, 1e-5, "replace_one")]


def opened(budget, streams=None):
    plan = Plan(budget, (purse_charge("purse", budget, ()),))
    return Purse("purse", Ledger(plan), (streams or Streams(infinite=not budget.private)).privacy), plan


@pytest.mark.parametrize("budget", BUDGETS)
def test_the_purse_holds_the_whole_budget(budget):
    _, plan = opened(budget)
    assert 0.99 * budget.epsilon < plan.proven.epsilon <= budget.epsilon + 1e-9


@pytest.mark.parametrize("budget", BUDGETS)
@given(shares=st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=12), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_what_is_spent_adds_up_and_never_exceeds(budget, shares, seed):
    purse, _ = opened(budget)
    total = purse.total
    for k, share in enumerate(shares):
        rho = share * total
        left = purse.left
        spend = purse.measure if (k + seed) % 2 else purse.choose
        if spend == purse.measure:
            arguments = ([COUNTS], purse.sigma_for(rho))
        else:
            arguments = (np.array([1.0, 2.0]), 1.0, purse.epsilon_for(rho))
        if rho > left * (1 + 1e-9):
            with pytest.raises(BudgetError, match="more than was planned"):
                spend(*arguments)
        elif rho < left * (1 - 1e-9):
            spend(*arguments)
            assert purse.left == pytest.approx(left - rho, rel=1e-9, abs=1e-9 * total)
    assert purse.left == pytest.approx(purse.ledger.state()["rho"]["purse"], rel=1e-6, abs=1e-9 * total)


@pytest.mark.parametrize("budget", BUDGETS)
def test_costs_and_noise_are_inverse(budget):
    purse, _ = opened(budget)
    assert purse.counts_cost(purse.sigma_for(0.01)) == pytest.approx(0.01)
    assert purse.choice_cost(purse.epsilon_for(0.01)) == pytest.approx(0.01)
    assert purse.counts_cost(2.0) == pytest.approx(budget.cells_changed / 8)


def test_an_endless_purse_gives_exact_answers():
    purse, plan = opened(Budget(math.inf, 1e-5))
    assert plan.to_dict()["charges"]
    for _ in range(3):
        assert (purse.measure([COUNTS], purse.sigma_for(1.0))[0] == COUNTS).all()
        assert purse.choose(np.array([1.0, 5.0]), 1.0, purse.epsilon_for(1.0)) == 1
    assert purse.ledger.finished
