"""Noisy statistics of each class: counts, histograms of pixel values, and scatter around public centres.

## Class counts, or histograms of pixel values by class

Guarantee. A record adds one vector of non-negative numbers that add up to 1 to the row of its own class: the fractions
of its pixel values in public bins, or the single number 1. Its L2 norm is at most 1, so adding or removing a record
moves the (classes, bins) sum by at most 1. Replacing one exchanges two such vectors u and v, |u - v|^2 = |u|^2 + |v|^2
- 2 u.v <= 2 because all entries are non-negative: sqrt(2). One Gaussian release (`gaussian.py`).

## Scatter around public centres: one noisy sum of outer products for each class

With the offset r of a record from a public centre, scaled down to norm R where it is longer, the query is

    S = sum over records of  onehot(y) (x) ( sqrt(a) , sqrt(1 - a) r r^T / R^2 )

so that one release holds the noisy number of records of every class (a: `COUNT_WEIGHT`) and their second moments. A
matrix leaves as its upper triangle with entries off the diagonal times sqrt(2), which keeps all inner products.

Sensitivity. The norm of r r^T is |r|^2 <= R^2, so the term of a record has norm at most sqrt(a + 1 - a) = 1.
    add_remove: the sum moves by one term: at most 1.
    replace_one: |u - v|^2 = |u|^2 + |v|^2 - 2 u.v <= 2, as u.v is never negative: it is 0 for records of two classes,
    and a + (1 - a) (r.s)^2 / R^4 in one class. So at most sqrt(2).
Offsets are scaled here, in float64, so the bound holds for any; one with a number that is not finite counts as zero.
Which centre an offset starts from may depend on its own record and on public numbers, on nothing else.

Event: `GaussianDpEvent(noise_multiplier)` (`gaussian.py`). Noisy covariances for principal components: Dwork, Talwar,
Thakurta, Zhang 2014 (Analyze Gauss, doi:10.1145/2591796.2591883).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dpsynth.data.row_maps import row_norms
from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.budget import count_sensitivity
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise.gaussian import GaussianMechanism

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


# -------------------- Class scatter ---------------------------------------------------------

COUNT_WEIGHT = 0.1  # a: the part of a term's squared norm that counts its record


@dataclass(frozen=True)
class Scatter:
    """What was released. moments: (classes, width, width) float64, symmetric, mean r r^T of scaled offsets plus noise;
    eigenvalues may be negative. deviations: (classes,) float64 standard deviations of the noise off the diagonal, which
    is sqrt(2) times as large on it.
    """

    moments: Tensor
    deviations: Tensor


@dataclass(frozen=True, kw_only=True)
class ClassScatter(GaussianMechanism):
    """A planned release. width: numbers of an offset. radius: R."""

    classes: int
    width: int
    radius: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes < 1 or self.width < 1 or not self.radius > 0:
            raise BudgetError(
                f"{self.name}: needs classes, a width and a radius, not {self.classes}, {self.width} and {self.radius}"
            )

    @property
    def sensitivity(self) -> float:
        return count_sensitivity(self.neighbours)

    def measure(self, offsets: Iterable[tuple[Tensor, Tensor]], ledger: Ledger) -> Scatter:
        """offsets: blocks of ((b, width) float, (b,) int64 classes), any number, in any sizes."""
        noisy, noise = ledger.release(self, self.exact(offsets)), self.deviation
        heads = noisy[:, 0] / math.sqrt(COUNT_WEIGHT)
        counts = heads.clamp_min(max(1.0, noise / math.sqrt(COUNT_WEIGHT)))  # at least its noise: means stay small
        scale = self.radius**2 / math.sqrt(1 - COUNT_WEIGHT) / counts
        moments = self._unpacked(noisy[:, 1:]) * scale[:, None, None]
        return Scatter(moments, noise / math.sqrt(2) * scale)

    def exact(self, offsets: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """(classes, 1 + width (width + 1) / 2) float64: the private query S itself."""
        counts = torch.zeros(self.classes, dtype=torch.float64)
        sums = torch.zeros(self.classes, self.width, self.width, dtype=torch.float64)
        for block, labels in offsets:
            bounded = block.detach().to("cpu", torch.float64)
            norms = row_norms(bounded)[:, None]
            bounded = bounded / norms.clamp_min(self.radius)
            bounded[~torch.isfinite(norms[:, 0])] = 0.0
            counts += torch.bincount(labels.cpu(), minlength=self.classes)
            for code in range(self.classes):
                own = bounded[labels.cpu() == code]
                sums[code] += own.T @ own
        cells = torch.cat([counts[:, None] * math.sqrt(COUNT_WEIGHT), self._packed(sums)], dim=1)
        cells[:, 1:] *= math.sqrt(1 - COUNT_WEIGHT)
        return cells

    def _triangle(self) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, columns and weights of the entries that leave."""
        rows, columns = torch.triu_indices(self.width, self.width)
        return rows, columns, torch.where(rows == columns, 1.0, math.sqrt(2)).double()

    def _packed(self, matrices: Tensor) -> Tensor:
        rows, columns, weights = self._triangle()
        return matrices[:, rows, columns] * weights

    def _unpacked(self, cells: Tensor) -> Tensor:
        rows, columns, weights = self._triangle()
        matrices = torch.zeros(len(cells), self.width, self.width, dtype=torch.float64)
        matrices[:, rows, columns] = cells / weights
        matrices[:, columns, rows] = cells / weights
        return matrices
