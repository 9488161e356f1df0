"""What a record weighs in each class: noisy class counts, or noisy histograms of pixel values by class.

Guarantee. A record adds one vector of non-negative numbers that add up to 1 to the row of its own class: the shares of
its pixel values over public bins, or the single number 1. Its L2 norm is at most 1, so adding or removing a record
moves the (classes, bins) sum by at most 1. Replacing one exchanges two such vectors u and v, |u - v|^2 = |u|^2 + |v|^2
- 2 u.v <= 2 because all entries are non-negative: sqrt(2). One Gaussian release (`gaussian.py`).
"""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dpsynth.privacy.budget import Budget
from dpsynth.privacy.gaussian import gaussian, gaussian_event
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.random import PrivacyStream

Numbers = NDArray[np.float64]
AT_ONCE = 4096


def histogram_charge(name: str, noise_multiplier: float) -> Charge:
    """The planned release."""
    return Charge(name, gaussian_event(noise_multiplier), detail={"noise_multiplier": noise_multiplier})


def noisy_class_histograms(
    name: str,
    values: NDArray[np.uint8] | None,
    labels: NDArray[np.int64],
    classes: int,
    bins: int,
    noise_multiplier: float,
    ledger: Ledger,
    stream: PrivacyStream,
) -> Numbers:
    """(classes, bins) float64 noisy sums, in records; may be negative. Spends the charge `name`.

    values: (n, ...) uint8, whose shares over `bins` even bins are counted; None counts records, with one bin.
    labels: (n,) in [0, classes).
    """
    budget: Budget = ledger.plan.budget
    exact = np.zeros((classes, bins))
    if values is None:
        exact[:, 0] = np.bincount(labels, minlength=classes)
    else:
        flat = values.reshape(len(values), math.prod(values.shape[1:]))
        pixels = np.zeros(classes * bins, np.int64)  # whole numbers first: a block's rounding would depend on its rows
        for start in range(0, len(flat), AT_ONCE):
            part = flat[start : start + AT_ONCE]
            cells = labels[start : start + AT_ONCE, None] * bins + part.astype(np.int64) * bins // 256
            pixels += np.bincount(cells.ravel(), minlength=classes * bins)
        exact = pixels.reshape(classes, bins) / flat.shape[1]
    ledger.spend(name, gaussian_event(noise_multiplier))
    noisy = gaussian(stream, name, exact, sensitivity=budget.count_sensitivity, noise_multiplier=noise_multiplier)
    return noisy.astype(np.float64)
