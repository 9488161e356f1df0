"""The bound of one run, on randomised response, where the truth is known, and against the formula of its paper."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from dpsynth.errors import ConfigError
from dpsynth.privacy import Budget, GaussianQuery, Ledger, Plan
from dpsynth.privacy.audit.canaries import canary_run
from dpsynth.privacy.audit.one_run import Guesses
from dpsynth.privacy.audit.reference_programs import SGDSteps
from dpsynth.privacy.mechanisms.shards import Sharding


def as_published(m: int, r: int, v: int, eps: float, delta: float) -> float:
    """The p-value as the loop in the appendix of Steinke, Nasr, Jagielski 2023."""
    q = 1 / (1 + math.exp(-eps))
    beta = binom.sf(v - 1, r, q)
    alpha = total = 0.0
    for i in range(1, v + 1):
        total += binom.pmf(v - i, r, q)
        if total > i * alpha:
            alpha = total / i
    return min(beta + alpha * delta * 2 * m, 1)


@pytest.mark.parametrize("guesses", [Guesses(1000, 100, 80), Guesses(50, 50, 50), Guesses(10, 4, 0)])
@pytest.mark.parametrize("epsilon", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("delta", [0.0, 1e-5, 1e-2])
def test_the_p_value_is_the_published_one(guesses, epsilon, delta):
    expected = as_published(guesses.canaries, guesses.made, guesses.right, epsilon, delta)
    assert guesses.p_value(epsilon, delta) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def response(epsilon: float, m: int, seed: int) -> Guesses:
    """Every bit told with its truth kept with probability e^eps / (1 + e^eps): each guess has exactly that chance."""
    draw = np.random.default_rng(seed)
    inside = draw.random(m) < 0.5
    kept = draw.random(m) < 1 / (1 + math.exp(-epsilon))
    described = np.where(kept, inside, ~inside)
    return Guesses.of(described + 0.5 * draw.random(m), inside, m // 2)


@pytest.mark.parametrize("epsilon", [0.5, 2.0, 4.0])
def test_randomised_response_is_bounded_by_its_epsilon_and_nearly_reached(epsilon):
    bounds = np.array([response(epsilon, 400, seed).epsilon(0.0) for seed in range(200)])
    assert (bounds > epsilon).sum() <= binom.isf(1e-3, 200, 0.05)
    assert response(epsilon, 40_000, 0).epsilon(0.0) > 0.9 * epsilon


def test_delta_costs_something_and_confidence_too():
    guesses = Guesses(1000, 200, 170)
    assert guesses.epsilon(1e-4) < guesses.epsilon(1e-6) <= guesses.epsilon(0.0)
    assert guesses.epsilon(1e-5, 0.99) < guesses.epsilon(1e-5, 0.9)
    assert Guesses(100, 20, 10).epsilon(1e-5) == 0.0
    assert Guesses(100, 20, 20).epsilon(0.0) < 100


def test_guesses_are_made_on_both_ends_of_the_scores():
    guesses = Guesses.of(np.arange(10.0), np.arange(10) >= 7, 6)
    assert (guesses.canaries, guesses.made, guesses.right) == (10, 6, 6)
    with pytest.raises(ConfigError):
        Guesses(10, 4, 5)


def test_canary_gradients_give_a_bound_below_the_claim_and_above_nothing():
    run = SGDSteps.spending(Budget(8.0, 1e-5), 1.0, 2).canary_run(1000, 100, seed=1)
    assert 2.0 < run.epsilon(1e-5) < 8.0
    strong = SGDSteps.spending(Budget(200.0, 1e-5), 1.0, 2).canary_run(1000, 500, seed=1)
    assert strong.epsilon(1e-5) > 3.5


def gate(randomness, mechanism):
    return Ledger(Plan(Budget(100.0, 1e-5), (mechanism,)), randomness)


def sums(releases: int) -> GaussianQuery:
    return GaussianQuery(name="sums", neighbours="add_remove", releases=releases, noise_multiplier=0.5, bound=1.0)


def test_any_program_can_be_asked_for_its_canaries():
    def program(data, randomness):
        ledger = gate(randomness, sums(3))
        for _ in range(3):
            ledger.release(sums(3), data.astype(float))

    run = canary_run(program, lambda inside: inside, 40, 40, seed=0)
    assert run.right >= 36
    silent = canary_run(lambda data, randomness: None, lambda inside: inside, 40, 40, seed=0)
    assert silent.epsilon(1e-5) == 0.0


def test_a_canary_alone_has_the_teacher_that_it_has_among_the_others():
    """Each canary shows in its teacher's numbers only, and which teacher that is depends on its position."""

    def program(data, randomness):
        ledger, canaries = gate(randomness, sums(9)), np.flatnonzero(data)
        shards = ledger.shards(Sharding(200), len(canaries))
        votes = np.zeros((200, 40))
        for teacher, (start, size) in enumerate(zip(shards.starts, shards.sizes, strict=True)):
            votes[teacher, canaries[shards.order[start : start + size]]] = 1.0
        for _ in range(9):
            ledger.release(sums(9), votes)

    assert canary_run(program, lambda inside: inside, 40, 20, seed=0).right == 20
