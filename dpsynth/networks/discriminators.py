"""Many small class-conditional discriminators as one: perceptrons and convolutional networks as stacked tensors.

## Perceptrons

Member i scores an input x of class y by

    D_i(x, y) = V_i[y] . lrelu(W_i x + b_i) + U_i[y] . x + c_i[y]

with its own W_i (hidden, inputs), b_i, V_i (classes, hidden), U_i (classes, inputs) and c_i (classes). Parameters are
stacked along the first axis and made directly; nothing is ever reduced over that axis, so that members are independent
of each other bit for bit. What all members see alike costs one matrix product with members x hidden outputs.

The class-wise last layer is the projection discriminator of Miyato and Koyama 2018 (arXiv:1802.05637). All that goes by
class starts at zero: a member has no opinion before it has seen data, and a class it holds no row of keeps none.

## Convolutional networks, as patches and batched matrix products

Member i reads an image through one convolution of its own and pools it:

    D_i(x, y) = sum over places p of V_i[y, p] . lrelu(W_i patch_p(x) + b_i) + c_i[y]

`patch_p(x)` is the window of `kernel` x `kernel` pixels at place p, taken every `stride` pixels (`unfold`), so that the
convolution of all members is one matrix product for what all see alike and one batched product for each member's own
images; a grouped convolution of as many groups is slow on a processor. Parameters, start and independence are those of
`discriminators.py`; V is zero at first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import fold, leaky_relu, one_hot, unfold

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


# -------------------- Stacked conv ----------------------------------------------------------


@dataclass(frozen=True)
class StackedConv:
    """The public shape of one member. shape: (channels, height, width). hidden: filters. kernel, stride: in pixels."""

    shape: tuple[int, int, int]
    classes: int
    hidden: int = 8
    kernel: int = 7
    stride: int = 4

    @property
    def _window(self) -> dict[str, int]:
        kernel = min(self.kernel, *self.shape[1:])
        return {"kernel_size": kernel, "stride": self.stride, "padding": kernel // 2}

    @property
    def places(self) -> int:
        """Windows in an image."""
        kernel, margin = self._window["kernel_size"], self._window["padding"]
        return math.prod((side + 2 * margin - kernel) // self.stride + 1 for side in self.shape[1:])

    @property
    def patch(self) -> int:
        """Numbers in a window."""
        return self.shape[0] * self._window["kernel_size"] ** 2

    @property
    def size(self) -> int:
        """Parameters of one member."""
        return self.hidden * (self.patch + 1) + self.classes * (self.places * self.hidden + 1)

    def parameters(self, members: int, generator: torch.Generator, alike: bool = True) -> list[Tensor]:
        """W, b, V, c of so many members, float32, each member with storage of its own; see `StackedMLP`."""
        count = 1 if alike else members
        made = [
            torch.randn(count, self.hidden, self.patch, generator=generator) / math.sqrt(self.patch),
            torch.randn(count, self.hidden, generator=generator),
            torch.zeros(count, self.classes, self.places * self.hidden),
            torch.zeros(count, self.classes),
        ]
        return [part.expand(members, *part.shape[1:]).clone() for part in made]

    def common(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        """(members, queries) logits of inputs that all members see: x (queries, pixels), y (queries,) int64."""
        return self._common(parameters, x, y)[0]

    def own(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        """(members, rows) logits of images of each member's own: x (members, rows, pixels), y (members, rows)."""
        first, bias, last, offset = parameters
        members, rows = x.shape[:2]
        patches = self._patches(x.flatten(0, 1)).reshape(members, rows * self.places, self.patch)
        hidden = leaky_relu(torch.baddbmm(bias[:, None], patches, first.transpose(1, 2)), SLOPE)
        kinds = one_hot(y, self.classes).to(x.dtype)
        out = (hidden.view(members, rows, -1) * torch.bmm(kinds, last)).sum(2)
        return out + torch.bmm(kinds, offset[:, :, None])[:, :, 0]

    def slopes(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of `common`, and their gradients by the pixels, (members, queries, pixels), in closed form."""
        logits, hidden, weights = self._common(parameters, x, y)
        back = torch.where(hidden > 0, weights, SLOPE * weights)  # queries, places, members, hidden
        members = back.shape[2]
        patches = torch.bmm(back.permute(2, 0, 1, 3).flatten(1, 2), parameters[0])
        columns = patches.view(members * len(x), self.places, self.patch).transpose(1, 2)
        slopes = fold(columns, self.shape[1:], **self._window)  # the transpose of unfold: windows overlap and add up
        return logits, slopes.view(members, len(x), -1)

    def _common(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, hidden units before the rectifier, and their last weights, (queries, places, members, hidden)."""
        first, bias, last, offset = parameters
        members = len(first)
        patches = self._patches(x).flatten(0, 1)
        hidden = torch.addmm(bias.flatten(), patches, first.flatten(0, 1).T)
        hidden = hidden.view(len(x), self.places, members, self.hidden)
        kinds = one_hot(y, self.classes).to(x.dtype)
        weights = (kinds @ last.transpose(0, 1).flatten(1)).view(len(x), members, self.places, self.hidden)
        weights = weights.transpose(1, 2)
        logits = (leaky_relu(hidden, SLOPE) * weights).sum((1, 3)).T + offset @ kinds.T
        return logits, hidden, weights

    def _patches(self, x: Tensor) -> Tensor:
        """(n, places, patch) windows of (n, pixels) images."""
        return unfold(x.view(-1, *self.shape), **self._window).transpose(1, 2)
