"""A masked network over the columns of a table: one pass gives what every column's conditional needs.

Columns stand in an order. Column k (from 0) has degree k + 1; its input features carry that degree, hidden units are
spread over the degrees 1 .. D - 1, and the outputs of a column see strictly lower degrees only. So the outputs of
column k depend on columns 0 .. k - 1 (MADE: Germain et al. 2015, arXiv:1502.03509), and the first column's on
nothing but a bias.

Hidden layers are residual, with the bounded tanh, which under clipping and noise learns better than rectifiers
(Papernot et al. 2020, arXiv:2007.14191).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpsynth.networks.masked import MaskedLinear


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
