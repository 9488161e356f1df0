"""What a list of charges costs, proven.

`prove` takes the smaller of several bounds, each of them a theorem:
- *analytic Gaussian* (Balle and Wang 2018, arXiv 1805.06530): exact, when everything is an unsampled
  Gaussian;
- *PLD*: numerical composition of pessimistic privacy loss distributions (`privacy_loss.py`), not used below
  delta = 1e-10, where its float64 Fourier transforms are no longer to be trusted;
- *RDP* with the conversion of Canonne, Kamath and Steinke (2020, arXiv 2004.00010, Proposition 12), always
  finite in time and memory.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, cast

import numpy as np
from dp_accounting import (
    DpEvent,
    GaussianDpEvent,
    NeighboringRelation,
    NonPrivateDpEvent,
    PoissonSampledDpEvent,
    SampledWithoutReplacementDpEvent,
    ZCDpEvent,
)
from dp_accounting.dp_event import DiscreteLaplaceDpEvent
from dp_accounting.rdp import RdpAccountant
from scipy.optimize import brentq

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.budget import Budget, Neighbours
from dpsynth.privacy.accounting.events import leaves, restore
from dpsynth.privacy.accounting.privacy_loss import (
    LossDistribution,
    gaussian_profile,
    loss_distribution,
    loss_scale,
    sampling,
)


class Charge(Protocol):
    """What the accountant needs to know of a release: a `Mechanism`, or a line of a privacy statement."""

    @property
    def event(self) -> DpEvent:
        """What all releases cost together, sampling included."""
        ...

    @property
    def delta(self) -> float:
        """Row-level delta on top of the event (a threshold that may fail)."""
        ...


@dataclass(frozen=True)
class StatedCharge:
    """A charge as a privacy statement names it: it can be priced, but nothing can be released by it."""

    name: str
    event: DpEvent
    delta: float = 0.0

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> StatedCharge:
        """A line of `charges` in a privacy statement; raises ArtifactError for an unknown event."""
        return cls(str(state["name"]), restore(state["event"]), float(state.get("delta", 0.0)))


TOLERANCE = 1e-9  # how far a proven epsilon may stand above its target, for float error alone
SMALLEST_PLD_DELTA = 1e-10
LARGEST_PLD_EPSILON = 300.0
_GRID_POINTS = 1 << 18

_RELATIONS: dict[Neighbours, NeighboringRelation] = {
    "add_remove": NeighboringRelation.ADD_OR_REMOVE_ONE,
    "replace_one": NeighboringRelation.REPLACE_ONE,
}

Leaves = tuple[tuple[DpEvent, int], ...]


@dataclass(frozen=True)
class Proven:
    """A guarantee: (epsilon, delta) for the unit of the budget, and which accountant proved it."""

    epsilon: float
    delta: float
    accountant: str
    bounds: tuple[tuple[str, float], ...] = field(default=(), compare=False)  # row-level epsilon of each


def prove(charges: Sequence[Charge], budget: Budget) -> Proven:
    """The smallest epsilon we can prove for all charges together at the budget's delta.

    Each charge's own delta (partition selection, truncated batches) is taken from the row-level delta first.
    With several rows per person the row-level result is converted (`Budget.row_level`). Infinite epsilon
    proves nothing. Raises BudgetError when the deltas alone exceed the budget, or an event has no proof under
    the relation.
    """
    if not budget.private:
        return Proven(math.inf, budget.delta, "none")
    row = budget.row_level
    delta = row.delta - math.fsum(charge.delta for charge in charges)
    if delta <= 0:
        raise BudgetError(
            f"the charges' own deltas add up to {row.delta - delta:.3g}, which leaves nothing of delta "
            f"{row.delta:.3g}: raise privacy.delta, or declare more categories"
        )
    bounds = _epsilons(_collect(charges), delta, row.neighbours)
    name, epsilon = min(bounds, key=lambda bound: bound[1])
    person_epsilon, person_delta = budget.person_level(epsilon, row.delta)
    if epsilon <= row.epsilon:
        person_delta = budget.delta  # the conversion is monotone in epsilon, so the target delta holds
    return Proven(person_epsilon, person_delta, name, bounds)


def _collect(charges: Sequence[Charge]) -> Leaves:
    """All parts of all charges; equal parts are counted together, Gaussians become one."""
    counts: dict[DpEvent, int] = {}
    precision = 0.0  # sum of 1 / z^2
    for charge in charges:
        for leaf, count in leaves(charge.event):
            if isinstance(leaf, GaussianDpEvent) and leaf.noise_multiplier > 0:
                precision += count / leaf.noise_multiplier**2
            else:
                counts[leaf] = counts.get(leaf, 0) + count
    if precision > 0:
        counts[GaussianDpEvent(precision**-0.5)] = 1
    return tuple(counts.items())


@lru_cache(maxsize=512)
def _epsilons(parts: Leaves, delta: float, neighbours: Neighbours) -> tuple[tuple[str, float], ...]:
    """Every applicable accountant's (name, epsilon)."""
    if not parts:
        return (("analytic Gaussian", 0.0),)
    for leaf, _ in parts:
        check_event(leaf, neighbours)
    if any(_noiseless(leaf) for leaf, _ in parts):
        return (("none", math.inf),)
    if len(parts) == 1 and isinstance(parts[0][0], GaussianDpEvent):
        return (("analytic Gaussian", _gaussian_epsilon(parts[0][0].noise_multiplier, delta)),)
    bounds: list[tuple[str, float]] = []
    rdp = rdp_epsilon(parts, delta, neighbours)
    if rdp is not None:
        bounds.append(("RDP", rdp))
    # The guess sets the spacing of the grid; a cost beyond all reason is not worth a large one.
    if rdp is not None and rdp <= LARGEST_PLD_EPSILON and delta >= SMALLEST_PLD_DELTA:
        tight = _pld_epsilon(parts, delta, neighbours, rdp)
        if tight is not None:
            bounds.append(("PLD", tight))
    return tuple(bounds)


