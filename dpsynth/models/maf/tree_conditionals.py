"""A graphical model as an autoregressive one: an order of the columns, and each column's distribution given earlier.

A junction tree gives both exactly. Its cliques are visited from a root outwards, each after a neighbour with which it
shares most columns. What a clique shares with all that were visited before it, it shares with that neighbour (running
intersection), so a column that is new in clique C depends on the earlier columns through those of C alone:

    p(row) = product over the columns j of p(x_j | parents of j),   the parents within one clique

The root is chosen so that the label comes as late as the tree allows. All of this is post-processing of a model that
was released.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dpsynth.marginals.graphical_model.graphical_model import Clique, GraphicalModel

LEAST = 1e-6  # rows added to every cell: no code is quite impossible


def elimination(cliques: Sequence[Clique], label: int | None) -> dict[int, Clique]:
    """Column -> its parents, in the order in which columns are drawn. cliques: the maximal ones of a junction tree."""
    waiting = sorted(cliques, key=lambda c: (label in c, -len(c), c))
    visited: list[set[int]] = []
    parents: dict[int, Clique] = {}
    while waiting:
        shares = [max((len(v & {*c}) for v in visited), default=0) for c in waiting]
        clique = waiting.pop(max(range(len(waiting)), key=lambda k: (shares[k], label not in waiting[k], -k)))
        known = [j for j in clique if j in parents]
        for j in sorted(set(clique) - set(known), key=lambda j: (j == label, j)):
            parents[j] = tuple(known)
            known.append(j)
        visited.append({*clique})
    return parents


class TreeConditionals:
    """p(column | parents) of a graphical model, as tables of logarithms.

    order: the columns in the order in which they are drawn. parents: of each column, earlier ones.
    """

    def __init__(self, model: GraphicalModel, label: int | None) -> None:
        self._model, self.sizes = model, model.sizes
        self.parents = elimination(model.cliques, label)
        self.order = tuple(self.parents)
        self._tables: dict[int, Tensor] = {}
        for j, parents in self.parents.items():
            counts = model.marginal((*parents, j)).reshape(-1, self.sizes[j]).clip(min=0.0) + LEAST
            self._tables[j] = torch.from_numpy(np.log(counts / counts.sum(1, keepdims=True))).float()

    @property
    def marginals(self) -> dict[int, Tensor]:
        """(size,) probabilities of each column by itself, above zero."""
        counts = {j: np.clip(self._model.marginal((j,)), 0.0, None) + LEAST for j in self.order}
        return {j: torch.from_numpy(each / each.sum()).float() for j, each in counts.items()}

    def context(self, column: int, codes: Tensor) -> Tensor:
        """(rows,) int64 number of the parents' codes of each row. codes: (..., columns)."""
        index = torch.zeros_like(codes[..., column])
        for parent in self.parents[column]:
            index = index * self.sizes[parent] + codes[..., parent]
        return index

    def logits(self, column: int, codes: Tensor) -> Tensor:
        """(rows, size) log probabilities of the column's codes given the row's earlier columns."""
        table = self._tables[column]
        if table.device != codes.device:
            table = self._tables[column] = table.to(codes.device)
        return table[self.context(column, codes)]
