"""Noise on counts, exact: the rounded Gaussian.

Guarantee. X is the nearest whole number of N(0, sigma^2). For an integer vector v, v + X = round(v
+ N), coordinate by coordinate, so releasing v + X is post-processing of the Gaussian mechanism: exactly D /
sigma-Gaussian DP for an L2 sensitivity D (Dong, Roth and Su 2019, arXiv 1905.02383), the event `GaussianDpEvent(sigma /
D)`. Its variance is about sigma^2 + 1/12. The discrete Gaussian of Canonne, Kamath and Steinke (2020, arXiv
2004.00010) has the same zCDP and nearly the same variance, but is not 1 / sigma-Gaussian DP for any sigma: neighbouring
normal scores Phi^-1(P[X < k]) lie more than 1 / sigma apart, near 0 by about 1 / (24 sigma^3) more (.046 for sigma = 1,
.0003 for 5). Exact Gaussian DP is what lets counts compose without loss with all
other releases, also when their noise is chosen adaptively (`adaptive_budget.py`).

Neighbours: either relation, through the sensitivity. A histogram in which each row counts once changes in one
cell by one (add_remove) or in two (replace_one): L2 sensitivity 1 or sqrt 2.

Floats never decide an outcome unchecked. A rounded Gaussian is the inverse of its distribution function at a uniform
number of 62 bits, computed in float64; a draw that lies within the error bound of a rounding boundary is settled with
as many more bits and digits as it takes. So every outcome is the one that real arithmetic would give.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from abc import ABC
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from dp_accounting import DpEvent, GaussianDpEvent
from numpy.typing import NDArray
from scipy.special import ndtri

from dpsynth.errors import BudgetError
from dpsynth.privacy.mechanism import Detail, Mechanism, euclidean, scale_of
from dpsynth.privacy.noise.keystream import Keystream

_BITS = 62
_SCORE_BAND = 2.0**-46  # far above the relative error of ndtri in float64
_SMALL_TAIL = 1 << 24  # uniform words below this are settled exactly: their own width matters
_LARGEST_SIGMA = 2.0**40

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class CountMechanism(Mechanism, ABC):
    """Rounded Gaussian noise on whole numbers; a subclass states the counts and derives `sensitivity`.

    Attributes:
        sigma: Of the Gaussian that is rounded, in counts (not in units of the sensitivity); 0 only without a finite
            epsilon.
    """

    sigma: float

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "sigma", scale_of(self.name, self.sigma))

    def check(self) -> None:
        super().check()
        euclidean(self.name, self.norm)

    @property
    def noiseless(self) -> bool:
        return self.sigma == 0

    @property
    def release_event(self) -> DpEvent:
        return GaussianDpEvent(self.sigma / self.sensitivity)

    @property
    def detail(self) -> Detail:
        return {"sigma": self.sigma, "sensitivity": self.sensitivity}

    def draw(self, query: Any, noise: Keystream) -> Any:
        """Integer array `query` plus noise on every entry; same shape, int64."""
        exact = integers(self.name, query)
        if self.sigma == 0:
            return exact
        return exact + sample_rounded_gaussian(noise, self.sigma, exact.size).reshape(exact.shape)


def sample_rounded_gaussian(stream: Keystream, sigma: float, count: int, band: float = _SCORE_BAND) -> Integers:
    """(count,) exact draws of round(N(0, sigma^2)); `sigma` is a float, hence a rational number."""
    _check_sigma(sigma)
    words = stream.words64(count)
    negative, tails = (words & np.uint64(1)).astype(bool), words >> np.uint64(64 - _BITS)
    # |N| = sigma t, where the chance of a larger |N| is the uniform number of these 62 bits.
    chance = (tails.astype(np.float64) + 0.5) * 2.0**-_BITS
    t = -ndtri(chance / 2)
    place = sigma * t
    size = np.rint(place)
    width = 2.0**-_BITS * math.sqrt(2 * math.pi) / 2 * np.exp(np.minimum(t * t / 2, 700.0))  # of t, from the bits
    error = sigma * (band * (1 + t) + width)
    unsure = (np.abs(np.abs(place - size) - 0.5) <= error) | (tails < np.uint64(_SMALL_TAIL))
    out = size.astype(np.int64)
    for i in np.flatnonzero(unsure):
        out[i] = _settle_score(stream, int(tails[i]), sigma, max(0, int(size[i]) - 1))
    return np.where(negative, -out, out)


def _settle_score(stream: Keystream, bits: int, sigma: float, size: int) -> int:
    """round(sigma t) for the t whose chance of a larger |N(0, 1)| begins with `bits` (62 of them)."""
    length = _BITS
    while True:
        length += 64
        bits = (bits << 64) | int.from_bytes(stream.bytes(8), "little")
        with mpmath.workprec(length + 64):
            low, high = (mpmath.mpf(bits + k) / mpmath.mpf(2) ** length for k in (0, 1))
            slack: Any = mpmath.mpf(2) ** -(length + 32)
            root: Any = mpmath.mpf(sigma) * mpmath.sqrt(2)

            def beyond(edge: float, root: Any = root) -> Any:
                """The chance of |N(0, sigma^2)| > edge; half whole numbers are exact in every precision used."""
                return mpmath.erfc(mpmath.mpf(edge) / root)

            while size and low >= beyond(size - 0.5):
                size -= 1
            while high <= beyond(size + 0.5):
                size += 1
            # The chance lies in [low, high]; it belongs to `size` when that lies between the chances of its two edges.
            if low >= beyond(size + 0.5) + slack and (size == 0 or high <= beyond(size - 0.5) - slack):
                return size


def _check_sigma(sigma: float) -> None:
    if not 2.0**-20 <= sigma <= _LARGEST_SIGMA:
        raise BudgetError(f"noise on counts needs a scale between 1e-6 and 1e12, not {sigma!r}")


def integers(name: str, value: Integers) -> Integers:
    """`value` as int64; TypeError for floats, which belong to the Gaussian mechanism."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name!r} needs integers, not {array.dtype}; floats go to the Gaussian mechanism")
    return array.astype(np.int64)
