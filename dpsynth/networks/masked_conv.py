"""The masked convolution that autoregressive networks over pixels are built from.

Places are taken in raster order, row by row. A place's output sees inputs at earlier places of its window only, and its
own input unless `strict` (masks A and B of PixelCNN: van den Oord et al. 2016, arXiv:1601.06759).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskedConv2d(nn.Module):
    """x (rows, in, h, w) -> (rows, out, h, w), zeros beyond the border.

    above: rows of the window above the current one. beside: columns to the left and, in the rows above, to the right.
    strict: whether a place's own input stays unseen (mask A).

    The weight (out, in, taps) holds the visible entries of the kernel alone, tap by tap in raster order, so that there
    are no masked entries that want noise, norms or a mask.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self, in_channels: int, out_channels: int, above: int, beside: int, strict: bool, bias: bool = True
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.strict = in_channels, out_channels, strict
        self.above, self.beside = above, beside
        window = [(dy, dx) for dy in range(-above, 1) for dx in range(-beside, beside + 1)]
        self.taps = [(dy, dx) for dy, dx in window if (dy, dx) < ((0, 0) if strict else (0, 1))]
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, len(self.taps)))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw weight and bias uniformly within `1 / sqrt(inputs)`, like `nn.Conv2d`."""
        bound = 1 / math.sqrt(max(self.in_channels * len(self.taps), 1))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        if len(self.taps) == 1 and not self.strict:  # a map of single places: products of matrices are far faster
            weight, flat = self.weight[..., 0].expand(len(x), -1, -1), x.flatten(2)
            out = weight.bmm(flat) if self.bias is None else torch.baddbmm(self.bias[:, None], weight, flat)
            return out.view(len(x), self.out_channels, *x.shape[2:])
        size = (self.above + 1) * (2 * self.beside + 1)
        kernel = F.pad(self.weight, (0, size - len(self.taps)))  # taps are the first places of the window
        kernel = kernel.view(self.out_channels, self.in_channels, self.above + 1, 2 * self.beside + 1)
        return F.conv2d(self._padded(x), kernel, self.bias)

    def patches(self, x: Tensor) -> Tensor:
        """What each place sees: (rows, in, taps, h, w), in the weight's order."""
        if len(self.taps) == 1 and not self.strict:
            return x[:, :, None]
        height, width = x.shape[2:]
        x = self._padded(x)
        seen = [
            x[:, :, self.above + dy : self.above + dy + height, self.beside + dx : self.beside + dx + width]
            for dy, dx in self.taps
        ]
        return torch.stack(seen, 2) if seen else x.new_zeros((*x.shape[:2], 0, height, width))

    def extra_repr(self) -> str:
        window = f"above={self.above}, beside={self.beside}, strict={self.strict}"
        return f"{self.in_channels}, {self.out_channels}, {window}"

    def _padded(self, x: Tensor) -> Tensor:
        return F.pad(x, (self.beside, self.beside, self.above, 0))
