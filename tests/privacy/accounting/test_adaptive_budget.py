"""dpsynth/privacy/accounting/adaptive_budget.py: adaptive releases never take more than the plan holds."""

import json
import math

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, NonPrivateDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.dp_event import DiscreteLaplaceDpEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ArtifactError, BudgetError
from dpsynth.privacy import (
    DPSGD,
    AdaptiveBudget,
    Budget,
    ExponentialMechanism,
    GaussianQuery,
    Ledger,
    NoisyMarginals,
    Plan,
    PoissonBatches,
    RandomGenerators,
    prove,
)
from dpsynth.privacy.accounting.adaptive_budget import gaussian_cost
from dpsynth.privacy.mechanisms.discovery import PrivateCategories
from dpsynth.privacy.noise.exponential import choice_epsilon

COUNTS = np.array([[3, 0], [1, 9]])
SCORES = np.array([1.0, 2.0])
BUDGETS = [Budget(1.0, 1e-5), Budget(3.0, 1e-5, "replace_one"), Budget(0.1, 1e-9)]


def opened(budget, seed=0, before=()):
    adaptive = AdaptiveBudget.remaining("rounds", budget, before)
    return adaptive, Ledger(Plan(budget, (*before, adaptive)), RandomGenerators(seed, "seeded"))


def counts(adaptive, cost):
    """One marginal for `cost` of mu^2."""
    sigma = adaptive.counts_sigma(cost)
    return NoisyMarginals(name="rounds", neighbours=adaptive.neighbours, sigma=sigma, marginals=1)


def choice(adaptive, cost):
    epsilon = choice_epsilon(1 / math.sqrt(cost) if adaptive.private else 0.0)
    return ExponentialMechanism(name="rounds", neighbours=adaptive.neighbours, bound=1.0, epsilon=epsilon)


@pytest.mark.parametrize("budget", BUDGETS)
def test_it_holds_the_whole_budget(budget):
    adaptive, ledger = opened(budget)
    assert 0.99 * budget.epsilon < ledger.plan.proven.epsilon <= budget.epsilon + 1e-9
    assert ledger.remaining(adaptive) == adaptive.total == pytest.approx(adaptive.mu**2)


def test_it_holds_what_others_leave():
    budget = BUDGETS[0]
    before = GaussianQuery(name="rows", neighbours="add_remove", noise_multiplier=10.0, bound=1.0)
    adaptive, ledger = opened(budget, before=(before,))
    whole, _ = opened(budget)
    assert adaptive.total + 1 / 100 == pytest.approx(whole.total, rel=1e-3)
    assert 0.99 * budget.epsilon < ledger.plan.proven.epsilon <= budget.epsilon + 1e-9


@pytest.mark.parametrize("budget", BUDGETS)
@given(parts=st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=12), seed=st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_what_is_spent_adds_up_and_never_exceeds(budget, parts, seed):
    adaptive, ledger = opened(budget)
    total = adaptive.total
    made = []
    for k, part in enumerate(parts):
        cost, left, before = part * total, ledger.remaining(adaptive), ledger.state_dict()
        mechanism, query = (counts, COUNTS) if (k + seed) % 2 else (choice, SCORES)
        release = mechanism(adaptive, cost)
        if cost > left * (1 + 1e-9) + 1e-9 * total:
            with pytest.raises(BudgetError, match="more than was planned"):
                ledger.release(release, query)
            assert ledger.state_dict() == before
        elif cost < left * (1 - 1e-9):
            ledger.release(release, query)
            made.append(release)
            assert ledger.remaining(adaptive) == pytest.approx(left - cost, rel=1e-6, abs=1e-8 * total)
    spent = ledger.state_dict()["spent"]["rounds"]
    assert spent == pytest.approx(math.fsum(gaussian_cost(each.event) for each in made), rel=1e-9)
    assert spent <= total * (1 + 1e-9)
    assert prove(made, budget).epsilon <= budget.epsilon * (1 + 1e-6)  # had they been planned


def test_the_last_crumb_may_be_spent_and_nothing_more():
    """Equal parts of the total, whose sum in float64 may pass it by rounding alone."""
    adaptive, ledger = opened(BUDGETS[0])
    for _ in range(7):
        ledger.release(counts(adaptive, adaptive.total / 7), COUNTS)
    assert ledger.remaining(adaptive) == pytest.approx(0.0, abs=1e-9 * adaptive.total)
    for release in (counts(adaptive, 1e-6 * adaptive.total), choice(adaptive, 1e-6 * adaptive.total)):
        with pytest.raises(BudgetError, match="more than was planned"):
            ledger.release(release, COUNTS)


def test_noise_may_be_chosen_from_earlier_answers():
    """An adversary who spends more after small answers still passes no more than mu^2."""
    for seed in range(20):
        adaptive, ledger = opened(BUDGETS[0], seed)
        spent, part = 0.0, 0.05
        for _ in range(50):
            cost = part * adaptive.total
            try:
                noisy = ledger.release(counts(adaptive, cost), COUNTS)
            except BudgetError:
                part /= 2
                continue
            spent += cost
            part = min(0.5, part * 3) if noisy.sum() < 13 else part / 2
        assert spent <= adaptive.total * (1 + 1e-9)
        assert ledger.remaining(adaptive) == pytest.approx(adaptive.total - spent, abs=1e-6 * adaptive.total)


