"""Weights of rows that belong to persons, so that a person counts once however many rows there are.

Guarantee. The unit is one person with all rows of one table: k of them, none up to a public limit. Every row counts
w(k) = floor(G / k) units, G the public `GRID`, and a count table holds the sums of units of its rows, whole numbers.

    Add/remove. A person adds a vector u to a table, without negative entries, of L1 norm k floor(G / k) <= G; hence
    of L2 norm <= G, whatever k is and wherever the rows lie. Over T tables: G sqrt(T).
    Replace-one. The table moves by u - v, and |u - v|^2 = |u|^2 + |v|^2 - 2 <u, v> <= 2 G^2, since neither has negative
    entries. Over T tables: G sqrt(2 T).

So weighted counts behave as counts of persons in units of G: `NoisyMarginals(unit=G)` with noise sigma in units is
G sqrt(T cells) / sigma-Gaussian DP, cells = 1 or 2, and all that is drawn are rounded Gaussians on whole numbers
(`integer_noise.py`).

A misfit, the L1 distance of a weighted table and one that follows from earlier releases, moves by at most |u|_1 <= G,
or |u - v|_1 <= |u|_1 + |v|_1 <= 2 G: `misfit_sensitivity` times G.

G has all divisors up to 16, so that the weights of up to 16 rows are exactly 1 / k; of more rows they are short by less
than k / G of themselves. The weight of a row follows from the number of rows of its person, never from the data of
others. (Weights 1 / k against a bounded contribution: Wilson et al. 2020, arXiv 1909.01917, section 4, bound what a
user adds by clipping; here all rows of a person are kept and scaled.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GRID = 720_720  # the least common multiple of 1 to 16


def row_weights(persons: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """(rows,) whole weights, those of one person together at most `GRID`.

    Args:
        persons: (rows,) the person of each row, in [0, number).
        number: How many persons there are.
    """
    rows = np.bincount(persons, minlength=number)
    return (GRID // np.maximum(rows, 1))[persons]
