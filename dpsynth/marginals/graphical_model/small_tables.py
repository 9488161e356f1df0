"""Exact marginals over a junction tree of many small tables: `belief_propagation.py` as one compiled loop.

A wide table's spanning tree has hundreds of cliques of a few cells each. Tensor operations on them cost what starting
them costs: a pass over 1,000 pairs of binary columns takes 0.4 s. Here all tables lie one after the other in one array,
which cell of a clique belongs to which cell of a separator or a request is worked out once, and a pass is a loop over
cells in numba. Messages, shifts and the treatment of impossible cells are those of `BeliefPropagation`, which remains
the one for large tables and other devices, and the reference for this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.belief_propagation import LOWEST, TINY, BeliefPropagation
from dpsynth.marginals.graphical_model.junction_tree import BYTES, Clique, JunctionTree

SMALL_CELLS = 4_096  # of a clique on average, up to which starting an operation costs more than the operation
MOST_BYTES = 2**26  # of all clique tables


def propagation(
    tree: JunctionTree,
    requests: Sequence[Clique],
    forbidden: Mapping[Clique, Tensor] | None = None,
    device: torch.device | str = "cpu",
) -> BeliefPropagation | SmallTables:
    """Inference over `tree`, the faster of the two; see `BeliefPropagation` for the arguments."""
    small = tree.bytes <= min(MOST_BYTES, BYTES * SMALL_CELLS * len(tree.cliques))
    if small and torch.device(device).type == "cpu":
        return SmallTables(tree, requests, forbidden)
    return BeliefPropagation(tree, requests, forbidden, device)


class SmallTables:
    """Beliefs of one tree for potentials over `requests`, as `BeliefPropagation` gives them."""

    device = "cpu"

    def __init__(
        self, tree: JunctionTree, requests: Sequence[Clique], forbidden: Mapping[Clique, Tensor] | None = None
    ) -> None:
        self.tree, self.requests = tree, tuple(requests)
        sizes, cliques = tree.sizes, tree.cliques
        holders = [_holder(tree, request) for request in self.requests]
        self._shapes = [tuple(sizes[j] for j in request) for request in self.requests]
        self._cells = [int(np.prod(shape, dtype=np.int64)) for shape in self._shapes]
        first = _starts([int(np.prod([sizes[j] for j in clique], dtype=np.int64)) for clique in cliques])
        separators = [int(np.prod([sizes[j] for j in s], dtype=np.int64)) for s in tree.separators]
        below = [_onto(sizes, cliques[max(p, 0)], s) for p, s in zip(tree.parents, tree.separators, strict=True)]
        within = [_onto(sizes, cliques[h], request) for h, request in zip(holders, self.requests, strict=True)]
        self._start = np.zeros(first[-1])
        for clique, mask in (forbidden or {}).items():
            i = _holder(tree, clique)
            self._start[first[i] : first[i + 1]] += mask.cpu().numpy().ravel()[_onto(sizes, cliques[i], clique)]
        self._layout = (
            np.array(tree.parents, dtype=np.int64),
            first,
            _starts(separators),
            _joined([_onto(sizes, c, s) for c, s in zip(cliques, tree.separators, strict=True)]),
            _starts([len(each) for each in below]),
            _joined(below),
            np.array(holders, dtype=np.int64),
            _starts(self._cells),
            _starts([len(each) for each in within]),
            _joined(within),
        )
        self._psi = np.zeros(first[-1])
        self._work = np.zeros((3, max(separators))), np.zeros(sum(separators))
        self._beliefs = [
            torch.from_numpy(self._psi[first[i] : first[i + 1]]).view([sizes[j] for j in clique])
            for i, clique in enumerate(cliques)
        ]

    def __call__(self, potentials: Sequence[Tensor]) -> list[Tensor]:
        """Probabilities over each request, each of its shape and float64, for potentials of the same shapes."""
        theta = torch.cat([each.reshape(-1) for each in potentials]) if potentials else torch.zeros(0)
        flat = self.flat(theta.double())
        return [piece.view(shape) for piece, shape in zip(flat.split(self._cells), self._shapes, strict=True)]

    def flat(self, potentials: Tensor) -> Tensor:
        """The same for potentials, and of probabilities, that lie one after the other in one float64 tensor."""
        marginals = np.zeros(sum(self._cells))
        theta = potentials.contiguous().numpy()
        possible = _propagate(theta, self._start, *self._layout, *self._work, self._psi, marginals)
        if not possible > 0.5:
            raise ConfigError("no row is possible under the structural zeros and conditions; relax one of them")
        return torch.from_numpy(marginals)

    @property
    def beliefs(self) -> list[Tensor]:
        """The probability table of every clique, for the potentials of the last call."""
        return self._beliefs


def _holder(tree: JunctionTree, clique: Clique) -> int:
    i = tree.holder(clique)
    if i is None:
        raise ConfigError(f"columns {clique} lie in no clique of the model: {tree.cliques}")
    return i


def _onto(sizes: Sequence[int], clique: Clique, target: Clique) -> np.ndarray:
    """(cells of `clique`,) int32 cell of `target`, a subset of it, that each cell belongs to."""
    index, stride = np.zeros([sizes[j] for j in clique], dtype=np.int32), 1
    for j in reversed(target):
        shape = [sizes[j] if column == j else 1 for column in clique]
        index += stride * np.arange(sizes[j], dtype=np.int32).reshape(shape)
        stride *= sizes[j]
    return index.ravel()


def _starts(lengths: Sequence[int]) -> np.ndarray:
    """(pieces + 1,) int64: where each piece begins, and the end."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def _joined(pieces: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int32)