@pytest.mark.parametrize("budget", BUDGETS)
def test_costs_and_noise_are_inverse(budget):
    adaptive, _ = opened(budget)
    for cost in (0.5 * adaptive.total, 1e-3 * adaptive.total):
        assert gaussian_cost(counts(adaptive, cost).event) == pytest.approx(cost)
        assert gaussian_cost(choice(adaptive, cost).event) == pytest.approx(cost)
    two = NoisyMarginals(name="rounds", neighbours=budget.neighbours, sigma=2.0, marginals=3)
    assert gaussian_cost(two.event) == pytest.approx(3 * budget.cells_changed / 4)


def test_events_are_counted_by_their_parts():
    assert gaussian_cost(SelfComposedDpEvent(GaussianDpEvent(2.0), 8)) == pytest.approx(2.0)
    assert gaussian_cost(GaussianDpEvent(0.0)) == math.inf
    for event in (
        DiscreteLaplaceDpEvent(1.0, 1),
        NonPrivateDpEvent(),
        PoissonSampledDpEvent(0.1, GaussianDpEvent(9.0)),
    ):
        with pytest.raises(BudgetError, match="Gaussian DP only"):
            gaussian_cost(event)


REFUSED = {
    "another relation": GaussianQuery(name="rounds", neighbours="replace_one", noise_multiplier=100.0, bound=1.0),
    "several releases": GaussianQuery(
        name="rounds", neighbours="add_remove", noise_multiplier=100.0, bound=1.0, releases=2
    ),
    "a delta of its own": PrivateCategories(name="rounds", neighbours="add_remove", sigma=100.0, threshold_delta=1e-9),
    "sampled rows": DPSGD.sampled("rounds", "add_remove", PoissonBatches(0.1, 1), 100.0, 1.0),
    "no noise": NoisyMarginals(name="rounds", neighbours="add_remove", sigma=0.0, marginals=1),
    "no noise in a choice": ExponentialMechanism(name="rounds", neighbours="add_remove", bound=1.0, epsilon=math.inf),
    "no sensitivity": GaussianQuery(name="rounds", neighbours="add_remove", noise_multiplier=100.0, bound=0.0),
    "an infinite sensitivity": GaussianQuery(
        name="rounds", neighbours="add_remove", noise_multiplier=100.0, bound=math.inf
    ),
    "another name": GaussianQuery(name="round", neighbours="add_remove", noise_multiplier=100.0, bound=1.0),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_the_filter_cannot_count_is_refused_and_costs_nothing(reason):
    _, ledger = opened(BUDGETS[0])
    before = ledger.state_dict()

    def query(_):
        raise AssertionError("the gate was passed")

    with pytest.raises(BudgetError):
        ledger.release(REFUSED[reason], query, rows=10)
    assert ledger.state_dict() == before


@pytest.mark.parametrize("mu", [0.0, -1.0, math.nan])
def test_a_budget_of_nothing_is_refused(mu):
    with pytest.raises(BudgetError, match="mu"):
        AdaptiveBudget(name="rounds", neighbours="add_remove", mu=mu)


def test_without_a_finite_epsilon_answers_are_exact_and_nothing_is_counted():
    adaptive, ledger = opened(Budget(math.inf, 1e-5))
    json.dumps(ledger.plan.to_dict(), allow_nan=False)
    for _ in range(3):
        assert (ledger.release(counts(adaptive, 1.0), COUNTS) == COUNTS).all()
        assert ledger.release(choice(adaptive, 1.0), np.array([1.0, 5.0])) == 1
    assert ledger.finished
    assert ledger.remaining(adaptive) == math.inf
    assert not ledger.statement()["private"]


def test_an_infinite_budget_within_a_finite_one_is_refused():
    with pytest.raises(BudgetError):
        Plan(BUDGETS[0], (AdaptiveBudget(name="rounds", neighbours="add_remove", mu=math.inf),))


def test_what_was_spent_survives_the_state():
    adaptive, ledger = opened(BUDGETS[0])
    for _ in range(3):
        ledger.release(counts(adaptive, adaptive.total / 4), COUNTS)
    state = json.loads(json.dumps(ledger.state_dict()))
    again = Ledger(ledger.plan, RandomGenerators(1, "seeded"))
    again.load_state_dict(state)
    assert again.remaining(adaptive) == pytest.approx(adaptive.total / 4)
    again.load_state_dict(state)  # read twice, it counts once
    assert again.remaining(adaptive) == pytest.approx(adaptive.total / 4)
    with pytest.raises(BudgetError, match="more than was planned"):
        again.release(counts(adaptive, adaptive.total / 2), COUNTS)
    with pytest.raises(BudgetError, match="made already"):
        again.release(counts(adaptive, adaptive.total / 8), COUNTS, step=2)
    again.release(counts(adaptive, adaptive.total / 4), COUNTS)
    other = Plan(BUDGETS[0], (AdaptiveBudget(name="rounds", neighbours="add_remove", mu=adaptive.mu / 2),))
    with pytest.raises(ArtifactError):
        Ledger(other, RandomGenerators()).load_state_dict(state)
