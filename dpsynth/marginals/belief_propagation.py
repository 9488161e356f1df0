"""Exact marginals of a law over a junction tree, by two passes of messages in log space.

The law is proportional to exp(sum of potentials), each over columns that some clique of the tree holds (Lauritzen and
Spiegelhalter 1988; Koller and Friedman 2009, chapter 10). Going up, a clique's table of log potentials theta, with the
messages of its children added, gives its parent

    m(S) = log sum over the other columns of exp theta = log s(S) + shift(S),   s(S) = sum of psi,
    psi = exp(theta - shift(S)),   shift(S) = max over the other columns

so that every conditional psi / s is safe from overflow and underflow however far apart the potentials are. Going down,
the clique's probabilities are psi * (p(S) / s(S)) with p(S) from its parent: one exponential per cell in all.
Potentials of minus infinity (cells that cannot be) are carried through without a NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dpsynth.errors import ConfigError
from dpsynth.marginals.junction_tree import JunctionTree
from dpsynth.marginals.projections import Projections
from dpsynth.marginals.triangulation import Clique

LOWEST = -1e300  # stands for minus infinity where it is subtracted from itself
TINY = 1e-300


class BeliefPropagation:
    """Beliefs of one tree for potentials over `requests`, worked out again and again for new potentials.

    requests: the columns of each potential; the marginals over the same columns come back.
    forbidden: log potentials (0 or minus infinity) by clique, part of every law.

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