@njit(nogil=True, cache=True, boundscheck=False)
def _propagate(
    theta: Any, start: Any, parents: Any, first: Any, separator: Any, own: Any, lower: Any, below: Any,
    holders: Any, request: Any, inside: Any, within: Any, work: Any, sums: Any, psi: Any, marginals: Any,
) -> float:  # fmt: skip
    """Both passes. The probability of all cells of the root, which is 1, or 0 when no cell is possible.

    theta, marginals  of request r at request[r]      holders        the clique that holds each request
    start, psi        of clique i at first[i]         parents        of each clique
    sums              of separator i at separator[i]  work           rows for a shift, a message and a ratio
    own[first[i] + c]      cell of separator i that cell c of clique i belongs to
    below[lower[i] + c]    cell of separator i that cell c of the parent of clique i belongs to
    within[inside[r] + c]  cell of request r that cell c of its holder belongs to
    """
    shift, message, ratio = work[0], work[1], work[2]
    psi[:] = start
    for r in range(len(holders)):
        at, place = first[holders[r]], request[r]
        for c in range(inside[r + 1] - inside[r]):
            psi[at + c] += theta[place + within[inside[r] + c]]
    for i in range(len(parents) - 1, -1, -1):
        total = sums[separator[i] : separator[i + 1]]
        total[:] = 0.0
        shift[: len(total)] = LOWEST
        for c in range(first[i], first[i + 1]):
            shift[own[c]] = max(shift[own[c]], psi[c])
        for c in range(first[i], first[i + 1]):
            psi[c] = np.exp(psi[c] - shift[own[c]])
            total[own[c]] += psi[c]
        if i > 0:
            for s in range(len(total)):
                message[s] = np.log(total[s]) + shift[s]
            at = first[parents[i]]
            for c in range(lower[i + 1] - lower[i]):
                psi[at + c] += message[below[lower[i] + c]]
    for i in range(len(parents)):
        total = sums[separator[i] : separator[i + 1]]
        if i == 0:
            ratio[0] = 1.0
        else:
            ratio[: len(total)] = 0.0
            at = first[parents[i]]
            for c in range(lower[i + 1] - lower[i]):
                ratio[below[lower[i] + c]] += psi[at + c]
        for s in range(len(total)):
            ratio[s] /= max(total[s], TINY)
        for c in range(first[i], first[i + 1]):
            psi[c] *= ratio[own[c]]
    for r in range(len(holders)):
        at, place = first[holders[r]], request[r]
        for c in range(inside[r + 1] - inside[r]):
            marginals[place + within[inside[r] + c]] += psi[at + c]
    return psi[: first[1]].sum()
