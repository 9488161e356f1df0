"""Discrete Gaussian and discrete Laplace noise on integers, exact: no float ever decides an outcome
unchecked.

Guarantee. Discrete Gaussian, P[X = x] proportional to exp(-x^2 / (2 sigma^2)): releasing value + X for an
integer vector with L2 sensitivity D is (D / sigma)^2 / 2 - zCDP, and its tails are no heavier than those of
N(0, sigma^2) (Canonne, Kamath, Steinke 2020, arXiv 2004.00010, Theorem 4 and Proposition 25). Discrete
Laplace, P[X = x] proportional to exp(-|x| / b): value + X with integer L1 sensitivity D is (D / b)-DP (Ghosh,
Roughgarden, Sundararajan 2009).

Neighbours: either relation, through the sensitivity. A histogram in which each row counts once changes in one
cell by one (add_remove) or in two (replace_one): `Budget.cells_changed`, L2 sensitivity
`Budget.count_sensitivity`. Event of a histogram: `discrete_gaussian_event(sigma, cells)`, one exact scalar
event per changed cell.

Sampling follows Algorithms 1 to 3 of that paper, vectorised. Their coin Bernoulli(exp(-g)), g rational, is
decided by comparing 62 uniform bits with a float64 value of exp(-g) and an error band of 2^-34; a draw that
falls into the band, or ties, is settled with as many more bits and decimal digits as it takes. So every
outcome is the one that real arithmetic would give.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
from dp_accounting import DpEvent, SelfComposedDpEvent
from dp_accounting.dp_event import DiscreteLaplaceDpEvent
from numpy.typing import NDArray

from dpsynth.errors import BudgetError
from dpsynth.privacy.events import DiscreteGaussianDpEvent
from dpsynth.privacy.gaussian import check_scale
from dpsynth.privacy.keystream import Keystream
from dpsynth.privacy.random import PrivacyStream

_BITS = 62
_BAND = 2.0**-34  # far above the error of g (relative 2^-50, g < 800) and of exp in float64
_LARGEST_SIGMA = 2.0**40

Integers = NDArray[np.int64]


def discrete_gaussian_event(sigma: float, cells: int = 1) -> DpEvent:
    """The event of a release in which neighbours move `cells` integers by at most one each."""
    event = DiscreteGaussianDpEvent(float(sigma))
    return event if cells == 1 else SelfComposedDpEvent(event, cells)


def discrete_laplace_event(scale: float, sensitivity: int = 1) -> DpEvent:
    """The event of a release with integer L1 sensitivity `sensitivity`."""
    return DiscreteLaplaceDpEvent(1.0 / scale, sensitivity)


def discrete_gaussian(
    stream: PrivacyStream, name: str, value: Integers, *, sensitivity: float, sigma: float, step: int = 0
) -> Integers:
    """Integer array `value` plus discrete Gaussian noise of parameter `sigma` (absolute, not in units of
    sensitivity).

    `sensitivity`: L2, under the relation of the run. Raises BudgetError for sigma = 0 unless epsilon is
    infinite.
    """
    exact = _integers(name, value)
    check_scale(stream, name, sigma, sensitivity)

    def draw(query: Integers) -> Integers:
        if sigma == 0:
            return query.copy()
        return query + sample_gaussian(stream.keystream(name, step), sigma, query.size).reshape(query.shape)

    parameters = {"mechanism": "discrete_gaussian", "sigma": sigma}
    return stream.release(name, exact, sensitivity=sensitivity, norm="l2", draw=draw, parameters=parameters, step=step)


def discrete_laplace(
    stream: PrivacyStream, name: str, value: Integers, *, sensitivity: int, scale: float, step: int = 0
) -> Integers:
    """Integer array `value` plus discrete Laplace noise of parameter `scale`; `sensitivity` is L1 and
    whole."""
    exact = _integers(name, value)
    check_scale(stream, name, scale, sensitivity)

    def draw(query: Integers) -> Integers:
        if scale == 0:
            return query.copy()
        return query + sample_laplace(stream.keystream(name, step), scale, query.size).reshape(query.shape)

    parameters = {"mechanism": "discrete_laplace", "scale": scale}
    return stream.release(
        name, exact, sensitivity=float(sensitivity), norm="l1", draw=draw, parameters=parameters, step=step
    )


def sample_gaussian(stream: Keystream, sigma: float, count: int, band: float = _BAND) -> Integers:
    """(count,) exact draws of the discrete Gaussian with parameter `sigma` (a float is a rational number)."""
    _check_sigma(sigma)
    t = math.floor(sigma) + 1
    variance = Fraction(sigma) ** 2
    out = np.empty(count, dtype=np.int64)
    filled = 0
    while filled < count:
        # About 0.6 of the proposals are kept, so twice the need is nearly always enough in one round.
        proposal = _laplace(stream, Fraction(t), 2 * (count - filled) + 16, band)
        size = np.abs(proposal)

        def exponent(i: int, size: Integers = size) -> Fraction:
            return (int(size[i]) - variance / t) ** 2 / (2 * variance)

        approximate = (size - sigma * (sigma / t)) ** 2 / (2 * sigma * sigma)
        kept = proposal[_coins(stream, approximate, exponent, band)][: count - filled]
        out[filled : filled + kept.size] = kept
        filled += kept.size
    return out


def sample_laplace(stream: Keystream, scale: float, count: int, band: float = _BAND) -> Integers:
    """(count,) exact draws of the discrete Laplace with parameter `scale`, rounded up to a multiple of
    2^-12."""
    _check_sigma(scale)
    return _laplace(stream, Fraction(math.ceil(scale * 4096), 4096), count, band)


def _laplace(stream: Keystream, scale: Fraction, count: int, band: float) -> Integers:
    """Algorithm 2: with scale = t / s, a geometric X of ratio exp(-1 / t), then X // s with a random sign."""
    t, s = scale.numerator, scale.denominator
    out = np.empty(count, dtype=np.int64)
    filled = 0
    while filled < count:
        need = 2 * (count - filled) + 16
        low = stream.below(t, need)

        def ratio(i: int, low: Integers = low) -> Fraction:
            return Fraction(int(low[i]), t)

        low = low[_coins(stream, low / t, ratio, band)]
        high = np.zeros(low.size, dtype=np.int64)  # geometric: coins of exp(-1) until the first failure
        going = np.arange(low.size)
        while going.size:
            going = going[_coins(stream, np.ones(going.size), lambda _: Fraction(1), band)]
            high[going] += 1
        size = (low + t * high) // s
        negative = stream.below(2, size.size).astype(bool)
        keep = ~(negative & (size == 0))  # zero has no second sign
        kept = np.where(negative, -size, size)[keep][: count - filled]
        out[filled : filled + kept.size] = kept
        filled += kept.size
    return out


