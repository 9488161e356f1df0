"""The smallest noise that stays within a budget, or within a fraction of it.

The inverse of `accounting.prove`, by search: `calibrate` returns only noise scales for which `prove` itself has
confirmed the target.

A fraction of the budget becomes noise in the same way, before the method gets the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dp_accounting import DpEvent, GaussianDpEvent

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.accounting import TOLERANCE, Charge, prove
from dpsynth.privacy.accounting.budget import Budget


def calibrate(
    charges_of: Callable[[float], Sequence[Charge]],
    budget: Budget,
    *,
    low: float = 1e-2,
    high: float = 1e7,
    precision: float = 1e-4,
) -> float:
    """The smallest noise scale s in [low, high], within `precision` relative, with prove(charges_of(s)) <=
    budget.

    `charges_of` must cost less as s grows. The result is conservative: `prove` was run on it. Infinite
    epsilon gives 0. Raises BudgetError when even `high` costs too much; the message says what remains without
    any of this noise.
    """
    if not budget.private:
        return 0.0
    target = budget.epsilon

    def cost(log_scale: float) -> float:
        return math.log(max(prove(charges_of(math.exp(log_scale)), budget).epsilon, 1e-12))

    goal = math.log(target)
    bottom, top = math.log(low), math.log(high)
    if cost(top) > goal:
        floor = math.exp(cost(top))
        raise BudgetError(
            f"epsilon {target:g} cannot be met: even with noise scale {high:g} the plan costs {floor:.4g}; "
            "the other charges take the budget, so raise epsilon or lower their fraction"
        )
    if cost(bottom) <= goal:
        return low
    above, below = _bracket(cost, goal, bottom, top)
    # Invariant: cost(below) <= goal < cost(above), below > above. log epsilon is nearly linear in log s.
    for attempt in range(60):
        if below - above <= precision:
            break
        if attempt % 3 == 2 or not math.isfinite(cost(above)):
            middle = 0.5 * (above + below)
        else:
            slope = (cost(below) - cost(above)) / (below - above)
            guess = above + (goal - cost(above)) / slope if slope < 0 else 0.5 * (above + below)
            # A small step towards the safe side, so that the bracket shrinks from both ends.
            guess += (0.25 if attempt % 3 == 0 else -0.25) * precision
            inset = 0.1 * precision
            middle = min(max(guess, above + inset), below - inset)
        if cost(middle) <= goal:
            below = middle
        else:
            above = middle
    scale = math.exp(below)
    proven = prove(charges_of(scale), budget)
    if not proven.epsilon <= target + TOLERANCE:
        raise BudgetError(f"calibration ended above its target: {proven.epsilon:.9g} > {target:.9g}")
    return scale


def _bracket(cost: Callable[[float], float], goal: float, bottom: float, top: float) -> tuple[float, float]:
    """Two log scales, the first too cheap in noise, the second not, found by doubling steps from scale 1."""
    start = min(max(0.0, bottom), top)
    step = math.log(2.0)
    if cost(start) <= goal:
        below = start
        while below > bottom:
            above = max(bottom, below - step)
            if cost(above) > goal:
                return above, below
            below, step = above, min(2 * step, 3.0)
        return bottom, below
    above = start
    while above < top:
        below = min(top, above + step)
        if cost(below) <= goal:
            return above, below
        above, step = below, min(2 * step, 3.0)
    return above, top


# -------------------- Budget fraction -------------------------------------------------------


def fraction_noise(budget: Budget, fraction: float, releases: int = 1) -> float:
    """The noise multiplier of each of `releases` Gaussian releases that together take `fraction` of the budget.

    If one Gaussian release with multiplier z spends the whole budget, then it is 1 / z-Gaussian DP; squares of these
    parameters add, and `releases` equal ones with z sqrt(releases / fraction) add up to that fraction of 1 / z^2.
    Infinite epsilon gives 0. This only sets the noise; what it costs is proven with everything else, by `Plan`.
    """
    if not 0 < fraction < 1:
        raise BudgetError(f"a fraction of the budget must lie strictly between 0 and 1, not {fraction!r}")
    if not budget.private:
        return 0.0
    return _whole(budget) * math.sqrt(releases / fraction)


@dataclass(frozen=True)
class _GaussianCharge:
    """One Gaussian release, for calibration."""

    noise_multiplier: float
    delta: float = 0.0

    @property
    def event(self) -> DpEvent:
        return GaussianDpEvent(self.noise_multiplier)


@lru_cache
def _whole(budget: Budget) -> float:
    """The noise multiplier of one Gaussian release that spends the whole budget."""
    return calibrate(lambda z: [_GaussianCharge(z)], budget)
