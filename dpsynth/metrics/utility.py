"""Train on synthetic, test on real: how well models of the synthetic table predict real people's label.

Every learner is fitted twice with the same settings, seed and number of rows: on synthetic rows (the value)
and on real rows (the floor). Both are tested on the same holdout. A category or boolean as label is
classified, a number or date regressed; rows without a label are left out. A class that the training rows
lack gets probability 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, r2_score, roc_auc_score
from threadpoolctl import threadpool_limits

from dpsynth.data.columns import Category, Column, Quantity
from dpsynth.data.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.metrics.binned import check, positions, unit
from dpsynth.metrics.features import Features
from dpsynth.metrics.score import Score

Learner = Literal["boosting", "logistic"]
SMALL = 200_000  # rows below which one thread takes a second, and several on a busy machine take far longer
LEARNERS: tuple[Learner, ...] = ("boosting", "logistic")

MEANINGS = {
    "auc": "area under the ROC curve, mean over classes against the rest (.5 chance, 1 perfect)",
    "accuracy": "share of holdout rows classified rightly (baseline: always the commonest class)",
    "f1": "F1, unweighted mean over classes (0 to 1)",
    "r2": "share of the label's variance explained (0 = predicting the mean, 1 perfect)",
}
TITLES = {"boosting": "gradient boosting", "logistic": "logistic regression (ridge for numbers)"}


def utility_scores(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    domain: Domain,
    *,
    floor: pd.DataFrame,
    learners: Sequence[str] = LEARNERS,
    seed: int = 0,
) -> list[Score]:
    """Scores "<learner>_auc", "_accuracy", "_f1" for classes or "<learner>_r2" for numbers.

    real is the holdout; floor are real training rows, as many as `synthetic`. Absent without a label, without
    other columns, or when the holdout holds one class only.
    """
    for frame in (real, synthetic, floor):
        check(frame, domain)
    for learner in learners:
        if learner not in LEARNERS:
            raise ConfigError(f"learners: {learner!r} is unknown; choose from {', '.join(LEARNERS)}")
    if domain.label is None:
        return [Score.absent("utility", "higher", "the domain has no label column")]
    if len(domain.columns) < 2:
        return [Score.absent("utility", "higher", "the label is the only column")]
    label = domain[domain.label]
    classes = len(label.values) if isinstance(label, Category) else 0
    targets = [_target(frame, label) for frame in (synthetic, floor, real)]
    truth = targets[-1][~np.isnan(targets[-1])]
    if len(truth) == 0 or len(np.unique(truth)) < 2:
        return [Score.absent("utility", "higher", f"the label {label.name} does not vary in the holdout")]
    detail: dict[str, Any] = {"label": label.name, "rows": len(synthetic), "rows_real": len(floor)}
    if classes:
        present = len(np.unique(targets[0][~np.isnan(targets[0])]))
        detail |= {"classes": classes, "classes_in_synthetic": present}
    scores: list[Score] = []
    for learner in learners:
        with threadpool_limits(1 if len(floor) < SMALL else None):
            results = [
                _fit_and_test(learner, domain, (frame, target), (real, targets[-1]), seed)
                for frame, target in zip((synthetic, floor), targets, strict=False)
            ]
        blind = _blind(truth, classes)
        for measure, value in results[0].items():
            scores.append(
                Score(
                    f"{learner}_{measure}",
                    value,
                    "higher",
                    floor=results[1][measure],
                    baseline=blind[measure],
                    meaning=f"{TITLES[learner]}, synthetic rows in, real rows tested: {MEANINGS[measure]}",
                    detail=detail,
                )
            )
    return scores


def _target(frame: pd.DataFrame, label: Column) -> np.ndarray:
    """The label as class numbers, or on the declared range as [0, 1]; NaN where missing, float64 (n,)."""
    if isinstance(label, Category):
        codes = positions(label, frame)
        return np.where(codes < 0, np.nan, codes.astype(np.float64))
    assert isinstance(label, Quantity)
    return unit(label, frame)


def _fit_and_test(
    learner: str,
    domain: Domain,
    training: tuple[pd.DataFrame, np.ndarray],
    testing: tuple[pd.DataFrame, np.ndarray],
    seed: int,
) -> dict[str, float]:
    label = domain[str(domain.label)]
    features = Features(domain)
    (inputs, target), (test_inputs, truth) = (
        (_inputs(learner, features, frame.iloc[np.flatnonzero(~np.isnan(y))]), y[~np.isnan(y)])
        for frame, y in (training, testing)
    )
    if learner == "boosting":  # a column without any value has no thresholds; a constant is never split
        inputs[:, np.isnan(inputs).all(axis=0)] = 0.0
    if not isinstance(label, Category):
        if len(target) < 2 or np.ptp(target) == 0:  # nothing to learn: predict the one value, or the middle
            predicted = np.full(len(truth), target[0] if len(target) else 0.5)
        else:
            predicted = _regressor(learner, features, seed).fit(inputs, target).predict(test_inputs)
        return {"r2": float(r2_score(truth, predicted))}

    chances = np.zeros((len(truth), len(label.values)))
    present = np.unique(target).astype(int)
    if len(present) < 2:
        chances[:, present] = 1.0
    else:
        model = _classifier(learner, features, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a score of a barely unfinished fit is still a score
            model.fit(inputs, target)
        chances[:, model.classes_.astype(int)] = model.predict_proba(test_inputs)
    return _classification(truth.astype(int), chances)


def _classification(truth: np.ndarray, chances: np.ndarray) -> dict[str, float]:
    """AUC, accuracy and macro F1 of class probabilities, (n, classes), over the classes the truth holds."""
    classes = np.unique(truth)
    if len(classes) == 2:  # one curve: both classes give the same
        classes = classes[1:]
    areas = [roc_auc_score(truth == c, chances[:, c]) for c in classes]
    predicted = chances.argmax(axis=1)
    return {
        "auc": float(np.mean(areas)),
        "accuracy": float(accuracy_score(truth, predicted)),
        "f1": float(f1_score(truth, predicted, average="macro", labels=np.unique(truth))),
    }


def _blind(truth: np.ndarray, classes: int) -> dict[str, float]:
    """What is scored without inputs: the commonest class, or the mean."""
    if not classes:
        return {"r2": 0.0}
    chances = np.zeros((len(truth), classes))
    chances[:, np.bincount(truth.astype(int)).argmax()] = 1.0
    return _classification(truth.astype(int), chances)


def _inputs(learner: str, features: Features, frame: pd.DataFrame) -> Any:
    return features.raw(frame) if learner == "boosting" else features.one_hot(frame)


def _boosting(features: Features, seed: int) -> dict[str, Any]:
    # no early stopping: its stratified split fails on a class with a single row
    return {"categorical_features": features.categorical, "early_stopping": False, "random_state": seed}


def _classifier(learner: str, features: Features, seed: int) -> Any:
    if learner == "boosting":
        return HistGradientBoostingClassifier(**_boosting(features, seed))
    return LogisticRegression(C=10.0, max_iter=500)


def _regressor(learner: str, features: Features, seed: int) -> Any:
    if learner == "boosting":
        return HistGradientBoostingRegressor(**_boosting(features, seed))
    return Ridge(alpha=1.0)
