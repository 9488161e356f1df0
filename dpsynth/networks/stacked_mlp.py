"""Many small class-conditional discriminators as one: a perceptron for each member of a stack.

Member i scores an input x of class y by

    D_i(x, y) = V_i[y] . lrelu(W_i x + b_i) + U_i[y] . x + c_i[y]

with its own W_i (hidden, inputs), b_i, V_i (classes, hidden), U_i (classes, inputs) and c_i (classes). Parameters are
stacked along the first axis and made directly; nothing is ever reduced over that axis, so that members are independent
of each other bit for bit. What all members see alike costs one matrix product with members x hidden outputs.

The class-wise last layer is the projection discriminator of Miyato and Koyama 2018 (arXiv:1802.05637). All that goes by
class starts at zero: a member has no opinion before it has seen data, and a class it holds no row of keeps none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, one_hot

SLOPE = 0.2  # of the leaky rectifier below zero


@dataclass(frozen=True)
class StackedMLP:
    """The public shape of one member. inputs: numbers an input has. classes: at least 1. hidden: units. linear: whether
    there is a U."""

    inputs: int
    classes: int
    hidden: int = 16
    linear: bool = True

    @property
    def size(self) -> int:
        """Parameters of one member."""
        return self.hidden * (self.inputs + 1) + self.classes * (self.hidden + self.linear * self.inputs + 1)

    def parameters(self, members: int, generator: torch.Generator, alike: bool = True) -> list[Tensor]:
        """W, b, V, U, c of so many members, float32, each member with storage of its own.

        alike: all members start from the same weights, so that their gradients can agree; else each from its own.
        """
        count = 1 if alike else members
        made = [
            torch.randn(count, self.hidden, self.inputs, generator=generator) / math.sqrt(self.inputs),
            torch.randn(count, self.hidden, generator=generator),
            torch.zeros(count, self.classes, self.hidden),
            torch.zeros(count, self.classes, self.inputs if self.linear else 0),
            torch.zeros(count, self.classes),
        ]
        return [part.expand(members, *part.shape[1:]).clone() for part in made]

    def common(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        """(members, queries) logits of inputs that all members see: x (queries, inputs), y (queries,) int64."""
        hidden, kinds = self._common_hidden(parameters, x, y)
        out = (_lrelu(hidden) * _by_class(kinds, parameters[2])).sum(2)
        return out.T + self._linear(parameters[3], x, kinds) + parameters[4] @ kinds.T

    def own(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        """(members, rows) logits of inputs of each member's own: x (members, rows, inputs), y (members, rows)."""
        first, bias, last, straight, offset = parameters
        kinds = one_hot(y, self.classes).to(x.dtype)
        hidden = torch.baddbmm(bias[:, None], x, first.transpose(1, 2))
        out = (_lrelu(hidden) * torch.bmm(kinds, last)).sum(2)
        if self.linear:
            out = out + (x * torch.bmm(kinds, straight)).sum(2)
        return out + torch.bmm(kinds, offset[:, :, None])[:, :, 0]

    def slopes(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of `common`, and their gradients by the inputs, (members, queries, inputs), in closed form."""
        hidden, kinds = self._common_hidden(parameters, x, y)
        weights = _by_class(kinds, parameters[2])
        straight, offset = parameters[3:]
        logits = (_lrelu(hidden) * weights).sum(2).T + self._linear(straight, x, kinds) + offset @ kinds.T
        back = torch.where(hidden > 0, weights, SLOPE * weights)
        slopes = torch.bmm(back.transpose(0, 1), parameters[0])
        return logits, slopes + _by_class(kinds, straight).transpose(0, 1) if self.linear else slopes

    def _linear(self, straight: Tensor, x: Tensor, kinds: Tensor) -> Tensor:
        """(members, queries): U[y] . x, all classes at once."""
        if not self.linear:
            return x.new_zeros(len(straight), len(x))
        scores = (straight.flatten(0, 1) @ x.T).view(len(straight), self.classes, len(x))
        return (scores * kinds.T).sum(1)

    def _common_hidden(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """(queries, members, hidden) before the rectifier, and (queries, classes) one-hot labels."""
        first, bias = parameters[:2]
        hidden = torch.addmm(bias.flatten(), x, first.flatten(0, 1).T).view(len(x), *bias.shape)
        return hidden, one_hot(y, self.classes).to(x.dtype)


def _by_class(kinds: Tensor, table: Tensor) -> Tensor:
    """(queries, members, hidden): the rows of (members, classes, hidden) that belong to the queries' classes."""
    flat = table.transpose(0, 1).flatten(1)
    return (kinds @ flat).view(len(kinds), table.shape[0], table.shape[2])


def _lrelu(x: Tensor) -> Tensor:
    return leaky_relu(x, SLOPE)
