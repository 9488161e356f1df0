"""What a plan is charged for: every part of every mechanism, as often as it is released, never less than it costs."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from dp_accounting import DpEvent, SelfComposedDpEvent
from dp_accounting.dp_event import DiscreteLaplaceDpEvent
from scipy.stats import norm

from dpsynth.errors import BudgetError
from dpsynth.privacy import DPSGD, Budget, Ledger, NoisyMarginals, Plan, PoissonBatches, RandomGenerators
from dpsynth.privacy.accounting.accounting import prove
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches
from dpsynth.privacy.mechanisms.discovery import PrivateCategories
from dpsynth.privacy.noise.random import PrivacyGenerator

BUDGET = Budget(2.0, 1e-5)


@dataclass(frozen=True)
class Pure:
    """A charge of pure privacy."""

    name: str
    event: DpEvent
    delta: float = 0.0


def steps(name, count, relation="add_remove", rate=0.02, noise=1.1):
    batches = PoissonBatches(rate, count) if relation == "add_remove" else FixedSizeBatches(1000, 20, count)
    return DPSGD.sampled(name, relation, batches, noise, 1.0)


@pytest.mark.parametrize("relation", ["add_remove", "replace_one"])
def test_equal_charges_add_up(relation):
    budget = Budget(2.0, 1e-5, relation)
    apart = prove([steps("one", 30, relation), steps("two", 50, relation)], budget)
    assert apart.epsilon == pytest.approx(prove([steps("both", 80, relation)], budget).epsilon, rel=1e-9)

    def pure(name, columns):
        return Pure(name, SelfComposedDpEvent(DiscreteLaplaceDpEvent(0.05, 1), columns))

    apart = prove([pure("one", 3), pure("two", 4)], budget)
    assert apart.epsilon == pytest.approx(prove([pure("both", 7)], budget).epsilon, rel=1e-9)


def sampled_delta(rate, noise, epsilon):
    """The exact delta(epsilon) of one step of the Poisson-sampled Gaussian under add_remove: the worse direction."""
    odds = math.exp(epsilon)

    def beyond(threshold):
        """Chances of a draw above `threshold` with and without the row."""
        without = norm.sf(threshold / noise)
        return (1 - rate) * without + rate * norm.sf((threshold - 1) / noise), without

    def place(ratio):
        """Where the density with the row is `ratio` times that without."""
        return noise**2 * math.log((ratio - 1 + rate) / rate) + 0.5

    with_row, without = beyond(place(odds))
    removed = with_row - odds * without
    if 1 / odds <= 1 - rate:
        return removed
    with_row, without = beyond(place(1 / odds))
    return max(removed, (1 - without) - odds * (1 - with_row))


@pytest.mark.parametrize(("rate", "noise"), [(0.01, 0.8), (0.1, 1.0), (0.5, 2.0), (1.0, 1.5)])
def test_sampled_steps_are_never_proven_cheaper_than_they_are(rate, noise):
    proven = prove([steps("one", 1, rate=rate, noise=noise)], BUDGET)
    exact = sampled_delta(rate, noise, proven.epsilon)
    assert exact <= BUDGET.delta * (1 + 1e-9)
    assert sampled_delta(rate, noise, 0.98 * proven.epsilon) > BUDGET.delta  # and hardly dearer


@pytest.mark.parametrize("relation", ["add_remove", "replace_one"])
def test_a_plan_a_little_above_its_budget_cannot_exist(relation):
    budget = Budget(2.0, 1e-5, relation)

    def plan(noise):
        return Plan(budget, (steps("sgd", 50, relation, noise=noise),))

    least = calibrate(lambda noise: [steps("sgd", 50, relation, noise=noise)], budget)
    assert plan(least).proven.epsilon <= budget.epsilon
    with pytest.raises(BudgetError, match="more than the budget"):
        plan(0.99 * least)


def test_the_threshold_of_categories_is_charged():
    def words(delta):
        return PrivateCategories(name="words", neighbours="add_remove", sigma=8.0, threshold_delta=delta)

    assert words(4e-6).delta == 4e-6
    costs = [prove([words(delta)], BUDGET).epsilon for delta in (1e-9, 4e-6, 9e-6)]
    assert costs == sorted(set(costs))
    with pytest.raises(BudgetError, match="leaves nothing of delta"):
        Plan(BUDGET, (words(1e-5),))


def test_a_release_of_marginals_holds_no_more_tables_than_were_planned():
    two = NoisyMarginals(name="tables", neighbours="add_remove", sigma=20.0, marginals=2)
    tables = [np.array([5, 0]), np.array([1, 4]), np.array([3, 2])]
    gate = Ledger(Plan(BUDGET, (two,)), RandomGenerators(0, "seeded"))
    with pytest.raises(BudgetError, match="3 tables, but 2 were planned"):
        two.measure(tables, gate)
    assert [table.shape for table in two.measure(tables[:2], gate)] == [(2,), (2,)]


@pytest.mark.parametrize("batches", [PoissonBatches(0.2, 60), FixedSizeBatches(1000, 40, 60)])
def test_the_divisor_is_the_batch_that_is_expected(batches):
    stream = PrivacyGenerator.seeded(0)
    sizes = [len(batches.indices(stream.keystream("rows", t, "rows"), 1000)) for t in range(60)]
    assert np.mean(sizes) == pytest.approx(batches.expected(1000), rel=0.05)
    assert batches.rate == pytest.approx(batches.expected(1000) / 1000)


@pytest.mark.parametrize("scale", [0.05, 0.3, 2.0])
def test_renyi_orders_are_dense_enough_where_nothing_else_is_trusted(scale):
    """Below the smallest delta of loss distributions: no worse than zCDP, whose best order is known in closed form."""
    budget = Budget(100.0, 1e-12)
    pure = Pure("pure", DiscreteLaplaceDpEvent(scale, 1))
    counts = NoisyMarginals(name="counts", neighbours="add_remove", sigma=1 / scale, marginals=1)
    proven = prove([pure, counts], budget)
    rho = scale**2
    assert proven.accountant == "RDP"
    assert rho < proven.epsilon <= rho + 2 * math.sqrt(rho * math.log(1 / budget.delta))
