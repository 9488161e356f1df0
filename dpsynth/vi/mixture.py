"""A mixture over coded columns: given the component, columns are independent. Everything about it is a table.

    p(x | phi) = prod over columns apart of Bern(missing) * sum over c of pi_c prod over j of p(x_j | phi_cj)

pi = softmax of the first `components` numbers of phi. The component is summed out, so p is smooth in phi; conditions on
columns S are exact: p(c | x_S) is proportional to pi_c prod over S of p(x_j | phi_cj). phi has any
leading dimensions, (..., size), and tables have the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from dpsynth.vi.code_laws import CodeLaw

ROWS_AT_ONCE = 8192
WEIGHT_SPREAD = 1.0  # prior standard deviation of the components' logits


class Mixture:
    """components: k. laws: of each column's codes. Layout of phi: k weights, k times each column's parameters, and a
    logit of missing for every column whose law sets missing apart."""

    def __init__(self, components: int, laws: Sequence[CodeLaw]) -> None:
        self.components, self.laws = components, tuple(laws)
        self.apart = tuple(j for j, law in enumerate(laws) if law.missing_apart)
        self.sizes = tuple(law.codes for law in laws)
        ends = torch.tensor([0, *self.sizes]).cumsum(0)
        self.offsets, self.codes = ends[:-1], int(ends[-1])
        self._blocks = [components, *(components * law.size for law in laws), len(self.apart)]
        self.size = sum(self._blocks)

    @cached_property
    def start(self) -> Tensor:
        """(size,) prior means, float64."""
        k = self.components
        rates = torch.full((len(self.apart),), -2.0, dtype=torch.float64)
        return torch.cat([torch.zeros(k, dtype=torch.float64), *(law.start.repeat(k) for law in self.laws), rates])

    @cached_property
    def spread(self) -> Tensor:
        """(size,) prior standard deviations."""
        k = self.components
        weights = torch.full((k,), WEIGHT_SPREAD, dtype=torch.float64)
        rates = torch.ones(len(self.apart), dtype=torch.float64)
        return torch.cat([weights, *(law.spread.repeat(k) for law in self.laws), rates])

    def parts(self, phi: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Weights' logits (..., k), parameters of each column (..., k, size_j), logits of missing (..., apart)."""
        weights, *columns, rates = phi.split(self._blocks, -1)
        shaped = [
            each.reshape(*phi.shape[:-1], self.components, law.size)
            for each, law in zip(columns, self.laws, strict=True)
        ]
        return weights, shaped, rates

    def joined(self, weights: Tensor, columns: Sequence[Tensor], rates: Tensor) -> Tensor:
        """The inverse of `parts`."""
        return torch.cat([weights, *(each.flatten(-2) for each in columns), rates], -1)

    def log_weights(self, phi: Tensor) -> Tensor:
        """(..., k)"""
        return torch.log_softmax(self.parts(phi)[0], -1)

    def tables(self, phi: Tensor) -> list[Tensor]:
        """(..., k, codes_j) log probabilities of each column's codes."""
        return [law.log_probabilities(p) for law, p in zip(self.laws, self.parts(phi)[1], strict=True)]

    def apart_table(self, phi: Tensor) -> Tensor:
        """(..., all codes) log chances of being missing, or not, for columns set apart; 0 for the others."""
        rates, pieces = self.parts(phi)[2], []
        for j, size in enumerate(self.sizes):
            if j in self.apart:
                rate = rates[..., self.apart.index(j), None]
                seen = nn.functional.logsigmoid(-rate).expand(*rate.shape[:-1], size - 1)
                pieces += [seen, nn.functional.logsigmoid(rate)]
            else:
                pieces.append(torch.zeros(*phi.shape[:-1], size, dtype=phi.dtype))
        return torch.cat(pieces, -1)

    def log_density(self, phi: Tensor, codes: Tensor) -> Tensor:
        """(rows,) log probability of rows of codes (rows, columns) int64; phi (size,). Differentiable in phi."""
        index = codes + self.offsets
        table = torch.cat(self.tables(phi), -1)
        parts = [self.log_weights(phi) + table[:, rows].sum(-1).T for rows in index.split(ROWS_AT_ONCE)]
        mixed = torch.logsumexp(torch.cat(parts), -1) if parts else phi.new_zeros(0)
        return mixed + self.apart_table(phi)[index].sum(-1)

    def information(self, phi: Tensor) -> Tensor:
        """(size,): diagonal Fisher information of one row whose component is known, the precision of phi a row
        brings."""
        weights, columns, rates = self.parts(phi)
        pi, miss = weights.softmax(-1), rates.sigmoid()
        known = []
        for j, (law, p) in enumerate(zip(self.laws, columns, strict=True)):
            seen = 1 - miss[self.apart.index(j)] if j in self.apart else 1.0
            known.append(seen * pi[:, None] * law.information(p))
        return self.joined(pi * (1 - pi), known, miss * (1 - miss))

    def sample(
        self, phi: Tensor, rows: Sequence[int], generator: torch.Generator, fixed: Mapping[int, int] | None = None
    ) -> Tensor:
        """(sum of rows, columns) int64 codes: rows[l] of them from the law of phi[l], phi (draws, size), in order.

        fixed: for a column the code that it must have; the condition is exact.
        """
        fixed, draws = fixed or {}, len(phi)
        tables, log_pi = self.tables(phi), self.log_weights(phi)
        for j, code in fixed.items():
            log_pi = log_pi + tables[j][..., code]
        owner = torch.repeat_interleave(torch.arange(draws), torch.tensor(list(rows), dtype=torch.int64))
        component = _picked(log_pi.softmax(-1), owner, generator)
        miss = self.parts(phi)[2].sigmoid()
        codes = torch.empty(len(owner), len(self.laws), dtype=torch.int64)
        for j, table in enumerate(tables):
            if j in fixed:
                codes[:, j] = fixed[j]
                continue
            p = table.exp()
            if j in self.apart:
                p[..., -1] = 0
            codes[:, j] = _picked(p.flatten(0, 1), owner * self.components + component, generator)
            if j in self.apart:
                chance = miss[owner, self.apart.index(j)]
                lost = torch.rand(len(owner), generator=generator, dtype=torch.float64) < chance
                codes[lost, j] = self.sizes[j] - 1
        return codes


class MixtureLikelihood(nn.Module):
    """`module(codes)` is minus the log probability of every row, (rows,); its parameter is `phi`, (size,)."""

    def __init__(self, mixture: Mixture, phi: Tensor) -> None:
        super().__init__()
        self.mixture = mixture
        self.phi = nn.Parameter(phi.detach().clone())

    def forward(self, codes: Tensor) -> Tensor:
        return -self.mixture.log_density(self.phi, codes)


def _picked(p: Tensor, line: Tensor, generator: torch.Generator) -> Tensor:
    """(rows,) codes, row i drawn from line[i] of p (lines, codes), by inversion; probability 0 is never drawn."""
    if p.shape[-1] == 1:
        return torch.zeros(len(line), dtype=torch.int64)
    upto = p.double().cumsum(-1)
    # Lines laid end to end, line l filling (l, l + 1], so that one search answers for all rows.
    ends = (upto / upto[:, -1:] + torch.arange(len(p), dtype=torch.float64)[:, None]).flatten()
    uniform = 1 - torch.rand(len(line), generator=generator, dtype=torch.float64)  # in (0, 1]
    found = torch.searchsorted(ends, line + uniform) - line * p.shape[-1]
    last = (p > 0).double().cumsum(-1).argmax(-1)  # rounding must not lead past the last possible code
    return torch.minimum(found.clamp(min=0), last[line])
