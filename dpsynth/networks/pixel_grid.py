"""Pixels as one grid of places in raster order, and the neighbours that stand before a place.

A colour image is a grid too: the channels of a pixel stand side by side, so its width is `channels * width`, and red is
drawn before green before blue. Grids hold codes, whole numbers in [0, levels).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# (rows down, pixels right) of the earlier neighbours, nearest first
NEIGHBOURS = ((-1, 0), (0, -1), (-1, 1), (-1, -1), (0, -2), (-2, 0))
_REACH = 2  # pixels, the farthest of them


@dataclass(frozen=True)
class PixelGrid:
    """height, width: of the grid, in places. levels: codes of a place. channels: places of a pixel.
    neighbours: how many of `NEIGHBOURS` make the context of a place.

    >>> PixelGrid(2, 2, levels=3, neighbours=1).contexts(torch.tensor([[[1, 2], [0, 0]]]))
    tensor([[[0, 0],
             [1, 2]]])
    """

    height: int
    width: int
    levels: int
    channels: int = 1
    neighbours: int = 0

    @classmethod
    def of(cls, shape: tuple[int, int, int], levels: int, neighbours: int = 0) -> PixelGrid:
        """The grid of images (channels, height, width)."""
        channels, height, width = shape
        return cls(height, width * channels, levels, channels, neighbours)

    @property
    def places(self) -> int:
        return self.height * self.width

    @property
    def context_count(self) -> int:
        return self.levels**self.neighbours

    def flatten(self, images: Tensor) -> Tensor:
        """Codes (n, channels, height, width) -> grids (n, height, width * channels)."""
        return images.permute(0, 2, 3, 1).reshape(len(images), self.height, self.width)

    def unflatten(self, grids: Tensor) -> Tensor:
        """The inverse of `flatten`."""
        pixels = self.width // self.channels
        return grids.view(len(grids), self.height, pixels, self.channels).permute(0, 3, 1, 2)

    def units(self, grids: Tensor) -> Tensor:
        """Codes -> float32 in [-1, 1]."""
        return grids.float().mul_(2 / max(self.levels - 1, 1)).sub_(1)

    def padded(self, grids: Tensor) -> Tensor:
        """int64 with room for neighbours beyond the border, whose code is 0."""
        side = _REACH * self.channels
        return F.pad(grids.long(), (side, side, _REACH, 0))

    def contexts(self, grids: Tensor) -> Tensor:
        """(n, height, width) codes -> int64 contexts of every place in [0, context_count)."""
        padded = self.padded(grids)
        index = torch.zeros_like(grids, dtype=torch.int64)
        for down, right in NEIGHBOURS[: self.neighbours]:
            row, column = _REACH + down, (_REACH + right) * self.channels
            neighbour = padded[:, row : row + self.height, column : column + self.width]
            index = index * self.levels + neighbour
        return index

    def place(self, row: int, column: int) -> tuple[int, int]:
        """Where a place stands in `padded`."""
        return row + _REACH, column + _REACH * self.channels

    def context_at(self, padded: Tensor, row: int, column: int) -> Tensor:
        """(n,) contexts of one place, from `padded` grids whose earlier places are filled."""
        index = torch.zeros(len(padded), dtype=torch.int64, device=padded.device)
        below, beside = self.place(row, column)
        for down, right in NEIGHBOURS[: self.neighbours]:
            index = index * self.levels + padded[:, below + down, beside + right * self.channels]
        return index
