"""Noisy marginals of coded columns: exact counts, and discrete Gaussian noise on every cell, empty ones included.

Guarantee. A row adds one to one cell of every table. With T tables, adding or removing a row moves the vector of all
cells by sqrt(T) in L2 norm; replacing one moves two cells of each table, sqrt(2 T). All tables leave in one release,
with discrete Gaussian noise of the same sigma on every cell: T scalar releases that a neighbour moves by one (2 T for
replace-one), which is how the event states it; zCDP of T / (2 sigma^2), or twice that (`discrete.py`; Canonne, Kamath,
Steinke 2020, arXiv 2004.00010).

Which columns, codes and pairs are counted is public: it comes from the domain, never from the data.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from dp_accounting import SelfComposedDpEvent, ZCDpEvent
from numpy.typing import NDArray

from dpsynth.privacy.budget import Budget
from dpsynth.privacy.discrete import discrete_gaussian, discrete_gaussian_event
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.random import PrivacyStream
from dpsynth.privacy.shares import share_noise

Codes = NDArray[np.integer]
Counts = NDArray[np.int64]
_LARGEST_EXACT = 20_000.0


@dataclass(frozen=True)
class NoisyMarginals:
    """A public workload of marginals under one name of the ledger.

    sets: the columns of each marginal, for example ((0,), (1,), (0, 1)). sizes: number of codes of every column.
    sigma: noise standard deviation of a cell, in rows; 0 only when epsilon is infinite.
    """

    name: str
    sets: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]
    sigma: float

    @classmethod
    def at_share(
        cls, name: str, sets: Sequence[Sequence[int]], sizes: Sequence[int], budget: Budget, share: float
    ) -> NoisyMarginals:
        """All of `sets` together for `share` of the budget, as far as zCDP can say; the plan proves the total."""
        releases = len(sets) * budget.cells_changed
        return cls(name, tuple(map(tuple, sets)), tuple(sizes), share_noise(budget, share, releases))

    @property
    def cells(self) -> int:
        """Numbers that leave in all."""
        return sum(int(np.prod([self.sizes[j] for j in columns])) for columns in self.sets)

    def charge(self, budget: Budget) -> Charge:
        """The planned release."""
        return marginals_charge(self.name, len(self.sets), self.sigma, budget)

    def measure(self, codes: Codes, ledger: Ledger, stream: PrivacyStream) -> list[Counts]:
        """Noisy counts of each marginal, shaped by its columns' sizes; may be negative.

        codes: (rows, columns), codes[:, j] in [0, sizes[j]). Spends the charge.
        """
        shapes = [tuple(self.sizes[j] for j in columns) for columns in self.sets]
        exact = [self._count(codes, columns, shape) for columns, shape in zip(self.sets, shapes, strict=True)]
        return self.release(exact, ledger, stream)

    def release(self, exact: Sequence[Counts], ledger: Ledger, stream: PrivacyStream, step: int = 0) -> list[Counts]:
        """The same for counts made elsewhere: one table for each of `sets`, every row in one cell of each.

        Spends the charge, or that much of a purse of the same name; `step` tells repeated releases apart.
        """
        budget = ledger.plan.budget
        charge = self.charge(budget)
        ledger.spend(charge.name, charge.event)
        return noisy_counts(stream, self.name, exact, budget, self.sigma, step)

    @staticmethod
    def _count(codes: Codes, columns: tuple[int, ...], shape: tuple[int, ...]) -> Counts:
        index = np.ravel_multi_index([codes[:, j].astype(np.int64) for j in columns], shape)
        return np.bincount(index, minlength=int(np.prod(shape))).reshape(shape)


def marginals_charge(name: str, marginals: int, sigma: float, budget: Budget) -> Charge:
    """The charge of `marginals` tables with noise `sigma` on every cell; which tables they are may be chosen later.

    The privacy loss of very large noise takes memory in proportion to it, so that is charged by its zCDP alone.
    """
    releases = marginals * budget.cells_changed
    if sigma <= _LARGEST_EXACT:
        event = discrete_gaussian_event(sigma, releases)
    else:
        event = SelfComposedDpEvent(ZCDpEvent(0.5 / sigma**2), releases)
    return Charge(name, event, detail={"sigma": sigma, "marginals": marginals})


def noisy_counts(
    stream: PrivacyStream, name: str, exact: Sequence[Counts], budget: Budget, sigma: float, step: int = 0
) -> list[Counts]:
    """The tables of `exact` with noise, in one release; the caller has spent `marginals_charge(...).event`."""
    if not exact:
        return []
    noisy = discrete_gaussian(
        stream,
        name,
        np.concatenate([table.ravel() for table in exact]),
        sensitivity=(len(exact) * budget.cells_changed) ** 0.5,
        sigma=sigma,
        step=step,
    )
    pieces = np.split(noisy, np.cumsum([table.size for table in exact])[:-1])
    return [piece.reshape(table.shape) for piece, table in zip(pieces, exact, strict=True)]


def nearest_counts(
    noisy: NDArray[np.integer] | NDArray[np.floating], total: float | None = None
) -> NDArray[np.float64]:
    """The counts nearest to noisy ones (least squares) that are not negative and add up to `total`; post-processing.

    Clipping at zero alone would add up the positive half of the noise over all empty cells. total: by default that of
    the noisy counts, but at least 1.

    >>> nearest_counts(np.array([5, 3, -2]), 6.0)
    array([4., 2., 0.])
    """
    total = max(float(noisy.sum()), 1.0) if total is None else total
    flat = noisy.astype(np.float64).ravel()
    falling = np.sort(flat)[::-1]
    excess = (falling.cumsum() - total) / np.arange(1, flat.size + 1)
    shift = excess[np.flatnonzero(falling > excess)[-1]]
    return np.maximum(flat - shift, 0.0).reshape(noisy.shape)
