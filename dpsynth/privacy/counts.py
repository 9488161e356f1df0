"""The number of rows, released once and cheaply, because under add_remove it is private.

Guarantee: rows + discrete Gaussian noise of parameter sigma; one integer that neighbours move by one
(add_remove, sensitivity 1). Event: `discrete_gaussian_event(sigma)`, exact (see `discrete.py`). Under
replace_one the number of rows is public by definition of the relation: it is returned as it is, and nothing
is charged.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import numpy as np

from dpsynth.privacy.budget import Budget
from dpsynth.privacy.discrete import discrete_gaussian, discrete_gaussian_event
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.random import PrivacyStream
from dpsynth.privacy.shares import share_noise

NAME = "rows"


def count_charge(budget: Budget, share: float) -> Charge | None:
    """The charge of `noisy_rows` at this share of the budget; None when counting is free."""
    if budget.neighbours == "replace_one":
        return None
    sigma = share_noise(budget, share)
    return Charge(NAME, discrete_gaussian_event(sigma), detail={"sigma": sigma, "sensitivity": 1})


def noisy_rows(rows: int, charge: Charge | None, ledger: Ledger, stream: PrivacyStream) -> int:
    """A public number of rows, at least 1; `charge` is what `count_charge` planned."""
    if charge is None:
        return max(1, rows)
    ledger.spend(charge.name, charge.event)
    sigma = float(charge.detail["sigma"])
    noisy = discrete_gaussian(stream, charge.name, np.array([rows]), sensitivity=1.0, sigma=sigma)
    return max(1, int(noisy[0]))
