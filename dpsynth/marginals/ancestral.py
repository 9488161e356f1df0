"""Drawing rows from a calibrated junction tree, column after column, each given its clique's earlier columns.

`categorical` draws every row on its own. `round` spreads the rows of every group of equal parents over the codes as
evenly as whole numbers allow: of n_g rows a code with probability p gets floor or ceil of n_g p, on average n_g p
exactly (systematic sampling, Madow 1949: one uniform offset per group against the cumulated n_g p), and runs of
neighbouring codes are as even. That takes most of the sampling noise out of the marginals. Both give every row the
model's law; a cell of probability 0 is never drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from torch import Tensor

from dpsynth.marginals.junction_tree import JunctionTree

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
            codes[:, column] = _extend(joint.reshape(-1, tree.sizes[column]), groups, generator, method)
            known.append(column)
    return codes


def _extend(joint: np.ndarray, groups: np.ndarray, generator: np.random.Generator, method: Method) -> np.ndarray:
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
