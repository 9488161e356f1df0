"""Noisy marginals as a graphical model takes them: checked, merged where they repeat, and their common total."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dpsynth.errors import ConfigError
from dpsynth.marginals.triangulation import Clique

SHARPEST = 1e-3  # of the largest sigma; below it a measurement counts as this sharp, which keeps the fit well posed


@dataclass(frozen=True)
class Measurement:
    """Noisy counts of one marginal.

    clique: strictly ascending column positions; () is a count of all rows. values: noisy counts shaped by the columns'
    sizes, may be negative. sigma: standard deviation of the noise of a cell, above 0; a number, or an array of the
    same shape.
    """

    clique: Clique
    values: np.ndarray
    sigma: float | np.ndarray

    def check(self, sizes: Sequence[int]) -> None:
        """Raises `ConfigError` when the measurement cannot belong to columns of `sizes`."""
        checked(self.clique, sizes)
        values, sigma = np.asarray(self.values), np.asarray(self.sigma)
        shape = tuple(sizes[j] for j in self.clique)
        if values.shape != shape or sigma.shape not in ((), shape):
            raise ConfigError(f"measurement of columns {self.clique}: shape {values.shape} is not the columns' {shape}")
        if not (np.isfinite(values).all() and np.isfinite(sigma).all() and (sigma > 0).all()):
            raise ConfigError(f"measurement of columns {self.clique}: counts must be finite and sigma above 0")


def checked(clique: Sequence[int], sizes: Sequence[int]) -> None:
    """Raises `ConfigError` unless `clique` is a set of strictly ascending columns."""
    if list(clique) != sorted(set(clique)) or any(not 0 <= j < len(sizes) for j in clique):
        raise ConfigError(f"columns {tuple(clique)}: must be strictly ascending positions below {len(sizes)}")


def merged(measurements: Sequence[Measurement]) -> dict[Clique, tuple[np.ndarray, np.ndarray]]:
    """For every clique measured (but for the empty one) its counts and weights 1 / sigma^2, both of its shape.

    Repeated measurements of a clique become one, cell by cell by inverse variance.
    """
    least = SHARPEST * max((float(np.max(m.sigma)) for m in measurements), default=0.0)
    found: dict[Clique, tuple[np.ndarray, np.ndarray]] = {}
    for measurement in measurements:
        clique, values = tuple(measurement.clique), np.asarray(measurement.values, dtype=np.float64)
        if not clique:
            continue
        weights = np.broadcast_to(1.0 / np.maximum(measurement.sigma, least) ** 2, values.shape)
        if clique in found:
            before, known = found[clique]
            both = known + weights
            found[clique] = (before * known + values * weights) / both, both
        else:
            found[clique] = values, weights
    return found


def noisy_total(measurements: Sequence[Measurement]) -> float:
    """Rows: the inverse-variance mean of the noisy totals, at least 1."""
    totals, precisions = [0.0], [0.0]
    least = SHARPEST * max((float(np.max(m.sigma)) for m in measurements), default=0.0)
    for measurement in measurements:
        variances = np.broadcast_to(np.maximum(measurement.sigma, least) ** 2, np.shape(measurement.values))
        totals.append(float(np.sum(measurement.values)))
        precisions.append(1.0 / float(variances.sum()))
    known = math.fsum(precisions)
    return max(1.0, math.fsum(t * w for t, w in zip(totals, precisions, strict=True)) / known) if known else 1.0
