"""Programs whose privacy is known exactly, for the audit to be held against: if it finds much less than they claim, it
is the audit that is weak.

    OneRelease     one release of the Gaussian mechanism
    SGDSteps       steps of DP-SGD by the engine that all methods use, on a network of one layer without bias, whose
                   loss w.x has the gradient x: every row states its own gradient
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dpsynth.privacy.audit.one_run import Guesses
from dpsynth.privacy.audit.witness import Witness, vector
from dpsynth.privacy.dp_sgd import DPSGD
from dpsynth.privacy.gaussian import gaussian
from dpsynth.privacy.gradients import clipped_gradients
from dpsynth.privacy.random import Streams
from dpsynth.privacy.sampling import PoissonBatches

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class OneRelease:
    """data: (d,) float64, the exact answer, which the record moves by `sensitivity`."""

    noise_multiplier: float
    sensitivity: float = 1.0

    def __call__(self, data: Reals, streams: Streams) -> object:
        return gaussian(
            streams.privacy, "release", data, sensitivity=self.sensitivity, noise_multiplier=self.noise_multiplier
        )

    def neighbours(self, length: int = 4) -> tuple[Reals, Reals]:
        """Answers without and with the record."""
        one = np.zeros(length)
        one[-1] = self.sensitivity
        return np.zeros(length), one


class StatedGradients(nn.Module):
    """(rows, d) -> (rows,) losses w.x, so that row i has the gradient x_i."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(size, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).squeeze(1)


@dataclass(frozen=True)
class SGDSteps:
    """data: (rows, d) float32 gradients. descent: the public recipe of the steps."""

    descent: DPSGD

    def __call__(self, data: Tensor, streams: Streams) -> object:
        engine = clipped_gradients("fused", StatedGradients(data.shape[1]), self.descent.clipping_norm)
        made = [self.descent.gradient(t, engine, (data,), streams.privacy) for t in range(self.descent.batches.steps)]
        return [gradient.clone() for gradient in made]

    def neighbours(self, rows: int = 4) -> tuple[Tensor, Tensor]:
        """`rows` rows without gradient, and the same with one whose gradient is ten times too long."""
        others, one = torch.zeros(rows, 4), torch.zeros(1, 4)
        one[0, -1] = 10.0 * self.descent.clipping_norm
        return others, torch.cat([others, one])

    def expected(self) -> tuple[tuple[Reals, Reals], ...]:
        """The exact sums of each step (without, with) the record, where it is in the batch."""
        zero, one = np.zeros(4), np.zeros(4)
        one[-1] = self.descent.clipping_norm
        return ((zero, one),) * self.descent.batches.steps

    def canary_run(self, canaries: int, guesses: int, key: bytes, coins: np.random.Generator) -> Guesses:
        """One run on canaries with orthogonal gradients, each put in by a coin, and guesses by the released sums."""
        inside = coins.random(canaries) < 0.5
        stated = 10.0 * self.descent.clipping_norm * torch.eye(canaries)
        witness = Witness(key)
        self(stated[torch.from_numpy(np.flatnonzero(inside))], Streams(0, privacy=witness))
        total = np.sum([vector(release.output) for release in witness.releases], axis=0)
        return Guesses.of(total, inside, guesses)


def full_batches(steps: int, noise_multiplier: float, clipping_norm: float = 1.0) -> SGDSteps:
    """Steps in which every row stands."""
    return sampled_batches(1.0, steps, noise_multiplier, clipping_norm)


def sampled_batches(rate: float, steps: int, noise_multiplier: float, clipping_norm: float = 1.0) -> SGDSteps:
    """Steps in which every row stands with probability `rate`."""
    return SGDSteps(DPSGD(PoissonBatches(rate, steps), clipping_norm, noise_multiplier, 1.0))
