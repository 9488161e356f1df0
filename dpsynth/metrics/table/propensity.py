"""Can a classifier tell synthetic from real rows? Two-sample tests and propensity scores.

Classifier two-sample test (Lopez-Paz and Oquab, arXiv 1610.06545): the area under the ROC curve on rows that the
classifier was not fitted to, with gradient boosting on all columns, the label
included. Folds are fixed by position, and the area is the mean over the folds: scores of different models are not
put on one scale.

Propensity scores: how far a model's guess "this row is synthetic" strays from the fraction of synthetic rows.

pMSE = mean over all N = n + m rows of (p_i - c)^2, with c = n / N the fraction of the n evaluated rows and p_i the
fitted chance that row i is evaluated (Snoke et al. 2018, arXiv 1604.06651). It is 0 when nothing can be told apart and
c (1 - c) when everything can; what chance alone gives depends on the model and on who made the rows:

- fresh rows of the same distribution, logistic model with k parameters: mean (k - 1) c (1 - c) / N, standard deviation
  sqrt(2 (k - 1)) c (1 - c) / N. The reference here is a holdout, so this is the denominator of "pmse_ratio".
- rows drawn from a distribution that was fitted to these very real rows (Snoke's null): (1 - c) times both, since the
  fit follows the real rows' own scatter. A perfect fresh sample therefore scores 1 / (1 - c) on that scale: 2 at equal
  sizes. Given in the detail for comparison with published figures.
- trees have no such formula: their null is the mean over refits on permuted labels.

The logistic model has main effects only, so it sees shifted means and fractions, and no dependence; the tree sees both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, logit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from dpsynth.data.columns import Category
from dpsynth.metrics.framework.encoding import NATIVE_CATEGORIES
from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample


def stacked(evaluated: Sample, real: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n + m, D) float64 without NaN, and whether a row is evaluated, bool (n + m,); evaluated rows come first.

    Numbers are on [0, 1] by the declared range and -1 where missing; categories are positions, missing the last.
    """
    inputs = np.concatenate([evaluated.units, real.units])
    for j, column in enumerate(evaluated.domain.columns):
        place = len(column.values) if isinstance(column, Category) else -1.0
        inputs[:, j] = np.where(np.isnan(inputs[:, j]), place, inputs[:, j])
    return inputs, np.arange(len(inputs)) < len(evaluated)


def cross_fitted_areas(
    inputs: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    categorical: np.ndarray,
    *,
    iterations: int,
    seed: int = 0,
) -> np.ndarray:
    """Area under the ROC curve of each fold for a classifier fitted to the other folds, float64 (folds,) in [0, 1].

    inputs: (N, D) float64, categories as positions. labels: bool (N,). folds: int (N,), with both labels in each fold.
    """
    inputs = np.where(categorical, np.minimum(inputs, NATIVE_CATEGORIES), inputs)
    # no early stopping: it would hold out rows by a split of its own
    options: dict[str, Any] = {"categorical_features": categorical, "early_stopping": False}
    areas: list[float] = []
    with threadpool_limits(1, user_api="openmp"):  # set for this thread alone; scores run side by side
        for fold in np.unique(folds):
            training, testing = folds != fold, folds == fold
            model = HistGradientBoostingClassifier(max_iter=iterations, random_state=seed, **options)
            chances = model.fit(inputs[training], labels[training]).predict_proba(inputs[testing])[:, 1]
            areas.append(float(roc_auc_score(labels[testing], chances)))
    return np.array(areas)


@dataclass(frozen=True)
class TwoSample:
    """Score "c2st_auc".

    The plain area, not its distance from .5: chance scatters it around .5, so folding it would lift the real-data
    baseline, and an area well below .5 says that rows of the other side were copied.
    """

    max_rows: int = 8_000
    folds: int = 3
    iterations: int = 50
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        name, group = "c2st_auc", "joint"
        meaning = (
            "how well gradient boosting tells synthetic from real rows, area under the ROC curve (.5 not at all, "
            "1 always; somewhat below .5 is chance)"
        )
        evaluated, real = evaluated.head(self.max_rows), reference.holdout.head(self.max_rows)
        if min(len(evaluated), len(real)) < 10 * self.folds:
            reason = f"fewer than {10 * self.folds} rows to cross-fit on"
            return [Score.absent(name, "lower", reason, meaning, group)]
        inputs, labels = stacked(evaluated, real)
        folds = np.concatenate([np.arange(len(evaluated)), np.arange(len(real))]) % self.folds
        categorical = np.array([isinstance(column, Category) for column in evaluated.domain.columns])
        areas = cross_fitted_areas(inputs, labels, folds, categorical, iterations=self.iterations, seed=self.seed)
        facts = {"rows": len(evaluated), "holdout_rows": len(real), "folds": areas.tolist()}
        return [Score(name, float(areas.mean()), "lower", group, meaning, limits=(0.0, 1.0), detail=facts)]


