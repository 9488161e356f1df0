"""A lower bound on epsilon from ONE run: many canaries, each put in by a coin, and guesses which ones were
(Steinke, Nasr, Jagielski 2023, arXiv 2305.08846).

    1  m canary records, each in the data by an independent fair coin
    2  one run of the program; a score for every canary, larger where it looks as if it had been in
    3  guesses on the r canaries with the largest and the smallest scores, none on the others; v of them are right

Guarantee (their Theorem 5.2). If the program is (epsilon, delta)-DP under adding or removing one record, then whatever
the scores, with q = e^epsilon / (1 + e^epsilon) and W binomial (r, q),

    P[V >= v]  <=  P[W >= v] + 2 m delta max over i in 1 .. v of P[v > W >= v - i] / i

so an epsilon for which the right side is below the allowed error is refuted. How many guesses are made must not depend
on the coins; here it is a public number.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom

from dpsynth.errors import ConfigError

LARGEST_EPSILON = 100.0


@dataclass(frozen=True)
class Guesses:
    """canaries: m. made: r guesses. right: v of them."""

    canaries: int
    made: int
    right: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.made <= self.canaries:
            raise ConfigError(f"{self.right} right of {self.made} guesses on {self.canaries} canaries: impossible")

    @classmethod
    def of(cls, scores: NDArray[np.float64], inside: NDArray[np.bool_], made: int) -> Guesses:
        """Half of the `made` guesses say "in", on the largest of (m,) scores, half "out", on the smallest."""
        half = min(made, scores.size) // 2
        order = np.argsort(scores, kind="stable")
        out, within = order[:half], order[scores.size - half :]
        return cls(scores.size, 2 * half, int((~inside[out]).sum() + inside[within].sum()))

    def p_value(self, epsilon: float, delta: float) -> float:
        """An upper bound on the chance of so many right guesses under (epsilon, delta)-DP."""
        truth = 1.0 / (1.0 + math.exp(-epsilon))
        chance = float(binom.sf(self.right - 1, self.made, truth))
        if delta == 0 or self.right == 0:
            return min(1.0, chance)
        within = np.cumsum(binom.pmf(np.arange(self.right - 1, -1, -1), self.made, truth))  # P[v > W >= v - i]
        largest = float((within / np.arange(1, self.right + 1)).max())
        return min(1.0, chance + 2.0 * self.canaries * delta * largest)

    def epsilon(self, delta: float, confidence: float = 0.95) -> float:
        """The smallest epsilon at `delta` that is not refuted at this confidence; 0 when none is."""
        error = 1.0 - confidence
        if self.p_value(0.0, delta) >= error:
            return 0.0
        if self.p_value(LARGEST_EPSILON, delta) < error:
            return LARGEST_EPSILON

        def excess(epsilon: float) -> float:
            return self.p_value(epsilon, delta) - error

        return max(0.0, cast(float, brentq(excess, 0.0, LARGEST_EPSILON, xtol=cast(Any, 1e-6))) - 1e-6)