def check_event(leaf: DpEvent, neighbours: Neighbours) -> None:
    """Raise `BudgetError` for a part (`events.leaves`) that has no proof under the relation."""
    sampled = isinstance(leaf, PoissonSampledDpEvent | SampledWithoutReplacementDpEvent)
    if sampled and sampling(leaf) is None:
        raise BudgetError(f"no proof is known for a sampled event that is not Gaussian: {leaf}")
    if isinstance(leaf, SampledWithoutReplacementDpEvent) and neighbours == "add_remove":
        raise BudgetError(
            "fixed-size batches have no proof under add_remove: use neighbours=replace_one or Poisson batches"
        )
    if isinstance(leaf, PoissonSampledDpEvent) and neighbours == "replace_one":
        raise BudgetError(
            "Poisson batches are drawn and noised for add_remove: use that relation, or fixed-size batches"
        )
    if not sampled and not isinstance(leaf, GaussianDpEvent | DiscreteLaplaceDpEvent | NonPrivateDpEvent):
        raise BudgetError(f"no accountant knows the event {leaf}")


def _noiseless(leaf: DpEvent) -> bool:
    return isinstance(leaf, NonPrivateDpEvent) or loss_scale(leaf) is None


def _gaussian_epsilon(noise: float, delta: float) -> float:
    """The root of delta(epsilon) = delta, rounded up. An upper bound for the bracket comes from zCDP."""

    def excess(epsilon: float) -> float:
        return float(gaussian_profile(noise, np.array([epsilon]))[0]) - delta

    if excess(0.0) <= 0:
        return 0.0
    rho = 0.5 / noise**2
    top = rho + 2 * math.sqrt(rho * math.log(1 / delta)) + 1e-9
    root = cast(float, brentq(excess, 0.0, top, xtol=1e-13, rtol=cast(Any, 1e-13)))
    return root * (1 + 1e-12) + 1e-13


def rdp_epsilon(parts: Leaves, delta: float, neighbours: Neighbours) -> float | None:
    """The RDP bound, or None for an event without an RDP formula."""
    accountant = RdpAccountant(list(_orders(parts)), _RELATIONS[neighbours])
    with _quiet():
        for leaf, count in parts:
            if isinstance(leaf, DiscreteLaplaceDpEvent):
                # Pure DP gives zCDP: Bun and Steinke 2016, Proposition 1.4.
                leaf = ZCDpEvent(0.5 * (leaf.noise_parameter * leaf.sensitivity) ** 2)
            if not accountant.supports(leaf):
                return None
            accountant.compose(leaf, count)
        return float(accountant.get_epsilon(delta))


def _orders(parts: Leaves) -> Sequence[float]:
    """Renyi orders: a dense grid where the formulas are closed, fewer where each order is a long sum."""
    kinds = {type(leaf) for leaf, _ in parts}
    if SampledWithoutReplacementDpEvent in kinds:
        return [1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 512, 2048]
    if PoissonSampledDpEvent in kinds:
        small = [1.05, 1.1, *(1 + k / 5 for k in range(1, 45)), *range(10, 32), *range(32, 64, 2)]
        return [*small, 72, 80, 96, 112, 128, 160, 192, 256, 384, 512, 768, 1024, 2048, 4096]
    return (1 + np.geomspace(1e-2, 1e6, 1200)).tolist()


def _pld_epsilon(parts: Leaves, delta: float, neighbours: Neighbours, guess: float) -> float | None:
    """The PLD bound, or None when some event has no loss distribution."""
    total = composed_losses(parts, neighbours, guess)
    return None if total is None else float(total.get_epsilon_for_delta(delta))


def composed_losses(parts: Leaves, neighbours: Neighbours, guess: float) -> LossDistribution | None:
    """The pessimistic loss distribution of all parts together, or None when some part has none.

    guess: about the epsilon that it will give; it sets the spacing of the grid.
    """
    scales = [loss_scale(leaf) for leaf, _ in parts]
    if any(scale is None for scale in scales):
        return None
    typical = min(scale[0] for scale in scales if scale)
    largest = max(scale[1] for scale in scales if scale)
    # Fine against each loss and against the answer, yet never more points than memory is worth.
    interval = min(typical / 10, 2e-4 * max(guess, 1e-6))
    interval = max(interval, (6 * guess + largest) / _GRID_POINTS)
    total: LossDistribution | None = None
    for leaf, count in parts:
        single = loss_distribution(leaf, neighbours, interval)
        if single is None:
            return None
        many = single.self_compose(count) if count > 1 else single
        total = many if total is None else total.compose(many)
    return total


@contextmanager
def _quiet() -> Generator[None]:
    """dp_accounting warns of every order that it leaves out; leaving out orders is sound and not the user's
    concern."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
