"""Disjoint shards: which teacher each record belongs to, once and for the whole run.

Guarantee. Sharding releases nothing; it is what makes "one record changes one teacher" true, on which the sensitivity
of `votes.py` rests. Each record belongs to exactly one teacher, and the assignment never changes.

Add/remove. Record i (or the i-th person) goes to the teacher named by word i of a keyed sequence of the privacy
generator, which does not depend on how many words are asked for. A record that is appended or removed at the end
therefore moves no other. A record that leaves from the middle shifts the positions behind it; but all words are
independent and uniform under a secret key, so the assignment of the other records has the same distribution with and
without it: couple the two runs so that the others stay where they are, and the guarantee for every fixed assignment
carries over to the mixture (the hockey-stick divergence is jointly convex).

Replace-one. The number of rows is public, and positions are dealt out by one fixed random permutation, so that a
replaced record keeps its place, whoever's it is. Persons are not kept together there: a replaced row may be another
person's, and would then move between teachers.

With `people` (add/remove) all rows of a person go to one teacher. Accounting stays at row level (`Budget.row_level`),
which is the stricter reading.

Sizes of shards are private. Everything with a shape here is public: `batch` rows and a mask for every teacher, however
few rows it has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import ConfigError
from dpsynth.privacy.accounting.budget import Neighbours
from dpsynth.privacy.noise.keystream import Keystream

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Sharding:
    """The public rule. teachers: number of shards. neighbours: the relation of the budget."""

    teachers: int
    neighbours: Neighbours = "add_remove"

    def __post_init__(self) -> None:
        if self.teachers < 1:
            raise ConfigError(f"model.teacher.count={self.teachers}: there must be at least 1")

    def owners(self, keystream: Keystream, count: int) -> Integers:
        """(count,) teachers of rows, or of persons, by their numbers; of row i from words of its own (add_remove)."""
        if self.neighbours == "replace_one":
            order = np.argsort(keystream.below(1 << 62, count), kind="stable")
            owner = np.empty(count, dtype=np.int64)
            owner[order] = np.arange(count) % self.teachers
            return owner
        return keystream.below(self.teachers, count)

    def deal(self, rows: Integers, persons: Integers, people: Integers | None) -> Shards:
        """The shards of a data set, from the `owners` of its rows and of its persons.

        people: (rows,) int64 number of each row's person, -1 for none; None where rows stand alone.
        """
        owner = rows
        if people is not None and self.neighbours == "add_remove":
            if people.shape != rows.shape:
                raise ValueError("people: one number for each row")
            owner = np.where(people >= 0, np.append(persons, 0)[people], rows)
        return Shards.of(owner, self.teachers)


@dataclass(frozen=True)
class Shards:
    """The records of every teacher; private.

    order: (rows,) int64, records sorted by teacher, within a teacher by position. starts, sizes: (teachers,) int64.
    """

    order: Integers
    starts: Integers
    sizes: Integers

    @classmethod
    def of(cls, owner: Integers, teachers: int) -> Shards:
        """The shards for a teacher's number per record, (rows,) int64 in [0, teachers)."""
        sizes = np.bincount(owner, minlength=teachers).astype(np.int64)
        return cls(np.argsort(owner, kind="stable"), np.cumsum(sizes) - sizes, sizes)

    def batch(self, turn: int, size: int, first: int, last: int) -> tuple[Integers, NDArray[np.bool_]]:
        """Turn `turn` of teachers first..last: record numbers and mask, (last - first, size); no draw is involved.

        A teacher goes round its shard, `size` records a turn; one with fewer sees each of them once and has the rest
        masked. Masked places hold record 0, or whatever the caller keeps there.
        """
        sizes = self.sizes[first:last, None]
        places = np.arange(size)[None, :]
        mask = places < sizes
        around = np.maximum(sizes, 1)
        inside = (turn * np.where(sizes > size, size, 0) + places) % around
        if not len(self.order):
            return np.zeros(mask.shape, dtype=np.int64), mask
        index = np.minimum(self.starts[first:last, None] + inside, len(self.order) - 1)
        return np.where(mask, self.order[index], 0), mask
