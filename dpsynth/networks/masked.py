"""Masked layers, linear and convolutional, and the masked network over the columns of a table (MADE).

The masked linear layer that autoregressive networks are built from.

Every unit carries a degree; an output unit sees the inputs of lower or equal degree (hidden layers) or of
strictly lower degree (the layer where the order of the columns is enforced). A network of such layers gives
each column's conditional distribution from the earlier columns alone (MADE: Germain et al. 2015,
arXiv:1502.03509).

The masked convolution that autoregressive networks over pixels are built from.

Places are taken in raster order, row by row. A place's output sees inputs at earlier places of its window only, and its
own input unless `strict` (masks A and B of PixelCNN: van den Oord et al. 2016, arXiv:1601.06759).

A masked network over the columns of a table: one pass gives what every column's conditional needs.

Columns stand in an order. Column k (from 0) has degree k + 1; its input features carry that degree, hidden units are
spread over the degrees 1 .. D - 1, and the outputs of a column see strictly lower degrees only. So the outputs of
column k depend on columns 0 .. k - 1 (MADE: Germain et al. 2015, arXiv:1502.03509), and the first column's on
nothing but a bias.

Hidden layers are residual, with the bounded tanh, which under clipping and noise learns better than rectifiers
(Papernot et al. 2020, arXiv:2007.14191).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_WIDTH = 16  # matrix products with 15 columns take more than twice the time of those with 16 (measured, MKL)


class MaskedLinear(nn.Module):
    """`x W^T + b` where `W[o, i]` counts only if `out_degrees[o] >= in_degrees[i]` (`>` when `strict`).

    x: (..., in) floating point; result (..., out). The weight's masked entries are zero at the start, have no
    gradient, and never reach the output, whatever is loaded or written into them.

    The mask follows from the degrees, so it is a plain attribute and not a buffer: it is in no state_dict,
    and per-row gradient tools that refuse buffers accept the layer. Moves (`to`, `double`, `to_empty`)
    rebuild it.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_degrees: Sequence[int] | Tensor,
        out_degrees: Sequence[int] | Tensor,
        strict: bool,
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_degrees = tuple(int(degree) for degree in in_degrees)
        self.out_degrees = tuple(int(degree) for degree in out_degrees)
        self.in_features, self.out_features, self.strict = len(self.in_degrees), len(self.out_degrees), strict
        self.weight = nn.Parameter(torch.empty(self.out_features, self.in_features))
        self.bias = nn.Parameter(torch.empty(self.out_features)) if bias else None
        self._place()
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw weight and bias uniformly within `1 / sqrt(in)`, like `nn.Linear`; masked weights are zero."""
        bound = 1 / math.sqrt(max(self.in_features, 1))
        with torch.no_grad():
            self.weight.uniform_(-bound, bound, generator=generator).mul_(self.mask)
            if self.bias is not None:
                self.bias.uniform_(-bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)

    def squared_outer_norms(self, a: Tensor, b: Tensor, bias: bool = False) -> Tensor:
        """`||(b[n] outer a[n]) * mask||_F^2` for every row n, plus `||b[n]||^2` if `bias`; no outer product
        is formed.

        a: (rows, in), b: (rows, out); result (rows,). The input sets that the outputs see are nested, G of
        them, so the sum over the mask falls apart into sums over groups: O(in + out) * G work a row in place
        of in * out.
        """
        a, b = a.square(), b.square()
        if self._seen.shape[1] * (self.in_features + self.out_features) < self.in_features * self.out_features:
            totals = b @ self._seers
            norms = ((a @ self._seen) * totals).sum(1)
            return norms + totals[:, -1] if bias else norms
        norms = ((a @ self.mask.T) * b).sum(1)
        return norms + b.sum(1) if bias else norms

    def outer_sum(self, a: Tensor, b: Tensor) -> Tensor:
        """`sum_n b[n] outer a[n]` where the mask is one, (out, in). Entries that the mask hides hold any
        value at all.

        Blocks that are hidden wholly are not computed, which spares a quarter of the work when degrees are
        sorted.
        """
        if len(self._blocks) == 1:
            return b.T @ a
        total = torch.empty_like(self.mask, dtype=b.dtype)
        for start, end, limit in self._blocks:
            torch.mm(b[:, start:end].T, a[:, :limit], out=total[start:end, :limit])
        return total

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, strict={self.strict}, bias={self.bias is not None}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> MaskedLinear:
        super()._apply(fn, recurse)
        self._place()
        return self

    def _place(self) -> None:
        """Rebuild, beside the weight, what follows from the degrees.

        mask (out, in). Of the nested input sets, `_seen[i, g]` says that input i is in the g-th, `_seers[o,
        g]` that output o sees just the g-th, so mask = _seers _seen^T. Their last column serves the bias:
        zeros and ones. `_blocks`: (start, end, limit), outputs start..end see no input from `limit` on;
        sorted degrees make them small.
        """
        low = torch.tensor(self.in_degrees, dtype=torch.int64, device="cpu")
        high = torch.tensor(self.out_degrees, dtype=torch.int64, device="cpu") - int(self.strict)
        mask = high[:, None] >= low[None, :]
        sizes = mask.sum(1)  # of the set each output sees; nested sets are told apart by their sizes
        sets = torch.unique(sizes[sizes > 0])
        width = -(-(len(sets) + 1) // _WIDTH) * _WIDTH
        seen = torch.zeros(self.in_features, width, dtype=torch.bool, device="cpu")
        seers = torch.zeros(self.out_features, width, dtype=torch.bool, device="cpu")
        seers[:, : len(sets)] = sizes[:, None] == sets[None, :]
        seers[:, -1] = True
        for group, size in enumerate(sets.tolist()):
            seen[:, group] = mask[int((sizes == size).nonzero()[0])]
        self._blocks = _blocks(mask)
        where = {"device": self.weight.device, "dtype": self.weight.dtype}
        self.mask, self._seen, self._seers = mask.to(**where), seen.to(**where), seers.to(**where)


def _blocks(mask: Tensor) -> list[tuple[int, int, int]]:
    """Four runs of outputs, each with how many leading inputs it sees; one run if that saves little."""
    outputs, inputs = mask.shape
    step = max(1, -(-outputs // 4))
    blocks: list[tuple[int, int, int]] = []
    for start in range(0, outputs, step):
        used = mask[start : start + step].any(0).nonzero()
        blocks.append((start, min(start + step, outputs), int(used.max()) + 1 if len(used) else 0))
    area = sum((end - start) * limit for start, end, limit in blocks)
    return blocks if area < 0.9 * outputs * inputs else [(0, outputs, inputs)]


# -------------------- Masked conv -----------------------------------------------------------


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


# -------------------- Made ------------------------------------------------------------------


class MADE(nn.Module):
    """features (rows, sum of `inputs`) -> outputs (rows, sum of `outputs`).

    inputs[k], outputs[k]: width of column k's features and outputs, in the autoregressive order.
    hidden: units of each hidden layer. layers: residual hidden layers behind the first.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        hidden: int,
        layers: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        columns = len(inputs)
        in_degrees = [k + 1 for k, width in enumerate(inputs) for _ in range(width)]
        out_degrees = [k + 1 for k, width in enumerate(outputs) for _ in range(width)]
        hidden_degrees = [1 + unit * max(columns - 1, 1) // hidden for unit in range(hidden)]
        self.first = MaskedLinear(in_degrees, hidden_degrees, strict=False)
        self.residual = nn.ModuleList(MaskedLinear(hidden_degrees, hidden_degrees, strict=False) for _ in range(layers))
        self.last = MaskedLinear(hidden_degrees, out_degrees, strict=True)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Normal weights scaled by the inputs each unit really sees; outputs start near zero, where no column is
        preferred and row gradients are of like size."""
        scales = [(self.first, 2.0), *((layer, 1.4) for layer in self.residual), (self.last, 0.05)]
        with torch.no_grad():
            for layer, scale in scales:
                seen = layer.mask.sum(1, keepdim=True).clamp(min=1)
                layer.weight.normal_(generator=generator).mul_(layer.mask * scale / seen.sqrt())
                assert layer.bias is not None
                layer.bias.zero_()

    def forward(self, features: Tensor) -> Tensor:
        return self.last(self._hidden(features))

    def column(self, features: Tensor, outputs: slice) -> Tensor:
        """The given outputs alone: what sampling needs, one column at a time."""
        last = self.last
        assert last.bias is not None
        weight = last.weight[outputs] * last.mask[outputs]
        return F.linear(self._hidden(features), weight, last.bias[outputs])

    def _hidden(self, features: Tensor) -> Tensor:
        hidden = self.first(features)
        for layer in self.residual:
            hidden = hidden + layer(torch.tanh(hidden))
        return torch.tanh(hidden)
