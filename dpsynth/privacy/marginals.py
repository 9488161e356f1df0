"""Noisy one- and two-way marginals of coded columns.

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
from numpy.typing import NDArray

from dpsynth.privacy.budget import Budget
from dpsynth.privacy.discrete import discrete_gaussian, discrete_gaussian_event
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.random import PrivacyStream
from dpsynth.privacy.shares import share_noise

Codes = NDArray[np.integer]
Counts = NDArray[np.int64]


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
        event = discrete_gaussian_event(self.sigma, len(self.sets) * budget.cells_changed)
        return Charge(self.name, event, detail={"sigma": self.sigma, "marginals": len(self.sets)})

    def measure(self, codes: Codes, ledger: Ledger, stream: PrivacyStream) -> list[Counts]:
        """Noisy counts of each marginal, shaped by its columns' sizes; may be negative.

        codes: (rows, columns), codes[:, j] in [0, sizes[j]). Spends the charge.
        """
        budget = ledger.plan.budget
        charge = self.charge(budget)
        ledger.spend(charge.name, charge.event)
        shapes = [tuple(self.sizes[j] for j in columns) for columns in self.sets]
        exact = [self._count(codes, columns, shape) for columns, shape in zip(self.sets, shapes, strict=True)]
        noisy = discrete_gaussian(
            stream,
            self.name,
            np.concatenate(exact),
            sensitivity=(len(self.sets) * budget.cells_changed) ** 0.5,
            sigma=self.sigma,
        )
        pieces = np.split(noisy, np.cumsum([len(piece) for piece in exact])[:-1])
        return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]

    @staticmethod
    def _count(codes: Codes, columns: tuple[int, ...], shape: tuple[int, ...]) -> Counts:
        index = np.ravel_multi_index([codes[:, j].astype(np.int64) for j in columns], shape)
        return np.bincount(index, minlength=int(np.prod(shape)))
