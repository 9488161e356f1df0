"""A masked convolutional network over pixels: few weights, shared by all places, and so little noise under DP-SGD.

After PixelCNN (van den Oord et al. 2016, arXiv:1601.06759): a first layer of mask A with a large window, residual
layers of mask B, all in raster order; tanh, which under clipping and noise learns better than rectifiers (Papernot et
al. 2020, arXiv:2007.14191). What tells places and classes apart are maps that are known beforehand: the mean image of
the class, whose surroundings are seen unmasked, smooth functions of the position, and the class itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dpsynth.networks.masked_conv import MaskedConv2d
from dpsynth.networks.pixel_grid import PixelGrid
from dpsynth.networks.pixel_network import PixelNetwork, scaled_normal

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
        scaled_normal(self.last, 0.05, generator)  # near zero: the law starts as the table's

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
