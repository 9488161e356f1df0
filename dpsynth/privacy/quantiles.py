"""Bins of about equal mass, bought: a noisy histogram over fine public bins, cut at its quantiles.

Guarantee: a row stands in one fine bin of each of m columns, so a neighbour changes m cells by one (add_remove, L2
sensitivity sqrt(m)) or 2 m (replace_one). All cells leave in one release with discrete Gaussian noise (`discrete.py`);
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
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.marginals import marginals_charge, nearest_counts, noisy_counts
from dpsynth.privacy.random import PrivacyStream
from dpsynth.privacy.shares import share_noise

NAME = "bins"
Counts = NDArray[np.int64]


class Bins(NamedTuple):
    """Bought bins of one column: cuts (bins + 1,) from 0 to the number of fine bins, rising; noisy counts of the fine
    bins with their noise, where the mechanism releases them."""

    cuts: NDArray[np.int64]
    noisy: NDArray[np.int64] | None = None
    sigma: float = 0.0


@dataclass(frozen=True)
class PrivateQuantiles:
    """Buys at most `bins` bins for each of `columns` columns, all for `share` of the budget."""

    columns: int
    bins: int
    budget: Budget
    share: float

    @property
    def sigma(self) -> float:
        """Noise of a fine bin's count."""
        return share_noise(self.budget, self.share, self.columns * self.budget.cells_changed)

    def charges(self) -> tuple[Charge, ...]:
        """What it costs; needs no data."""
        return (marginals_charge(NAME, self.columns, self.sigma, self.budget),)

    def run(self, histograms: Sequence[Counts], ledger: Ledger, stream: PrivacyStream) -> list[Bins]:
        """The bins of each column. histograms: exact counts of its fine bins, every row in at most one."""
        (charge,) = self.charges()
        ledger.spend(charge.name, charge.event)
        noisy = noisy_counts(stream, NAME, histograms, self.budget, self.sigma)
        # From here on only noisy counts are looked at.
        return [Bins(_cuts(counts, self.bins), counts, self.sigma) for counts in noisy]


def _cuts(noisy: Counts, bins: int) -> NDArray[np.int64]:
    below = np.concatenate([[0.0], nearest_counts(noisy).cumsum()])
    wanted = np.arange(1, bins) * below[-1] / bins
    inner = np.rint(np.interp(wanted, below, np.arange(len(below)))).astype(np.int64)
    return np.unique(np.concatenate([[0], inner, [len(noisy)]])).astype(np.int64)
