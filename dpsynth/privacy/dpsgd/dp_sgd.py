"""DP-SGD: noisy sums of clipped per-row gradients (Abadi et al. 2016, arXiv:1607.00133).

    S_t = sum over rows i of batch t of g_i min(1, C / ||g_i||)          private, never leaves; float64
    u_t = (S_t + N(0, (z s)^2 I)) / divisor                              released; s is the sensitivity of S_t
    any optimizer, averaging or schedule that sees only the u_t          post-processing

Guarantee. Every term of S_t has L2 norm at most C and depends on its row alone (`clipping.py`).
Add/remove (Poisson batches): one row more or less is one term more or less, and S_t moves by at most s = C.
Replace-one (batches of fixed size without replacement, or all rows): the changed row stands in the same batches, its
term u becomes v, |u - v| <= |u| + |v|, so S_t moves by at most s = 2 C. (Poisson batches under replace-one are refused
by the accountant, which has no proof for their event.) Either way one step is a Gaussian
mechanism of noise multiplier z on a random sample, and the run composes `steps` of them: the event that the
batches state. S_t is a sum of floats, so s is taken larger by the factor 1 + `SUM_SLACK`, which `clipping.py` derives
and prices. Number of steps, rate, divisor and z are public constants; an empty batch is a step like any
other, with noise alone. Without sampling every step sums over all rows and is a plain Gaussian mechanism.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from dp_accounting import DpEvent
from numpy.typing import NDArray
from torch import Tensor

from dpsynth.errors import BudgetError, ConfigError
from dpsynth.privacy.accounting.budget import Neighbours, sum_sensitivity
from dpsynth.privacy.dpsgd.clipping import SUM_SLACK
from dpsynth.privacy.dpsgd.gradients import ClippedGradients
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches, PoissonBatches
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanism import Detail
from dpsynth.privacy.noise.gaussian import GaussianMechanism

Batches = PoissonBatches | FixedSizeBatches


@dataclass(frozen=True, kw_only=True)
class DPSGD(GaussianMechanism):
    """All steps of one run, one release a step.

    Attributes:
        sampling: Which rows each step sees; None for all of them. Its number of steps is that of the releases.
        clipping_norm: C, in units of the loss's gradient; infinity together with noise_multiplier 0 means no privacy.
    """

    clipping_norm: float
    sampling: Batches | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.clipping_norm > 0:
            raise ConfigError(f"clipping norm {self.clipping_norm} must be positive")
        if isinstance(self.sampling, FixedSizeBatches) and self.neighbours != "replace_one":
            raise ConfigError("batches of fixed size go with privacy.neighbours=replace_one only; use Poisson batches")
        if self.sampling is not None and self.sampling.steps != self.releases:
            raise BudgetError(f"{self.name!r}: {self.releases} releases of {self.sampling.steps} batches")

    @classmethod
    def sampled(cls, name: str, neighbours: Neighbours, sampling: Batches, noise: float, clipping_norm: float) -> DPSGD:
        """The run whose steps are those of `sampling`."""
        return cls(
            name=name,
            neighbours=neighbours,
            releases=sampling.steps,
            noise_multiplier=noise,
            clipping_norm=clipping_norm,
            sampling=sampling,
        )

    @property
    def sensitivity(self) -> float:
        """L2 distance between the clipped sums of neighbours: C when a row is added, 2 C when replaced; with slack."""
        return sum_sensitivity(self.neighbours, self.clipping_norm) * (1 + SUM_SLACK)

    @property
    def batches(self) -> Batches | None:
        return self.sampling

    @property
    def release_event(self) -> DpEvent:
        if self.sampling is None:
            return super().release_event
        return self.sampling.step_event(self.noise_multiplier)

    @property
    def detail(self) -> Detail:
        rate = {} if self.sampling is None else {"expected_rate": self.sampling.rate}
        return {**rate, "steps": self.releases, "noise_multiplier": self.noise_multiplier}

    def step(self, t: int, engine: ClippedGradients, data: Sequence[Tensor], ledger: Ledger, divisor: float) -> None:
        """Make step t and write `u_t` into the parameters' `.grad`; the optimizer's step is the caller's."""
        engine.coordinates.set_gradients(self.gradient(t, engine, data, ledger, divisor))

    def gradient(
        self, t: int, engine: ClippedGradients, data: Sequence[Tensor], ledger: Ledger, divisor: float
    ) -> Tensor:
        """Make step t: draw the batch, clip and sum, release the noisy sum once. `u_t` over `engine.coordinates`.

        Under `torch.distributed` every process holds all rows and must make the same calls: rank 0 draws
        batch and noise, the others take their part of the batch and receive the released sum.

        The fastest loop hands the optimizer one vector:

            weights = engine.coordinates.weights()
            optimizer = Adam([weights])
            for t in range(steps):
                weights.grad = recipe.gradient(t, engine, data, ledger, divisor)
                optimizer.step()
                engine.coordinates.write(weights)

        Args:
            t: The step.
            engine: Clipped sums of the network; of this mechanism's clipping norm.
            data: Tensors (rows, ...) resident on the network's device, as the network takes them.
            ledger: The gate.
            divisor: Public number of rows the sum is divided by, usually the expected batch size. Never the realised
                one.
        """
        if engine.clipping_norm != self.clipping_norm:
            raise ConfigError(
                f"the engine's clip norm {engine.clipping_norm:g} is not the recipe's {self.clipping_norm:g}"
            )
        if not 0 < divisor < float("inf"):
            raise ConfigError(f"divisor {divisor} must be a positive number, such as the expected batch size")
        if self.sampling is None:
            return engine.coordinates.native(ledger.release(self, engine.clipped_vector(*data), t).div_(divisor))

        def clipped(batch: NDArray[np.int64]) -> Tensor:
            rows = torch.from_numpy(batch).to(data[0].device)
            return engine.clipped_vector(*(x.index_select(0, rows) for x in data))

        noisy = ledger.release(self, clipped, t, rows=len(data[0]), partial=True)
        return engine.coordinates.native(noisy.div_(divisor))
