"""What a metric is: a pure function of judged rows and real rows, which returns bare scores.

Floors, null bands, baselines and intervals are the same for all metrics and are added by `comparison.py`, which
calls `measure` on the synthetic draws, on fresh real samples, and on the baselines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from dpsynth.metrics.sample import Sample
from dpsynth.metrics.score import Score


@dataclass(frozen=True, eq=False)
class Reference:
    """Real rows to judge by.

    holdout: rows the model has not seen; every metric compares with these.
    train: rows the model was fitted to, only for metrics that look for traces of them (`needs_train`).
    """

    holdout: Sample
    train: Sample | None = None


class Family(Protocol):
    """Scores that are computed together; a frozen dataclass whose fields are public settings.

    needs_train: whether `reference.train` is looked at. Null samples must then be disjoint from two other real sets,
    so all of it happens on at most half of the training rows.
    costly: fewer null replicates and draws are measured.
    baselines: whether rows made without data are worth scoring.
    """

    needs_train: ClassVar[bool]
    costly: ClassVar[bool]
    baselines: ClassVar[bool]

    def measure(self, judged: Sample, reference: Reference) -> list[Score]:
        """Bare scores (name, value, better, group, meaning, parts, detail); always the same names in the same order
        for one domain. Never raises on odd tables: a score that cannot be computed is `Score.absent`.

        Deterministic: whatever is drawn (subsamples, projections, folds) is drawn by a fixed seed field.
        """
        ...
