"""Many small class-conditional discriminators as one: a perceptron for each member of a stack.

Member i scores an input x of class y by

    D_i(x, y) = V_i[y] . lrelu(W_i x + b_i[y]) + c_i[y]

with its own W_i (hidden, inputs), b_i and V_i (classes, hidden), c_i (classes). Parameters are stacked along the first
axis and made directly; nothing is ever reduced over that axis, so that members are independent of each other bit for
bit. What all members see alike costs one matrix product with members x hidden outputs.

Sources: batched matrix products for ensembles are the third route of torch's ensembling tutorial; the class-wise last
layer is the projection discriminator of Miyato and Koyama 2018 (arXiv:1802.05637).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SLOPE = 0.2  # of the leaky rectifier below zero


@dataclass(frozen=True)
class StackedMLP:
    """The public shape of one member. inputs: numbers an input has. classes: at least 1. hidden: units."""

    inputs: int
    classes: int
    hidden: int = 32

    @property
    def size(self) -> int:
        """Parameters of one member."""
        return self.hidden * self.inputs + 2 * self.classes * self.hidden + self.classes

    def parameters(self, members: int, generator: torch.Generator, alike: bool = True) -> list[Tensor]:
        """W, b, V, c of so many members, float32, each member with storage of its own.

        alike: all members start from the same weights, so that their gradients can agree; else each from its own.
        """
        count = 1 if alike else members
        first = torch.randn(count, self.hidden, self.inputs, generator=generator) / math.sqrt(self.inputs)
        bias = 0.5 * torch.randn(count, self.classes, self.hidden, generator=generator)
        last = torch.randn(count, self.classes, self.hidden, generator=generator) / math.sqrt(self.hidden)
        if alike:
            last = last[:, :1].expand_as(last)  # and no class before another
        made = (first, bias, last, torch.zeros(count, self.classes))
        return [part.expand(members, *part.shape[1:]).clone() for part in made]

    def common(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        """(queries, members) logits of inputs that all members see: x (queries, inputs), y (queries,) int64."""
        hidden, kinds = self._common_hidden(parameters, x, y)
        out = torch.einsum("bnh,bnh->bn", _lrelu(hidden), _by_class(kinds, parameters[2]))
        return out + kinds @ parameters[3].T

    def own(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        """(members, rows) logits of inputs of each member's own: x (members, rows, inputs), y (members, rows)."""
        first, bias, last, offset = parameters
        kinds = torch.nn.functional.one_hot(y, self.classes).to(x.dtype)
        hidden = torch.bmm(kinds, bias).baddbmm(x, first.transpose(1, 2))
        out = (_lrelu(hidden) * torch.bmm(kinds, last)).sum(2)
        return out + torch.bmm(kinds, offset[:, :, None])[:, :, 0]

    def slopes(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (members, queries), and their gradients by the inputs, (members, queries, inputs), in closed form."""
        first, _, last, offset = parameters
        hidden, kinds = self._common_hidden(parameters, x, y)
        weights = _by_class(kinds, last)
        logits = torch.einsum("bnh,bnh->bn", _lrelu(hidden), weights) + kinds @ offset.T
        back = torch.where(hidden > 0, weights, SLOPE * weights)
        return logits.T, torch.bmm(back.transpose(0, 1), first)

    def _common_hidden(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """(queries, members, hidden) before the rectifier, and (queries, classes) one-hot labels."""
        first, bias = parameters[:2]
        kinds = torch.nn.functional.one_hot(y, self.classes).to(x.dtype)
        hidden = (x @ first.flatten(0, 1).T).view(len(x), *first.shape[:2])
        return hidden + _by_class(kinds, bias), kinds


def _by_class(kinds: Tensor, table: Tensor) -> Tensor:
    """(queries, members, hidden): the rows of (members, classes, hidden) that belong to the queries' classes."""
    if table.shape[1] == 1:
        return table[:, 0].expand(len(kinds), *table[:, 0].shape)
    flat = table.transpose(0, 1).flatten(1)
    return (kinds @ flat).view(len(kinds), table.shape[0], table.shape[2])


def _lrelu(x: Tensor) -> Tensor:
    return torch.nn.functional.leaky_relu(x, SLOPE)
