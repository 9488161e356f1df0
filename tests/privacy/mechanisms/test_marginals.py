"""Noisy marginals: exact counts underneath, the stated sensitivity on neighbours, the stated noise."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import BudgetError
from dpsynth.privacy import Budget, Ledger, Plan, RandomGenerators
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals, exact_counts
from dpsynth.privacy.replay import audit

SIZES = (2, 3, 5)
SETS = ((0,), (2,), (0, 1), (1, 2))
ADD, REPLACE = Budget(1.0, 1e-5), Budget(1.0, 1e-5, "replace_one")


def codes(n, seed=0):
    draw = np.random.default_rng(seed)
    return np.stack([draw.integers(0, size, n) for size in SIZES], 1).astype(np.uint8)


def planned(budget, fraction=0.5):
    marginals = NoisyMarginals.at_fraction("marginals", len(SETS), budget, fraction)
    return marginals, Plan(budget, (marginals,))


def measured(budget, data, randomness):
    marginals, plan = planned(budget)
    return marginals.measure(exact_counts(data, SETS, SIZES), Ledger(plan, randomness))


def test_without_noise_the_counts_are_exact():
    infinite = Budget(float("inf"), 1e-5)
    data = codes(500)
    tables = measured(infinite, data, RandomGenerators())
    for columns, table in zip(SETS, tables, strict=True):
        assert table.shape == tuple(SIZES[j] for j in columns)
        for cell in itertools.product(*(range(SIZES[j]) for j in columns)):
            assert table[cell] == np.all(data[:, list(columns)] == cell, axis=1).sum()


@pytest.mark.parametrize("budget", [ADD, REPLACE])
@given(n=st.integers(0, 30), seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_neighbours_stay_within_the_stated_sensitivity(budget, n, seed):
    data = codes(n + 1, seed)
    neighbour = data[:-1] if budget.neighbours == "add_remove" else data.copy()
    if budget.neighbours == "replace_one":
        neighbour[-1] = (data[-1] + 1) % np.array(SIZES)
    audit(lambda rows, randomness: measured(budget, rows, randomness), data, neighbour)


@pytest.mark.parametrize("budget", [ADD, REPLACE])
def test_the_fraction_is_kept(budget):
    _, plan = planned(budget, 0.9)
    assert 0.7 < plan.proven.epsilon <= 1.0


def test_noise_has_the_stated_size():
    marginals, plan = planned(ADD, 0.1)
    empty = exact_counts(codes(0), SETS, SIZES)
    noisy = [
        np.concatenate([t.ravel() for t in marginals.measure(empty, Ledger(plan, RandomGenerators(seed, "seeded")))])
        for seed in range(40)
    ]
    assert np.std(noisy) == pytest.approx(marginals.sigma, rel=0.1)


def test_a_second_release_is_refused():
    marginals, plan = planned(ADD)
    ledger, exact = Ledger(plan, RandomGenerators()), exact_counts(codes(5), SETS, SIZES)
    marginals.measure(exact, ledger)
    with pytest.raises(BudgetError, match="more than was planned"):
        marginals.measure(exact, ledger)


def test_more_tables_than_planned_are_refused_and_fewer_stay_within():
    marginals, plan = planned(ADD)
    ledger, exact = Ledger(plan, RandomGenerators()), exact_counts(codes(5), SETS, SIZES)
    with pytest.raises(BudgetError, match="5 tables, but 4 were planned"):
        marginals.measure([*exact, exact[0]], ledger)
    assert marginals.measure([], ledger) == []
    assert not ledger.finished
    assert [table.shape for table in marginals.measure(exact[:2], ledger)] == [(2,), (5,)]
    with pytest.raises(BudgetError, match="marginal"):
        NoisyMarginals(name="m", neighbours="add_remove", sigma=1.0, marginals=0)


@pytest.mark.parametrize("marginals", [1, 4])
@pytest.mark.parametrize(("relation", "cells"), [("add_remove", 1), ("replace_one", 2)])
def test_the_sensitivity_is_the_root_of_the_cells_that_move(marginals, relation, cells):
    mechanism = NoisyMarginals(name="m", neighbours=relation, sigma=6.0, marginals=marginals)
    assert mechanism.sensitivity == pytest.approx(math.sqrt(marginals * cells))
    assert mechanism.release_event.noise_multiplier == pytest.approx(6.0 / math.sqrt(marginals * cells))
