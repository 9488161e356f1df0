"""Shards are disjoint and stable: the record that comes or goes moves no other, and no shape shows a size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigError
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.mechanisms.shards import Sharding, Shards
from dpsynth.privacy.noise.random import RandomGenerators


def owners(shards: Shards) -> np.ndarray:
    owner = np.full(len(shards.order), -1)
    for teacher, (start, size) in enumerate(zip(shards.starts, shards.sizes, strict=True)):
        owner[shards.order[start : start + size]] = teacher
    return owner


def deal(teachers: int, rows: int, relation: str = "add_remove", people=None, seed: int = 0) -> Shards:
    ledger = Ledger(Plan(Budget(1.0, 1e-5, relation), ()), RandomGenerators(seed, "seeded"))  # type: ignore[arg-type]
    return ledger.shards(Sharding(teachers, relation), rows, people)  # type: ignore[arg-type]


@pytest.mark.parametrize("relation", ["add_remove", "replace_one"])
@given(rows=st.integers(0, 60), teachers=st.integers(1, 20), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_every_record_has_exactly_one_teacher(relation, rows, teachers, seed):
    shards = deal(teachers, rows, relation, seed=seed)
    assert np.array_equal(np.sort(shards.order), np.arange(rows))
    assert shards.sizes.sum() == rows
    assert len(shards.sizes) == teachers
    assert (owners(shards) >= 0).all()


@given(rows=st.integers(1, 60), teachers=st.integers(1, 20), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_record_that_leaves_moves_no_other(rows, teachers, seed):
    assert np.array_equal(owners(deal(teachers, rows, seed=seed))[:-1], owners(deal(teachers, rows - 1, seed=seed)))


def test_the_permutation_depends_on_the_number_of_rows_alone_and_is_even():
    shards = deal(7, 40, "replace_one")
    assert shards.sizes.max() - shards.sizes.min() <= 1
    assert np.array_equal(shards.order, deal(7, 40, "replace_one").order)
    assert not np.array_equal(shards.order, deal(7, 40, "replace_one", seed=1).order)


@given(people=st.lists(st.integers(-1, 6), min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_a_person_has_one_teacher_and_a_row_more_moves_no_other(people):
    found = np.array(people)
    owner = owners(deal(5, len(found), people=found))
    for person in set(people) - {-1}:
        assert len(set(owner[found == person])) == 1
    assert np.array_equal(owners(deal(5, len(found) - 1, people=found[:-1])), owner[:-1])


def test_teachers_are_evenly_likely():
    sizes = deal(10, 20_000).sizes
    assert ((sizes - 2000) ** 2 / 2000).sum() < 30  # chi-square, 9 degrees of freedom


@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6), size=st.integers(1, 5), turns=st.integers(1, 8))
@settings(max_examples=50, deadline=None)
def test_batches_have_public_shapes_and_go_round_the_shard(sizes, size, turns):
    owner = np.repeat(np.arange(len(sizes)), sizes)
    shards = Shards.of(owner, len(sizes))
    met: list[list[int]] = [[] for _ in sizes]
    for turn in range(turns):
        rows, mask = shards.batch(turn, size, 0, len(sizes))
        assert rows.shape == mask.shape == (len(sizes), size)
        for teacher in range(len(sizes)):
            seen = rows[teacher][mask[teacher]]
            assert len(set(seen)) == len(seen) == min(size, sizes[teacher])
            assert (owner[seen] == teacher).all()
            met[teacher].extend(seen)
    for teacher, count in enumerate(sizes):
        if turns * size >= count:
            assert len(set(met[teacher])) == count


def test_a_teacher_beyond_the_data_is_masked():
    rows, mask = Shards.of(np.zeros(0, np.int64), 3).batch(0, 4, 1, 3)
    assert not mask.any()
    assert not rows.any()


def test_shards_are_dealt_once_for_a_run_and_release_nothing():
    ledger = Ledger(Plan(Budget(1.0, 1e-5), ()), RandomGenerators())
    before = ledger.state_dict()
    first, again = (ledger.shards(Sharding(7), 50) for _ in range(2))
    assert np.array_equal(first.order, again.order)
    assert ledger.state_dict() == before
    assert not np.array_equal(owners(first), owners(Ledger(ledger.plan, RandomGenerators()).shards(Sharding(7), 50)))


def test_persons_are_not_kept_together_where_a_row_keeps_its_place():
    """Under replace_one a replaced row may be another person's, so positions alone decide."""
    people = np.zeros(40, dtype=np.int64)
    assert np.array_equal(deal(7, 40, "replace_one", people).order, deal(7, 40, "replace_one").order)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        Sharding(0)
    with pytest.raises(ValueError, match="one number for each row"):
        deal(3, 5, people=np.zeros(4, dtype=np.int64))
