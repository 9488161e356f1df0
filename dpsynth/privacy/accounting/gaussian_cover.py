"""A Gaussian mechanism, with a small probability of failure, that reveals at least as much as a list of charges.

`cover` turns the charges of one run into two numbers that add up over runs, mu^2 and delta, such that every output of
the run can be simulated from one draw of a pair that depends on the neighbours alone: with probability 1 - delta from
N(mu, 1) or N(0, 1), else from something that tells them apart. This is what `account.py` composes over runs.

Gaussians that are not sampled are mu-Gaussian DP with mu^2 = the sum of 1 / z^2, exactly (Dong, Roth and Su 2022, arXiv
1905.02383), and need no delta. The other parts (sampled Gaussians, discrete Laplace noise) are composed as pessimistic
privacy loss distributions first (`accounting.composed_losses`). Let h(e) be the larger hockey-stick divergence of that
distribution over both directions, and g(e, mu) that of N(mu, 1) against N(0, 1). By Blackwell's theorem (in the form of
Zhu, Dong and Wang 2022, arXiv 2106.08567) the simulation exists when

    h(e) <= (1 - s) g(e, mu) + s    for every e >= 0;

negative e follow from H_a(P || Q) = 1 - a + a H_{1/a}(Q || P), since h bounds both directions. Both sides fall in e, so
it is checked on a grid with h at the lower and g at the upper end of every interval, up to where h is at most s. The
charges' own deltas (partition selection, truncated batches) are probabilities of failure already and are added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from dp_accounting import GaussianDpEvent, NonPrivateDpEvent

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.accounting import (
    LARGEST_PLD_EPSILON,
    SMALLEST_PLD_DELTA,
    Charge,
    Leaves,
    check_event,
    composed_losses,
    rdp_epsilon,
)
from dpsynth.privacy.accounting.budget import Neighbours
from dpsynth.privacy.accounting.events import leaves
from dpsynth.privacy.accounting.privacy_loss import LossDistribution, gaussian_profile, loss_scale

_POINTS = 8192  # of the grid over epsilon
_HALVINGS = 60


def cover(charges: Sequence[Charge], neighbours: Neighbours, slack: float) -> tuple[float, float]:
    """(mu^2, delta) of all `charges` together; mu^2 is infinite where there is no noise.

    Args:
        charges: Of one run, whose parameters are all fixed before its first release.
        neighbours: The relation that their events speak of.
        slack: The probability of failure s that parts other than plain Gaussians may take; unused without them.

    Raises:
        BudgetError: A part has no proof under the relation, or no Gaussian bound is known for it.
    """
    squared, counts = 0.0, dict[object, int]()
    for charge in charges:
        for leaf, count in leaves(charge.event):
            check_event(leaf, neighbours)
            if isinstance(leaf, NonPrivateDpEvent) or loss_scale(leaf) is None:
                return math.inf, 0.0
            if isinstance(leaf, GaussianDpEvent):
                squared += count / leaf.noise_multiplier**2
            else:
                counts[leaf] = counts.get(leaf, 0) + count
    own = math.fsum(charge.delta for charge in charges)
    if not counts:
        return squared, own
    parts: Leaves = tuple(counts.items())  # type: ignore[assignment]
    return squared + _smallest_mu(parts, neighbours, slack) ** 2, own + slack


@lru_cache(maxsize=256)
def _smallest_mu(parts: Leaves, neighbours: Neighbours, slack: float) -> float:
    """The smallest mu, rounded up, that covers `parts` up to a probability of failure `slack`."""
    if slack < SMALLEST_PLD_DELTA:
        raise BudgetError(
            f"sampled batches and Laplace noise need a delta of their own of {SMALLEST_PLD_DELTA:g} or more, not "
            f"{slack:.3g}"
        )
    guess = rdp_epsilon(parts, slack, neighbours)
    if guess is None or guess > LARGEST_PLD_EPSILON:
        raise BudgetError("no Gaussian bound is known for these releases, or their cost is too large to compute")
    losses = composed_losses(parts, neighbours, guess)
    if losses is None:
        raise BudgetError("no Gaussian bound is known for these releases")
    top = float(losses.get_epsilon_for_delta(slack))
    if not math.isfinite(top):
        raise BudgetError("no Gaussian bound is known for these releases")
    ends = np.linspace(0.0, max(top, 1e-9), _POINTS + 1)
    wanted = (_profile(losses, ends[:-1]) - slack) / (1 - slack)
    ends, wanted = ends[1:][wanted > 0], wanted[wanted > 0]
    if not len(wanted):
        return 0.0
    low, high = np.zeros_like(ends), np.full_like(ends, 1.0)
    while (short := _gaussian(high, ends) < wanted).any():
        high[short] *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = _gaussian(middle, ends) >= wanted
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    return float(high.max()) * (1 + 1e-12)


def _profile(losses: LossDistribution, epsilons: np.ndarray) -> np.ndarray:
    """h at each of `epsilons`: dp_accounting takes the larger direction."""
    return np.asarray(losses.get_delta_for_epsilon(list(epsilons)), dtype=np.float64)


def _gaussian(mu: np.ndarray, epsilons: np.ndarray) -> np.ndarray:
    """g(epsilon, mu), elementwise."""
    return gaussian_profile(1 / np.maximum(mu, 1e-300), epsilons)  # type: ignore[arg-type]
