"""Noisy marginals of encoded columns, and the scores by which marginals are chosen.

Noisy marginals of encoded columns: exact counts, and rounded Gaussian noise on every cell, empty ones included.

Guarantee. A row adds one to one cell of every table. With T tables, adding or removing a row moves the vector of all
cells by sqrt(T) in L2 norm; replacing one moves two cells of each table, sqrt(2 T). All tables leave in one release,
with rounded Gaussian noise of the same sigma on every cell (`integer_noise.py`): exactly sqrt(T) / sigma-Gaussian DP,
or sqrt(2 T) / sigma. A release of fewer tables than planned stays within the sensitivity. Where a person has several
rows, these are weighted, and a person counts `unit` in every table (`weights.py`): all of it times `unit`.

Which columns, codes and pairs are counted is public: it comes from the domain or from earlier releases, never from the
data.

Scores by which marginals are chosen, and how far a neighbour can move them.

Every function takes exact, private counts: its result may only reach the exponential mechanism. The sensitivities are
those of one score under the relation of the budget; `tests/privacy/mechanisms/test_scores.py` tries them on all
neighbours of small tables.

*Misfit* of a model: L1 distance of the counts of a marginal and the counts m the model gives it, where m follows from
earlier releases. By the triangle inequality a neighbour moves it by at most |c - c'|_1: 1 when a row comes or goes, 2
when a row is replaced. (MST: McKenna, Miklau, Sheldon 2021, arXiv 2108.04978; AIM: McKenna et al. 2022, arXiv
2201.12677.)

*Association* of a column x with the columns P: half the L1 distance of the counts c_xp and c_x c_p / n of independence,
in rows; 0 for an empty table. It is n times the score R of PrivBayes (Zhang et al. 2017), in a form that needs no
public number of rows.

    A row comes (n >= 0 -> n + 1; P, Q the empirical distributions, u, v point masses): c_xp moves by 1 in L1, and the
    product by
    -n/(n+1) PQ + n/(n+1) (Pv + uQ) + 1/(n+1) uv, of norm <= (3n + 1)/(n + 1) < 3. Half of the sum is below 2.
    A row is replaced (n fixed): c_xp moves by at most 2. The margins move by a = u' - u and b = v' - v, and the product
    by (c_x b + a c_p + a b) / n, of norm <= (2n + 2n + 4) / n. Half of the sum is 3 + 2/n. It is also less than 2 x 2,
    one row gone and one come; so min(4, 3 + 2/n). The number of rows n is public under this relation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.budget import Budget, Neighbours, cells_changed
from dpsynth.privacy.accounting.calibration import fraction_noise
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanism import Detail
from dpsynth.privacy.noise.integer_noise import CountMechanism

Codes = NDArray[np.integer]
Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class NoisyMarginals(CountMechanism):
    """Marginals that leave together, with the same noise on every cell.

    Attributes:
        marginals: The largest number of tables, T. Which tables they are may follow from earlier releases.
        unit: What a unit of protection adds to a table at most: 1 for a row, `weights.GRID` for a person's weighted
            rows.
    """

    marginals: int
    unit: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.marginals < 1:
            raise BudgetError(f"{self.name!r}: at least one marginal is needed")
        if self.unit < 1:
            raise BudgetError(f"{self.name!r}: the unit must be at least 1, not {self.unit!r}")

    @classmethod
    def at_fraction(cls, name: str, marginals: int, budget: Budget, fraction: float) -> NoisyMarginals:
        """So many tables together for `fraction` of the budget; the plan proves the total."""
        sigma = fraction_noise(budget, fraction, marginals * budget.cells_changed)
        return cls(name=name, neighbours=budget.neighbours, sigma=sigma, marginals=marginals)

    @property
    def sensitivity(self) -> float:
        return self.unit * math.sqrt(self.marginals * cells_changed(self.neighbours))

    @property
    def detail(self) -> Detail:
        return {"sigma": self.sigma / self.unit, "marginals": self.marginals}

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


# -------------------- Scores ----------------------------------------------------------------

Reals = NDArray[np.float64]


def misfits(counts: Sequence[Counts], expected: Sequence[Reals]) -> Reals:
    """(marginals,) L1 distances of exact counts from the counts a model expects, in rows (a wrong row counts twice)."""
    return np.array([np.abs(c - m).sum() for c, m in zip(counts, expected, strict=True)], dtype=np.float64)


def misfit_sensitivity(neighbours: Neighbours) -> float:
    """How far a neighbour can move one misfit: 1, or 2 when a row is replaced."""
    return float(cells_changed(neighbours))


def association(counts: Counts) -> float:
    """Rows that stand elsewhere than under independence. counts: (codes of x, codes of the parents, flattened)."""
    total = counts.sum()
    if total == 0:
        return 0.0
    independent = counts.sum(1, dtype=np.float64)[:, None] * counts.sum(0, dtype=np.float64)[None, :] / total
    return 0.5 * float(np.abs(counts - independent).sum())


def association_sensitivity(neighbours: Neighbours, rows: int | None) -> float:
    """How far a neighbour can move one association. rows: the number of rows where it is public, else None."""
    if neighbours == "add_remove":
        return 2.0
    return 4.0 if rows is None else 3.0 + 2.0 / max(2, rows)
