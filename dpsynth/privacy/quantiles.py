"""Bins of about equal mass, estimated privately: a noisy histogram over fine public bins, cut at its quantiles.

Guarantee: a row stands in one fine bin of each of m columns, so a neighbour changes m cells by one (add_remove, L2
sensitivity sqrt(m)) or 2 m (replace_one). All cells leave in one release of m marginals (`marginals.py`);
the cuts and the noisy counts within them are post-processing.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dpsynth.privacy.budget import Budget
from dpsynth.privacy.budget_fraction import fraction_noise
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.marginals import NoisyMarginals, nearest_counts

NAME = "bins"
Counts = NDArray[np.int64]


class Bins(NamedTuple):
    """Private bins of one column: cuts (bins + 1,) from 0 to the number of fine bins, rising; noisy counts of the fine
    bins with their noise, where the mechanism releases them."""

    cuts: NDArray[np.int64]
    noisy: NDArray[np.int64] | None = None
    sigma: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PrivateQuantiles(NoisyMarginals):
    """Finds at most `bins` bins for each of `marginals` columns."""

    bins: int

    @classmethod
    def planned(cls, columns: int, bins: int, budget: Budget, fraction: float) -> PrivateQuantiles:
        """For a fraction of the budget."""
        sigma = fraction_noise(budget, fraction, columns * budget.cells_changed)
        return cls(name=NAME, neighbours=budget.neighbours, sigma=sigma, marginals=columns, bins=bins)

    def discretize(self, histograms: Sequence[Counts], ledger: Ledger) -> list[Bins]:
        """The bins of each column. histograms: exact counts of its fine bins, every row in at most one."""
        noisy = self.measure(histograms, ledger)
        # From here on only noisy counts are looked at.
        return [Bins(_cuts(counts, self.bins), counts, self.sigma) for counts in noisy]


def _cuts(noisy: Counts, bins: int) -> NDArray[np.int64]:
    below = np.concatenate([[0.0], nearest_counts(noisy).cumsum()])
    wanted = np.arange(1, bins) * below[-1] / bins
    inner = np.rint(np.interp(wanted, below, np.arange(len(below)))).astype(np.int64)
    return np.unique(np.concatenate([[0], inner, [len(noisy)]])).astype(np.int64)
