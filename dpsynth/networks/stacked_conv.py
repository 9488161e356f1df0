"""Many small class-conditional convolutional discriminators as one: patches and batched matrix products.

Member i reads an image through one convolution of its own and pools it:

    D_i(x, y) = sum over places p of V_i[y, p] . lrelu(W_i patch_p(x) + b_i) + c_i[y]

`patch_p(x)` is the window of `kernel` x `kernel` pixels at place p, taken every `stride` pixels (`unfold`), so that the
convolution of all members is one matrix product for what all see alike and one batched product for each member's own
images; a grouped convolution of as many groups is slow on a processor. Parameters, start and independence are those of
`stacked_mlp.py`; V is zero at first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import fold, leaky_relu, one_hot, unfold

SLOPE = 0.2


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
