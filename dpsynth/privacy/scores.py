"""Scores by which marginals are chosen, and how far a neighbour can move them.

Every function takes exact, private counts: its result may only reach the exponential mechanism. The sensitivities are
those of one score under the relation of the budget; `tests/privacy/test_scores.py` tries them on all neighbours of
small tables.

*Misfit* of a model: L1 distance of the counts of a marginal and the counts m the model gives it, where m follows from
earlier releases. By the triangle inequality a neighbour moves it by at most |c - c'|_1: 1 when a row comes or goes, 2
when a row is replaced. (MST: McKenna, Miklau, Sheldon 2021, arXiv 2108.04978; AIM: McKenna et al. 2022, arXiv
2201.12677.)

*Association* of a column x with the columns P: half the L1 distance of the counts c_xp and c_x c_p / n of independence,
in rows; 0 for an empty table. It is n times the score R of PrivBayes (Zhang et al. 2017), in a form that needs no
public number of rows.

    A row comes (n >= 0 -> n + 1; P, Q the empirical laws, u, v point masses): c_xp moves by 1 in L1, and the product by
    -n/(n+1) PQ + n/(n+1) (Pv + uQ) + 1/(n+1) uv, of norm <= (3n + 1)/(n + 1) < 3. Half of the sum is below 2.
    A row is replaced (n fixed): c_xp moves by at most 2. The margins move by a = u' - u and b = v' - v, and the product
    by (c_x b + a c_p + a b) / n, of norm <= (2n + 2n + 4) / n. Half of the sum is 3 + 2/n. It is also less than 2 x 2,
    one row gone and one come; so min(4, 3 + 2/n). The number of rows n is public under this relation.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.privacy.budget import Neighbours, cells_changed

Counts = NDArray[np.int64]
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
