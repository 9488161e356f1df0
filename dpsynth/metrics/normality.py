"""Is a sample standard normal? Distances and tests for the base coordinates of a flow.

With thousands of rows every model fails every test, so each test comes with the size of the departure:

ks            sup |F_n - Phi|, with the exact null law of Kolmogorov; `ks_band` is its critical value
deviations    F_n(Phi^-1(t)) - t, what a PIT or PP plot shows, with the diagonal taken away
radius        |u|^2 against the chi-square law with D degrees of freedom, by the same distance
mardia        multivariate skewness and kurtosis (Mardia 1970, Biometrika 57, pp. 519-530; small-sample scaling of
              the skewness: Mardia 1974, Sankhya B 36, pp. 115-128), which look at the shape alone: mean and
              covariance are taken from the sample
dependences   what correlation of values or of magnitudes is left between pairs of coordinates
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

COST = 2e10  # most products that the skewness may take; wide tables use fewer rows
RANK = 1e-10  # directions with less than this share of the largest variance do not count
AT_ONCE = 4096  # rows


@dataclass(frozen=True)
class Distance:
    """A Kolmogorov-Smirnov distance in [0, 1] and the chance of a larger one if the law were true."""

    distance: float
    p: float


@dataclass(frozen=True)
class Mardia:
    """Multivariate skewness and kurtosis beside what a normal sample of this size has on average.

    rows, dimensions   of the sample they are computed from; dimensions without variance do not count
    skewness_p         by the chi-square law; kurtosis_p by the normal law, two-sided
    """

    rows: int
    dimensions: int
    skewness: float
    skewness_expected: float
    skewness_p: float
    kurtosis: float
    kurtosis_expected: float
    kurtosis_p: float


def ks(values: np.ndarray) -> Distance:
    """Of values, float (n,), from N(0, 1)."""
    return _distance(special.ndtr(values))


def radius(values: np.ndarray) -> Distance:
    """Of the squared lengths of rows, float (n, D), from the chi-square law with D degrees of freedom."""
    squares = np.square(values).sum(axis=1)
    return _distance(special.chdtr(values.shape[1], squares))


def ks_band(rows: int, level: float = 0.95) -> float:
    """The distance that a sample of `rows` values of the true law stays below with probability `level`."""
    return float(stats.kstwo.ppf(level, rows))


def deviations(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(len(points),) share of values at most Phi^-1(t), minus t, at the points t in (0, 1)."""
    ordered = np.sort(special.ndtr(values))
    return np.searchsorted(ordered, points, side="right") / len(ordered) - points


def dependences(values: np.ndarray) -> np.ndarray:
    """(D, D) in [0, 1], zero on the diagonal: the larger of |correlation| of values and of magnitudes.

    Independent coordinates have 0 up to 1 / sqrt(n); a constant one has 0 with all.
    """
    most = np.maximum(np.abs(_correlation(values)), np.abs(_correlation(np.abs(values))))
    np.fill_diagonal(most, 0.0)
    return most


def mardia(values: np.ndarray) -> Mardia | None:
    """Of rows, float (n, D); None for fewer than three rows or no variance at all.

    Where n D min(n, D^2) would exceed `COST`, the first rows stand for all.
    """
    width = values.shape[1]
    rows = len(values)
    while rows * width * min(rows, width**2) > COST:
        rows = int(rows * 0.9)
    scaled = _whitened(values[:rows])
    if scaled is None:
        return None
    d = scaled.shape[1]
    skewness = _skewness(scaled)
    kurtosis = float(np.square(np.square(scaled).sum(axis=1)).mean())
    freedom = d * (d + 1) * (d + 2) / 6
    scale = (d + 1) * (rows + 1) * (rows + 3) / (rows * ((rows + 1) * (d + 1) - 6))  # makes the mean exact
    mean = d * (d + 2) * (rows - 1) / (rows + 1)
    z = (kurtosis - mean) / np.sqrt(8 * d * (d + 2) / rows)
    return Mardia(
        rows=rows,
        dimensions=d,
        skewness=skewness,
        skewness_expected=6 * freedom / (rows * scale),
        skewness_p=float(special.chdtrc(freedom, rows * scale * skewness / 6)),
        kurtosis=kurtosis,
        kurtosis_expected=mean,
        kurtosis_p=float(2 * special.ndtr(-abs(z))),
    )


def _distance(levels: np.ndarray) -> Distance:
    """Of values already mapped to [0, 1] by the law's distribution function."""
    ordered, n = np.sort(levels), len(levels)
    above = (np.arange(1, n + 1) / n - ordered).max()
    below = (ordered - np.arange(n) / n).max()
    distance = float(max(above, below))
    return Distance(distance, float(np.clip(stats.kstwo.sf(distance, n), 0.0, 1.0)))


def _correlation(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=0)
    spread = np.sqrt(np.square(centred).mean(axis=0))
    scaled = centred / np.where(spread > RANK, spread, np.inf)
    return np.clip(scaled.T @ scaled / len(values), -1.0, 1.0)


def _whitened(values: np.ndarray) -> np.ndarray | None:
    """Rows with mean 0 and covariance I in the directions that vary; None without one, or with too few rows."""
    if len(values) < 3:
        return None
    centred = values - values.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred / len(values))
    kept = variances > RANK * max(variances[-1], RANK)
    if not kept.any():
        return None
    return centred @ (directions[:, kept] / np.sqrt(variances[kept]))


def _skewness(scaled: np.ndarray) -> float:
    """Mean of (y_i . y_j)^3 over all pairs of rows, by the cheaper of two sums that are equal."""
    rows, width = scaled.shape
    if rows < width**2:
        blocks = (scaled[start : start + AT_ONCE] @ scaled.T for start in range(0, rows, AT_ONCE))
        return float(sum((block**3).sum() for block in blocks) / rows**2)
    moments = np.zeros((width * width, width))
    for start in range(0, rows, AT_ONCE):
        part = scaled[start : start + AT_ONCE]
        moments += (part[:, :, None] * part[:, None, :]).reshape(len(part), -1).T @ part
    return float(np.square(moments / rows).sum())
