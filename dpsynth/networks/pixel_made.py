"""A masked dense network over pixels: every place sees all earlier ones through weights of its own.

The network of tables (`made.py`), with the class as its first column and one column for each place.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dpsynth.networks.made import MADE
from dpsynth.networks.masked import MaskedLinear
from dpsynth.networks.pixel_grid import PixelGrid
from dpsynth.networks.pixel_network import PixelNetwork


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
