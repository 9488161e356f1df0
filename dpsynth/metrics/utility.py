"""Train on synthetic, test on real (TSTR): how well models of the judged table predict real people's label.

Every learner is fitted to the judged rows and tested on the holdout. The floor, fresh real rows judged in the same
way, is what models of real rows reach (train on real, test on real). Rows without a label are left out. A class that
the judged rows lack gets probability 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, r2_score

from dpsynth.data.columns import Category
from dpsynth.data.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.metrics.family import Reference
from dpsynth.metrics.learners import LEARNERS, TITLES, Target, areas, obstacle, predict
from dpsynth.metrics.sample import Sample
from dpsynth.metrics.score import Score

MEANINGS = {
    "auc": "area under the ROC curve, mean over classes against the rest (.5 chance, 1 perfect)",
    "auprc": "average precision for the second declared class (its share: chance, 1 perfect)",
    "accuracy": "share of holdout rows classified rightly (0 to 1)",
    "f1": "F1, unweighted mean over classes (0 to 1)",
    "r2": "share of the label's variance explained (0 = predicting the mean, 1 perfect)",
}


@dataclass(frozen=True)
class Utility:
    """Scores "boosting_auc", "boosting_accuracy", "boosting_f1", "boosting_auprc" (labels of two classes), the
    first three for logistic, and "tree_auc", "forest_auc", "mlp_auc", "bayes_auc"; for numbers "<learner>_r2" alone.

    learners: names of `LEARNERS`; ConfigError for others. rows: no more rows are learnt from or tested on.
    Detail "chance" is what a model without inputs scores: the commonest class, or the mean.
    """

    learners: Sequence[str] = LEARNERS
    rows: int = 50_000
    seed: int = 0
    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "learners", tuple(self.learners))
        for learner in self.learners:
            if learner not in LEARNERS:
                raise ConfigError(f"metrics.learners: {learner!r} is unknown; choose from {', '.join(LEARNERS)}")

    def measure(self, judged: Sample, reference: Reference) -> list[Score]:
        training, testing = judged.head(self.rows), reference.holdout.head(self.rows)
        reason = obstacle(testing)
        if reason is not None:
            names = self._names(judged.domain)
            return [Score.absent(name, "higher", reason, meaning, "utility") for name, meaning in names.items()]
        target = Target.of(testing)
        truth = target.values(testing)
        if np.isnan(truth).any():
            kept = np.flatnonzero(~np.isnan(truth))
            testing, truth = testing.rows(kept), truth[kept]
        met = target.values(training)
        met = met[~np.isnan(met)]
        facts: dict[str, Any] = {"label": judged.domain.label, "rows": len(met), "holdout_rows": len(truth)}
        if target.names:
            facts |= {"classes": len(target.names), "classes_in_judged": len(np.unique(met))}
        chance = _measures(truth, _blind(truth, target))
        values: dict[str, float] = {}
        parts: dict[str, Mapping[str, float]] = {}
        for learner in self.learners:
            predicted = predict(learner, training, testing, target, self.seed)
            values |= {f"{learner}_{measure}": value for measure, value in _measures(truth, predicted).items()}
            if target.names:
                curves = areas(truth, predicted)
                parts[f"{learner}_auc"] = (
                    {target.names[c]: area for c, area in curves.items()} if len(curves) > 1 else {}
                )
        return [
            Score(
                name,
                values[name],
                "higher",
                "utility",
                meaning,
                parts=parts.get(name, {}),
                limits=(None, 1.0),  # R2 may fall below 0
                detail={**facts, "chance": chance[name.rpartition("_")[2]]},
            )
            for name, meaning in self._names(judged.domain).items()
        ]

    def _names(self, domain: Domain) -> dict[str, str]:
        """Score names and their meanings, by the domain alone; "utility" stands for all without a label."""
        if domain.label is None:
            return {"utility": "how well models of the judged rows predict the label of real rows"}
        label = domain[domain.label]
        names: dict[str, str] = {}
        for learner in self.learners:
            measures = ["auc"] if isinstance(label, Category) else ["r2"]
            if learner in ("boosting", "logistic") and isinstance(label, Category):
                measures += ["accuracy", "f1"]
            if learner == "boosting" and isinstance(label, Category) and len(label.values) == 2:
                measures += ["auprc"]
            for measure in measures:
                names[f"{learner}_{measure}"] = (
                    f"{TITLES[learner]} fitted to the judged rows, tested on real ones: {MEANINGS[measure]}"
                )
        return names


def _measures(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """All measures that apply. truth: class numbers or numbers in [0, 1], (n,); predicted: (n, classes) or (n,)."""
    if predicted.ndim == 1:
        return {"r2": float(r2_score(truth, predicted))}
    named = predicted.argmax(axis=1)
    found = {
        "auc": float(np.mean(list(areas(truth, predicted).values()))),
        "accuracy": float(accuracy_score(truth, named)),
        "f1": float(f1_score(truth, named, average="macro", labels=np.unique(truth))),
    }
    if predicted.shape[1] == 2:
        found["auprc"] = float(average_precision_score(truth == 1, predicted[:, 1]))
    return found


def _blind(truth: np.ndarray, target: Target) -> np.ndarray:
    """Predictions without inputs: the commonest class, or the mean."""
    if not target.names:
        return np.full(len(truth), truth.mean())
    chances = np.zeros((len(truth), len(target.names)))
    chances[:, np.bincount(truth.astype(np.int64)).argmax()] = 1.0
    return chances
