"""A mixture over encoded columns, and its clipped gradient sums in closed form.

A mixture over encoded columns: given the component, columns are independent. Everything about it is a table.

    p(x | phi) = prod over columns apart of Bern(missing) * sum over c of pi_c prod over j of p(x_j | phi_cj)

pi = softmax of the first `components` numbers of phi. The component is summed out, so p is smooth in phi; conditions on
columns S are exact: p(c | x_S) is proportional to pi_c prod over S of p(x_j | phi_cj). phi has any
leading dimensions, (..., size), and tables have the same.

Clipped gradient sums of a mixture in closed form: no per-row gradient is ever formed.

With responsibilities r_c = p(c | x), the gradient of log p(x | phi) is r_c * (score of column j in component c) in
block (c, j), and r - pi in the block of the weights. So for one row

    ||g||^2 = sum over c of r_c^2 A_c + ||r - pi||^2 + (columns apart),   A_c = sum over j of ||score_cj(x_j)||^2

with A looked up in tables over codes, and the clipped sum over rows, factors f_i, needs only the weighted counts
N_c(code) = sum over i of f_i r_ic [x_ij = code], through which each column pulls its parameters. Equal to
`torch.func` up to rounding, which the tests check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpsynth.privacy.dpsgd.clipping import ClippedGradients
from dpsynth.vi.column_distributions import CodeDistribution

ROWS_AT_ONCE = 8192
WEIGHT_SPREAD = 1.0  # prior standard deviation of the components' logits


class Mixture:
    """components: k. distributions: of each column's codes. Layout of phi: k weights, k times each column's parameters,
    and a logit of missing for every column whose distribution sets missing apart."""

    def __init__(self, components: int, distributions: Sequence[CodeDistribution]) -> None:
        self.components, self.distributions = components, tuple(distributions)
        self.apart = tuple(j for j, distribution in enumerate(distributions) if distribution.missing_apart)
        self.sizes = tuple(distribution.codes for distribution in distributions)
        ends = torch.tensor([0, *self.sizes]).cumsum(0)
        self.offsets, self.codes = ends[:-1], int(ends[-1])
        self._blocks = [
            components,
            *(components * distribution.size for distribution in distributions),
            len(self.apart),
        ]
        self.size = sum(self._blocks)

    @cached_property
    def start(self) -> Tensor:
        """(size,) prior means, float64."""
        k = self.components
        rates = torch.full((len(self.apart),), -2.0, dtype=torch.float64)
        return torch.cat(
            [
                torch.zeros(k, dtype=torch.float64),
                *(distribution.start.repeat(k) for distribution in self.distributions),
                rates,
            ]
        )

    @cached_property
    def spread(self) -> Tensor:
        """(size,) prior standard deviations."""
        k = self.components
        weights = torch.full((k,), WEIGHT_SPREAD, dtype=torch.float64)
        rates = torch.ones(len(self.apart), dtype=torch.float64)
        return torch.cat([weights, *(distribution.spread.repeat(k) for distribution in self.distributions), rates])

    def parts(self, phi: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Weights' logits (..., k), parameters of each column (..., k, size_j), logits of missing (..., apart)."""
        weights, *columns, rates = phi.split(self._blocks, -1)
        shaped = [
            each.reshape(*phi.shape[:-1], self.components, distribution.size)
            for each, distribution in zip(columns, self.distributions, strict=True)
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
        return [
            distribution.log_probabilities(p)
            for distribution, p in zip(self.distributions, self.parts(phi)[1], strict=True)
        ]

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
        for j, (distribution, p) in enumerate(zip(self.distributions, columns, strict=True)):
            seen = 1 - miss[self.apart.index(j)] if j in self.apart else 1.0
            known.append(seen * pi[:, None] * distribution.information(p))
        return self.joined(pi * (1 - pi), known, miss * (1 - miss))

    def sample(
        self, phi: Tensor, rows: Sequence[int], generator: torch.Generator, fixed: Mapping[int, int] | None = None
    ) -> Tensor:
        """(sum of rows, columns) int64 codes: rows[l] of them from the distribution of phi[l], phi (draws, size), in
        order.

        fixed: for a column the code that it must have; the condition is exact.
        """
        fixed, draws = fixed or {}, len(phi)
        tables, log_pi = self.tables(phi), self.log_weights(phi)
        for j, code in fixed.items():
            log_pi = log_pi + tables[j][..., code]
        owner = torch.repeat_interleave(torch.arange(draws), torch.tensor(list(rows), dtype=torch.int64))
        component = _picked(log_pi.softmax(-1), owner, generator)
        miss = self.parts(phi)[2].sigmoid()
        codes = torch.empty(len(owner), len(self.distributions), dtype=torch.int64)
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


# -------------------- Mixture gradients -----------------------------------------------------

GRADIENT_ROWS_AT_ONCE = 16_384


class MixtureGradients(ClippedGradients):
    """The engine for `MixtureLikelihood`, over batches (codes (rows, columns) int64,)."""

    module: MixtureLikelihood

    def __init__(self, module: MixtureLikelihood, clipping_norm: float, microbatch_size: int | None = None) -> None:
        super().__init__(module, clipping_norm, microbatch_size or GRADIENT_ROWS_AT_ONCE)

    @torch.no_grad()
    def _chunk(self, batch: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Sequence[Tensor], Tensor]:
        mixture, phi = self.module.mixture, self.module.phi.detach()
        index = batch[0] + mixture.offsets
        weights, columns, rates = mixture.parts(phi)
        log_p = torch.cat(mixture.tables(phi), -1).T.contiguous()  # (all codes, k)
        norms = torch.cat(
            [distribution.score_norms(p) for distribution, p in zip(mixture.distributions, columns, strict=True)], -1
        ).T.contiguous()

        pi = weights.softmax(-1)
        r = torch.softmax(weights.log_softmax(-1) + F.embedding_bag(index, log_p, mode="sum"), -1)
        squares = (r.square() * F.embedding_bag(index, norms, mode="sum")).sum(-1) + (r - pi).square().sum(-1)
        miss, lost = rates.sigmoid(), self._lost(batch[0])
        squares = squares + (lost - miss).square().sum(-1)
        row_norms = squares.sqrt()
        factors = self._factors(row_norms, mask)
        kept = torch.where(factors[:, None] > 0, r * factors[:, None], torch.zeros_like(r))

        counts = torch.zeros_like(log_p)
        for j in range(index.shape[1]):
            counts.index_add_(0, index[:, j], kept)
        pieces = counts.T.split(mixture.sizes, -1)
        pulls = [
            distribution.pull(p, n) for distribution, p, n in zip(mixture.distributions, columns, pieces, strict=True)
        ]
        total = factors.sum()
        vector = mixture.joined(kept.sum(0) - total * pi, pulls, factors @ lost - total * miss)
        return [-vector], row_norms

    def _lost(self, codes: Tensor) -> Tensor:
        """(rows, apart) 1 where a column set apart is missing."""
        mixture = self.module.mixture
        sizes = torch.tensor([mixture.sizes[j] for j in mixture.apart], dtype=torch.int64)
        return (codes[:, list(mixture.apart)] == sizes - 1).to(self.module.phi.dtype)