# -------------------- Propensity ------------------------------------------------------------

RIDGE = 1e-6  # fraction of the curvature at no effect; moves the null by about as much and ends separable fits
RANK = 1e-9  # smaller fractions of the largest variance count as an exact dependence between columns
STEPS = 60


def pmse(chances: np.ndarray, fraction: float) -> float:
    """Mean squared distance of the chances (N,) from the fraction of evaluated rows."""
    return float(np.mean((chances - fraction) ** 2))


def null(parameters: int, fraction: float, rows: int) -> tuple[float, float]:
    """Mean and standard deviation of the logistic pMSE for fresh rows of one distribution; `rows` = N of both tables.

    parameters: k, the intercept included. Times (1 - share) for Snoke's null.
    """
    unit = fraction * (1.0 - fraction) / rows
    return (parameters - 1) * unit, float(np.sqrt(2.0 * (parameters - 1))) * unit


def basis(inputs: np.ndarray) -> np.ndarray:
    """Orthogonal columns that span the inputs and a constant, (N, k) float64 with mean squares 1.

    Constant and dependent columns vanish, so k is the true number of parameters; the first column is the constant.
    """
    centred = inputs - inputs.mean(axis=0)
    spread = np.sqrt(np.mean(centred**2, axis=0))
    centred = centred[:, spread > 1e-12] / spread[spread > 1e-12]
    variances, vectors = np.linalg.eigh(centred.T @ centred / len(inputs))
    kept = variances > RANK * max(variances.max(initial=0.0), 1.0)
    whitened = centred @ (vectors[:, kept] / np.sqrt(variances[kept]))
    return np.column_stack([np.ones(len(inputs)), whitened])


