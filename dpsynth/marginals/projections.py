"""Summing one big table down to many smaller ones, and adding many small ones back up, in few passes over the big one.

Twenty three-way tables of a six-way clique need not read the clique twenty times: half of them lack its largest
column, so they can share the table with that column summed out, and so on (`Projections`). The same steps, walked
backwards, add tables of the small shapes into one of the big shape. All shapes are worked out once. A step sums one
run of neighbouring axes, seen as the middle of three; columns are expected in ascending order of size, which keeps
the last axis long and the inner loops fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dpsynth.marginals.triangulation import Clique

SHORT = 16  # a last axis shorter than this is summed by a matrix product: torch.sum is slow there


@dataclass(frozen=True)
class Step:
    """table[target] is table[source] with the middle of `split` summed out; `shape` is the target's own shape, and
    `spread` the same with the summed axes kept as ones."""

    source: int
    split: tuple[int, int, int]
    shape: tuple[int, ...]
    spread: tuple[int, ...]


class Projections:
    """From a table over `columns` to the tables over each of `targets` (any subsets, repeats allowed), and back."""

    def __init__(self, sizes: Sequence[int], columns: Clique, targets: Sequence[Clique], device: torch.device | str):
        self.columns, self.targets = columns, tuple(targets)
        self.shape = tuple(sizes[column] for column in columns)
        self._sizes, self._device = sizes, device
        self.steps: list[Step] = []
        self._found: dict[Clique, int] = {}
        self._plan(0, columns, sorted(set(targets)))
        self.places = tuple(self._found[target] for target in self.targets)
        self._filled = len(self.steps) + 1

    def down(self, table: Tensor) -> list[Tensor]:
        """The sums of `table` over the targets, in their order."""
        tables = [table]
        for step in self.steps:
            tables.append(self._sum(tables[step.source], step).view(step.shape))
        return [tables[place] for place in self.places]

    def peaks(self, table: Tensor) -> list[Tensor]:
        """The largest cells of `table` instead of their sums."""
        tables = [table]
        for step in self.steps:
            tables.append(tables[step.source].reshape(step.split).amax(1).view(step.shape))
        return [tables[place] for place in self.places]

    def up(self, pieces: Sequence[Tensor], start: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        """The table over `columns` whose cells are the sums of the matching cells of all `pieces`, plus `start`.

        out: memory of the table's shape to work in. The result may be `out`, or share memory with a piece or with
        `start`: read only. Fresh memory for a big table costs more than the sums themselves, hence `out`.
        """
        tables: list[Tensor | None] = [None] * self._filled
        tables[0] = start
        owned = [False] * self._filled
        for place, piece in zip(self.places, pieces, strict=True):
            self._add(tables, owned, place, piece, out)
        for target in range(len(self.steps), 0, -1):
            step, table = self.steps[target - 1], tables[target]
            assert table is not None  # every step leads to a target
            self._add(tables, owned, step.source, table.view(step.spread), out)
        if tables[0] is None:
            return torch.zeros(self.shape, dtype=torch.float64, device=self._device)
        return tables[0].expand(self.shape)

    def _add(
        self, tables: list[Tensor | None], owned: list[bool], place: int, more: Tensor, out: Tensor | None
    ) -> None:
        table = tables[place]
        shape = self.steps[place - 1].shape if place else self.shape
        if table is None:
            tables[place] = more.expand(shape)
        elif owned[place]:
            table += more
        else:
            # A table that was only borrowed so far must not be written to.
            tables[place] = torch.add(table, more, out=out) if place == 0 and out is not None else table + more
            owned[place] = True

    def _sum(self, table: Tensor, step: Step) -> Tensor:
        before, middle, after = step.split
        if after == 1 and middle < SHORT:
            return table.reshape(before, middle) @ torch.ones(middle, dtype=table.dtype, device=table.device)
        return table.reshape(step.split).sum(1)

    def _plan(self, source: int, columns: Clique, targets: list[Clique]) -> None:
        """Add the steps from the table `source` over `columns` to all of `targets`."""
        if not targets:
            return None
        wanted = set().union(*targets)
        if len(wanted) < len(columns):
            kept, split = self._longest_run(columns, wanted)
            shape = tuple(self._sizes[column] for column in kept)
            spread = tuple(self._sizes[column] if column in kept else 1 for column in columns)
            self.steps.append(Step(source, split, shape, spread))
            return self._plan(len(self.steps), kept, targets)
        if columns in targets:
            self._found[columns] = source
            return self._plan(source, columns, [target for target in targets if target != columns])
        # Split off the targets that lack a column: they share one smaller table.
        lacking = {c: sum(c not in target for target in targets) for c in columns}
        column = max(columns, key=lambda c: (lacking[c] * math.log(self._sizes[c] + 1), self._sizes[c]))
        self._plan(source, columns, [target for target in targets if column not in target])
        self._plan(source, columns, [target for target in targets if column in target])
        return None

    def _longest_run(self, columns: Clique, wanted: set[int]) -> tuple[Clique, tuple[int, int, int]]:
        """What is left, and the split, when the run of unwanted neighbouring axes with most cells is summed out."""
        runs, start = [], 0
        for end in range(len(columns) + 1):
            if end == len(columns) or columns[end] in wanted:
                if end > start:
                    runs.append((start, end))
                start = end + 1
        sizes = [self._sizes[column] for column in columns]
        first, last = max(runs, key=lambda run: math.prod(sizes[slice(*run)]))
        split = math.prod(sizes[:first]), math.prod(sizes[first:last]), math.prod(sizes[last:])
        return columns[:first] + columns[last:], split
