"""The number of rows, released once and cheaply, because under add_remove it is private.

Guarantee: rows + rounded Gaussian noise of parameter sigma; one integer that neighbours move by one (add_remove,
sensitivity 1): `integer_noise.py`. Under replace_one the number of rows is public by definition of the relation: it is
returned as it is, nothing is charged, and no such mechanism is planned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dpsynth.privacy.budget import Budget
from dpsynth.privacy.budget_fraction import fraction_noise
from dpsynth.privacy.integer_noise import CountMechanism
from dpsynth.privacy.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class RowCount(CountMechanism):
    """The noisy number of rows."""

    name: str = "rows"

    @classmethod
    def planned(cls, budget: Budget, fraction: float) -> RowCount | None:
        """At a fraction of the budget; None where the number of rows is public."""
        if budget.neighbours == "replace_one":
            return None
        return cls(neighbours=budget.neighbours, sigma=fraction_noise(budget, fraction))

    @property
    def sensitivity(self) -> float:
        return 1.0

    def measure(self, rows: int, ledger: Ledger) -> int:
        """A public number of rows, at least 1."""
        return max(1, int(ledger.release(self, np.array([rows]))[0]))
