"""Private categories of a text column: partition selection.

Guarantee. Each row adds one to the count of its value. Counts that both neighbours hold differ in one cell by
one (add_remove), or in two (replace_one): the event is one exact scalar discrete Gaussian per changed cell. A
value that only one neighbour holds has count 1 there and is never looked at on the other side; it is released
with probability P[1 + X >= threshold] = P[X >= threshold - 1] <= P[N(0, sigma^2) >= threshold - 2] (Canonne,
Kamath, Steinke 2020, Proposition 25), which the threshold 2 + sigma * Phi^-1(1 - delta), rounded up, holds to
delta. Off that event the outputs are those of the Gaussian mechanism on shared cells, so the delta adds to
that of the run. Under replace_one the old and the new value may both be such singletons, one on each side:
each side's bad event has probability at most delta, so the same delta serves (Korolova et al. 2009;
Desfontaines, Voss, Gipson, Mandayam 2020, arXiv 2006.03684, for the selection problem).
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from dpsynth.errors import BudgetError
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.discrete import discrete_gaussian_event, sample_gaussian
from dpsynth.privacy.gaussian import check_scale
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.random import PrivacyStream


@dataclass(frozen=True)
class PrivateCategories:
    """Buys the list of values of one column that are frequent enough to be shown. `delta` is row-level."""

    name: str
    budget: Budget
    sigma: float
    delta: float
    limit: int = 1000  # at most so many values are kept, the most frequent by noisy count

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise BudgetError(f"the private categories of {self.name!r} need a delta of their own in (0, 1)")

    @property
    def threshold(self) -> int:
        """Smallest noisy count that is released."""
        return math.ceil(2 + self.sigma * float(norm.isf(self.delta)))

    def charge(self) -> Charge:
        """What it costs; needs no data."""
        event = discrete_gaussian_event(self.sigma, self.budget.cells_changed)
        detail = {"sigma": self.sigma, "threshold": self.threshold}
        return Charge(self.name, event, self.delta if self.budget.private else 0.0, detail)

    def run(self, values: Iterable[str | None], ledger: Ledger, stream: PrivacyStream) -> tuple[str, ...]:
        """Released values in alphabetical order, maybe none. `values`: one per row; None counts nowhere."""
        ledger.spend(self.name, self.charge().event)
        counts: dict[str, int] = {}
        for value in values:
            if value is not None:
                counts[value] = counts.get(value, 0) + 1
        check_scale(stream, self.name, self.sigma, 1.0)

        def draw(query: Mapping[str, int]) -> dict[str, int]:
            keys = sorted(query)
            noisy = np.array([query[key] for key in keys], dtype=np.int64)
            if self.sigma > 0:
                noisy = noisy + sample_gaussian(stream.keystream(self.name), self.sigma, len(keys))
            return {key: int(n) for key, n in zip(keys, noisy, strict=True) if n >= self.threshold}

        released = stream.release(
            self.name,
            counts,
            sensitivity=self.budget.count_sensitivity,
            norm="l2",
            draw=draw,
            parameters={"mechanism": "partition", "sigma": self.sigma, "threshold": self.threshold},
        )
        # From here on only noisy counts are looked at.
        kept = sorted(released, key=lambda key: (-released[key], key))[: self.limit]
        return tuple(sorted(kept))
