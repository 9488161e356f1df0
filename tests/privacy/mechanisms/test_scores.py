"""dpsynth/privacy/mechanisms/marginals.py: no neighbour moves a score by more than stated, tried on all neighbours."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.privacy import Budget
from dpsynth.privacy.mechanisms.marginals import association, association_sensitivity, misfit_sensitivity, misfits

ADD, REPLACE = Budget(1.0, 1e-5), Budget(1.0, 1e-5, "replace_one")
SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 4))
TABLES = SHAPES.flatmap(
    lambda shape: st.lists(st.integers(0, 9), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda cells: np.array(cells).reshape(shape)
    )
)


def neighbours(counts, budget):
    """Every table that a row more, or another row, makes of `counts`."""
    for cell in np.ndindex(counts.shape):
        more = counts.copy()
        more[cell] += 1
        if budget.neighbours == "add_remove":
            yield more
        else:
            for gone in zip(*np.nonzero(counts), strict=True):
                other = more.copy()
                other[gone] -= 1
                yield other


def moves(score, counts, budget):
    return max((abs(score(other) - score(counts)) for other in neighbours(counts, budget)), default=0.0)


@pytest.mark.parametrize("budget", [ADD, REPLACE])
@given(counts=TABLES)
@settings(max_examples=150, deadline=None)
def test_association_keeps_to_its_sensitivity(budget, counts):
    stated = association_sensitivity(budget.neighbours, int(counts.sum()))
    assert moves(association, counts, budget) <= stated + 1e-9


@pytest.mark.parametrize("budget", [ADD, REPLACE])
def test_association_on_all_tables_of_few_rows(budget):
    """Every 2 x 2 table of up to 6 rows, and that the bound is not far above what happens."""
    largest = 0.0
    for cells in itertools.product(range(7), repeat=4):
        counts = np.array(cells).reshape(2, 2)
        if counts.sum() <= 6:
            stated = association_sensitivity(budget.neighbours, int(counts.sum()))
            moved = moves(association, counts, budget)
            assert moved <= stated + 1e-9
            largest = max(largest, moved / stated)
    assert largest > 0.3


@pytest.mark.parametrize("budget", [ADD, REPLACE])
def test_association_sensitivity_is_nearly_reached(budget):
    """One row that stands alone among many that stand elsewhere, in a wide table."""
    counts = np.diag(np.full(30, 1))
    counts[0, 0] = 2000
    assert moves(association, counts, budget) > 0.6 * association_sensitivity(budget.neighbours, int(counts.sum()))


def test_association_is_what_it_says():
    assert association(np.zeros((2, 3), dtype=int)) == 0
    assert association(np.outer([1, 2], [3, 4, 5])) == pytest.approx(0)
    assert association(np.array([[5, 0], [0, 5]])) == pytest.approx(5)  # half of all rows stand elsewhere


@given(counts=TABLES, seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_more_parents_never_lower_the_association(counts, seed):
    """Why only maximal sets of parents need to be candidates."""
    split = np.random.default_rng(seed).binomial(counts, 0.5)
    finer = np.concatenate([split, counts - split], axis=1)
    assert association(finer) >= association(counts) - 1e-9


@pytest.mark.parametrize("budget", [ADD, REPLACE])
@given(counts=TABLES, seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_misfits_keep_to_their_sensitivity(budget, counts, seed):
    expected = np.random.default_rng(seed).gamma(0.5, 4.0, counts.shape)
    stated = misfit_sensitivity(budget.neighbours)
    assert moves(lambda c: misfits([c], [expected])[0], counts, budget) <= stated + 1e-9
    assert misfits([counts], [counts.astype(float)])[0] == 0
