"""How a fraction of the budget becomes noise, before the method gets the rest."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from dp_accounting import DpEvent, GaussianDpEvent

from dpsynth.errors import BudgetError
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import calibrate


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
