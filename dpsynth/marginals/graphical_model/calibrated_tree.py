"""What a calibrated junction tree answers: marginals of any columns, and rows drawn column after column.

Marginals of any columns from a calibrated junction tree, many at a time.

Columns that one clique holds are summed out of its table, all requests of a clique in one plan. Others are put
together over the subtree that joins them: each clique passes up p(wanted columns below it | its separator), and the
topmost multiplies these into its own table (variable elimination along the tree; Koller and Friedman 2009, section
10.3.3). What a subtree says about the same columns is worked out once per batch.

Drawing rows from a calibrated junction tree, column after column, each given its clique's earlier columns.

`categorical` draws every row on its own. `round` spreads the rows of every group of equal parents over the codes as
evenly as whole numbers allow: of n_g rows a code with probability p gets floor or ceil of n_g p, on average n_g p
exactly (systematic sampling, Madow 1949: one uniform offset per group against the cumulated n_g p), and runs of
neighbouring codes are as even. That takes most of the sampling noise out of the marginals. Both give every row the
model's distribution; a cell of probability 0 is never drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.belief_propagation import TINY, Projections
from dpsynth.marginals.graphical_model.junction_tree import Clique, JunctionTree, bits, mask_of

MOST_CELLS = 2**27  # of a table that elimination builds on its way: 1 GiB


def marginals(tree: JunctionTree, beliefs: Sequence[Tensor], cliques: Sequence[Clique]) -> dict[Clique, Tensor]:
    """Probabilities over each of `cliques` (ascending columns), float64 shaped by their sizes.

    beliefs: the probability table of every clique of the tree. The result may share memory with them: read only.
    Raises `ConfigError` when columns are too far apart in a model too dense to join them.
    """
    held: dict[int, list[Clique]] = {}
    found: dict[Clique, Tensor] = {}
    elimination = _Elimination(tree, beliefs)
    for clique in set(cliques):
        holder = tree.holder(clique)
        if holder is None:
            found[clique] = elimination.joint(clique)
        else:
            held.setdefault(holder, []).append(clique)
    for i, inside in held.items():
        plan = Projections(tree.sizes, tree.cliques[i], inside, beliefs[i].device)
        found.update(zip(inside, plan.down(beliefs[i]), strict=True))
    return found


class _Elimination:
    """One batch of variable eliminations, with what its members share."""

    def __init__(self, tree: JunctionTree, beliefs: Sequence[Tensor]):
        self.tree, self.beliefs = tree, beliefs
        self._separators = tuple(map(mask_of, tree.separators))
        self._lifted: dict[tuple[int, int], Tensor] = {}
        self._summed: dict[tuple[int, int], Tensor] = {}

    def joint(self, clique: Clique) -> Tensor:
        """Probabilities over `clique`."""
        wanted, top = mask_of(clique), 0
        while True:  # down to the smallest subtree that holds all wanted columns
            for k in self.tree.children[top]:
                if wanted & ~(self.tree.below[k] | self._separators[k]) == 0:
                    top = k
                    break
            else:
                return self._gather(top, wanted, wanted)

    def _lift(self, i: int, below: int) -> Tensor:
        """p(columns `below` clique i's separator | separator), over the union of both in ascending order."""
        if (i, below) not in self._lifted:
            separator = self._separators[i]
            joint = self._gather(i, below, separator | below)
            over = Projections(self.tree.sizes, tuple(bits(separator | below)), [self.tree.separators[i]], joint.device)
            given = over.down(joint)[0].clamp(min=TINY)
            shape = [self.tree.sizes[j] if separator >> j & 1 else 1 for j in bits(separator | below)]
            self._lifted[i, below] = joint / given.view(shape)
        return self._lifted[i, below]

    def _gather(self, i: int, wanted: int, kept: int) -> Tensor:
        """Probabilities over `kept`: columns of clique i, and `wanted` ones of its subtree."""
        tree = self.tree
        lifts = [(k, wanted & tree.below[k]) for k in tree.children[i] if wanted & tree.below[k]]
        bridges = 0
        for k, _ in lifts:
            bridges |= self._separators[k]
        columns = tree.masks[i] & (kept | bridges)
        table = self._sum(i, columns)
        lifts.sort(key=lambda lift: self._cells(lift[1]))
        for place, (k, below) in enumerate(lifts):
            still = kept
            for later, _ in lifts[place + 1 :]:
                still |= self._separators[later]
            joined = (columns | below) & still
            if self._cells(joined) > MOST_CELLS:
                raise ConfigError(
                    f"the marginal of columns {tuple(bits(wanted))} needs a table of {self._cells(joined):,} cells; "
                    "ask for fewer columns, or measure fewer marginals"
                )
            other = self._separators[k] | below
            table = _product(table, columns, self._lift(k, below), other, joined)
            columns = joined
        return table

    def _sum(self, i: int, columns: int) -> Tensor:
        if (i, columns) not in self._summed:
            belief = self.beliefs[i]
            plan = Projections(self.tree.sizes, self.tree.cliques[i], [tuple(bits(columns))], belief.device)
            self._summed[i, columns] = plan.down(belief)[0]
        return self._summed[i, columns]

    def _cells(self, mask: int) -> int:
        return math.prod(self.tree.sizes[j] for j in bits(mask))


def _product(left: Tensor, left_mask: int, right: Tensor, right_mask: int, kept: int) -> Tensor:
    """The product of two tables with all columns but `kept` summed out."""
    label = {column: place for place, column in enumerate(bits(left_mask | right_mask))}

    def labels(mask: int) -> list[int]:
        return [label[column] for column in bits(mask)]

    return torch.einsum(left, labels(left_mask), right, labels(right_mask), labels(kept))


# -------------------- Ancestral -------------------------------------------------------------

Method = Literal["round", "categorical"]
CELLS_AT_ONCE = 2**22


def draw(
    tree: JunctionTree, beliefs: Sequence[Tensor], n: int, generator: np.random.Generator, method: Method
) -> np.ndarray:
    """(n, columns) int64 codes. beliefs: the probability table of every clique of the tree."""
    codes = np.zeros((n, len(tree.sizes)), dtype=np.int64, order="F")
    for clique, separator, belief in zip(tree.cliques, tree.separators, beliefs, strict=True):
        table, known = belief.cpu().numpy(), list(separator)
        for column in [c for c in clique if c not in separator]:
            # Sum out what comes later; parents in ascending order, the new column last.
            later = tuple(axis for axis, c in enumerate(clique) if c not in known and c != column)
            axes = [c for c in clique if c in known or c == column]
            joint = np.moveaxis(table.sum(later), axes.index(column), -1)
            parents = [c for c in axes if c != column]
            shape = tuple(tree.sizes[c] for c in parents)
            groups = np.ravel_multi_index([codes[:, c] for c in parents], shape) if parents else np.zeros(n, np.int64)
            codes[:, column] = extended(joint.reshape(-1, tree.sizes[column]), groups, generator, method)
            known.append(column)
    return codes


def extended(joint: np.ndarray, groups: np.ndarray, generator: np.random.Generator, method: Method) -> np.ndarray:
    """A code for every row. joint: (groups, codes) probabilities. groups: (n,) the group of each row."""
    codes = np.empty(len(groups), dtype=np.int64)
    order = generator.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    members = np.bincount(groups, minlength=len(joint))
    present = np.flatnonzero(members)
    spread = _rounded if method == "round" else _multinomial
    width = joint.shape[1]
    block, begin = max(1, CELLS_AT_ONCE // width), 0
    for first in range(0, len(present), block):
        some = present[first : first + block]
        p = joint[some]
        p = p / p.sum(1, keepdims=True)
        counts = spread(p, members[some], generator)
        values = np.repeat(np.tile(np.arange(width), len(some)), counts.ravel())
        codes[order[begin : begin + len(values)]] = values
        begin += len(values)
    return codes


def _rounded(p: np.ndarray, members: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(groups, codes) whole numbers next to members * p, each row of them summing to its `members`."""
    upto = np.cumsum(p, axis=1)
    upto = np.where(upto >= upto[:, -1:], members[:, None], upto * members[:, None])  # the end exactly, zeros after it
    marks = np.floor(upto + generator.random((len(p), 1))).astype(np.int64)
    marks = np.minimum(marks, members[:, None])
    marks[upto >= members[:, None]] = 0
    marks += np.where(upto >= members[:, None], members[:, None], 0)
    return np.diff(marks, axis=1, prepend=0)


def _multinomial(p: np.ndarray, members: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(groups, codes) independent draws, counted."""
    counts = generator.multinomial(members, p / np.maximum(p.sum(1, keepdims=True), 1.0))
    leaked = np.where(p == 0, counts, 0)  # rounding may leave a row for the last code
    if leaked.any():
        counts -= leaked
        counts[np.arange(len(p)), p.argmax(1)] += leaked.sum(1)
    return counts
