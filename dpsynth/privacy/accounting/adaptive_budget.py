"""A budget of Gaussian DP for methods that choose their noise, and what they release, as they go.

Guarantee: the plan holds one charge, mu-Gaussian DP. Under its name the ledger releases mechanisms of any noise, each
known to be mu_i-Gaussian DP given everything released before, and refuses the first that would take the sum of mu_i^2
above mu^2. That is a filter: the composition is mu-Gaussian DP however noise and queries were chosen from earlier
releases (Smith and Thakurta 2022, arXiv 2210.17520, fully adaptive composition for Gaussian DP). Such filters exist for
Gaussian DP and for zCDP; a filter on other trade-off functions or on privacy loss distributions would be unsound.

    counts of T marginals, rounded Gaussian noise sigma       mu_i^2 = T cells / sigma^2, 1 or 2 cells (`marginals.py`)
    a choice by the exponential mechanism of epsilon          mu_i^2 = about 0.393 epsilon^2 (`exponential.py`)

Against a zCDP filter (rho = mu^2 / 2 spent, converted at delta afterwards) the exact Gaussian conversion leaves about
17 % more at epsilon 1 and delta 1e-5. Without a finite epsilon nothing is counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dp_accounting import DpEvent, GaussianDpEvent, NonPrivateDpEvent

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget, Neighbours
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.accounting.events import leaves
from dpsynth.privacy.mechanism import Detail


@dataclass(frozen=True, kw_only=True)
class AdaptiveBudget:
    """A planned charge that is spent release by release.

    Attributes:
        name: Of the charge, and of every mechanism released under it.
        neighbours: The relation of the budget.
        mu: Gaussian DP parameter of all releases together; infinite without a finite epsilon.
        unit: What a unit of protection adds to a count at most; `NoisyMarginals` has the same.
    """

    name: str
    neighbours: Neighbours
    mu: float
    unit: int = 1

    def __post_init__(self) -> None:
        if not self.mu > 0:
            raise BudgetError(f"{self.name!r}: mu must be above 0, not {self.mu!r}")

    @classmethod
    def remaining(cls, name: str, budget: Budget, before: Sequence[Charge]) -> AdaptiveBudget:
        """All that `budget` leaves after the charges `before`."""

        def of(noise: float) -> AdaptiveBudget:
            return cls(name=name, neighbours=budget.neighbours, mu=1 / noise if noise else math.inf)

        return of(calibrate(lambda noise: (*before, of(noise)), budget))

    @property
    def private(self) -> bool:
        """Whether there is anything to count."""
        return math.isfinite(self.mu)

    @property
    def event(self) -> DpEvent:
        return GaussianDpEvent(1 / self.mu) if self.private else NonPrivateDpEvent()

    @property
    def delta(self) -> float:
        return 0.0

    @property
    def detail(self) -> Detail:
        return {"mu": self.mu if self.private else "inf"}

    @property
    def total(self) -> float:
        """mu^2, in which releases add up."""
        return self.mu**2

    def counts_sigma(self, cost: float) -> float:
        """Noise of the counts of one marginal that cost `cost` of mu^2, in counts."""
        changed = 1 if self.neighbours == "add_remove" else 2
        return self.unit * math.sqrt(changed / cost) if self.private else 0.0


def gaussian_cost(event: DpEvent) -> float:
    """mu^2 of an event that is Gaussian DP; BudgetError for one that is not known to be."""
    total = 0.0
    for leaf, count in leaves(event):
        if not isinstance(leaf, GaussianDpEvent):
            raise BudgetError(f"an adaptive budget counts Gaussian DP only, not {leaf}")
        total += count / leaf.noise_multiplier**2 if leaf.noise_multiplier else math.inf
    return total