def _coins(
    stream: Keystream, exponent: NDArray[np.float64], exact: Callable[[int], Fraction], band: float
) -> NDArray[np.bool_]:
    """Independent coins, head with probability exp(-g_i) exactly; `exponent` is g as float64, `exact(i)` as a
    fraction."""
    words = stream.words64(exponent.size) >> np.uint64(64 - _BITS)
    chance = np.exp(-np.minimum(exponent, 800.0))
    uniform = words.astype(np.float64) * 2.0**-_BITS
    heads = uniform < chance
    for i in np.flatnonzero(np.abs(uniform - chance) <= band):
        heads[i] = _settle(stream, int(words[i]), exact(int(i)))
    return heads


def _settle(stream: Keystream, bits: int, exponent: Fraction) -> bool:
    """Whether the real number that begins with `bits` (62 of them) lies below exp(-exponent)."""
    if exponent == 0:
        return True
    length = _BITS
    while True:
        length += 64
        bits = (bits << 64) | int.from_bytes(stream.bytes(8), "little")
        digits = length // 3 + 30
        context = Context(prec=digits, Emin=-(10**9), Emax=10**9)
        power = context.divide(Decimal(-exponent.numerator), Decimal(exponent.denominator))
        chance = Fraction(context.exp(power))
        # Decimal's exp is correctly rounded; the argument is off by |power| 10^-digits relative.
        error = chance * (2 + abs(Fraction(power))) / Fraction(10) ** (digits - 2)
        low, high = Fraction(bits, 1 << length), Fraction(bits + 1, 1 << length)
        if high <= chance - error:
            return True
        if low >= chance + error:
            return False


def _check_sigma(sigma: float) -> None:
    if not 2.0**-20 <= sigma <= _LARGEST_SIGMA:
        raise BudgetError(f"discrete noise needs a scale between 1e-6 and 1e12, not {sigma!r}")


def _integers(name: str, value: Integers) -> Integers:
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name!r} needs integers, not {array.dtype}; floats go to the gaussian mechanism")
    return array.astype(np.int64)
