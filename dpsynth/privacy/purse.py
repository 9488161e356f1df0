"""A purse of zero-concentrated privacy for methods that choose their noise as they go.

Guarantee: the plan holds one charge of rho-zCDP. Every release is spent on the ledger before it is made, with its own
rho, and the ledger refuses what would take the sum above that of the charge; adaptive composition of zCDP (Bun and
Steinke 2016, arXiv 1605.02658, Lemma 2.3) makes the sum hold however the noise was chosen from earlier releases.

    counts of one marginal, discrete Gaussian noise sigma:   cells changed / (2 sigma^2), 1 or 2 cells (`discrete.py`)
    a choice by the exponential mechanism of epsilon:        epsilon^2 / 8 (`exponential.py`)

Without a finite epsilon the purse is endless, sigma is 0 and the best candidate is chosen.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from dp_accounting import NonPrivateDpEvent, ZCDpEvent
from numpy.typing import NDArray

from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import calibrate
from dpsynth.privacy.exponential import exponential, exponential_event
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.marginals import marginals_charge, noisy_counts
from dpsynth.privacy.random import PrivacyStream

Counts = NDArray[np.int64]


def purse_charge(name: str, budget: Budget, before: Sequence[Charge]) -> Charge:
    """All that `budget` leaves after the charges `before`, as one purse."""

    def charge(noise: float) -> Charge:
        rho = 0.5 / noise**2
        return Charge(name, ZCDpEvent(rho), detail={"rho": rho})

    if not budget.private:
        return Charge(name, NonPrivateDpEvent(), detail={"rho": "inf"})
    return charge(calibrate(lambda noise: (*before, charge(noise)), budget))


@dataclass
class Purse:
    """The open purse of one run. `left`: rho that is not spent yet. Releases are numbered as they are made."""

    name: str
    ledger: Ledger
    stream: PrivacyStream

    def __post_init__(self) -> None:
        charge = next(charge for charge in self.ledger.plan.charges if charge.name == self.name)
        self.total = self.left = float(charge.detail["rho"])
        self._releases = 0
        if not self.budget.private:
            self.ledger.spend(self.name, NonPrivateDpEvent())

    @property
    def budget(self) -> Budget:
        """The budget of the run."""
        return self.ledger.plan.budget

    def counts_cost(self, sigma: float) -> float:
        """rho of the noisy counts of one marginal."""
        return 0.5 * self.budget.cells_changed / sigma**2 if self.budget.private else 0.0

    def sigma_for(self, rho: float) -> float:
        """Noise of the counts of one marginal that cost `rho`; the inverse of `counts_cost`."""
        return math.sqrt(0.5 * self.budget.cells_changed / rho) if self.budget.private else 0.0

    @staticmethod
    def choice_cost(epsilon: float) -> float:
        """rho of one choice."""
        return epsilon**2 / 8 if math.isfinite(epsilon) else 0.0

    def epsilon_for(self, rho: float) -> float:
        """Parameter of a choice that costs `rho`; the inverse of `choice_cost`."""
        return math.sqrt(8 * rho) if self.budget.private else math.inf

    def measure(self, exact: Sequence[Counts], sigma: float) -> list[Counts]:
        """The tables of `exact` with noise `sigma` on every cell; each costs `counts_cost(sigma)`."""
        if self.budget.private:
            self.ledger.spend(self.name, marginals_charge(self.name, len(exact), sigma, self.budget).event)
            self.left = max(0.0, self.left - len(exact) * self.counts_cost(sigma))
        return noisy_counts(self.stream, self.name, exact, self.budget, sigma, self._step())

    def choose(self, scores: NDArray[np.float64], sensitivity: float, epsilon: float) -> int:
        """The position of the chosen one of `scores`; costs `choice_cost(epsilon)`."""
        if self.budget.private:
            self.ledger.spend(self.name, exponential_event(epsilon))
            self.left = max(0.0, self.left - self.choice_cost(epsilon))
        return exponential(self.stream, self.name, scores, sensitivity=sensitivity, epsilon=epsilon, step=self._step())

    def _step(self) -> int:
        self._releases += 1
        return self._releases - 1
