"""Noisy tables of every pixel with its class and its nearest earlier neighbours, and the distribution they give.

One table for each place of the grid, so an image adds one to one cell of each of P tables: with T = P tables the
release is that of `privacy/mechanisms/marginals.py`, and its sensitivity is derived there: sqrt(P) when an image is
added, sqrt(2 P) when it is replaced. One release of counts knows the local look of every class better than many noisy
gradient steps do. Everything after the release is post-processing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dpsynth.networks.pixel_grid import NEIGHBOURS, PixelGrid
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals

NAME = "neighbour tables"
MOST_CELLS = 2**23  # of all tables together
CLEAR = 10.0  # images an average context should have, in units of the noise
LEAST = 1e-3  # probability of a level, before all are scaled to one


@dataclass(frozen=True)
class NeighbourTables:
    """Public: what is counted, and how noisily.

    classes: at least 1. tables: one for each place.
    """

    grid: PixelGrid
    classes: int
    tables: NoisyMarginals

    @classmethod
    def planned(
        cls, shape: tuple[int, int, int], levels: int, classes: int, rows: int, budget: Budget, fraction: float
    ) -> NeighbourTables:
        """With as many neighbours as the noise allows at a fraction of the budget and a public number of rows: an
        average context keeps `CLEAR` times the noise."""
        grid = PixelGrid.of(shape, levels)
        tables = NoisyMarginals.at_fraction(NAME, grid.places, budget, fraction)
        count = 0
        for more in range(1, len(NEIGHBOURS) + 1):
            clear = rows / (classes * levels**more) >= CLEAR * max(tables.sigma, 1.0)
            if clear and classes * grid.places * levels ** (more + 1) <= MOST_CELLS:
                count = more
        return cls(PixelGrid.of(shape, levels, count), classes, tables)

    @property
    def cells(self) -> int:
        """Numbers that leave in all."""
        return self.classes * self.grid.places * self.grid.context_count * self.grid.levels

    @property
    def sigma(self) -> float:
        """Noise of a cell, in images; 0 only when epsilon is infinite."""
        return self.tables.sigma

    def measure(self, grids: Tensor, labels: Tensor, ledger: Ledger) -> Tensor:
        """Noisy counts (classes, places, contexts, levels), float64.

        grids: (n, height, width) integer codes. labels: (n,) int64.
        """
        grid = self.grid
        cells = (self.classes, grid.context_count, grid.levels)
        heads = labels[:, None] * grid.context_count
        index = ((heads + grid.contexts(grids).flatten(1)) * grid.levels + grids.flatten(1).long()).numpy()
        exact = [np.bincount(index[:, k], minlength=int(np.prod(cells))).reshape(cells) for k in range(grid.places)]
        noisy = self.tables.measure(exact, ledger)
        return torch.from_numpy(np.stack(noisy, axis=1).astype(np.float64))

    def distribution(self, counts: Tensor) -> Tensor:
        """(classes, places, contexts, levels) probabilities of a level, given class, place and context.

        From no neighbour to all of them, one more at a time, the counts are drawn towards what is known already: those
        of all classes together towards the contexts with one neighbour less, those of a class towards its own with one
        less, tilted by what the new neighbour means for all classes. The pull weighs as much as the noise.
        """
        grid = self.grid
        pooled, own = torch.full((1, 1, grid.levels), 1.0 / grid.levels, dtype=torch.float64), None
        for neighbours in range(grid.neighbours + 1):
            part, noise = self._summed(counts, neighbours)
            repeats = grid.levels if neighbours else 1
            before = pooled.repeat_interleave(repeats, 1)
            pooled = _drawn(part.sum(0), before, noise * self.classes**0.5)
            expected = pooled[None] if own is None else own.repeat_interleave(repeats, 2) * pooled / before
            own = _drawn(part, expected / expected.sum(-1, keepdim=True), noise if neighbours else 0.2 * noise)
        assert own is not None
        return own

    def means(self, counts: Tensor) -> Tensor:
        """(classes, height, width) float32 in [-1, 1]: the mean image of every class."""
        plain, _ = self._summed(counts, 0)
        fractions = plain[:, :, 0].clamp(min=0) + max(self.sigma, 1.0)
        values = torch.linspace(-1, 1, self.grid.levels, dtype=torch.float64)
        means = (fractions @ values) / fractions.sum(-1)
        return means.view(self.classes, self.grid.height, self.grid.width).float()

    def _summed(self, counts: Tensor, neighbours: int) -> tuple[Tensor, float]:
        """Counts of the contexts of the first neighbours alone, (classes, places, levels^neighbours, levels); noise."""
        levels, farther = self.grid.levels, self.grid.neighbours - neighbours
        shape = (*counts.shape[:2], levels**neighbours, levels**farther, levels)
        return counts.view(shape).sum(3), max(self.sigma, 1.0) * levels ** (farther / 2)


def _drawn(counts: Tensor, towards: Tensor, weight: float) -> Tensor:
    """Probabilities along the last axis from noisy counts and `weight` images that are distributed as `towards`."""
    counts = counts.clamp(min=0)
    fractions = (counts + weight * towards) / (counts.sum(-1, keepdim=True) + weight)
    fractions = fractions.clamp(min=LEAST)
    return fractions / fractions.sum(-1, keepdim=True)
