"""Noisy marginals of encoded columns: exact counts, and rounded Gaussian noise on every cell, empty ones included.

Guarantee. A row adds one to one cell of every table. With T tables, adding or removing a row moves the vector of all
cells by sqrt(T) in L2 norm; replacing one moves two cells of each table, sqrt(2 T). All tables leave in one release,
with rounded Gaussian noise of the same sigma on every cell (`integer_noise.py`): exactly sqrt(T) / sigma-Gaussian DP,
or sqrt(2 T) / sigma. A release of fewer tables than planned stays within the sensitivity.

Which columns, codes and pairs are counted is public: it comes from the domain or from earlier releases, never from the
data.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import BudgetError
from dpsynth.privacy.budget import Budget, cells_changed
from dpsynth.privacy.budget_fraction import fraction_noise
from dpsynth.privacy.integer_noise import CountMechanism
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanism import Detail

Codes = NDArray[np.integer]
Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class NoisyMarginals(CountMechanism):
    """Marginals that leave together, with the same noise on every cell.

    Attributes:
        marginals: The largest number of tables, T. Which tables they are may follow from earlier releases.
    """

    marginals: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.marginals < 1:
            raise BudgetError(f"{self.name!r}: at least one marginal is needed")

    @classmethod
    def at_fraction(cls, name: str, marginals: int, budget: Budget, fraction: float) -> NoisyMarginals:
        """So many tables together for `fraction` of the budget; the plan proves the total."""
        sigma = fraction_noise(budget, fraction, marginals * budget.cells_changed)
        return cls(name=name, neighbours=budget.neighbours, sigma=sigma, marginals=marginals)

    @property
    def sensitivity(self) -> float:
        return math.sqrt(self.marginals * cells_changed(self.neighbours))

    @property
    def detail(self) -> Detail:
        return {"sigma": self.sigma, "marginals": self.marginals}

    def measure(self, exact: Sequence[Counts], ledger: Ledger) -> list[Counts]:
        """The tables of `exact`, in which every row counts once, with noise; shapes as they were, may be negative."""
        if not exact:
            return []
        if len(exact) > self.marginals:
            raise BudgetError(f"{self.name!r}: {len(exact)} tables, but {self.marginals} were planned")
        noisy = ledger.release(self, np.concatenate([table.ravel() for table in exact]))
        pieces = np.split(noisy, np.cumsum([table.size for table in exact])[:-1])
        return [piece.reshape(table.shape) for piece, table in zip(pieces, exact, strict=True)]


def exact_counts(codes: Codes, sets: Sequence[Sequence[int]], sizes: Sequence[int]) -> list[Counts]:
    """The exact, private count tables of some sets of columns, by plain numpy.

    Args:
        codes: (rows, columns), codes[:, j] in [0, sizes[j]).
        sets: The columns of each table.
        sizes: Number of codes of every column.
    """

    def table(columns: Sequence[int]) -> Counts:
        shape = tuple(sizes[j] for j in columns)
        index = np.ravel_multi_index([codes[:, j].astype(np.int64) for j in columns], shape)
        return np.bincount(index, minlength=math.prod(shape)).reshape(shape)

    return [table(columns) for columns in sets]


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
