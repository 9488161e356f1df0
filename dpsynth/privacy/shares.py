"""How a share of the budget becomes noise, before the model gets the rest."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from functools import lru_cache

from dpsynth.errors import BudgetError
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import calibrate
from dpsynth.privacy.gaussian import gaussian_event
from dpsynth.privacy.ledger import Charge


def share_noise(budget: Budget, share: float, releases: int = 1) -> float:
    """The noise multiplier of each of `releases` Gaussian releases that together take `share` of the budget.

    If one Gaussian release with multiplier z spends the whole budget, then its zCDP cost is rho = 1 / (2
    z^2), costs add, and `releases` equal ones with z sqrt(releases / share) add up to share * rho. Infinite
    epsilon gives 0. This only sets the noise; what it costs is proven with everything else, by `Plan`.
    """
    if not 0 < share < 1:
        raise BudgetError(f"a share of the budget must lie strictly between 0 and 1, not {share!r}")
    if not budget.private:
        return 0.0
    return _whole(budget) * math.sqrt(releases / share)


@lru_cache
def _whole(budget: Budget) -> float:
    """The noise multiplier of one Gaussian release that spends the whole budget."""
    return calibrate(lambda z: [Charge("all", gaussian_event(z))], budget)
