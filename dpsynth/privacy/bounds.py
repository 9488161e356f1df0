"""Private bounds of a numeric column: a noisy histogram over public bins, and the outermost bins that stand
out.

Guarantee: the histogram counts each row with a finite value in exactly one bin, so neighbours differ in one cell by
one (add_remove, L2 sensitivity 1) or in two (replace_one, sqrt 2). Rounded Gaussian noise of parameter sigma on all
bins, empty ones included (`integer_noise.py`); the threshold sigma * Phi^-1(1 - 0.001 / bins) + 1/2, below which all
empty bins stay with probability .999 (rounding adds at most 1/2), and the choice of bins are post-processing. Bins
are public, and reach over everything a float64 of a sane table can hold, so values beyond them are clamped into the
outermost ones.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from dpsynth.privacy.budget import count_sensitivity
from dpsynth.privacy.integer_noise import CountMechanism
from dpsynth.privacy.ledger import Ledger

Reals = NDArray[np.float64]
_FALSE_BIN = 1e-3


def dyadic_edges(smallest: int = -20, largest: int = 40) -> Reals:
    """Public bin edges 0 and +-2^k for smallest <= k <= largest.

    >>> dyadic_edges(0, 2)
    array([-4., -2., -1.,  0.,  1.,  2.,  4.])
    """
    powers = 2.0 ** np.arange(smallest, largest + 1)
    return np.concatenate([-powers[::-1], [0.0], powers])


@dataclass(frozen=True, kw_only=True)
class PrivateBounds(CountMechanism):
    """Estimates (low, high) of the bulk of one column privately. `edges`: public, ascending, (bins + 1,)."""

    edges: tuple[float, ...]

    @property
    def sensitivity(self) -> float:
        return count_sensitivity(self.neighbours)

    def measure(self, values: Reals, ledger: Ledger) -> tuple[float, float]:
        """(low, high), two different edges. `values`: (n,) raw numbers, at most one per row; NaN and infinity
        count nowhere."""
        edges = np.array(self.edges)
        finite = values[np.isfinite(values)]
        position = np.clip(np.searchsorted(edges, finite, side="right") - 1, 0, edges.size - 2)
        counts = np.bincount(position, minlength=edges.size - 1).astype(np.int64)
        noisy = ledger.release(self, counts)
        # From here on only noisy counts are looked at.
        threshold = 0.5 + self.sigma * float(norm.isf(_FALSE_BIN / counts.size))
        standing = np.flatnonzero(noisy > threshold)
        if standing.size == 0:
            standing = np.array([int(np.argmax(noisy))])
        return float(edges[standing[0]]), float(edges[standing[-1] + 1])
