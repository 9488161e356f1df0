"""The entries of a network's trainable parameters that can have a gradient, as one vector.

A masked weight's masked entries have gradient zero whatever the data, by public structure. They need no
noise, and drawing none for them halves the noise of an autoregressive network.
"""

# The annotations of torch have holes.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from dpsynth.networks.masked import MaskedLinear


class Coordinates:
    """Packs tensors shaped like the trainable parameters into one vector of `size` entries, and back."""

    def __init__(self, module: nn.Module) -> None:
        masks = {id(m.weight): m.mask for m in module.modules() if type(m) is MaskedLinear}
        self._parameters: list[nn.Parameter] = [p for p in module.parameters() if p.requires_grad]
        self._indices: list[Tensor | None] = [
            masks[id(p)].flatten().nonzero().squeeze(1) if id(p) in masks else None for p in self._parameters
        ]
        self._sizes = [
            p.numel() if index is None else index.numel()
            for p, index in zip(self._parameters, self._indices, strict=True)
        ]
        self.size = sum(self._sizes)

    def pack(self, tensors: Sequence[Tensor]) -> Tensor:
        """Tensors in parameter order -> a new vector (size,). Masked entries are not read."""
        pieces = [
            t.reshape(-1) if index is None else t.reshape(-1).index_select(0, index)
            for t, index in zip(tensors, self._indices, strict=True)
        ]
        return torch.cat(pieces) if pieces else torch.zeros(0)

    def native(self, vector: Tensor) -> Tensor:
        """(size,) of any precision -> the same in the dtype and on the device of the parameters."""
        if not self._parameters:
            return vector.float()
        dtype = reduce(torch.promote_types, (p.dtype for p in self._parameters))
        return vector.to(self._parameters[0].device, dtype)

    def zeros(self) -> Tensor:
        """The vector of nothing (size,), where and as the parameters are."""
        return self.pack([torch.zeros_like(p, requires_grad=False) for p in self._parameters])

    def unpack(self, vector: Tensor) -> list[Tensor]:
        """(size,) -> tensors in parameter order and shape, with zeros at the masked entries."""
        tensors: list[Tensor] = []
        pieces = vector.split(self._sizes) if self._sizes else ()
        for p, index, piece in zip(self._parameters, self._indices, pieces, strict=True):
            piece = piece.to(p.dtype)
            if index is not None:
                piece = torch.zeros(p.numel(), dtype=p.dtype, device=p.device).scatter_(0, index, piece)
            tensors.append(piece.view(p.shape))
        return tensors

    def set_gradients(self, vector: Tensor) -> None:
        """Write (size,) into the parameters' `.grad`."""
        for p, gradient in zip(self._parameters, self.unpack(vector), strict=True):
            p.grad = gradient

    def weights(self) -> nn.Parameter:
        """A copy of the parameters as one vector (size,), for an optimizer to work on; `write` puts it back.

        One vector without masked entries takes an optimizer half the time of many tensors with them.
        """
        return nn.Parameter(self.pack([p.detach() for p in self._parameters]))

    def write(self, vector: Tensor) -> None:
        """Write (size,) into the parameters themselves, in place; masked entries stay as they are."""
        pieces = vector.detach().split(self._sizes) if self._sizes else ()
        with torch.no_grad():
            for p, index, piece in zip(self._parameters, self._indices, pieces, strict=True):
                if index is None:
                    p.copy_(piece.view(p.shape))
                else:
                    p.view(-1).scatter_(0, index, piece.to(p.dtype))
