"""Junction trees: the maximal cliques of a chordal graph, joined so that every column's cliques hang together.

The tree is a maximum spanning tree on separator size, which is what makes it a junction tree (Koller and Friedman
2009, section 10.4.2). Parts that share nothing are joined by empty separators, so that one pass over one tree serves
every case.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dpsynth.marginals.triangulation import BYTES, Clique, bits, mask_of, maximal_cliques


@dataclass(frozen=True)
class JunctionTree:
    """A rooted tree of cliques; clique 0 is the root and every parent stands before its children.

    sizes: codes of every column. cliques[i]: ascending columns. parents[i]: its parent, -1 for the root.
    """

    sizes: tuple[int, ...]
    cliques: tuple[Clique, ...]
    parents: tuple[int, ...]

    @classmethod
    def over(cls, sizes: Sequence[int], cliques: Sequence[Clique]) -> JunctionTree:
        """The smallest tree found that holds each of `cliques`, and every column, in one of its own."""
        sizes = tuple(map(int, sizes))
        nodes = sorted(maximal_cliques(sizes, cliques), key=lambda node: (-_cells(sizes, node), node))
        masks = [mask_of(node) for node in nodes]
        order, parents = [0], [-1]
        # For every clique outside: how much it shares with the tree at best, and with which clique of it.
        best = {i: ((masks[i] & masks[0]).bit_count(), 0) for i in range(1, len(nodes))}
        while best:
            i = max(best, key=lambda k: (best[k][0], -k))
            parents.append(best.pop(i)[1])
            order.append(i)
            for k, (shared, _) in best.items():
                common = (masks[k] & masks[i]).bit_count()
                if common > shared:
                    best[k] = common, len(order) - 1
        return cls(sizes, tuple(nodes[i] for i in order), tuple(parents))

    @property
    def bytes(self) -> int:
        """Bytes of all clique tables."""
        return BYTES * sum(_cells(self.sizes, clique) for clique in self.cliques)

    @cached_property
    def masks(self) -> tuple[int, ...]:
        """The cliques as bit masks."""
        return tuple(mask_of(clique) for clique in self.cliques)

    @cached_property
    def separators(self) -> tuple[Clique, ...]:
        """The columns that each clique shares with its parent; none for the root."""
        return tuple(
            () if parent < 0 else tuple(bits(self.masks[i] & self.masks[parent]))
            for i, parent in enumerate(self.parents)
        )

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The children of each clique."""
        below: list[list[int]] = [[] for _ in self.cliques]
        for i, parent in enumerate(self.parents[1:], 1):
            below[parent].append(i)
        return tuple(map(tuple, below))

    @cached_property
    def below(self) -> tuple[int, ...]:
        """For each clique the mask of the columns that only its subtree holds."""
        masks = [mask & ~mask_of(separator) for mask, separator in zip(self.masks, self.separators, strict=True)]
        for i in range(len(masks) - 1, 0, -1):
            masks[self.parents[i]] |= masks[i]
        return tuple(masks)

    def holder(self, clique: Sequence[int]) -> int | None:
        """The smallest clique of the tree that holds all of `clique`, or None."""
        mask = mask_of(clique)
        holders = [i for i, other in enumerate(self.masks) if mask & ~other == 0]
        return min(holders, key=lambda i: _cells(self.sizes, self.cliques[i]), default=None)


def _cells(sizes: Sequence[int], clique: Sequence[int]) -> int:
    return math.prod(sizes[column] for column in clique)
