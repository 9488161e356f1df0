"""Lower bounds on privacy loss from the errors of an attacker who tells two neighbouring data sets apart.

An attacker gives every run of a program a score, and answers "with the record" when it lies above a threshold. Let FPR
be the chance of that answer without the record, and FNR the chance of the other answer with it. Differential privacy
bounds both from below together, so upper bounds on them are a lower bound on the loss:

    (epsilon, delta)-DP   FNR >= 1 - delta - e^epsilon FPR, and the same with the two exchanged
                          (Kairouz, Oh, Viswanath 2015, arXiv 1311.0776, Theorem 2.1)
    mu-Gaussian DP        FNR >= Phi(Phi^-1(1 - FPR) - mu)     (Dong, Roth, Su 2019, arXiv 1905.02383, equation 6)
    one Gaussian release of mu on a Poisson sample of rate q, told apart by a threshold on its projection:
                          1 - FNR = (1 - q) FPR + q Phi(mu - Phi^-1(1 - FPR))

The upper bounds are Clopper-Pearson intervals, one-sided, each at half of the allowed error, so that both hold at once
(union bound) and every figure that follows from them holds at once. The threshold is chosen on runs that are not
counted. Nothing is assumed about the scores: a bad attacker gives a small bound, never a false one. Bounds on mu are
the sharper ones (Nasr et al. 2023, arXiv 2302.07956), but they contradict a claim only where the claim itself is of
that form: a program whose releases are composed as Gaussians.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri
from scipy.stats import beta

from dpsynth.errors import ConfigError

Target = Literal["mu", "epsilon"]
Reals = NDArray[np.float64]
THRESHOLDS = 200  # tried when one is chosen
SMOOTHING = 12  # a moving average over a sixth of them
LARGEST = 1e300  # stands for an infinite score
FEWEST = 20  # runs of each kind, below which no bound is above zero in any case of interest


@dataclass(frozen=True)
class Errors:
    """How often the attacker erred in runs that were not used to choose the threshold.

    negatives, positives: runs without and with the record; false_positives, false_negatives: errors among them.
    confidence: with which all bounds of this object hold together.
    """

    false_positives: int
    negatives: int
    false_negatives: int
    positives: int
    confidence: float = 0.95

    @property
    def bounds(self) -> tuple[float, float]:
        """(FPR, FNR) upper bounds that hold together."""
        error = (1.0 - self.confidence) / 2.0
        first = largest_rate(self.false_positives, self.negatives, error)
        return float(first), float(largest_rate(self.false_negatives, self.positives, error))

    def epsilon(self, delta: float) -> float:
        """The smallest epsilon at `delta` that these errors allow; 0 when they say nothing."""
        return float(allowed_epsilon(*self.bounds, delta))

    def mu(self, rate: float = 1.0) -> float:
        """The smallest mu of a Gaussian release that these errors allow; `rate` of the Poisson sample it is made on."""
        return float(allowed_mu(*self.bounds, rate))


@dataclass(frozen=True)
class LowerBound:
    """What the errors of one attacker prove at `errors.confidence`.

    epsilon: at the claim's delta, whatever the mechanism. mu, epsilon_by_mu: for a program that is composed of Gaussian
    releases, its mu and the epsilon that goes with it at that delta. runs: of both kinds, with those that chose the
    threshold.
    """

    epsilon: float
    mu: float
    epsilon_by_mu: float
    errors: Errors
    threshold: float
    runs: int


def largest_rate(errors: ArrayLike, trials: int, error: float) -> Reals:
    """The Clopper-Pearson upper bounds on rates, at confidence 1 - `error`, from `errors` in `trials`."""
    counts = np.asarray(errors, dtype=np.float64)
    bounds = beta.isf(error, counts + 1, np.maximum(trials - counts, 0.5))
    return np.where(counts >= trials, 1.0, bounds)


def allowed_epsilon(fpr: ArrayLike, fnr: ArrayLike, delta: float) -> Reals:
    """The smallest epsilon at `delta` that allows these error rates, 0 at least."""
    first, second = np.asarray(fpr), np.asarray(fnr)
    ratios = np.maximum((1.0 - delta - first) / second, (1.0 - delta - second) / first)
    return np.log(np.maximum(ratios, 1.0))


def allowed_mu(fpr: ArrayLike, fnr: ArrayLike, rate: float = 1.0) -> Reals:
    """The smallest mu that allows these error rates, 0 at least."""
    first, second = np.asarray(fpr), np.asarray(fnr)
    found = (1.0 - second - (1.0 - rate) * first) / rate  # of the runs in which the record was in the sample
    reached = ndtri(np.clip(found, 0.0, 1.0 - 1e-16)) + ndtri(np.clip(1.0 - first, 0.0, 1.0))
    return np.maximum(np.nan_to_num(reached, nan=0.0, neginf=0.0), 0.0)


def lower_bound(
    without: ArrayLike,
    with_record: ArrayLike,
    delta: float,
    *,
    target: Target = "mu",
    rate: float = 1.0,
    confidence: float = 0.95,
    choosing: float = 0.1,
) -> LowerBound:
    """The bound from scores of runs without and with the record, (n,) and (m,) numbers, larger speaking for the record.

    delta: of the claim. target: the figure that the threshold is chosen for. rate: of the Poisson sample, for `mu`.
    choosing: fraction of the runs, the first ones, that choose the threshold and are then left out.
    Scores must come in an order that says nothing about them. Raises ConfigError for too few runs.
    """
    zero, one = (_finite(scores) for scores in (without, with_record))
    if min(zero.size, one.size) < FEWEST:
        raise ConfigError(f"runs={zero.size + one.size}: an audit needs at least {2 * FEWEST} runs")
    first = [max(FEWEST // 2, round(choosing * scores.size)) for scores in (zero, one)]
    threshold = chosen_threshold(zero[: first[0]], one[: first[1]], delta, target, rate, confidence)
    errors = errors_at(threshold, zero[first[0] :], one[first[1] :], confidence)
    mu = errors.mu(rate)
    by_mu = gaussian_epsilon(mu, delta, rate)
    return LowerBound(errors.epsilon(delta), mu, by_mu, errors, threshold, zero.size + one.size)


def errors_at(threshold: float, without: Reals, with_record: Reals, confidence: float) -> Errors:
    """The errors of the answer "with the record" for scores above the threshold."""
    false_positives, false_negatives = int((without > threshold).sum()), int((with_record <= threshold).sum())
    return Errors(false_positives, without.size, false_negatives, with_record.size, confidence)


def chosen_threshold(
    without: Reals, with_record: Reals, delta: float, target: Target, rate: float, confidence: float
) -> float:
    """The threshold about which the bounds on these runs are largest: a moving average, because a single bound on few
    runs is largest where chance has favoured it."""
    places = np.linspace(0.0, 1.0, THRESHOLDS)
    candidates = np.unique(np.quantile(np.concatenate([without, with_record]), places, method="lower"))
    # Between neighbouring scores, so that equal scores fall on one side whatever their last digits.
    candidates = np.append(candidates[1:] / 2 + candidates[:-1] / 2, candidates[-1])
    false_positives = without.size - np.searchsorted(np.sort(without), candidates, side="right")
    false_negatives = np.searchsorted(np.sort(with_record), candidates, side="right")
    error = (1.0 - confidence) / 2.0
    fpr = largest_rate(false_positives, without.size, error)
    fnr = largest_rate(false_negatives, with_record.size, error)
    bounds = allowed_mu(fpr, fnr, rate) if target == "mu" else allowed_epsilon(fpr, fnr, delta)
    # Where no threshold proves anything yet, the one that is right most often.
    merits = bounds + 1e-3 * (1.0 - false_positives / without.size - false_negatives / with_record.size)
    window = np.ones(1 + 2 * (candidates.size // SMOOTHING))
    smooth = np.convolve(merits, window, mode="same") / np.convolve(np.ones(merits.size), window, mode="same")
    best = np.flatnonzero(smooth >= smooth.max() - 1e-12)
    return float(candidates[best[best.size // 2]])


def gaussian_epsilon(mu: float, delta: float, rate: float = 1.0) -> float:
    """The exact epsilon at `delta` of a Gaussian release of `mu`, or of one on a Poisson sample of `rate`, when a
    record is added or removed.

    Written down here anew, so that an audit does not rest on the accountant that it audits. For rate 1 it is the
    formula of Balle and Wang 2018 (arXiv 1805.06530).
    """
    if mu <= 0.0 or sampled_gaussian_delta(0.0, mu, rate) <= delta:
        return 0.0
    top = 1.0
    while sampled_gaussian_delta(top, mu, rate) > delta:
        top *= 2.0

    def excess(epsilon: float) -> float:
        return sampled_gaussian_delta(epsilon, mu, rate) - delta

    return cast(float, brentq(excess, 0.0, top, xtol=cast(Any, 1e-10)))


def sampled_gaussian_delta(epsilon: float, mu: float, rate: float) -> float:
    """delta(epsilon) of P = (1 - q) N(0, 1) + q N(mu, 1) against Q = N(0, 1), the larger of both directions.

    The likelihood ratio P / Q = 1 - q + q exp(mu x - mu^2 / 2) rises with x, so the best event of either direction is a
    half-line.
    """
    over = _where_ratio_is(epsilon, mu, rate)  # P / Q above e^epsilon to its right
    tail = float(ndtr(-over))
    added = (1 - rate) * tail + rate * float(ndtr(mu - over)) - _times_exp(epsilon, log_ndtr(-over))
    removed = 0.0
    if math.exp(-epsilon) > 1 - rate:  # Q / P above e^epsilon to its left
        under = _where_ratio_is(-epsilon, mu, rate)
        sampled = _times_exp(epsilon, log_ndtr(under - mu))
        removed = float(ndtr(under)) - (1 - rate) * _times_exp(epsilon, log_ndtr(under)) - rate * sampled
    return max(0.0, added, removed)


def _finite(scores: ArrayLike) -> Reals:
    return np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=0.0, posinf=LARGEST, neginf=-LARGEST)


def _where_ratio_is(log_ratio: float, mu: float, rate: float) -> float:
    """x with 1 - q + q exp(mu x - mu^2 / 2) = exp(log_ratio)."""
    # log(exp(r) - (1 - q)) without overflow for large r
    inside = log_ratio + math.log1p(-(1 - rate) * math.exp(-log_ratio)) - math.log(rate)
    return inside / mu + mu / 2


def _times_exp(epsilon: float, log_probability: float) -> float:
    return math.exp(min(700.0, epsilon + float(log_probability)))
