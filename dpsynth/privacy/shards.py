"""Disjoint shards: which teacher each record belongs to, once and for the whole run.

Guarantee. Sharding releases nothing; it is what makes "one record changes one teacher" true, on which the sensitivity
of `votes.py` rests. Each record belongs to exactly one teacher, and the assignment never changes.

Add/remove. Record i (or the i-th person) goes to the teacher named by word i of a keyed sequence of the privacy stream,
which does not depend on how many words are asked for. A record that is appended or removed at the end therefore moves
no other. A record that leaves from the middle shifts the positions behind it; but all words are independent and uniform
under a secret key, so the assignment of the other records has the same law with and without it: couple the two runs so
that the others stay where they are, and the guarantee for every fixed assignment carries over to the mixture (the
hockey-stick divergence is jointly convex).

Replace-one. The number of rows is public, and positions are dealt out by one fixed random permutation, so that a
replaced record keeps its place, whoever's it is. Persons are not kept together there: a replaced row may be another
person's, and would then move between teachers.

With `people` (add/remove) all rows of a person go to one teacher. Accounting stays at row level (`Budget.row_level`),
which is the stricter reading.

Sizes of shards are private. Everything with a shape here is public: `batch` rows and a mask for every teacher, however
few rows it has.
"""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dpsynth.errors import ConfigError
from dpsynth.privacy.budget import Neighbours
from dpsynth.privacy.processes import together
from dpsynth.privacy.random import PrivacyStream

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Sharding:
    """The public rule. teachers: number of shards. neighbours: the relation of the budget."""

    teachers: int
    neighbours: Neighbours = "add_remove"

    def __post_init__(self) -> None:
        if self.teachers < 1:
            raise ConfigError(f"model.teachers={self.teachers}: there must be at least 1")

    def deal(self, stream: PrivacyStream, rows: int, people: Integers | None = None) -> Shards:
        """The shards of a data set of `rows` rows; called by `Ledger.shards`. people: (rows,) int64 number of each
        row's person, -1 for none.

        Under torch.distributed every process gets the shards that rank 0 deals, whose key counts.
        """
        owner = self._owners(stream, rows, people)
        if together():
            shared = torch.from_numpy(owner)
            torch.distributed.broadcast(shared, 0)
            owner = shared.numpy()
        return Shards.of(owner, self.teachers)

    def _owners(self, stream: PrivacyStream, rows: int, people: Integers | None) -> Integers:
        if self.neighbours == "replace_one":
            order = np.argsort(_words(stream, "shards", 1 << 62, rows), kind="stable")
            owner = np.empty(rows, dtype=np.int64)
            owner[order] = np.arange(rows) % self.teachers
            return owner
        if people is None:
            return _words(stream, "shards", self.teachers, rows)
        if people.shape != (rows,):
            raise ValueError("people: one number for each row")
        known = _words(stream, "shards of people", self.teachers, int(people.max(initial=-1)) + 1)
        alone = _words(stream, "shards", self.teachers, rows)
        return np.where(people >= 0, np.append(known, 0)[people], alone)


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


def _words(stream: PrivacyStream, name: str, bound: int, count: int) -> Integers:
    """(count,) uniform integers below `bound` under the secret key, number i independent of `count`."""
    return stream.keystream(name, 0, "rows").below(bound, count)
