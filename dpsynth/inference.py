"""Rubin's rules for fully synthetic data: one estimate and one interval from m synthetic sets.

    sets = fitted.sets(100, n)                                   # each set from a posterior draw of its own
    fits = [my_regression(each.frame) for each in sets]          # the analysis of a complete table, m times
    combined = combine([f.coef for f in fits], [f.se ** 2 for f in fits])
    combined.estimate, combined.interval(0.95)

With estimates q_l and variances u_l of m sets (Raghunathan, Reiter and Rubin 2003, Journal of Official Statistics 19):

    q = mean q_l      u = mean u_l      b = sum (q_l - q)^2 / (m - 1)
    T = (1 + 1/m) b - u                              variance of q; the sets' own sampling variance is taken off again
    degrees of freedom (m - 1) (1 - u / ((1 + 1/m) b))^2

T can be negative: with few sets b is uncertain. Then, and where T is below a tenth of the fallback, the variance is the
always positive (n_syn / n) u of Reiter 2002 (Journal of Official Statistics 18), with normal quantiles, and `fallback`
says so: n_syn rows in a synthetic set, n in the original. Many sets (m >= 50) make it rare.

What the rules need: sets drawn from draws of a posterior that knows the privacy noise (`model=napsu`; Raisa, Jaelkoe,
Kaski and Honkela 2023, arXiv:2205.14485), a model that holds for the estimand, and a large sample. Sets drawn from one
fitted distribution give b near u and T near 0, whatever the noise did: too narrow by far. The partially synthetic rule
T = u + b / m is for other data; do not use it here.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from dpsynth.errors import ConfigError

LEAST = 0.1  # of the fallback's variance: below it the difference of two variances is not trusted


@dataclass(frozen=True)
class Combined:
    """estimate, variance, degrees: of the shape of one estimate. fallback: where the variance is the positive one.

    between, within: b and u of the rules.
    """

    estimate: NDArray[np.float64]
    variance: NDArray[np.float64]
    degrees: NDArray[np.float64]
    fallback: NDArray[np.bool_]
    between: NDArray[np.float64]
    within: NDArray[np.float64]

    def interval(self, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(low, high) ends of the confidence interval at `level`."""
        if not 0 < level < 1:
            raise ConfigError(f"level={level}: must lie between 0 and 1")
        half: NDArray[np.float64] = stats.t.ppf((1 + level) / 2, self.degrees) * np.sqrt(self.variance)
        return self.estimate - half, self.estimate + half


def combine(
    estimates: ArrayLike, variances: ArrayLike, rows: float | None = None, original: float | None = None
) -> Combined:
    """The combined estimate of m >= 2 sets.

    estimates, variances: (m, ...) point estimates and their squared standard errors, set by set.
    rows, original: rows of a synthetic set and (a public number) of the original table, for the fallback; equal when
    not given.

    >>> combined = combine([1.0, 2.0, 3.0], [0.5, 0.5, 0.5])
    >>> float(combined.estimate), round(float(combined.variance), 4), round(float(combined.degrees), 4)
    (2.0, 0.8333, 0.7812)

    Raises `ConfigError` for fewer than two sets, shapes that differ, and variances that are not finite and positive.
    """
    q, u = np.asarray(estimates, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if q.ndim < 1 or len(q) < 2:
        raise ConfigError("combine: needs the estimates of at least two sets; draw them with fitted.sets(m)")
    if q.shape != u.shape:
        raise ConfigError(f"combine: estimates have shape {q.shape}, variances {u.shape}; give one for each estimate")
    if not (np.isfinite(q).all() and np.isfinite(u).all() and (u > 0).all()):
        raise ConfigError(
            "combine: estimates must be finite and variances finite and above 0; leave out sets that failed"
        )
    if (rows is None) != (original is None):
        raise ConfigError("combine: give both rows and original, or neither")
    m, ratio = len(q), 1.0 if rows is None or original is None else rows / original
    mean, within, between = q.mean(0), u.mean(0), q.var(0, ddof=1)
    inflated = (1 + 1 / m) * between
    total = inflated - within
    positive = ratio * within
    fallback: Any = np.asarray(total < LEAST * positive)
    fraction = np.divide(within, inflated, out=np.zeros_like(within), where=inflated > 0)
    degrees: NDArray[np.float64] = np.where(fallback, np.inf, np.maximum((m - 1) * (1 - fraction) ** 2, 1e-6))
    variance: NDArray[np.float64] = cast(Any, np.where(fallback, positive, total))
    return Combined(mean, variance, degrees, fallback, between, within)
