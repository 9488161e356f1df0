"""Clipped gradient sums of a mixture in closed form: no per-row gradient is ever formed.

With responsibilities r_c = p(c | x), the gradient of log p(x | phi) is r_c * (score of column j in component c) in
block (c, j), and r - pi in the block of the weights. So for one row

    ||g||^2 = sum over c of r_c^2 A_c + ||r - pi||^2 + (columns apart),   A_c = sum over j of ||score_cj(x_j)||^2

with A looked up in tables over codes, and the clipped sum over rows, factors f_i, needs only the weighted counts
N_c(code) = sum over i of f_i r_ic [x_ij = code], through which each column pulls its parameters. Equal to
`torch.func` up to rounding, which the tests check.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from dpsynth.privacy.clipping import ClippedGradients
from dpsynth.vi.mixture import MixtureLikelihood

ROWS_AT_ONCE = 16_384


class MixtureGradients(ClippedGradients):
    """The engine for `MixtureLikelihood`, over batches (codes (rows, columns) int64,)."""

    module: MixtureLikelihood

    def __init__(self, module: MixtureLikelihood, clipping_norm: float, microbatch_size: int | None = None) -> None:
        super().__init__(module, clipping_norm, microbatch_size or ROWS_AT_ONCE)

    @torch.no_grad()
    def _chunk(self, batch: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Sequence[Tensor], Tensor]:
        mixture, phi = self.module.mixture, self.module.phi.detach()
        index = batch[0] + mixture.offsets
        weights, columns, rates = mixture.parts(phi)
        log_p = torch.cat(mixture.tables(phi), -1).T.contiguous()  # (all codes, k)
        norms = torch.cat([law.score_norms(p) for law, p in zip(mixture.laws, columns, strict=True)], -1).T.contiguous()

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
        pulls = [law.pull(p, n) for law, p, n in zip(mixture.laws, columns, pieces, strict=True)]
        total = factors.sum()
        vector = mixture.joined(kept.sum(0) - total * pi, pulls, factors @ lost - total * miss)
        return [-vector], row_norms

    def _lost(self, codes: Tensor) -> Tensor:
        """(rows, apart) 1 where a column set apart is missing."""
        mixture = self.module.mixture
        sizes = torch.tensor([mixture.sizes[j] for j in mixture.apart], dtype=torch.int64)
        return (codes[:, list(mixture.apart)] == sizes - 1).to(self.module.phi.dtype)
