"""Programs whose privacy is known exactly, for the audit to be held against: if it finds much less than they claim, it
is the audit that is weak.

    OneRelease     one release of the Gaussian mechanism
    SGDSteps       steps of DP-SGD by the engine that all methods use, on a network of one layer without bias, whose
                   loss w.x has the gradient x: every row states its own gradient

Their only mechanism spends the whole budget.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.audit.canaries import tossed
from dpsynth.privacy.audit.likelihood_ratios import vector
from dpsynth.privacy.audit.one_run import Guesses
from dpsynth.privacy.audit.witness import Witness, run_key
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.dpsgd.gradients import ClippedGradients, clipped_gradients
from dpsynth.privacy.dpsgd.sampling import PoissonBatches
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.noise.gaussian import GaussianQuery
from dpsynth.privacy.noise.random import RandomGenerators

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class OneRelease:
    """data: (d,) float64, the exact answer. plan: of `mechanism` alone."""

    plan: Plan
    mechanism: GaussianQuery

    @classmethod
    def spending(cls, budget: Budget, bound: float = 1.0) -> OneRelease:
        """With the noise that spends `budget`, of a query that the record moves by `bound`."""

        def of(noise: float) -> GaussianQuery:
            return GaussianQuery(name="release", neighbours=budget.neighbours, noise_multiplier=noise, bound=bound)

        mechanism = of(calibrate(lambda noise: [of(noise)], budget))
        return cls(Plan(budget, (mechanism,)), mechanism)

    def __call__(self, data: Reals, randomness: RandomGenerators) -> object:
        return Ledger(self.plan, randomness).release(self.mechanism, data)

    def neighbours(self, length: int = 4) -> tuple[Reals, Reals]:
        """Answers without and with the record."""
        one = np.zeros(length)
        one[-1] = self.mechanism.sensitivity
        return np.zeros(length), one


class StatedGradients(nn.Module):
    """(rows, d) -> (rows,) losses w.x, so that row i has the gradient x_i."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(size, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).squeeze(1)


@lru_cache
def _engine(size: int, clipping_norm: float) -> ClippedGradients:
    """Made once, because gradients do not depend on the weights."""
    return clipped_gradients("fused", StatedGradients(size), clipping_norm)


@dataclass(frozen=True)
class SGDSteps:
    """data: (rows, d) float32 gradients. plan: of `mechanism` alone."""

    plan: Plan
    mechanism: DPSGD

    @classmethod
    def spending(cls, budget: Budget, rate: float, steps: int, clipping_norm: float = 1.0) -> SGDSteps:
        """With the noise that spends `budget`, on Poisson samples of `rate`; at rate 1 every step sees all rows."""
        batches = PoissonBatches(rate, steps)

        def of(noise: float) -> DPSGD:
            return DPSGD.sampled("steps", budget.neighbours, batches, noise, clipping_norm)

        mechanism = of(calibrate(lambda noise: [of(noise)], budget))
        return cls(Plan(budget, (mechanism,)), mechanism)

    def __call__(self, data: Tensor, randomness: RandomGenerators) -> object:
        engine = _engine(data.shape[1], self.mechanism.clipping_norm)
        ledger, steps = Ledger(self.plan, randomness), range(self.mechanism.releases)
        return [self.mechanism.gradient(t, engine, (data,), ledger, divisor=1.0).clone() for t in steps]

    def neighbours(self, rows: int = 4) -> tuple[Tensor, Tensor]:
        """`rows` rows without gradient, and the same with one whose gradient is ten times too long."""
        others, one = torch.zeros(rows, 4), torch.zeros(1, 4)
        one[0, -1] = 10.0 * self.mechanism.clipping_norm
        return others, torch.cat([others, one])

    def expected(self) -> tuple[tuple[Reals, Reals], ...]:
        """The exact sums of each step (without, with) the record, where it is in the batch."""
        zero, one = np.zeros(4), np.zeros(4)
        one[-1] = self.mechanism.clipping_norm
        return ((zero, one),) * self.mechanism.releases

    def canary_run(self, canaries: int, guesses: int, seed: int | None = None) -> Guesses:
        """One run on canaries with orthogonal gradients, each put in by a coin, and guesses by the released sums."""
        inside = tossed(canaries, seed)
        stated = 10.0 * self.mechanism.clipping_norm * torch.eye(canaries)
        witness = Witness(run_key(seed, "gradients"))
        self(stated[torch.from_numpy(np.flatnonzero(inside))], RandomGenerators(0, privacy=witness))
        total = np.sum([vector(release.output) for release in witness.releases], axis=0)
        return Guesses.of(total, inside, guesses)
