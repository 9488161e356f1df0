"""Synthetic ranking agreement (SRA): would someone who has the synthetic table choose the same models?

All learners are fitted to the training rows (scores R_i) and to the judged rows (scores S_i), both tested on the same
holdout rows. SRA is the mean over unordered pairs of learners of 1 if (R_i - R_j)(S_i - S_j) > 0, else 0 (Jordon,
Yoon, van der Schaar, arXiv 1806.11345), with one half where either side is a tie, which agrees with
nobody and contradicts nobody. Learners that are about equally good swap places by chance, so that even two real
tables do not agree fully: compare with the null band.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.metrics import r2_score

from dpsynth.metrics.family import Reference
from dpsynth.metrics.learners import LEARNERS, Target, areas, obstacle, predict
from dpsynth.metrics.sample import Sample
from dpsynth.metrics.score import Score

MEANING = (
    "share of pairs of models that rank alike whether fitted to the judged or to the training rows "
    "(.5 by chance or by ties, 1 the same ranking)"
)
UNSEEN = "there are no rows that the model has not seen; give a holdout"


def agreement(real: Sequence[float], judged: Sequence[float]) -> float:
    """SRA of the scores of the same models, (k,) each with k at least 2: in [0, 1], ties one half."""
    first, second = np.triu_indices(len(real), k=1)
    r, s = np.asarray(real, dtype=float), np.asarray(judged, dtype=float)
    return float((1 + np.sign(r[first] - r[second]) * np.sign(s[first] - s[second])).mean() / 2)


@dataclass(frozen=True)
class Ranking:
    """Score "sra" over all learners, by AUC (R2 for numbers); at most `rows` rows of each table."""

    rows: int = 8_000
    seed: int = 0
    needs_train: ClassVar[bool] = True
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = True

    def measure(self, judged: Sample, reference: Reference) -> list[Score]:
        testing = reference.holdout.head(self.rows)
        reason = obstacle(testing) if reference.train is not None else UNSEEN
        if reason is not None or reference.train is None:
            return [Score.absent("sra", "higher", reason or UNSEEN, MEANING, "utility")]
        rows = min(self.rows, len(judged), len(reference.train))
        target = Target.of(testing)
        real, found = (
            [_score(learner, sample.head(rows), testing, target, self.seed) for learner in LEARNERS]
            for sample in (reference.train, judged)
        )
        detail = {
            "models": len(LEARNERS),
            "pairs": len(LEARNERS) * (len(LEARNERS) - 1) // 2,
            "rows": rows,
            "real": dict(zip(LEARNERS, real, strict=True)),
            "judged": dict(zip(LEARNERS, found, strict=True)),
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
