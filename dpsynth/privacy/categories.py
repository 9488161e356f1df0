"""Private categories of a text column: partition selection.

Guarantee. Each row adds one to the count of its value. Counts that both neighbours hold differ in one cell by one
(add_remove), or in two (replace_one): rounded Gaussian noise, L2 sensitivity 1 or sqrt 2 (`integer_noise.py`). A value
that only one neighbour holds has count 1 there and is never looked at on the other side; it is released with
probability P[1 + X >= threshold] = P[N(0, sigma^2) >= threshold - 3/2], which the threshold 3/2 + sigma * Phi^-1(1 -
delta), rounded up, holds to delta. Off that event the outputs are those of the Gaussian mechanism on shared cells, so
the delta adds to that of the run. Under replace_one the old and the new value may both be such singletons, one on each
side: each side's bad event has probability at most delta, so the same delta serves (Korolova et al. 2009; Desfontaines,
Voss, Gipson, Mandayam 2020, arXiv 2006.03684, for the selection problem).
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
from dpsynth.privacy.budget import count_sensitivity
from dpsynth.privacy.integer_noise import CountMechanism, sample_rounded_gaussian
from dpsynth.privacy.keystream import Keystream
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanism import Detail


@dataclass(frozen=True, kw_only=True)
class PrivateCategories(CountMechanism):
    """Selects the values of one column that are frequent enough to be released.

    Attributes:
        threshold_delta: Row-level chance that the threshold fails.
        limit: At most so many values are kept, the most frequent by noisy count.
    """

    threshold_delta: float
    limit: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.threshold_delta < 1:
            raise BudgetError(f"the private categories of {self.name!r} need a delta of their own in (0, 1)")

    @property
    def sensitivity(self) -> float:
        return count_sensitivity(self.neighbours)

    @property
    def delta(self) -> float:
        return 0.0 if self.noiseless else self.threshold_delta

    @property
    def threshold(self) -> int:
        """Smallest noisy count that is released."""
        return math.ceil(1.5 + self.sigma * float(norm.isf(self.threshold_delta)))

    @property
    def detail(self) -> Detail:
        return {"sigma": self.sigma, "threshold": self.threshold}

    def draw(self, query: Mapping[str, int], noise: Keystream) -> dict[str, int]:
        """The values whose noisy counts reach the threshold, with these counts; every other value stays unnamed."""
        keys = sorted(query)
        noisy = np.array([query[key] for key in keys], dtype=np.int64)
        if not self.noiseless:
            noisy = noisy + sample_rounded_gaussian(noise, self.sigma, len(keys))
        return {key: int(n) for key, n in zip(keys, noisy, strict=True) if n >= self.threshold}

    def measure(self, values: Iterable[str | None], ledger: Ledger) -> tuple[str, ...]:
        """Released values in alphabetical order, maybe none. `values`: one per row; None counts nowhere."""
        counts: dict[str, int] = {}
        for value in values:
            if value is not None:
                counts[value] = counts.get(value, 0) + 1
        released = ledger.release(self, counts)
        # From here on only noisy counts are looked at.
        kept = sorted(released, key=lambda key: (-released[key], key))[: self.limit]
        return tuple(sorted(kept))
