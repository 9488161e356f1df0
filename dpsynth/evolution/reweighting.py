"""Weights for a pool of released individuals under which it agrees with everything that was released.

Every noisy histogram of an evolution cuts space into the cells of its candidates and says how many private rows lie in
each. The population alone remembers the last one; a large pool, weighted so that all histograms come out near what was
measured, uses what was paid for. It is post-processing, in the manner of reweighting public data to noisy answers (Liu
et al. 2021, arXiv 2102.08598):

    w_i proportional to exp(sum over histograms h of a[h, cell of i in h])
    minimise over a   sum over cells (n w(cell) - noisy)^2 / (2 noise^2) + a^2 / (2 freedom^2)

`freedom` is how far, as a logarithm, a weight may be expected to move: where noise is large, weights stay even.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STEPS = 150
RATE = 0.1  # of Adam
NOISELESS = 1.0  # least noise, in rows: exact counts are met to about one row


@dataclass(frozen=True)
class Histogram:
    """Noisy counts, and where the pool stands in them.

    cells: (pool, k) int64, the k cells of each individual, -1 for none; it counts `share` in each. noisy: (cells,)
    float64, in rows. noise: standard deviation of a cell. freedom: see above.
    """

    cells: np.ndarray
    noisy: np.ndarray
    noise: float
    freedom: float
    share: float = 1.0


def reweighted(histograms: Sequence[Histogram], pool: int, rows: float) -> np.ndarray:
    """(pool,) float64 weights that add up to 1."""
    power = [np.zeros(len(h.noisy)) for h in histograms]
    first, second = ([np.zeros(len(a)) for a in power] for _ in range(2))
    weights = np.full(pool, 1 / pool)
    for step in range(1, STEPS + 1):
        pulls = []
        pull_of_each = np.zeros(pool)
        for h in histograms:
            noise = max(h.noise, NOISELESS)
            counts = h.share * rows * _summed(h.cells, weights, len(h.noisy))
            pulls.append(h.share * (counts - h.noisy) / noise**2)
            pull_of_each += _looked_up(h.cells, pulls[-1])
        pull_of_each -= weights @ pull_of_each  # weights add up to 1, so only differences move them
        for k, h in enumerate(histograms):
            slope = rows * _summed(h.cells, weights * pull_of_each, len(h.noisy)) + power[k] / h.freedom**2
            first[k] += 0.1 * (slope - first[k])
            second[k] += 0.001 * (slope**2 - second[k])
            ahead = first[k] / (1 - 0.9**step) / (np.sqrt(second[k] / (1 - 0.999**step)) + 1e-8)
            power[k] -= RATE * ahead
        exponent = np.zeros(pool)
        for k, h in enumerate(histograms):
            exponent += _looked_up(h.cells, power[k])
        weights = np.exp(exponent - exponent.max())
        weights /= weights.sum()
    return weights


def _summed(cells: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    """(size,) what the individuals of each cell weigh together."""
    return sum(np.bincount(column + 1, weights, minlength=size + 1)[1:] for column in cells.T)  # type: ignore[return-value]


def _looked_up(cells: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(pool,) sum of the values of each individual's cells."""
    return np.append(values, 0.0)[cells].sum(axis=1)
