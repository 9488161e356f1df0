"""However many rows a person has, and wherever they lie, a person moves weighted tables by at most one unit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dpsynth.privacy.mechanisms.marginals import NoisyMarginals
from dpsynth.privacy.mechanisms.weights import GRID, row_weights

CELLS = 5
ROWS = some.lists(some.tuples(some.integers(0, CELLS - 1), some.integers(0, CELLS - 1)), max_size=40)


def tables(people):
    """Both weighted one-way tables of persons' rows."""
    person = np.repeat(np.arange(len(people)), [len(rows) for rows in people])
    weights = row_weights(person, len(people))
    cells = np.array([row for rows in people for row in rows], dtype=np.int64).reshape(-1, 2)
    found = [np.zeros(CELLS, dtype=np.int64) for _ in range(2)]
    for table, column in zip(found, cells.T, strict=True):
        np.add.at(table, column, weights)
    return np.concatenate(found)


@settings(max_examples=40, deadline=None)
@given(people=some.lists(ROWS, min_size=1, max_size=5), other=ROWS, data=some.data())
def test_a_person_moves_all_tables_by_no_more_than_is_declared(people, other, data):
    place = data.draw(some.integers(0, len(people) - 1))
    whole = tables(people)
    without = tables(people[:place] + people[place + 1 :])
    replaced = tables([*people[:place], other, *people[place + 1 :]])
    for relation, neighbour in (("add_remove", without), ("replace_one", replaced)):
        mechanism = NoisyMarginals(name="m", neighbours=relation, sigma=1.0, marginals=2, unit=GRID)
        assert np.linalg.norm((whole - neighbour).astype(float)) <= mechanism.sensitivity * (1 + 1e-12)


@pytest.mark.parametrize("rows", [1, 2, 7, 16, 17, 1000, 1_000_000])
def test_a_person_counts_almost_one_unit(rows):
    weights = row_weights(np.zeros(rows, dtype=np.int64), 1)
    total = int(weights.sum())
    assert total <= GRID
    assert total == GRID if rows <= 16 else total > GRID - rows


def test_weights_follow_from_each_person_alone():
    person = np.array([0, 0, 2, 2, 2, 3])
    assert row_weights(person, 5).tolist() == [GRID // 2] * 2 + [GRID // 3] * 3 + [GRID]
