"""What all autoregressive networks over pixels share: tables of neighbours, the loss, exact draws place by place.

    p(codes | class) = product over places k in raster order of p(code k | codes before k, class)

The logits of a place are a learned map of its entry in a public table, looked up by class, place and the codes of its
nearest earlier neighbours, plus what a network of all earlier places adds. Without training the law is the table's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpsynth.networks.masked_conv import MaskedConv2d
from dpsynth.networks.pixel_grid import PixelGrid

IMAGES_AT_ONCE = 2048


class Walk(Protocol):
    """One pass over all places of images in the making."""

    def logits(self, place: int, table: Tensor) -> Tensor:
        """(n, levels) of what the network adds at a place, whose table entry is (n, levels)."""
        ...

    def take(self, place: int, units: Tensor) -> None:
        """Note the drawn values (n,) in [-1, 1] of a place."""
        ...


class PixelNetwork(nn.Module, ABC):
    """grids (n, height, width) integer codes, labels (n,) int64 -> (n,) negative log likelihood in nats.

    table: (classes, places, contexts, levels) log probabilities; they are no parameters.
    """

    def __init__(self, grid: PixelGrid, table: Tensor) -> None:
        super().__init__()
        self.grid, self.classes = grid, len(table)
        self.table = table - table.mean(-1, keepdim=True)
        self.prior = MaskedConv2d(grid.levels, grid.levels, 0, 0, strict=False, bias=False)
        with torch.no_grad():
            self.prior.weight.copy_(torch.eye(grid.levels)[..., None])

    @abstractmethod
    def network_logits(self, units: Tensor, labels: Tensor, table: Tensor) -> Tensor:
        """What the network adds: (n, levels, height, width).

        units: (n, height, width) in [-1, 1]. table: (n, levels, height, width).
        """

    @abstractmethod
    def walk(self, labels: Tensor) -> Walk:
        """The same, place by place, for images of the classes `labels`."""

    def logits(self, grids: Tensor, labels: Tensor) -> Tensor:
        """(n, levels, height, width): of every place, from the places before it."""
        grid = self.grid
        places = torch.arange(grid.places, device=grids.device)
        entries = self.table[labels[:, None], places, grid.contexts(grids).flatten(1)]
        table = entries.view(-1, grid.height, grid.width, grid.levels).permute(0, 3, 1, 2).contiguous()
        return self.prior(table) + self.network_logits(grid.units(grids), labels, table)

    def forward(self, grids: Tensor, labels: Tensor) -> Tensor:
        losses = F.cross_entropy(self.logits(grids, labels), grids.long(), reduction="none")
        return losses.sum((1, 2))

    @torch.no_grad()
    def log_probabilities(self, grids: Tensor, labels: Tensor) -> Tensor:
        """(n,) log p(codes | class), in nats."""
        pairs = zip(grids.split(IMAGES_AT_ONCE), labels.split(IMAGES_AT_ONCE), strict=True)
        return -torch.cat([self(*pair) for pair in pairs])

    @torch.no_grad()
    def sample(self, labels: Tensor, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
        """(n, height, width) uint8: one exact draw for each of the classes `labels`, (n,) int64, on the CPU.

        temperature: what the logits are divided by; 1 is the law itself.
        """
        parts = [self._sample(part, generator, temperature) for part in labels.split(IMAGES_AT_ONCE)]
        return torch.cat(parts)

    def _sample(self, labels: Tensor, generator: torch.Generator, temperature: float) -> Tensor:
        grid, rows = self.grid, len(labels)
        padded = grid.padded(torch.zeros(rows, grid.height, grid.width, dtype=torch.uint8))
        walk, prior = self.walk(labels), self.prior.weight[..., 0].T
        for k in range(grid.places):
            row, column = divmod(k, grid.width)
            table = self.table[labels, k, grid.context_at(padded, row, column)]
            logits = (table @ prior + walk.logits(k, table)) / temperature
            heaps = logits.softmax(1).cumsum(1)
            points = torch.rand(rows, 1, generator=generator) * heaps[:, -1:]
            codes = (points >= heaps).sum(1).clamp_(max=grid.levels - 1)
            at = grid.place(row, column)
            padded[:, at[0], at[1]] = codes
            walk.take(k, grid.units(codes))
        row, column = grid.place(0, 0)
        return padded[:, row:, column : column + grid.width].to(torch.uint8)


def scaled_normal(layer: nn.Module, gain: float, generator: torch.Generator | None) -> None:
    """Weights normal with deviation gain / sqrt(inputs), bias zero."""
    with torch.no_grad():
        weight, bias = layer.weight, getattr(layer, "bias", None)
        assert isinstance(weight, Tensor)
        weight.normal_(generator=generator).mul_(gain / math.sqrt(max(weight[0].numel(), 1)))
        if isinstance(bias, Tensor):
            bias.zero_()
