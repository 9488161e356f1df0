"""Train on synthetic, test on real (TSTR), and whether synthetic rows rank models as real rows do (SRA).

TSTR says how well models of the evaluated table predict the label of real people. Every learner is fitted to the
evaluated rows and tested on the holdout. The real-data baseline, fresh real rows evaluated in the same way, is what
models of real rows reach (train on real, test on real). Rows without a label are left out. A class that the evaluated
rows lack gets probability 0.

Synthetic ranking agreement (SRA): would someone who has the synthetic table choose the same models?

All learners are fitted to the training rows (scores R_i) and to the evaluated rows (scores S_i), both tested on the
same holdout rows. SRA is the mean over unordered pairs of learners of 1 if (R_i - R_j)(S_i - S_j) > 0, else 0 (Jordon,
Yoon, van der Schaar, arXiv 1806.11345), with one half where either side is a tie, which agrees with
nobody and contradicts nobody. Learners that are about equally good swap places by chance, so that even two real
tables do not agree fully: compare with the confidence band.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, r2_score

from dpsynth.data.columns import Category
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.learners import LEARNERS, TITLES, Target, areas, obstacle, predict

MEANINGS = {
    "auc": "area under the ROC curve, mean over classes against the rest (.5 chance, 1 perfect)",
    "auprc": "average precision for the second declared class (its fraction: chance, 1 perfect)",
    "accuracy": "fraction of holdout rows classified rightly (0 to 1)",
    "f1": "F1, unweighted mean over classes (0 to 1)",
    "r2": "fraction of the label's variance explained (0 = predicting the mean, 1 perfect)",
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

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        training, testing = evaluated.head(self.rows), reference.holdout.head(self.rows)
        reason = obstacle(testing)
        if reason is not None:
            names = self._names(evaluated.domain)
            return [Score.absent(name, "higher", reason, meaning, "utility") for name, meaning in names.items()]
        target = Target.of(testing)
        truth = target.values(testing)
        if np.isnan(truth).any():
            kept = np.flatnonzero(~np.isnan(truth))
            testing, truth = testing.rows(kept), truth[kept]
        met = target.values(training)
        met = met[~np.isnan(met)]
        facts: dict[str, Any] = {"label": evaluated.domain.label, "rows": len(met), "holdout_rows": len(truth)}
        if target.names:
            facts |= {"classes": len(target.names), "classes_in_evaluated": len(np.unique(met))}
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
            for name, meaning in self._names(evaluated.domain).items()
        ]

    def _names(self, domain: Domain) -> dict[str, str]:
        """Score names and their meanings, by the domain alone; "utility" stands for all without a label."""
        if domain.label is None:
            return {"utility": "how well models of the evaluated rows predict the label of real rows"}
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
                    f"{TITLES[learner]} fitted to the evaluated rows, tested on real ones: {MEANINGS[measure]}"
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


# -------------------- Ranking ---------------------------------------------------------------

MEANING = (
    "fraction of pairs of models that rank alike whether fitted to the evaluated or to the training rows "
    "(.5 by chance or by ties, 1 the same ranking)"
)
UNSEEN = "there are no rows that the model has not seen; give a holdout"


def agreement(real: Sequence[float], evaluated: Sequence[float]) -> float:
    """SRA of the scores of the same models, (k,) each with k at least 2: in [0, 1], ties one half."""
    first, second = np.triu_indices(len(real), k=1)
    r, s = np.asarray(real, dtype=float), np.asarray(evaluated, dtype=float)
    return float((1 + np.sign(r[first] - r[second]) * np.sign(s[first] - s[second])).mean() / 2)


@dataclass(frozen=True)
class Ranking:
    """Score "sra" over all learners, by AUC (R2 for numbers); at most `rows` rows of each table."""

    rows: int = 8_000
    seed: int = 0
    needs_train: ClassVar[bool] = True
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        testing = reference.holdout.head(self.rows)
        reason = obstacle(testing) if reference.train is not None else UNSEEN
        if reason is not None or reference.train is None:
            return [Score.absent("sra", "higher", reason or UNSEEN, MEANING, "utility")]
        rows = min(self.rows, len(evaluated), len(reference.train))
        target = Target.of(testing)
        real, found = (
            [_score(learner, sample.head(rows), testing, target, self.seed) for learner in LEARNERS]
            for sample in (reference.train, evaluated)
        )
        detail = {
            "models": len(LEARNERS),
            "pairs": len(LEARNERS) * (len(LEARNERS) - 1) // 2,
            "rows": rows,
            "real": dict(zip(LEARNERS, real, strict=True)),
            "evaluated": dict(zip(LEARNERS, found, strict=True)),
        }
        return [Score("sra", agreement(real, found), "higher", "utility", MEANING, limits=(0.0, 1.0), detail=detail)]


def _score(learner: str, training: Sample, testing: Sample, target: Target, seed: int) -> float:
    """AUC or R2 on the holdout rows that have a label."""
    truth = target.values(testing)
    kept = ~np.isnan(truth)
    predicted = predict(learner, training, testing, target, seed)[kept]
    if target.names:
        return float(np.mean(list(areas(truth[kept], predicted).values())))
    return float(r2_score(truth[kept], predicted))