def logistic_chances(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Fitted chances (N,) of an unpenalised logistic model by Newton's method.

    features: a `basis` (N, k). labels: bool (N,), both present. Where the labels are separable there is no maximum;
    a ridge of `RIDGE` stops the fit at chances within about that of 0 and 1.
    """
    target = labels.astype(np.float64)
    ridge = np.full(features.shape[1], RIDGE * len(target))
    ridge[0] = 0.0
    weights = np.zeros(features.shape[1])
    weights[0] = logit(target.mean())

    def loss(candidate: np.ndarray) -> float:
        margins = features @ candidate
        return float(np.sum(np.logaddexp(0.0, margins) - target * margins) + 0.5 * ridge @ candidate**2)

    current = loss(weights)
    for _ in range(STEPS):
        chances = expit(features @ weights)
        slope = features.T @ (target - chances) - ridge * weights
        curvature = (features.T * (chances * (1.0 - chances))) @ features + np.diag(ridge + 1e-12 * len(target))
        step = np.linalg.solve(curvature, slope)
        if slope @ step < 1e-6:  # twice the loss still to be gained, in nats over all rows
            break
        size = 1.0
        while (following := loss(weights + size * step)) > current and size > 1e-6:
            size /= 2.0
        if following > current:
            break
        weights, current = weights + size * step, following
    return expit(features @ weights)


def tree_chances(inputs: np.ndarray, labels: np.ndarray, leaf_rows: int, seed: int = 0) -> np.ndarray:
    """Fractions of evaluated rows in the leaves of a classification tree, (N,), with at least leaf_rows rows in a
    leaf."""
    tree = DecisionTreeClassifier(min_samples_leaf=leaf_rows, random_state=seed).fit(inputs, labels)
    chances = np.asarray(tree.predict_proba(inputs))
    return chances[:, -1] if chances.shape[1] == 2 else np.full(len(inputs), float(labels[0]))


def effects(evaluated: Sample, real: Sample, levels: int) -> np.ndarray:
    """Main effects of all columns, (N, width) float64: numbers on [0, 1], and one column for each category that either
    table holds, the commonest `levels` of a column at most; missing is a column of its own."""
    units = np.concatenate([evaluated.units, real.units])
    blocks: list[np.ndarray] = [np.empty((len(units), 0))]
    for column, values in zip(evaluated.domain.columns, units.T, strict=True):
        gone = np.isnan(values)
        if isinstance(column, Category):
            codes = np.where(gone, len(column.values), values).astype(np.int64)
            counts = np.bincount(codes)
            # by the pooled counts, which say nothing of a row's table; the commonest is the reference
            shown = np.argsort(-counts, kind="stable")[1 : levels + 1]
            blocks.append(codes[:, None] == shown[counts[shown] > 0])
        else:
            blocks.append(np.column_stack([np.where(gone, 0.5, values), gone]))
    return np.concatenate(blocks, axis=1)


@dataclass(frozen=True)
class Propensity:
    """Scores "pmse_ratio" (logistic) and "tree_pmse_ratio": pMSE over what fresh real rows score on average.

    max_rows, tree_rows: rows used of each table, by position. levels: categories of a column with an effect of their
    own. width: wider designs are replaced by that many random combinations. leaf_rows, permutations: of the tree.
    """

    max_rows: int = 20_000
    levels: int = 100
    width: int = 300
    tree_rows: int = 5_000
    leaf_rows: int = 50
    permutations: int = 10
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        return [self._logistic(evaluated, reference.holdout), self._tree(evaluated, reference.holdout)]

    def _logistic(self, evaluated: Sample, real: Sample) -> Score:
        name, group = "pmse_ratio", "joint"
        meaning = (
            "pMSE of a logistic model of all columns over its mean for fresh real rows (0 equal, 1 like real; sees "
            "shifted means and fractions, not dependence)"
        )
        evaluated, real = evaluated.head(self.max_rows), real.head(self.max_rows)
        inputs = effects(evaluated, real, self.levels)
        if inputs.shape[1] > self.width:
            generator = np.random.default_rng(self.seed)
            inputs = inputs @ generator.normal(size=(inputs.shape[1], self.width))
        features = basis(inputs)
        rows, parameters = features.shape
        if parameters < 2:
            return Score.absent(name, "lower", "no column varies", meaning, group)
        fraction = len(evaluated) / rows
        value = pmse(logistic_chances(features, np.arange(rows) < len(evaluated)), fraction)
        mean, deviation = null(parameters, fraction, rows)
        left = 1.0 - fraction
        facts: dict[str, Any] = {
            "pmse": value,
            "z": (value - mean) / deviation,
            "snoke_ratio": value / (left * mean),
            "snoke_z": (value - left * mean) / (left * deviation),
            "parameters": parameters,
            "rows": len(evaluated),
            "holdout_rows": len(real),
        }
        return Score(name, value / mean, "lower", group, meaning, detail=facts)

    def _tree(self, evaluated: Sample, real: Sample) -> Score:
        name, group = "tree_pmse_ratio", "joint"
        meaning = (
            "pMSE of a classification tree of all columns over its mean for permuted labels (1 like real, more is "
            "worse; sees dependence)"
        )
        evaluated, real = evaluated.head(self.tree_rows), real.head(self.tree_rows)
        inputs, labels = stacked(evaluated, real)
        fraction, generator = len(evaluated) / len(labels), np.random.default_rng(self.seed)
        value, *others = (
            pmse(tree_chances(inputs, guessed, self.leaf_rows, self.seed), fraction)
            for guessed in [labels, *(generator.permutation(labels) for _ in range(self.permutations))]
        )
        mean, deviation = float(np.mean(others)), float(np.std(others, ddof=1))
        if mean <= 0.0 or deviation <= 0.0:
            reason = f"no column varies, or fewer than {2 * self.leaf_rows} rows"
            return Score.absent(name, "lower", reason, meaning, group)
        facts: dict[str, Any] = {
            "pmse": value,
            "z": (value - mean) / deviation,
            "permutations": self.permutations,
            "leaf_rows": self.leaf_rows,
            "rows": len(evaluated),
            "holdout_rows": len(real),
        }
        return Score(name, value / mean, "lower", group, meaning, detail=facts)
