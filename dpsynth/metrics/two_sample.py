"""Can a classifier tell synthetic rows from real ones? Area under its ROC curve on rows it was not fitted to.

Classifier two-sample test (Lopez-Paz and Oquab, arXiv 1610.06545) with gradient boosting on all columns, the label
included. Folds are fixed by position, and the area is the mean over the folds: scores of different models are not
put on one scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from dpsynth.data.columns import Category
from dpsynth.metrics.family import Reference
from dpsynth.metrics.features import NATIVE_CATEGORIES
from dpsynth.metrics.sample import Sample
from dpsynth.metrics.score import Score


def stacked(judged: Sample, real: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n + m, D) float64 without NaN, and whether a row is judged, bool (n + m,); judged rows come first.

    Numbers are on [0, 1] by the declared range and -1 where missing; categories are positions, missing the last.
    """
    inputs = np.concatenate([judged.units, real.units])
    for j, column in enumerate(judged.domain.columns):
        place = len(column.values) if isinstance(column, Category) else -1.0
        inputs[:, j] = np.where(np.isnan(inputs[:, j]), place, inputs[:, j])
    return inputs, np.arange(len(inputs)) < len(judged)


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

    The plain area, not its distance from .5: chance scatters it around .5, so folding it would lift the floor, and
    an area well below .5 says that rows of the other side were copied.
    """

    max_rows: int = 8_000
    folds: int = 3
    iterations: int = 50
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = True

    def measure(self, judged: Sample, reference: Reference) -> list[Score]:
        name, group = "c2st_auc", "joint"
        meaning = (
            "how well gradient boosting tells synthetic from real rows, area under the ROC curve (.5 not at all, "
            "1 always; somewhat below .5 is chance)"
        )
        judged, real = judged.head(self.max_rows), reference.holdout.head(self.max_rows)
        if min(len(judged), len(real)) < 10 * self.folds:
            reason = f"fewer than {10 * self.folds} rows to cross-fit on"
            return [Score.absent(name, "lower", reason, meaning, group)]
        inputs, labels = stacked(judged, real)
        folds = np.concatenate([np.arange(len(judged)), np.arange(len(real))]) % self.folds
        categorical = np.array([isinstance(column, Category) for column in judged.domain.columns])
        areas = cross_fitted_areas(inputs, labels, folds, categorical, iterations=self.iterations, seed=self.seed)
        facts = {"rows": len(judged), "holdout_rows": len(real), "folds": areas.tolist()}
        return [Score(name, float(areas.mean()), "lower", group, meaning, limits=(0.0, 1.0), detail=facts)]
