"""Autoregressive networks over pixels: what they share, a masked dense one, and a masked convolutional one.

All of them share tables of neighbours, the loss, and exact draws place by place:

    p(codes | class) = product over places k in raster order of p(code k | codes before k, class)

The logits of a place are a learned map of its entry in a public table, looked up by class, place and the codes of its
nearest earlier neighbours, plus what a network of all earlier places adds. Without training the distribution is the
table's.

A masked dense network over pixels: every place sees all earlier ones through weights of its own.

The network of tables (`masked.py`), with the class as its first column and one column for each place.

A masked convolutional network over pixels: few weights, shared by all places, and so little noise under DP-SGD.

After PixelCNN (van den Oord et al. 2016, arXiv:1601.06759): a first layer of mask A with a large window, residual
layers of mask B, all in raster order; tanh, which under clipping and noise learns better than rectifiers (Papernot et
al. 2020, arXiv:2007.14191). What tells places and classes apart are maps that are known beforehand: the mean image of
the class, whose surroundings are seen unmasked, smooth functions of the position, and the class itself.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpsynth.networks.masked import MADE, MaskedConv2d, MaskedLinear
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

        temperature: what the logits are divided by; 1 is the distribution itself.
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


# -------------------- Pixel made ------------------------------------------------------------


class PixelMADE(PixelNetwork):
    """hidden: units of each hidden layer. layers: residual hidden layers behind the first."""

    def __init__(
        self, grid: PixelGrid, table: Tensor, hidden: int, layers: int, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(grid, table)
        inputs, outputs = [self.classes] + [1] * grid.places, [0] + [grid.levels] * grid.places
        self.made = MADE(inputs, outputs, hidden, layers, generator)

    def network_logits(self, units: Tensor, labels: Tensor, table: Tensor) -> Tensor:
        grid = self.grid
        features = torch.cat([F.one_hot(labels, self.classes).to(units.dtype), units.flatten(1)], 1)
        outputs = self.made(features).view(-1, grid.height, grid.width, grid.levels)
        return outputs.permute(0, 3, 1, 2)

    def walk(self, labels: Tensor) -> DenseWalk:
        return DenseWalk(self, labels)


class DenseWalk:
    """Place by place. A hidden unit of degree d is complete once the first d columns are known, and is then computed
    once; so all places together cost one forward pass."""

    def __init__(self, network: PixelMADE, labels: Tensor) -> None:
        self.made, self.levels = network.made, network.grid.levels
        self.layers = [self.made.first, *self.made.residual]
        self._weights = [layer.weight * layer.mask for layer in (*self.layers, self.made.last)]
        self._ends = torch.tensor(self.made.first.out_degrees)  # ascending
        classes, rows = network.classes, len(labels)
        self._features = torch.zeros(rows, classes + network.grid.places)
        self._features[:, :classes] = F.one_hot(labels, classes).float()
        self._known, self._done = classes, 0
        self._active = [torch.zeros(rows, self.made.first.out_features) for _ in self.layers]  # tanh of each layer

    def logits(self, place: int, table: Tensor) -> Tensor:
        end = int(torch.searchsorted(self._ends, place + 1, right=True))
        if end > self._done:
            self._complete(slice(self._done, end))
            self._done = end
        outputs = slice(place * self.levels, (place + 1) * self.levels)
        last, bias = self._weights[-1], self.made.last.bias
        assert bias is not None
        return self._active[-1][:, :end] @ last[outputs, :end].T + bias[outputs]

    def take(self, place: int, units: Tensor) -> None:
        self._features[:, self._known] = units
        self._known += 1

    def _complete(self, units: slice) -> None:
        seen, hidden = self._features[:, : self._known], None
        for k, layer in enumerate(self.layers):
            assert isinstance(layer, MaskedLinear)
            assert layer.bias is not None
            added = seen @ self._weights[k][units, : seen.shape[1]].T + layer.bias[units]
            hidden = added if hidden is None else hidden + added
            self._active[k][:, units] = torch.tanh(hidden)
            seen = self._active[k][:, : units.stop]


# -------------------- Pixel cnn -------------------------------------------------------------

_WAVES = 4  # cosines in each direction
_AROUND = 2  # pixels of the mean image seen in each direction


class PixelCNN(PixelNetwork):
    """means: (classes, height, width), mean images in [-1, 1]; public, no parameters.

    width: channels. above, beside: window of the first layer, in pixels (`MaskedConv2d`). layers: residual layers,
    whose windows reach `reach` pixels up and sideways; 0 makes them maps of single places.
    """

    def __init__(
        self,
        grid: PixelGrid,
        table: Tensor,
        means: Tensor,
        width: int,
        above: int,
        beside: int,
        layers: int,
        reach: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(grid, table)
        self.means = means[:, None]
        self.maps = _maps(grid, means)
        channels = grid.channels
        self.first = MaskedConv2d(1, width, above, beside * channels, strict=True)
        around = (2 * _AROUND + 1, 2 * _AROUND * channels + 1)
        self.around = nn.Conv2d(1, width, around, padding=(_AROUND, _AROUND * channels), bias=False)
        self.where = MaskedConv2d(self.maps.shape[1], width, 0, 0, strict=False, bias=False)
        self.entry = MaskedConv2d(grid.levels, width, 0, 0, strict=False, bias=False)
        self.residual = nn.ModuleList(
            MaskedConv2d(width, width, reach, reach * channels, strict=False) for _ in range(layers)
        )
        self.last = MaskedConv2d(width, grid.levels, 0, 0, strict=False)
        for layer in (self.first, self.around, *self.residual):
            scaled_normal(layer, 1.0, generator)
        for layer in (self.where, self.entry):
            scaled_normal(layer, 0.5, generator)
        scaled_normal(self.last, 0.05, generator)  # near zero: the distribution starts as the table's

    def network_logits(self, units: Tensor, labels: Tensor, table: Tensor) -> Tensor:
        hidden = self.first(units[:, None]) + self.entry(table)
        hidden = hidden + self.around(self.means[labels]) + self.where(self.maps[labels])
        for layer in self.residual:
            hidden = hidden + layer(torch.tanh(hidden))
        return self.last(torch.tanh(hidden))

    def walk(self, labels: Tensor) -> ConvolutionWalk:
        return ConvolutionWalk(self, labels)


class ConvolutionWalk:
    """Place by place, every layer at that place alone: all places together cost one forward pass."""

    def __init__(self, network: PixelCNN, labels: Tensor) -> None:
        self.network, self.labels = network, labels
        grid, rows = network.grid, len(labels)
        self._known = network.around(network.means) + network.where(network.maps)  # of every class
        self._layers = [network.first, *(x for x in network.residual if isinstance(x, MaskedConv2d))]
        self._seen = [  # what each layer's window looks into
            torch.zeros(rows, layer.in_channels, grid.height + layer.above, grid.width + 2 * layer.beside)
            for layer in self._layers
        ]

    def logits(self, place: int, table: Tensor) -> Tensor:
        network = self.network
        row, column = divmod(place, network.grid.width)
        hidden = self._layer(0, row, column) + table @ network.entry.weight[..., 0].T
        hidden = hidden + self._known[self.labels, :, row, column]
        for k, layer in enumerate(self._layers[1:], 1):
            self._seen[k][:, :, row + layer.above, column + layer.beside] = torch.tanh(hidden)
            hidden = hidden + self._layer(k, row, column)
        last = network.last
        assert last.bias is not None
        return torch.tanh(hidden) @ last.weight[..., 0].T + last.bias

    def take(self, place: int, units: Tensor) -> None:
        first = self.network.first
        row, column = divmod(place, self.network.grid.width)
        self._seen[0][:, 0, row + first.above, column + first.beside] = units

    def _layer(self, k: int, row: int, column: int) -> Tensor:
        layer = self._layers[k]
        window = self._seen[k][:, :, row : row + layer.above + 1, column : column + 2 * layer.beside + 1]
        visible = window.flatten(2)[..., : len(layer.taps)].flatten(1)
        out = visible @ layer.weight.flatten(1).T
        return out if layer.bias is None else out + layer.bias


def _maps(grid: PixelGrid, means: Tensor) -> Tensor:
    """(classes, maps, height, width): mean image, cosines of the position, channel of the place, class."""
    classes = len(means)
    down = (torch.arange(grid.height) + 0.5) / grid.height
    right = (torch.arange(grid.width) + 0.5) / grid.width
    waves = [
        torch.cos(math.pi * a * down)[:, None] * torch.cos(math.pi * b * right)[None]
        for a in range(_WAVES)
        for b in range(_WAVES)
    ]
    channel = torch.arange(grid.width) % grid.channels
    colours = [(channel == c).float().expand(grid.height, -1) for c in range(grid.channels)][1:]
    places = torch.stack([*waves[1:], *colours])
    labels = torch.eye(classes)[:, :, None, None].expand(-1, -1, grid.height, grid.width)
    return torch.cat([means[:, None], places.expand(classes, -1, -1, -1), labels], 1)
