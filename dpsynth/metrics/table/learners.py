"""The models that evaluate a table by what can be learnt from it: six ways to predict the label from the other columns.

    boosting  gradient-boosted trees                    logistic  logistic regression; ridge for numbers
    tree      one decision tree                         forest    random forest of 50 trees
    mlp       one hidden layer of 64 units              bayes     naive Bayes on binned columns

Settings are fixed and depend on nothing but the number of rows, so that two tables of equal size are learnt from
alike. Inputs are made from the domain, never fitted. A category or boolean label is classified, a number or date
regressed on its declared range scaled to [0, 1].
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import CategoricalNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from dpsynth.data.columns import Category
from dpsynth.metrics.framework.encoding import Features
from dpsynth.metrics.framework.sample import Sample

TITLES = {
    "boosting": "gradient boosting",
    "logistic": "logistic regression (ridge for numbers)",
    "tree": "decision tree",
    "forest": "random forest",
    "mlp": "neural network",
    "bayes": "naive Bayes",
}
LEARNERS = tuple(TITLES)
CLASSES = 16  # of a label with more, the commonest in the holdout are kept and the rest are one class
BATCH = 256  # rows in a step of the neural network
STEPS = 600  # of the neural network, but at least EPOCHS passes and at most MOST_EPOCHS
EPOCHS, MOST_EPOCHS = 8, 100
SMOOTHING = 0.1  # rows that naive Bayes adds to every cell of a column and class


@dataclass(frozen=True, eq=False)
class Target:
    """The label as it is predicted.

    position: of the label in the domain. names: its classes, () for a number or date. classes: for each declared
    category, the class it counts as.
    """

    position: int
    names: tuple[str, ...]
    classes: np.ndarray

    @classmethod
    def of(cls, holdout: Sample) -> Target:
        """Of a domain with a label. Which classes are pooled is read from the holdout: all tables meet the same."""
        domain = holdout.domain
        label = domain[str(domain.label)]
        position = domain.position(label.name)
        if not isinstance(label, Category):
            return cls(position, (), np.empty(0))
        count = len(label.values)
        if count <= CLASSES:
            return cls(position, label.values, np.arange(float(count)))
        met = holdout.units[:, position]
        counts = np.bincount(met[~np.isnan(met)].astype(np.int64), minlength=count)
        kept = np.sort(np.argsort(-counts, kind="stable")[: CLASSES - 1])
        classes = np.full(count, float(CLASSES - 1))
        classes[kept] = np.arange(float(CLASSES - 1))
        return cls(position, (*(label.values[k] for k in kept), "all others"), classes)

    def values(self, sample: Sample) -> np.ndarray:
        """Class numbers, or numbers in [0, 1]; NaN where missing; float64 (n,)."""
        values = sample.units[:, self.position]
        if not self.names:
            return values
        gone = np.isnan(values)
        return np.where(gone, np.nan, self.classes[np.where(gone, 0.0, values).astype(np.int64)])


def obstacle(holdout: Sample) -> str | None:
    """Why nothing can be predicted on these rows; None when it can."""
    domain = holdout.domain
    if domain.label is None:
        return "the domain has no label column"
    if len(domain.columns) < 2:
        return "the label is the only column"
    target = Target.of(holdout).values(holdout)
    if len(np.unique(target[~np.isnan(target)])) < 2:
        return f"the label {domain.label} does not vary in the holdout"
    return None


def predict(learner: str, training: Sample, testing: Sample, target: Target, seed: int = 0) -> np.ndarray:
    """Predictions for the rows of `testing` of a learner fitted to the rows of `training` that have a label.

    Returns chances of the classes, float64 (n, classes) (0 for a class that the training rows lack), or numbers in
    [0, 1], float64 (n,). Training rows from which nothing can be learnt give equal predictions for all rows.
    """
    wanted = target.values(training)
    labelled = ~np.isnan(wanted)
    if not labelled.all():
        training, wanted = training.rows(np.flatnonzero(labelled)), wanted[labelled]
    if not target.names:
        if len(wanted) < 2 or np.ptp(wanted) == 0:
            return np.full(len(testing), wanted[0] if len(wanted) else 0.5)
        with threadpool_limits(1, user_api="openmp"):  # set for this thread alone; scores run side by side
            return np.clip(_regress(learner, training, testing, wanted, target, seed), 0.0, 1.0)
    chances = np.zeros((len(testing), len(target.names)))
    present = np.unique(wanted).astype(np.int64)
    if len(present) < 2:
        chances[:, present] = 1.0
    else:
        with threadpool_limits(1, user_api="openmp"):
            chances[:, present] = _classify(learner, training, testing, wanted, target, seed)
    return chances


def areas(truth: np.ndarray, chances: np.ndarray) -> dict[int, float]:
    """Area under the ROC curve of every class in the truth against the rest; of two classes, the second alone.

    truth: class numbers (n,) with two distinct values at least; chances: (n, classes).
    """
    classes = np.unique(truth).astype(np.int64)
    if len(classes) == 2:  # one curve: both classes give the same
        classes = classes[1:]
    return {int(c): float(roc_auc_score(truth == c, chances[:, c])) for c in classes}


def _classify(
    learner: str, training: Sample, testing: Sample, wanted: np.ndarray, target: Target, seed: int
) -> np.ndarray:
    """Chances of the classes that the training rows hold (two or more), in rising order."""
    inputs, tested = _inputs(learner, training, target), _inputs(learner, testing, target)
    if learner == "boosting":
        iterations = 100 if len(target.names) == 2 else max(20, 200 // len(target.names))
        model: Any = HistGradientBoostingClassifier(max_iter=iterations, **_boosting(training, seed))
    elif learner == "logistic":
        model = LogisticRegression(C=10.0, max_iter=500)
    elif learner == "tree":
        model = DecisionTreeClassifier(max_depth=10, min_samples_leaf=20, random_state=seed)
    elif learner == "forest":
        model = RandomForestClassifier(50, min_samples_leaf=5, random_state=seed)
    elif learner == "mlp":
        model = MLPClassifier(hidden_layer_sizes=(64,), **_network(len(wanted), seed))
        for _ in range(_epochs(len(wanted))):
            model.partial_fit(inputs, wanted, classes=np.unique(wanted))
        return model.predict_proba(_met(inputs, tested))
    else:
        model = CategoricalNB(alpha=SMOOTHING, min_categories=_cells(training, target))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a score of a barely unfinished fit is still a score
        model.fit(inputs, wanted)
    return model.predict_proba(tested)


def _regress(
    learner: str, training: Sample, testing: Sample, wanted: np.ndarray, target: Target, seed: int
) -> np.ndarray:
    inputs, tested = _inputs(learner, training, target), _inputs(learner, testing, target)
    if learner == "boosting":
        model: Any = HistGradientBoostingRegressor(**_boosting(training, seed))
    elif learner == "logistic":
        model = Ridge(alpha=1.0)
    elif learner == "tree":
        model = DecisionTreeRegressor(max_depth=10, min_samples_leaf=20, random_state=seed)
    elif learner == "forest":
        model = RandomForestRegressor(50, min_samples_leaf=5, max_features=1 / 3, random_state=seed)
    elif learner == "mlp":
        centre, scale = wanted.mean(), wanted.std()
        model = MLPRegressor(hidden_layer_sizes=(64,), **_network(len(wanted), seed))
        for _ in range(_epochs(len(wanted))):
            model.partial_fit(inputs, (wanted - centre) / scale)
        return centre + scale * model.predict(_met(inputs, tested))
    else:
        # naive Bayes for regression: the chances of label intervals with equally many rows, times their means
        edges = np.unique(np.quantile(wanted, np.linspace(0, 1, CLASSES + 1)[1:-1]))
        intervals, classes = np.unique(np.searchsorted(edges, wanted, side="right"), return_inverse=True)
        means = np.bincount(classes, wanted) / np.bincount(classes)
        if len(intervals) < 2:
            return np.full(len(testing), means[0])
        model = CategoricalNB(alpha=SMOOTHING, min_categories=_cells(training, target)).fit(inputs, classes)
        return model.predict_proba(tested) @ means
    return model.fit(inputs, wanted).predict(tested)


def _inputs(learner: str, sample: Sample, target: Target) -> Any:
    """Rows as a learner takes them: values and codes for boosting, cells for naive Bayes, one-hot for what is
    linear in its inputs, declared ranges and category positions for trees."""
    if learner in ("logistic", "mlp"):
        return sample.one_hot
    if learner == "bayes":
        return np.delete(sample.codes, target.position, axis=1)
    inputs = sample.raw.copy() if learner == "boosting" else np.delete(sample.units, target.position, axis=1)
    inputs[:, np.isnan(inputs).all(axis=0)] = 0.0  # a column without any value has no thresholds; a constant is fine
    return inputs


def _met(inputs: sparse.csr_matrix, tested: sparse.csr_matrix) -> sparse.csr_matrix:
    """Tested inputs with 0 in columns that are 0 in all training rows: a network keeps random weights for them."""
    return tested @ sparse.diags_array((inputs.getnnz(axis=0) > 0).astype(float), format="csr")


def _cells(sample: Sample, target: Target) -> list[int]:
    return [size for j, size in enumerate(sample.sizes) if j != target.position]


def _boosting(sample: Sample, seed: int) -> dict[str, Any]:
    # no early stopping: its stratified split fails on a class with a single row
    categorical = Features(sample.domain).categorical
    return {"categorical_features": categorical, "early_stopping": False, "random_state": seed}


def _network(rows: int, seed: int) -> dict[str, Any]:
    return {"batch_size": min(BATCH, rows), "learning_rate_init": 3e-3, "alpha": 1e-2, "random_state": seed}


def _epochs(rows: int) -> int:
    return min(max(STEPS * BATCH // rows, EPOCHS), MOST_EPOCHS)
