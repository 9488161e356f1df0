"""dpsynth/privacy/mechanisms/discretizer.py: the tree of noisy counts of a column, its budget, and what it finds."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import BudgetError
from dpsynth.privacy import Budget, Ledger, Plan, RandomGenerators
from dpsynth.privacy.mechanisms.discretizer import ColumnCounts, Discretizer, places_counted
from dpsynth.privacy.replay import audit

BUDGETS = [Budget(1.0, 1e-5), Budget(1.0, 1e-5, "replace_one"), Budget(50.0, 1e-5)]
PLACES = 1_000_000
GRID = np.unique(np.concatenate([np.arange(0, PLACES + 1, 50_000), [1]]))


def column(values, others=()):
    """Values on the axis, then rows at point mass 0 or missing (1)."""
    places = np.array([*values, *[0] * len(others)], dtype=np.int64)
    return places_counted(places, np.array([*[-1] * len(values), *others], dtype=np.int64), 2)


def measured(budget, columns, randomness, rows=1000, fraction=0.5):
    discretizer = Discretizer.planned(len(columns), budget, fraction)
    ledger = Ledger(Plan(budget, (discretizer.budget,)), randomness)
    trees = [discretizer.measure(GRID, exact, rows, ledger) for exact in columns]
    return trees, ledger, discretizer


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda b: f"{b.neighbours}-{b.epsilon:g}")
@given(
    values=st.lists(st.one_of(st.just(123_456), st.integers(0, PLACES - 1)), min_size=1, max_size=400),
    new=st.integers(0, PLACES - 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=15, deadline=None)
def test_neighbours_pass_the_replay_audit(budget, values, new, seed):
    values = [*values, *[777] * 200]
    other = [*values, new] if budget.neighbours == "add_remove" else [*values[:-1], new]

    def publish(data, randomness):
        return measured(budget, [column(data), column(data[:0], [0, 1])], randomness)[0]

    audit(publish, values, other, seed=seed)
    audit(publish, other, values, seed=seed)


@pytest.mark.parametrize("seed", range(4))
def test_which_cells_are_split_follows_from_released_counts_alone(seed):
    """Cells that hold exactly the 256th part of all rows: a threshold of the exact rows would move with one row."""
    values = [place + k for place in range(100_000, 900_000, 50_000) for k in range(1, 6)]
    values += [777] * (5 * 256 - len(values))

    def publish(data, randomness):
        return measured(Budget(200.0, 1e-5), [column(data)], randomness)[0]

    audit(publish, values, [*values, 888], seed=seed)


@given(values=st.lists(st.integers(0, PLACES - 1), max_size=300), others=st.lists(st.integers(0, 1), max_size=20))
@settings(max_examples=30, deadline=None)
def test_without_noise_the_tree_holds_the_rows(values, others):
    exact = column(values, others)
    ((tree,), _, _) = measured(Budget(math.inf, 1e-5), [exact], RandomGenerators(0))
    assert tree.edges[0] == 0
    assert tree.edges[-1] == PLACES
    assert (np.diff(tree.edges) > 0).all()
    np.testing.assert_allclose(tree.counts, np.histogram(values, tree.edges)[0], atol=1e-6)
    assert tree.others.tolist() == np.bincount(others, minlength=2).tolist()


@pytest.mark.parametrize("sigma", [3.0, 40.0])
def test_estimates_are_those_of_least_squares(sigma):
    """Leaves of the tree against the normal equations of all its noisy counts."""
    from dpsynth.privacy.mechanisms.discretizer import _Nodes

    draw, nodes = np.random.default_rng(int(sigma)), _Nodes()
    nodes.add(np.array([0, 8, 16]), np.array([8, 16, 24]), -1, draw.integers(-20, 90, 3), sigma)
    nodes.add(np.array([8, 10, 13]), np.array([10, 13, 16]), 1, draw.integers(-20, 90, 3), 7.0)
    nodes.add(np.array([10, 11]), np.array([11, 13]), 4, draw.integers(-20, 90, 2), 11.0)
    tree = nodes.consistent(np.zeros(0), 1.0)
    assert tree.edges.tolist() == [0, 8, 10, 11, 13, 16, 24]
    leaves = itertools.pairwise(tree.edges.tolist())
    holds = np.array([(nodes.low <= low) & (high <= nodes.high) for low, high in leaves]).T
    weight = 1 / np.sqrt(nodes.variance)
    expected = np.linalg.lstsq(holds * weight[:, None], nodes.counts * weight, rcond=None)[0]
    np.testing.assert_allclose(tree.counts, expected, atol=1e-8)


@pytest.mark.parametrize("value", [0, 1, 123_456, 777_777, PLACES - 1])
def test_a_repeated_value_becomes_a_leaf_of_its_own(value):
    draw = np.random.default_rng(value)
    values = np.concatenate([np.full(4000, value), draw.integers(0, PLACES, 16_000)])
    ((tree,), _, _) = measured(Budget(1.0, 1e-5), [column(values)], RandomGenerators(1, "seeded"), 20_000, 0.1)
    leaf = int(np.searchsorted(tree.edges, value, side="right")) - 1
    assert tree.edges[leaf] == value
    assert tree.edges[leaf + 1] == value + 1
    assert tree.counts[leaf] == pytest.approx(4000, rel=0.15)


def test_the_number_of_leaves_does_not_grow_with_the_range():
    values = np.random.default_rng(0).exponential(300, 20_000).astype(np.int64)
    sizes = []
    for places in (10**6, 2**45):
        discretizer = Discretizer.planned(1, Budget(1.0, 1e-5), 0.2)
        ledger = Ledger(Plan(Budget(1.0, 1e-5), (discretizer.budget,)), RandomGenerators(0, "seeded"))
        grid = np.unique(np.concatenate([[0, 1], np.geomspace(1, places, 60).astype(np.int64), [places]]))
        sizes.append(len(discretizer.measure(grid, column(values), 20_000, ledger).counts))
    assert max(sizes) < 1500


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda b: f"{b.neighbours}-{b.epsilon:g}")
def test_columns_share_the_budget(budget):
    columns = [column(np.full(500, 10**k)) for k in range(5)] + [column([])]
    _, ledger, discretizer = measured(budget, columns, RandomGenerators(2, "seeded"), 500)
    spent = 1 - ledger.remaining(discretizer.budget) / discretizer.budget.total
    assert 0.9 < spent <= 1
    with pytest.raises(BudgetError, match="more than was planned"):
        discretizer.measure(GRID, columns[0], 500, ledger)


def test_the_fraction_is_kept():
    plan = Plan(BUDGETS[0], (Discretizer.planned(5, BUDGETS[0], 0.1).budget,))
    assert 0.15 < plan.proven.epsilon < 0.45  # a tenth of mu^2 is about a third of epsilon


def test_cells_begin_where_the_rows_allow():
    """Rows that were encoded before are known to their bins only."""
    cuts = np.arange(0, PLACES + 1, 1000)
    counts = np.zeros(1000, dtype=np.int64)
    counts[123] = 20_000
    exact = ColumnCounts(cuts[:-1], counts, np.zeros(0, dtype=np.int64), cuts)
    ((tree,), _, _) = measured(Budget(1.0, 1e-5), [exact], RandomGenerators(0, "seeded"), 20_000)
    assert np.isin(tree.edges, cuts).all()
    assert 123_000 in tree.edges
    assert 124_000 in tree.edges
