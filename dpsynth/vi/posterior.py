"""What variational inference leaves: a distribution of the unknowns, the path to it, and how sure one may be of it.

A user's log likelihood of one row as a module of per-row losses, for the engines that clip row by row.

The function sees one row at a time, by `torch.vmap`, so that rows cannot see each other whatever it does.

What variational inference leaves: a distribution of the unknowns, the path to it, and how sure one may be of it.

All of it is post-processing of released gradients. A `Posterior` holds no data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from dpsynth.training.checkpoint import read_state, write_state

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


# -------------------- Posterior -------------------------------------------------------------

STRETCHES = 10  # of the tail: their means tell how much it wanders and whether it travels
SETTLED = 2.0  # drift below which a path counts as settled


@dataclass(frozen=True)
class Posterior:
    """Normals over the unknowns, independent unless the guide was of full rank.

    shapes: of the unknowns, by name. trace: (blocks, 2, size) block means of mean and log scale along the path. tail:
    how many of the last blocks the result averages. statement: the privacy statement. lower: (size, size) the triangle
    by which unknowns depend on each other, phi = mean + (diag(scale) + lower) e; None where they are independent.
    """

    shapes: Shapes
    trace: Tensor
    tail: int
    statement: Mapping[str, Any] = field(default_factory=dict)
    lower: Tensor | None = None

    @property
    def _mean(self) -> Tensor:
        return self.trace[-self.tail :, 0].mean(0)

    @property
    def _diagonal(self) -> Tensor:
        return self.trace[-self.tail :, 1].mean(0).exp()

    @property
    def _scale(self) -> Tensor:
        own = self._diagonal
        return own if self.lower is None else (own.square() + self.lower.square().sum(1)).sqrt()

    @property
    def covariance(self) -> Tensor:
        """(size, size) covariance of the variational distribution; unknowns one after the other, as in `shapes`."""
        factor = torch.diag(self._diagonal) + (0 if self.lower is None else self.lower)
        return factor @ factor.T

    @property
    def mean(self) -> Unknowns:
        """Posterior means by name, averaged over the tail of the path."""
        return unpack(self._mean, self.shapes)

    @property
    def scale(self) -> Unknowns:
        """Standard deviations of the variational distribution, by name: what the data leave open if the privacy noise
        is forgotten."""
        return unpack(self._scale, self.shapes)

    @property
    def wander(self) -> Unknowns:
        """Standard errors of the means by name, from privacy noise and sampling of batches: those of the means of ten
        stretches of the tail (batch means). Zero when the tail is a single block."""
        return unpack(self._wander, self.shapes)

    @property
    def _wander(self) -> Tensor:
        means = self._stretches
        return means.std(0) / len(means) ** 0.5 if len(means) > 1 else torch.zeros_like(means[0])

    @property
    def _stretches(self) -> Tensor:
        """Means of at most ten stretches of the tail, (stretches, size)."""
        tail = self.trace[-self.tail :, 0]
        return torch.stack([part.mean(0) for part in tail.tensor_split(min(STRETCHES, len(tail)))])

    def sample(self, n: int, seed: int | None = None, noise_aware: bool = True) -> Unknowns:
        """n draws of the unknowns, by name, each (n, *shape).

        noise_aware: with variance scale^2 + wander^2, so that the draws also spread over what the privacy noise leaves
        open; False forgets it.
        """
        generator = torch.Generator()
        generator.seed() if seed is None else generator.manual_seed(seed)
        spread = (self._diagonal.square() + (self._wander.square() if noise_aware and self.lower is None else 0)).sqrt()
        normal = torch.randn(n, len(spread), generator=generator, dtype=spread.dtype)
        drawn = self._mean + spread * normal
        if self.lower is not None:
            drawn = drawn + normal @ self.lower.T
            if noise_aware:  # independent of what the data leave open
                drawn = drawn + self._wander * torch.randn(n, len(spread), generator=generator, dtype=spread.dtype)
        return unpack(drawn, self.shapes)

    def diagnostics(self) -> dict[str, Any]:
        """Has the path settled, or does it still travel?

        drift: by name, how far the means came over the ten stretches of the tail in units of what steps of the same
        lengths come to in directions of chance: |m_10 - m_1| / sqrt(sum |m_i+1 - m_i|^2), root mean square over the
        coordinates. A path that only shakes about its place stays below 1, a walk of chance comes to about 1, and a
        path on its way to one side to as much as 3, the square root of nine steps; so neither the size of the noise
        nor how slowly it is forgotten passes for travel. settled: all drifts below 2; None for a tail of fewer than
        ten blocks, which cannot tell. What lies below the noise stays unseen, and a few steps of Adam, whose momentum
        lasts ten, look like travel.
        """
        means = self._stretches
        if len(means) < STRETCHES:
            return {"drift": None, "settled": None}
        steps = means.diff(dim=0).square().sum(0).sqrt().clamp(min=torch.finfo(means.dtype).tiny)
        parts = unpack((means[-1] - means[0]) / steps, self.shapes)
        drift = {name: float(x.square().mean().sqrt()) for name, x in parts.items()}
        return {"drift": drift, "settled": max(drift.values()) < SETTLED}

    def save(self, path: str | Path) -> None:
        """Write to one safetensors file."""
        shapes = {name: list(shape) for name, shape in self.shapes.items()}
        state = {"shapes": shapes, "trace": self.trace, "tail": self.tail, "statement": dict(self.statement)}
        write_state(Path(path), {**state, "lower": self.lower})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """What `save` wrote. Raises `ArtifactError` for any other file."""
        state = read_state(Path(path))
        shapes = {name: tuple(shape) for name, shape in state["shapes"].items()}
        return cls(shapes, state["trace"], state["tail"], state["statement"], state["lower"])
