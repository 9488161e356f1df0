"""Random Fourier features of norm one: of images, and of rows of codes.

phi(x) = (cos w.x, sin w.x) / sqrt(m) for m public random frequencies w. Its squared norm is the mean of cos^2 + sin^2,
so it is 1 for every x, and phi(x).phi(x') is near a kernel: for Gaussian w of deviation 1 / l, exp(-|x - x'|^2 / 2 l^2)
(Rahimi and Recht 2007). The privacy of a release does not rest on the norm being right here: the mechanism bounds it.

Every map has `width` = length of phi, `rows(codes)` for data, and `moments(outputs, groups)` for what a generator
writes. Data are whole numbers, and `rows` gives each row the same bits in any company: angles are exact sums in units
of 1 / `TURN` of a turn, and waves come from a table of one turn (`data/row_maps.py`). What a generator writes is
public: its moments use the library's products and cosines, which differ from these by at most 6e-5 of a wave.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from dpsynth.data.row_maps import ExactProduct, window_totals

SIDE = 16  # pixels of the longer side at which features look at images
TURN = 1 << 16  # parts of a turn that are told apart
_AT_ONCE = 64  # rows whose waves are made in the processor's cache
_COSINES, _SINES = (
    wave(torch.arange(TURN, dtype=torch.float64) * (2 * math.pi / TURN)).float() for wave in (torch.cos, torch.sin)
)


class ImageFeatures(nn.Module):
    """Features of several Gaussian kernels of images (n, channels, height, width) with values in [0, 1].

    Images are averaged down to at most SIDE pixels first. bandwidths: of the kernels, as root mean square distance of
    two pixels, so that they mean the same at every size; each has the same fraction of the `frequencies` and of the
    norm. levels: of the pixels of data, whole numbers in [0, levels).
    """

    weights: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        frequencies: int,
        bandwidths: Sequence[float],
        generator: torch.Generator,
        levels: int = 256,
    ) -> None:
        super().__init__()
        self.shape, self.levels = tuple(shape), levels
        self.pool = max(1, math.ceil(max(shape[1:]) / SIDE))
        inputs = shape[0] * math.prod(math.ceil(side / self.pool) for side in shape[1:])
        counts = [len(range(k, frequencies, len(bandwidths))) for k in range(len(bandwidths))]
        scales = torch.repeat_interleave(torch.tensor(bandwidths), torch.tensor(counts)) * math.sqrt(inputs)
        self.register_buffer("weights", torch.randn(inputs, frequencies, generator=generator) / scales)
        self.width = 2 * frequencies

    def rows(self, codes: Tensor) -> Tensor:
        """(n, width) float32 features of (n, channels, height, width) whole numbers in [0, levels)."""
        totals, _ = window_totals(codes.to(torch.float64), self.pool)
        return _table_waves(self._turns(totals.flatten(1)), 1 / math.sqrt(self.width / 2))

    @cached_property
    def _turns(self) -> ExactProduct:
        """From sums of levels over the windows to angles in units of 1 / `TURN`."""
        _, counts = window_totals(torch.zeros(1, *self.shape), self.pool)
        wide = self.weights.detach().to("cpu", torch.float64) * (TURN / (2 * math.pi) / max(self.levels - 1, 1))
        per_level = wide / counts.double().flatten().repeat(self.shape[0])[:, None]
        return ExactProduct(per_level, max(self.levels - 1, 1) * self.pool**2)

    def moments(self, images: Tensor, groups: int) -> tuple[Tensor, Tensor]:
        """Of as many consecutive images for each group: mean features (groups, width), mean squared norms (groups,)."""
        means: Tensor = _MeanWaves.apply(self._angles(images).unflatten(0, (groups, -1)))  # type: ignore[assignment]
        return means, torch.ones(groups, device=means.device)

    def _angles(self, images: Tensor) -> Tensor:
        """(n, frequencies)"""
        if self.pool > 1:
            images = functional.avg_pool2d(images, self.pool, ceil_mode=True, count_include_pad=False)
        return images.flatten(1) @ self.weights


class CodeFeatures(nn.Module):
    """Features of rows of codes, and their exact mean when every column's code is drawn from a distribution of its own.

    phi = ( sqrt(s) one-hot codes / sqrt(columns),  sqrt(1 - s) (cos a, sin a) / sqrt(frequencies) ),  norm 1,

    with a = the sum of two angles: every frequency has a pair of columns, and an angle for each of their codes. Angles
    are independent and uniform, so these features are random projections of the pair's table of counts; for value bins
    on an axis every second frequency has angles in proportion to the place on the axis, so that neighbours are alike
    (bandwidths from 1/2 to 1/20 of the axis). Pairs are gone through in random order, as often as there are
    frequencies. Under independent distributions p, q of the two codes the mean of exp(i a) is the product of two sums
    p_c exp(i angle_c): a generator of distributions is trained without drawing codes.

    sizes: codes of each column. value_bins: how many of them lie on an axis, 0 for categories. single_fraction: s; all
    of the norm where there are no pairs.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        value_bins: Sequence[int],
        frequencies: int,
        single_fraction: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.sizes = list(sizes)
        pairs = torch.tensor(list(itertools.combinations(range(len(sizes)), 2)), dtype=torch.long).view(-1, 2)
        self.frequencies = frequencies if len(pairs) else 0
        self.single_fraction = single_fraction if len(pairs) else 1.0
        self.width = max(1, sum(sizes) + 2 * self.frequencies)
        order = torch.randperm(len(pairs), generator=generator)
        chosen = pairs[order.repeat(-(-self.frequencies // max(1, len(pairs))))[: self.frequencies]]
        chosen = chosen[torch.argsort(chosen[:, 0], stable=True)]  # the first side then needs no rearranging
        # For each side of the pairs and each column: which frequencies have it there, and the angles of its codes.
        for side in (0, 1):
            members = [torch.nonzero(chosen[:, side] == j)[:, 0] for j in range(len(sizes))]
            for j, (own, size, bins) in enumerate(zip(members, sizes, value_bins, strict=True)):
                self.register_buffer(f"members_{side}_{j}", own)
                self.register_buffer(f"angles_{side}_{j}", _angles(size, bins, len(own), generator))
        self.register_buffer("places", torch.argsort(torch.cat(members)) if members else order)  # of the second side

    def _of(self, what: str, side: int) -> list[Tensor]:
        """A buffer for each column."""
        return [self.get_buffer(f"{what}_{side}_{j}") for j in range(len(self.sizes))]

    def rows(self, codes: Tensor) -> Tensor:
        """(n, width) float32 features of (n, columns) int64 codes."""
        if not self.sizes:
            return torch.zeros(len(codes), 1, device=codes.device)
        turns = torch.zeros(len(codes), self.frequencies, device=codes.device)
        for side in (0, 1):
            for j, (own, table) in enumerate(zip(self._of("members", side), self._of("angles", side), strict=True)):
                turns[:, own] += (table * (TURN / (2 * math.pi)))[codes[:, j]]
        singles = torch.cat([functional.one_hot(codes[:, j], size) for j, size in enumerate(self.sizes)], dim=1)
        scales = self._scales
        return torch.cat([scales[0] * singles, _table_waves(turns, scales[1])], dim=1)

    def expected(self, distributions: Tensor) -> Tensor:
        """(n, width) means of the features under (n, sum of sizes) distributions, side by side."""
        if not self.sizes:
            return distributions.sum(dim=1, keepdim=True)
        parts = distributions.T.split(self.sizes)  # as columns, so that rearranging frequencies moves whole rows
        scales = self._scales

        def mean(wave: Callable[[Tensor], Tensor], side: int, scale: float = 1.0) -> Tensor:
            tables = self._of("angles", side)
            return torch.cat([scale * wave(table).T @ part for table, part in zip(tables, parts, strict=True)])

        cosine, sine = mean(torch.cos, 0, scales[1]), mean(torch.sin, 0, scales[1])
        other, places = (mean(torch.cos, 1), mean(torch.sin, 1)), self.get_buffer("places")
        real, imaginary = (part.index_select(0, places) for part in other)
        products = [cosine * real - sine * imaginary, cosine * imaginary + sine * real]
        return torch.cat([scales[0] * distributions.T, *products]).T

    def moments(self, distributions: Tensor, groups: int) -> tuple[Tensor, Tensor]:
        """Of as many consecutive distributions for each group: mean features (groups, width), mean squared norms
        (groups,)."""
        phi = self.expected(distributions).unflatten(0, (groups, -1))
        return phi.mean(dim=1), phi.square().sum(dim=(1, 2)) / phi.shape[1]

    @property
    def _scales(self) -> tuple[float, float]:
        """Of a one-hot code, and of a cosine."""
        double = (1 - self.single_fraction) / max(1, self.frequencies)
        return math.sqrt(self.single_fraction / len(self.sizes)), math.sqrt(double)


def _table_waves(turns: Tensor, scale: float) -> Tensor:
    """(n, 2 m) float32 cosines and sines, times `scale`, of (n, m) angles in units of 1 / `TURN` of a turn."""
    tables = [(table * scale).to(turns.device) for table in (_COSINES, _SINES)]
    out = torch.empty(len(turns), 2 * turns.shape[1], device=turns.device)
    for part, into in zip(turns.split(_AT_ONCE), out.split(_AT_ONCE), strict=True):
        places = part.round().to(torch.int64).bitwise_and_(TURN - 1).flatten()  # two's complement: negative ones too
        for table, half in zip(tables, into.chunk(2, dim=1), strict=True):
            half.copy_(table.index_select(0, places).view_as(part))
    return out


class _MeanWaves(torch.autograd.Function):
    """(groups, n, m) angles to the means (groups, 2 m) of their waves. Cosine and sine are each the other's derivative,
    and all waves of a group have one gradient: nothing but the two of them is made or kept."""

    @staticmethod
    def forward(ctx: Any, angles: Tensor) -> Tensor:
        cosines, sines = angles.cos(), angles.sin()
        ctx.save_for_backward(cosines, sines)
        return torch.cat([cosines.mean(1), sines.mean(1)], dim=1).div_(math.sqrt(max(angles.shape[2], 1)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        cosines, sines = ctx.saved_tensors
        pull = gradient[:, None] / (cosines.shape[1] * math.sqrt(max(cosines.shape[2], 1)))
        by_cosine, by_sine = pull.chunk(2, dim=2)
        return (cosines * by_sine).addcmul_(sines, by_cosine, value=-1)


def _angles(size: int, value_bins: int, count: int, generator: torch.Generator) -> Tensor:
    """(size, count) float32: for each of `count` frequencies an angle of every code."""
    angles = 2 * math.pi * torch.rand(size, count, generator=generator)
    rate = torch.randn(count, generator=generator) * 2 * 10 ** torch.rand(count, generator=generator)
    if value_bins:
        places = (torch.arange(value_bins) + 0.5) / value_bins
        angles[:value_bins, ::2] = (places[:, None] * rate + angles[:1])[:, ::2]
    return (angles * (TURN / (2 * math.pi))).round() * (2 * math.pi / TURN)  # so that `rows` has nothing to round
