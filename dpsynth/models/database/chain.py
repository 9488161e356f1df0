"""Rows drawn one after the other from a graphical model over given columns and drawn ones.

The model is p(given, own). A row needs p(own | given), with other given values for every row. Own columns are
eliminated one by one from the graph of the model; the neighbours that a column has when its turn comes are its parents,
and the columns are drawn in the reverse order, each from p(column | parents), which together is p(own | given) exactly
(Koller and Friedman 2009, section 9.3). Where parents have more cells than a table may have, those are left out that
say least about the column.

All tables follow from the released model, so nothing here costs budget.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.calibrated_tree import extended
from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel

MOST_CELLS = 2**22  # of a table p(column | parents)
FLOOR = 1e-9  # of a column's own distribution, added so that every combination of parents leads to a row


@dataclass(frozen=True)
class ConditionalTable:
    """How one column is drawn: (cells of the parents, codes) weights, parents in ascending order."""

    column: int
    parents: tuple[int, ...]
    weights: np.ndarray


class Chain:
    """p(own | given) of a model. given: the columns that are known; all others are drawn."""

    def __init__(self, model: GraphicalModel, given: Sequence[int], most_cells: int = MOST_CELLS) -> None:
        self.sizes = model.sizes
        own = [column for column in range(len(model.sizes)) if column not in set(given)]
        self.tables = tuple(
            _table(model, column, parents, most_cells) for column, parents in _drawing_order(model, own)
        )

    def fill(self, codes: np.ndarray, generator: np.random.Generator) -> None:
        """Draw the own columns of (n, columns) codes, whose given columns are set, in place."""
        for table in self.tables:
            shape = tuple(self.sizes[parent] for parent in table.parents)
            known = [codes[:, parent] for parent in table.parents]
            groups = np.ravel_multi_index(known, shape) if known else np.zeros(len(codes), dtype=np.int64)
            codes[:, table.column] = extended(table.weights, groups, generator, "round")


def _drawing_order(model: GraphicalModel, own: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
    """(column, parents) in the order of drawing."""
    beside: dict[int, set[int]] = {column: set() for column in range(len(model.sizes))}
    for clique in model.cliques:
        for one, other in itertools.permutations(clique, 2):
            beside[one].add(other)
    left, eliminated = set(own), list[tuple[int, tuple[int, ...]]]()
    while left:
        cells = {column: math.prod(model.sizes[j] for j in beside[column]) for column in left}
        column = min(left, key=lambda each: (cells[each], each))
        around = beside.pop(column)
        eliminated.append((column, tuple(sorted(around))))
        for one in around:
            beside[one] |= around - {one}
            beside[one].discard(column)
        left.remove(column)
    return eliminated[::-1]


def _table(model: GraphicalModel, column: int, parents: tuple[int, ...], most_cells: int) -> ConditionalTable:
    """p(column | parents), or of the parents that say most about it."""
    own = model.marginal((column,))
    size = model.sizes[column]
    kept = list(parents)
    while True:
        if math.prod(model.sizes[j] for j in kept) * size <= most_cells:
            try:
                joint = model.marginal((*kept, column))
                break
            except ConfigError:  # the way there needs too large a table
                if not kept:
                    raise
        kept.remove(min(kept, key=lambda parent: _information(model, parent, column)))
    weights = joint.reshape(-1, size)
    return ConditionalTable(column, tuple(kept), weights + FLOOR * (own + own.sum() / size))


def _information(model: GraphicalModel, one: int, other: int) -> float:
    """Mutual information of two columns."""
    joint = model.marginal((one, other))
    joint = joint / joint.sum()
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    inside = joint > 0
    return float((joint[inside] * np.log(joint[inside] / independent[inside])).sum())
