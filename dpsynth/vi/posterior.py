"""What variational inference leaves: a law of the unknowns, the path to it, and how sure one may be of it.

All of it is post-processing of released gradients. A `Posterior` holds no data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from dpsynth.training.state import read_state, write_state
from dpsynth.vi.row_likelihood import Shapes, Unknowns, unpack

BATCHES = 10  # of the tail, whose means give the standard error of its average
SETTLED = 1.5  # drift below which a path counts as settled


@dataclass(frozen=True)
class Posterior:
    """Independent normals over the unknowns.

    shapes: of the unknowns, by name. trace: (blocks, 2, size) block means of mean and log scale along the path. tail:
    how many of the last blocks the result averages. statement: the privacy statement.
    """

    shapes: Shapes
    trace: Tensor
    tail: int
    statement: Mapping[str, Any] = field(default_factory=dict)

    @property
    def _mean(self) -> Tensor:
        return self.trace[-self.tail :, 0].mean(0)

    @property
    def _scale(self) -> Tensor:
        return self.trace[-self.tail :, 1].mean(0).exp()

    @property
    def mean(self) -> Unknowns:
        """Posterior means by name, averaged over the tail of the path."""
        return unpack(self._mean, self.shapes)

    @property
    def scale(self) -> Unknowns:
        """Standard deviations of the variational law, by name: what the data leave open if the privacy noise is
        forgotten."""
        return unpack(self._scale, self.shapes)

    @property
    def wander(self) -> Unknowns:
        """Standard errors of the means by name, from privacy noise and sampling of batches: those of the means of ten
        stretches of the tail (batch means). Zero when the tail is a single block."""
        return unpack(self._wander, self.shapes)

    @property
    def _wander(self) -> Tensor:
        tail = self.trace[-self.tail :, 0]
        if len(tail) < 2:
            return torch.zeros_like(tail[0])
        means = torch.stack([part.mean(0) for part in tail.tensor_split(min(BATCHES, len(tail)))])
        return means.std(0) / len(means) ** 0.5

    def sample(self, n: int, seed: int | None = None, noise_aware: bool = True) -> Unknowns:
        """n draws of the unknowns, by name, each (n, *shape).

        noise_aware: with variance scale^2 + wander^2, so that the draws also spread over what the privacy noise leaves
        open; False forgets it.
        """
        generator = torch.Generator()
        generator.seed() if seed is None else generator.manual_seed(seed)
        spread = (self._scale.square() + (self._wander.square() if noise_aware else 0)).sqrt()
        normal = torch.randn(n, len(spread), generator=generator, dtype=spread.dtype)
        return unpack(self._mean + spread * normal, self.shapes)

    def diagnostics(self) -> dict[str, Any]:
        """Has the path settled?

        drift: by name, how far the means went from the first to the second half of the tail, root mean square over the
        coordinates, in units of sqrt(scale^2 + 4 wander^2). Two halves of a settled path differ by 2 wander, so it is
        at most about 1 then, and well above when the path still travels. settled: all drifts below 1.5; None for a
        tail of fewer than four blocks, which cannot tell.
        """
        if self.tail < 4:
            return {"drift": None, "settled": None}
        first, second = (half.mean(0) for half in self.trace[-self.tail :, 0].tensor_split(2))
        unit = (self._scale.square() + 4 * self._wander.square()).sqrt()
        parts = unpack((first - second) / unit, self.shapes)
        drift = {name: float(x.square().mean().sqrt()) for name, x in parts.items()}
        return {"drift": drift, "settled": max(drift.values()) < SETTLED}

    def save(self, path: str | Path) -> None:
        """Write to one safetensors file."""
        shapes = {name: list(shape) for name, shape in self.shapes.items()}
        state = {"shapes": shapes, "trace": self.trace, "tail": self.tail, "statement": dict(self.statement)}
        write_state(Path(path), state)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """What `save` wrote. Raises `ArtifactError` for any other file."""
        state = read_state(Path(path))
        shapes = {name: tuple(shape) for name, shape in state["shapes"].items()}
        return cls(shapes, state["trace"], state["tail"], state["statement"])
