"""What a record weighs in each class: noisy class counts, or noisy histograms of pixel values by class.

Guarantee. A record adds one vector of non-negative numbers that add up to 1 to the row of its own class: the fractions
of its pixel values in public bins, or the single number 1. Its L2 norm is at most 1, so adding or removing a record
moves the (classes, bins) sum by at most 1. Replacing one exchanges two such vectors u and v, |u - v|^2 = |u|^2 + |v|^2
- 2 u.v <= 2 because all entries are non-negative: sqrt(2). One Gaussian release (`gaussian.py`).
"""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.privacy.budget import count_sensitivity
from dpsynth.privacy.gaussian import GaussianMechanism
from dpsynth.privacy.ledger import Ledger

Numbers = NDArray[np.float64]
AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True)
class ClassHistograms(GaussianMechanism):
    """The planned release.

    Attributes:
        bins: Even bins of the pixel values 0 to 255; 1 counts records.
    """

    bins: int

    @property
    def sensitivity(self) -> float:
        return count_sensitivity(self.neighbours)

    def measure(
        self, values: NDArray[np.uint8] | None, labels: NDArray[np.int64], classes: int, ledger: Ledger
    ) -> Numbers:
        """(classes, bins) float64 noisy sums, in records; may be negative.

        Args:
            values: (n, ...) uint8, whose fractions in the bins are added up; None counts records.
            labels: (n,) in [0, classes).
            classes: Public.
        """
        return ledger.release(self, self.exact(values, labels, classes))

    def exact(self, values: NDArray[np.uint8] | None, labels: NDArray[np.int64], classes: int) -> Numbers:
        """(classes, bins) float64: the private query itself."""
        exact = np.zeros((classes, self.bins))
        if values is None:
            exact[:, 0] = np.bincount(labels, minlength=classes)
            return exact
        flat = values.reshape(len(values), math.prod(values.shape[1:]))
        pixels = np.zeros(exact.size, np.int64)  # whole numbers first: a block's rounding would depend on its rows
        for start in range(0, len(flat), AT_ONCE):
            part = flat[start : start + AT_ONCE]
            cells = labels[start : start + AT_ONCE, None] * self.bins + part.astype(np.int64) * self.bins // 256
            pixels += np.bincount(cells.ravel(), minlength=pixels.size)
        return pixels.reshape(exact.shape) / flat.shape[1]
