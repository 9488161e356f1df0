"""Noisy marginals: exact counts underneath, the stated sensitivity on neighbours, the stated noise."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import BudgetError
from dpsynth.privacy import Budget, Ledger, Plan, Streams
from dpsynth.privacy.marginals import NoisyMarginals
from dpsynth.privacy.replay import audit

SIZES = (2, 3, 5)
SETS = ((0,), (2,), (0, 1), (1, 2))
ADD, REPLACE = Budget(1.0, 1e-5), Budget(1.0, 1e-5, "replace_one")


def codes(n, seed=0):
    draw = np.random.default_rng(seed)
    return np.stack([draw.integers(0, size, n) for size in SIZES], 1).astype(np.uint8)


def planned(budget, share=0.5):
    marginals = NoisyMarginals.at_share("marginals", SETS, SIZES, budget, share)
    return marginals, Plan(budget, (marginals.charge(budget),))


def measured(budget, data, streams):
    marginals, plan = planned(budget)
    return marginals.measure(data, Ledger(plan), streams.privacy)


def test_without_noise_the_counts_are_exact():
    infinite = Budget(float("inf"), 1e-5)
    data = codes(500)
    tables = measured(infinite, data, Streams(infinite=True))
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
    audit(lambda rows, streams: measured(budget, rows, streams), data, neighbour)


@pytest.mark.parametrize("budget", [ADD, REPLACE])
def test_the_share_is_kept(budget):
    _, plan = planned(budget, 0.9)
    assert 0.7 < plan.proven.epsilon <= 1.0


def test_noise_has_the_stated_size():
    marginals, plan = planned(ADD, 0.1)
    noisy = [
        np.concatenate([t.ravel() for t in marginals.measure(codes(0), Ledger(plan), Streams(seed, "seeded").privacy)])
        for seed in range(40)
    ]
    assert np.std(noisy) == pytest.approx(marginals.sigma, rel=0.1)


def test_a_second_release_is_refused():
    marginals, plan = planned(ADD)
    ledger = Ledger(plan)
    marginals.measure(codes(5), ledger, Streams().privacy)
    with pytest.raises(BudgetError, match="more than was planned"):
        marginals.measure(codes(5), ledger, Streams().privacy)
