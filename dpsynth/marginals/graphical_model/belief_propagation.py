"""Exact marginals over a junction tree, by messages in log space and projections of big tables onto small ones.

Summing one big table down to many smaller ones, and adding many small ones back up, in few passes over the big one.

Twenty three-way tables of a six-way clique need not read the clique twenty times: half of them lack its largest
column, so they can share the table with that column summed out, and so on (`Projections`). The same steps, walked
backwards, add tables of the small shapes into one of the big shape. All shapes are worked out once. A step sums one
run of neighbouring axes, seen as the middle of three; columns are expected in ascending order of size, which keeps
the last axis long and the inner loops fast.

Exact marginals of a distribution over a junction tree, by two passes of messages in log space.

The distribution is proportional to exp(sum of potentials), each over columns that some clique of the tree holds
(Lauritzen and Spiegelhalter 1988; Koller and Friedman 2009, chapter 10). Going up, a clique's table of log potentials
theta, with the messages of its children added, gives its parent

    m(S) = log sum over the other columns of exp theta = log s(S) + shift(S),   s(S) = sum of psi,
    psi = exp(theta - shift(S)),   shift(S) = max over the other columns

so that every conditional psi / s is safe from overflow and underflow however far apart the potentials are. Going down,
the clique's probabilities are psi * (p(S) / s(S)) with p(S) from its parent: one exponential per cell in all.
Potentials of minus infinity (cells that cannot be) are carried through without a NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.junction_tree import Clique, JunctionTree

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


# -------------------- Belief propagation ----------------------------------------------------

LOWEST = -1e300  # stands for minus infinity where it is subtracted from itself
TINY = 1e-300


class BeliefPropagation:
    """Beliefs of one tree for potentials over `requests`, worked out again and again for new potentials.

    requests: the columns of each potential; the marginals over the same columns come back.
    forbidden: log potentials (0 or minus infinity) by clique, part of every distribution.

    After a call, `beliefs[i]` is the probability table of clique i. Its memory, and that of the marginals returned, is
    written anew by the next call. Raises `ConfigError` when a request lies in no clique, or no cell is possible.
    """

    def __init__(
        self,
        tree: JunctionTree,
        requests: Sequence[Clique],
        forbidden: Mapping[Clique, Tensor] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.tree, self.requests, self.device = tree, tuple(requests), device
        held: list[list[int]] = [[] for _ in tree.cliques]
        for place, request in enumerate(self.requests):
            held[_holder(tree, request)].append(place)
        self._held = held
        self._plans, self._separators, self._kept = [], [], []
        for i, clique in enumerate(tree.cliques):
            targets = [self.requests[place] for place in held[i]] + [tree.separators[k] for k in tree.children[i]]
            self._plans.append(Projections(tree.sizes, clique, targets, device))
            separator = tree.separators[i]
            self._separators.append(Projections(tree.sizes, clique, [separator], device))
            self._kept.append([tree.sizes[column] if column in separator else 1 for column in clique])
        self._psis = [torch.empty(plan.shape, dtype=torch.float64, device=device) for plan in self._plans]
        self._start: list[Tensor | None] = [None] * len(tree.cliques)
        for clique, mask in (forbidden or {}).items():
            self._forbid(_holder(tree, clique), clique, mask)

    def __call__(self, potentials: Sequence[Tensor]) -> list[Tensor]:
        """Probabilities over each request, each of its shape and float64, for potentials of the same shapes."""
        return self._down(self._up(potentials))

    def flat(self, potentials: Tensor) -> Tensor:
        """The same for potentials, and of probabilities, that lie one after the other in one float64 tensor."""
        shapes = [[self.tree.sizes[j] for j in request] for request in self.requests]
        pieces = potentials.split([math.prod(shape) for shape in shapes])
        marginals = self([piece.view(shape) for piece, shape in zip(pieces, shapes, strict=True)])
        return torch.cat([table.reshape(-1) for table in marginals])

    @property
    def beliefs(self) -> list[Tensor]:
        """The probability table of every clique, for the potentials of the last call."""
        return self._psis

    def _up(self, potentials: Sequence[Tensor]) -> list[Tensor]:
        tree = self.tree
        messages: list[Tensor | None] = [None] * len(tree.cliques)
        sums: list[Tensor] = [torch.empty(0)] * len(tree.cliques)
        for i in range(len(tree.cliques) - 1, -1, -1):
            pieces = [potentials[place] for place in self._held[i]]
            pieces += [message for k in tree.children[i] if (message := messages[k]) is not None]
            psi = self._psis[i]
            theta = self._plans[i].up(pieces, self._start[i], psi)
            shift = self._separators[i].peaks(theta)[0].clamp(min=LOWEST)
            torch.sub(theta, shift.view(self._kept[i]), out=psi).exp_()
            sums[i] = self._separators[i].down(psi)[0]
            messages[i] = sums[i].log() + shift
        return sums

    def _down(self, sums: list[Tensor]) -> list[Tensor]:
        tree = self.tree
        marginals: list[Tensor] = [torch.empty(0)] * len(self.requests)
        parts: list[Tensor] = [torch.ones((), dtype=torch.float64, device=self.device)] * len(tree.cliques)
        for i, psi in enumerate(self._psis):
            ratio = parts[i] / sums[i].clamp(min=TINY)
            belief = psi.mul_(ratio.view(self._kept[i]))
            tables = self._plans[i].down(belief)
            for place, table in zip(self._held[i], tables, strict=False):
                marginals[place] = table
            for k, table in zip(tree.children[i], tables[len(self._held[i]) :], strict=True):
                parts[k] = table
        if not float(self._psis[0].sum()) > 0.5:
            raise ConfigError("no row is possible under the structural zeros and conditions; relax one of them")
        return marginals

    def _forbid(self, i: int, clique: Clique, mask: Tensor) -> None:
        plan = Projections(self.tree.sizes, self.tree.cliques[i], [clique], self.device)
        self._start[i] = plan.up([mask.to(self.device, torch.float64)], self._start[i]).contiguous()


def _holder(tree: JunctionTree, clique: Clique) -> int:
    i = tree.holder(clique)
    if i is None:
        raise ConfigError(f"columns {clique} lie in no clique of the model: {tree.cliques}")
    return i
