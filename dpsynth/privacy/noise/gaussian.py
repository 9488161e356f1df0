"""The Gaussian mechanism on floating-point answers (sums of clipped gradients, means, votes).

Guarantee: value + N(0, s^2 I) with s = noise_multiplier * sensitivity is the mechanism of
`GaussianDpEvent(noise_multiplier)`: exactly mu-Gaussian DP with mu = 1 / noise_multiplier (Balle and Wang
2018, arXiv 1805.06530; Dong, Roth and Su 2019, arXiv 1905.02383).

Neighbours: either relation. `sensitivity` is the L2 distance that neighbours can cause UNDER THE RELATION OF
THE RUN; the noise multiplier is in units of it. For a sum of vectors clipped to norm C, a row that is added
or removed moves the sum by at most C, and a replaced row moves it by |u - v| <= 2 C:
`sum_sensitivity` in `budget.py`.

Floats: the proof speaks of real numbers. Noise is drawn and added in float64, and the sum is rounded to the
public grid of spacing 2^floor(log2(s * 2^-20)) before it leaves, so that the low-order bits, through which
Mironov (2012, "On significance of the least significant bits for differential privacy") tells inputs apart,
are gone; rounding is post-processing of the real-valued mechanism. What remains (the finite set of normals
that 95 bits can make, rounding of the sum of answer and noise at 2^-53 relative) is of severity
*Theoretical*: the proof does not cover it, no practical attack on it is known. Counts do not come here: they
use the exact noise of `integer_noise.py`.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import torch
from dp_accounting import DpEvent, GaussianDpEvent
from numpy.typing import NDArray

from dpsynth.errors import BudgetError
from dpsynth.privacy.mechanism import Detail, Mechanism, euclidean, scale_of
from dpsynth.privacy.noise.keystream import Keystream

Value = TypeVar("Value", NDArray[np.floating], torch.Tensor, list[torch.Tensor])


@dataclass(frozen=True, kw_only=True)
class GaussianMechanism(Mechanism, ABC):
    """Gaussian noise on a vector; a subclass states the query and derives `sensitivity`.

    Attributes:
        noise_multiplier: Standard deviation of the noise in units of the sensitivity; 0 only without a finite epsilon.
    """

    noise_multiplier: float

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "noise_multiplier", scale_of(self.name, self.noise_multiplier))

    def check(self) -> None:
        super().check()
        euclidean(self.name, self.norm)
        if not self.noiseless and self.deviation == 0.0:  # a product too small for a float
            raise BudgetError(f"the noise of {self.name!r} is too small to be drawn")

    @property
    def noiseless(self) -> bool:
        return self.noise_multiplier == 0

    @property
    def deviation(self) -> float:
        """Standard deviation of the noise of each entry, in units of the query."""
        return self.noise_multiplier * self.sensitivity if self.noise_multiplier else 0.0  # 0 x infinity is no number

    @property
    def release_event(self) -> DpEvent:
        return GaussianDpEvent(self.noise_multiplier)

    @property
    def detail(self) -> Detail:
        steps: Detail = {} if self.releases == 1 else {"releases": self.releases}
        return {"noise_multiplier": self.noise_multiplier, "sensitivity": self.sensitivity, **steps}

    def draw(self, query: Value, noise: Keystream) -> Value:
        """`query` plus noise: a float array, a float tensor, or a list of tensors (one long vector) on any device.

        Noise is made on the CPU and moved. Tensors are overwritten and returned, which spares large allocations.
        """
        if self.noiseless:
            return query
        if isinstance(query, np.ndarray):
            flat = torch.from_numpy(np.array(query, dtype=np.float64).reshape(-1))
            _add_noise([flat], self.deviation, noise)
            return cast(Value, flat.numpy().reshape(query.shape).astype(query.dtype))
        tensors = [query] if isinstance(query, torch.Tensor) else cast(list[torch.Tensor], query)
        _add_noise(tensors, self.deviation, noise)
        return query


@dataclass(frozen=True, kw_only=True)
class GaussianQuery(GaussianMechanism):
    """A vector whose sensitivity its author has derived; for methods with a query of their own.

    Attributes:
        bound: The L2 sensitivity under `neighbours`.
    """

    bound: float

    @property
    def sensitivity(self) -> float:
        return self.bound


def grid(scale: float) -> float:
    """The public spacing to which outputs with noise of standard deviation `scale` are rounded."""
    return 2.0 ** math.floor(math.log2(scale * 2.0**-20))


def _add_noise(tensors: Sequence[torch.Tensor], scale: float, source: Keystream) -> None:
    """Overwrite `tensors`, one long vector, with their noisy values on the grid."""
    total = sum(tensor.numel() for tensor in tensors)
    spacing = grid(scale)
    noise = source.normal(total, source.scratch.take("noise", total, torch.float64))
    noise.mul_(scale / spacing)  # everything below is in units of the grid
    start = 0
    for tensor in tensors:
        piece = noise[start : start + tensor.numel()].view(tensor.shape)
        start += tensor.numel()
        exact = tensor.detach()
        # The sum is made where float64 exists; only the rounded result returns to the device.
        piece.add_(exact.to("cpu", torch.float64), alpha=1.0 / spacing).round_().mul_(spacing)
        exact.copy_(piece)
