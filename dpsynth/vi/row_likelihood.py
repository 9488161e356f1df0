"""A user's log likelihood of one row as a module of per-row losses, for the engines that clip row by row.

The function sees one row at a time, by `torch.vmap`, so that rows cannot see each other whatever it does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

Shapes = Mapping[str, tuple[int, ...]]
Unknowns = dict[str, Tensor]


def unpack(phi: Tensor, shapes: Shapes) -> Unknowns:
    """(..., size) -> the unknowns by name, each (..., *shape); in the order of `shapes`."""
    pieces = phi.split([math.prod(shape) for shape in shapes.values()], dim=-1)
    return {
        name: piece.reshape((*phi.shape[:-1], *shape))
        for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
    }


class RowLikelihood(nn.Module):
    """`module(*batch)` is minus the log likelihood of every row, (rows,); its parameter is `phi`, (size,)."""

    def __init__(self, log_likelihood: Callable[..., Tensor], shapes: Shapes, phi: Tensor) -> None:
        super().__init__()
        self.log_likelihood, self.shapes = log_likelihood, dict(shapes)
        self.phi = nn.Parameter(phi.detach().clone())

    def forward(self, *batch: Tensor) -> Tensor:
        unknowns = unpack(self.phi, self.shapes)
        if len(batch[0]) == 0:
            return self.phi.new_zeros(0)
        return -torch.func.vmap(lambda *row: self.log_likelihood(unknowns, *row).reshape(()))(*batch)


def floating(data: Sequence[Tensor], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The data with its real numbers in `dtype`; whole numbers stay."""
    return tuple(x.to(dtype) if x.is_floating_point() else x for x in data)
