"""Marginals of any columns from a calibrated junction tree, many at a time.

Columns that one clique holds are summed out of its table, all requests of a clique in one plan. Others are put
together over the subtree that joins them: each clique passes up p(wanted columns below it | its separator), and the
topmost multiplies these into its own table (variable elimination along the tree; Koller and Friedman 2009, section
10.3.3). What a subtree says about the same columns is worked out once per batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dpsynth.errors import ConfigError
from dpsynth.marginals.belief_propagation import TINY
from dpsynth.marginals.junction_tree import JunctionTree
from dpsynth.marginals.projections import Projections
from dpsynth.marginals.triangulation import Clique, bits, mask_of

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
