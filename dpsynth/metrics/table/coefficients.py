"""Would a regression on the evaluated rows lead to the same conclusions? Overlap of the confidence intervals of its
coefficients.

The same model of the label on the other columns is fitted by maximum likelihood to the evaluated rows and to real rows:
logistic regression for a category (its commonest class against the rest), least squares for a number. With the 95 %
intervals [L, U] and [l, u] of one coefficient and [a, b] where they meet, the overlap is

    ((b - a) / (U - L) + (b - a) / (u - l)) / 2,

0 where they do not meet (Karr, Kohnen, Oganian, Reiter, Sanil 2006, The American Statistician 60(3)). The
score is the mean over the coefficients, without the intercept. Two real samples of equal size score about .71.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special, stats

from dpsynth.data.columns import Category
from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.learners import obstacle

MEANING = (
    "mean overlap of the 95 % confidence intervals of a regression's coefficients, evaluated rows against real ones "
    "(0 apart, 1 the same; two real samples about .7)"
)
RANK = 1e-9  # singular values below this fraction of the largest count as 0


@dataclass(frozen=True, eq=False)
class Fit:
    """Coefficients (p,), their standard errors, and which of them the rows decide (False: not identified)."""

    values: np.ndarray
    errors: np.ndarray
    identified: np.ndarray

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        reach = stats.norm.ppf((1 + level) / 2) * self.errors
        return self.values - reach, self.values + reach


def logistic_fit(inputs: np.ndarray, outcome: np.ndarray, steps: int = 25) -> Fit:
    """Maximum-likelihood logistic regression by Newton's method with step halving and pseudo-inverses.

    inputs: (n, p) float64 with the constant column; outcome: (n,) of 0 and 1. When the rows separate the outcomes,
    coefficients stop after `steps` and their errors are huge.
    """
    values = np.zeros(inputs.shape[1])
    loss = _loss(inputs @ values, outcome)
    for _ in range(steps):
        chances = special.expit(inputs @ values)
        information = (inputs * (chances * (1 - chances))[:, None]).T @ inputs
        step = _inverse(information)[0] @ (inputs.T @ (outcome - chances))
        for _ in range(20):  # halve until the likelihood does not fall
            new = _loss(inputs @ (values + step), outcome)
            if new <= loss:
                break
            step = step / 2
        else:
            break
        values, gain, loss = values + step, loss - new, new
        if gain < 1e-10 * (1 + loss):
            break
    chances = special.expit(inputs @ values)
    covariance, identified = _inverse((inputs * (chances * (1 - chances))[:, None]).T @ inputs)
    return Fit(values, np.sqrt(np.maximum(np.diag(covariance), 0.0)), identified)


def linear_fit(inputs: np.ndarray, outcome: np.ndarray) -> Fit:
    """Least squares with the usual errors of equal variances. inputs: (n, p) with the constant column."""
    covariance, identified = _inverse(inputs.T @ inputs)
    values = covariance @ (inputs.T @ outcome)
    spare = len(outcome) - identified.sum()
    if spare <= 0:
        return Fit(values, np.zeros(len(values)), np.zeros(len(values), dtype=bool))
    variance = np.square(outcome - inputs @ values).sum() / spare
    return Fit(values, np.sqrt(np.maximum(np.diag(covariance) * variance, 0.0)), identified)


def overlaps(first: Fit, second: Fit, level: float = 0.95) -> np.ndarray:
    """Overlap of each coefficient, (p,) float64 in [0, 1]; an interval without width counts as covered or not."""
    (low, high), (other_low, other_high) = first.interval(level), second.interval(level)
    reach = np.minimum(high, other_high) - np.maximum(low, other_low)
    halves: list[np.ndarray] = []
    for width in (high - low, other_high - other_low):
        fraction = np.divide(reach, width, out=np.zeros(len(reach)), where=width > 0)
        halves.append(np.where(width > 0, np.clip(fraction, 0.0, 1.0), reach >= 0))
    return (halves[0] + halves[1]) / 2


@dataclass(frozen=True)
class Coefficients:
    """Score "coefficient_overlap", higher is better; parts by coefficient, named "column" or "column = level".

    Numbers enter on their declared range scaled to [0, 1] (missing: .5, with an indicator if the column declares
    missing values), categories as indicators of their commonest `levels` in the holdout against all others, without
    levels under `rare` of the holdout rows. Of tables with more columns than `columns`, that many drawn by `seed`
    enter. Coefficients that the real rows do not decide are left out; one that the evaluated rows do not decide
    overlaps
    0. rows: no more rows of each table are fitted to.
    """

    columns: int = 30
    levels: int = 6
    rare: float = 0.02
    rows: int = 20_000
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = False
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        real = reference.holdout.head(self.rows)
        reason = obstacle(real)
        if reason is not None:
            return [_absent(reason)]
        names, (inputs, outcome), (evaluated_inputs, evaluated_outcome) = self._designs(real, evaluated.head(self.rows))
        if isinstance(evaluated.domain[str(evaluated.domain.label)], Category):
            fitted, kind = logistic_fit, "logistic"
        else:
            fitted, kind = linear_fit, "least squares"
        fit = fitted(inputs, outcome)
        used = np.flatnonzero(fit.identified[1:]) + 1
        if len(used) == 0:
            return [_absent("the real rows decide no coefficient: too few, or constant columns")]
        found = np.zeros(len(names))
        decided = used[:0]
        if len(evaluated_outcome):
            other = fitted(evaluated_inputs, evaluated_outcome)
            decided = used[other.identified[used]]
            found[decided] = overlaps(fit, other)[decided]
        parts = {names[k]: float(found[k]) for k in used.tolist()}
        detail = {
            "model": kind,
            "coefficients": len(used),
            "undecided_by_real_rows": len(names) - 1 - len(used),
            "undecided_by_evaluated_rows": len(used) - len(decided),
            "rows": len(evaluated_outcome),
            "holdout_rows": len(outcome),
        }
        value = float(found[used].mean())
        return [
            Score(
                "coefficient_overlap",
                value,
                "higher",
                "utility",
                MEANING,
                parts=parts,
                limits=(0.0, 1.0),
                detail=detail,
            )
        ]

    def _designs(
        self, real: Sample, evaluated: Sample
    ) -> tuple[list[str], tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Names of the coefficients, intercept first, and for both samples the inputs (n, p) and the outcome (n,)."""
        domain = real.domain
        label = domain.position(str(domain.label))
        others = [j for j in range(len(domain.columns)) if j != label]
        if len(others) > self.columns:
            chosen = np.random.default_rng([self.seed, 8]).permutation(len(others))[: self.columns]
            others = sorted(others[k] for k in chosen)
        names = ["intercept"]
        blocks: list[list[np.ndarray]] = [[np.ones(len(sample))] for sample in (real, evaluated)]
        for j in others:
            column = domain.columns[j]
            pair = [sample.units[:, j] for sample in (real, evaluated)]
            if isinstance(column, Category):
                shown = self._levels(pair[0], len(column.values))
                names += [f"{column.name} = {column.values[k]}" for k in shown]
                for block, values in zip(blocks, pair, strict=True):
                    block += [(values == k).astype(float) for k in shown]
                continue
            names.append(column.name)
            for block, values in zip(blocks, pair, strict=True):
                block.append(np.where(np.isnan(values), 0.5, values))
            if column.missing:
                names.append(f"{column.name} missing")
                for block, values in zip(blocks, pair, strict=True):
                    block.append(np.isnan(values).astype(float))
        outcomes = [sample.units[:, label] for sample in (real, evaluated)]
        kept = [~np.isnan(values) for values in outcomes]
        if isinstance(domain.columns[label], Category):
            commonest = np.bincount(outcomes[0][kept[0]].astype(np.int64)).argmax()
            outcomes = [(values == commonest).astype(float) for values in outcomes]
        first, second = (
            (np.column_stack(block)[rows], values[rows])
            for block, values, rows in zip(blocks, outcomes, kept, strict=True)
        )
        return names, first, second

    def _levels(self, real: np.ndarray, count: int) -> Sequence[int]:
        """Levels of a category with an indicator of their own: common ones, but never the commonest, which is part of
        what they are compared with."""
        counts = np.bincount(real[~np.isnan(real)].astype(np.int64), minlength=count)
        order = np.argsort(-counts, kind="stable")[1 : self.levels + 1]
        return sorted(int(k) for k in order if counts[k] >= max(self.rare * len(real), 1))


def _absent(reason: str) -> Score:
    return Score.absent("coefficient_overlap", "higher", reason, MEANING, "utility")


def _loss(scores: np.ndarray, outcome: np.ndarray) -> float:
    """Negative log-likelihood of logistic regression."""
    return float(np.logaddexp(0.0, scores).sum() - outcome @ scores)


def _inverse(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pseudo-inverse of a symmetric matrix (p, p) of information, and which parameters it decides: those whose unit
    vectors lie in its range. Scaled to a unit diagonal first, so that units do not matter."""
    scale = np.sqrt(np.diag(information))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    kept = values > RANK * max(values[-1], 0.0)
    vectors, values = vectors[:, kept], values[kept]
    inverse = (vectors / values) @ vectors.T / np.outer(scale, scale)
    return inverse, np.square(vectors).sum(axis=1) > 1 - 1e-6
