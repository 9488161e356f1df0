"""What a guarantee means for an attacker: how well anybody can tell whether one row (or person) took part.

The attacker knows every other row and sees the whole release. `alpha` is the chance of a false accusation (saying "in"
of one who is not), power the chance of a true one. Limits, which hold for every attack:

- (epsilon, delta): power <= min(delta + e^epsilon alpha, 1 - e^-epsilon (1 - delta - alpha)) (Wasserman and Zhou 2010;
  Kairouz, Oh, Viswanath 2015, arXiv 1311.0776).
- mu-Gaussian DP: power <= Phi(Phi^-1(alpha) + mu) (Dong, Roth, Su 2019, arXiv 1905.02383). Gaussian releases are
  exactly that; for a budget that is spent on Gaussian noise, mu follows from delta(epsilon) = delta (Balle and Wang
  2018, arXiv 1805.06530), and is the sharper statement.

Advantage is the largest difference power - alpha; posterior is the chance of "in" that the most incriminating release
leaves, outside an event of probability delta: every (epsilon, delta)-DP release is post-processing of one that reveals
all with probability delta, and otherwise lets the odds grow by e^epsilon at most (Kairouz, Oh, Viswanath 2015).
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.privacy_loss import gaussian_profile

Reals = NDArray[np.float64]


def check(epsilon: float, delta: float) -> None:
    """`BudgetError` unless epsilon is above 0 and delta lies in [0, 1)."""
    if not (epsilon > 0 and not math.isnan(epsilon)):
        raise BudgetError(f"epsilon={epsilon:g}: must be above 0")
    if not 0 <= delta < 1:
        raise BudgetError(f"delta={delta:g}: must be at least 0 and below 1")


def power(alpha: Reals | float, epsilon: float, delta: float) -> Reals:
    """The largest power at each rate `alpha` of false accusations under (epsilon, delta)-DP, same shape."""
    check(epsilon, delta)
    alpha = np.asarray(alpha, dtype=np.float64)
    if math.isinf(epsilon):
        return np.ones_like(alpha)
    low = delta + math.exp(min(epsilon, 700.0)) * alpha
    high = 1 - math.exp(-epsilon) * (1 - delta - alpha)
    return np.clip(np.minimum(low, high), 0.0, 1.0)


def gaussian_power(alpha: Reals | float, mu: float) -> Reals:
    """The largest power at each rate `alpha` of false accusations under mu-Gaussian DP, same shape."""
    return np.asarray(norm.cdf(norm.ppf(np.asarray(alpha, dtype=np.float64)) + mu), dtype=np.float64)


def advantage(epsilon: float, delta: float) -> float:
    """The largest power - alpha under (epsilon, delta)-DP.

    >>> round(advantage(1.0, 0.0), 3)
    0.462
    """
    check(epsilon, delta)
    if math.isinf(epsilon):
        return 1.0
    return delta + (1 - delta) * math.tanh(epsilon / 2)


def gaussian_advantage(mu: float) -> float:
    """The largest power - alpha under mu-Gaussian DP."""
    return float(2 * norm.cdf(mu / 2) - 1)


def posterior(prior: float, epsilon: float) -> float:
    """The largest chance of "in" after the release for one who had `prior` before: odds grow by e^epsilon at most.

    >>> round(posterior(0.5, 1.0), 3)
    0.731
    """
    if not 0 < prior < 1:
        raise BudgetError(f"prior={prior:g}: must lie between 0 and 1")
    return float(1 / (1 + (1 - prior) / prior * math.exp(-min(epsilon, 700.0))))


def gaussian_mu(epsilon: float, delta: float) -> float:
    """mu of the Gaussian release that is exactly (epsilon, delta)-DP. Raises `BudgetError` for delta = 0."""
    check(epsilon, delta)
    if not (delta > 0 and math.isfinite(epsilon)):
        raise BudgetError(f"epsilon={epsilon:g}, delta={delta:g}: no Gaussian release has these; give a delta above 0")

    def excess(mu: float) -> float:
        return float(gaussian_profile(1 / mu, np.array([epsilon]))[0]) - delta

    top = 1.0
    while excess(top) < 0:
        top *= 2
    low = top / 2
    while low > 1e-8 and excess(low) > 0:
        low /= 2
    return float(brentq(excess, low, top, xtol=1e-12))  # pyright: ignore[reportArgumentType]
