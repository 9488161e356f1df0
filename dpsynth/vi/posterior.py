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
SETTLED = 1.2  # split R-hat below which a path counts as settled


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

        r_hat: by name, the largest split R-hat of the means over the tail (first half against second; Gelman and Rubin
        1992), about 1 when settled; None for tails under four blocks. drift: by name, the largest way that a mean went
        from the first to the second half of the tail, in units of its standard deviation. settled: all R-hats < 1.2.
        """
        halves = self.trace[-self.tail :, 0].tensor_split(2)
        if self.tail < 4:
            return {"r_hat": None, "drift": None, "settled": None}
        size = min(map(len, halves))
        first, second = halves[0][:size], halves[1][-size:]
        within = (first.var(0) + second.var(0)) / 2
        between = size * (first.mean(0) - second.mean(0)).square() / 2
        pooled = (size - 1) / size * within + between / size
        r_hat = torch.where(within > 0, pooled / within.clamp(min=1e-300), torch.ones_like(within)).sqrt()
        drift = (first.mean(0) - second.mean(0)).abs() / (self._scale.square() + self._wander.square()).sqrt()
        largest = {name: float(x.max()) for name, x in unpack(r_hat, self.shapes).items()}
        return {
            "r_hat": largest,
            "drift": {name: float(x.max()) for name, x in unpack(drift, self.shapes).items()},
            "settled": max(largest.values()) < SETTLED,
        }

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
