"""What a metric is, and one number of an evaluation with everything needed to read it.

A metric is a pure function of evaluated rows and real rows, which returns bare scores. What a score needs to be read
is its direction, a real-data baseline, baselines and an interval.

Real-data baselines, confidence bands, baselines and intervals are the same for all metrics and are added by
`comparison.py`, which calls `measure` on the synthetic draws, on fresh real samples, and on the baselines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar

import numpy as np

Better = Literal["lower", "higher"]
NUMBERS = ("value", "low", "high", "real_baseline", "real_baseline_low", "real_baseline_high")


@dataclass(frozen=True)
class Score:
    """One score of a synthetic table against real holdout rows.

    name        stable, file-safe name, such as "tv_2way"
    value       the synthetic table's score, the mean over its draws; None when the metric does not apply, and
                `reason` then says why
    better      the direction in which the score improves
    group       what it belongs to: "marginals", "columns", "pairs", "joint", "utility", "validity", "copying",
                "attack", "images"
    meaning     one plain sentence: what is measured, and its range
    low, high   where the score of one more draw of the same model falls, with 95 % confidence; None for one draw
    real_baseline       what a fresh real sample of the same size scores, on average: as good as can be hoped for
    real_baseline_low, real_baseline_high
                the confidence band, where the score of one fresh real sample falls with 95 % confidence
    baselines   name -> score of rows made without the model: "uniform" over the domain, "independent" columns
    parts       the numbers the score is made of, by column or marginal; part_real_baselines: the same of real samples
    limits      the least and the greatest value the score can have; bands and intervals end there
    detail      json-able facts about how it was computed
    """

    name: str
    value: float | None
    better: Better
    group: str = ""
    meaning: str = ""
    low: float | None = None
    high: float | None = None
    real_baseline: float | None = None
    real_baseline_low: float | None = None
    real_baseline_high: float | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    part_real_baselines: Mapping[str, float] = field(default_factory=dict)
    limits: tuple[float | None, float | None] = (0.0, None)
    reason: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.better not in ("lower", "higher"):
            raise ValueError(f"score {self.name}: better must be 'lower' or 'higher', not {self.better!r}")
        if self.value is None and not self.reason:
            raise ValueError(f"score {self.name}: a score without a value needs a reason")
        for name in NUMBERS:
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"score {self.name}: {name} must be finite or None, not {number}")

    @classmethod
    def absent(cls, name: str, better: Better, reason: str, meaning: str = "", group: str = "") -> Score:
        """A metric that does not apply to these tables, and why."""
        return cls(name, None, better, group, meaning, reason=reason)

    @property
    def like_real(self) -> bool | None:
        """Whether the score is no worse than the confidence band: a fresh real sample is no nearer."""
        if self.value is None or self.real_baseline_low is None or self.real_baseline_high is None:
            return None
        return self.value <= self.real_baseline_high if self.better == "lower" else self.value >= self.real_baseline_low

    def closeness(self, baseline: str = "uniform") -> float | None:
        """Fraction of the way from a baseline (0) to a real sample (1); None where that is unknown.

        Above 1 means better than one real sample by chance, below 0 worse than the baseline.
        """
        start = self.baselines.get(baseline)
        if self.value is None or self.real_baseline is None or start is None:
            return None
        reach = self.real_baseline - start
        improves = reach < 0 if self.better == "lower" else reach > 0
        return (self.value - start) / reach if improves else None

    def loses_to(self, baseline: str) -> bool | None:
        """Whether the baseline scores better; None where there is nothing to compare."""
        other = self.baselines.get(baseline)
        if self.value is None or other is None:
            return None
        return other < self.value if self.better == "lower" else other > self.value

    def to_dict(self) -> dict[str, Any]:
        """Plain json-able dict; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Score:
        return cls(**{**record, "limits": tuple(record["limits"])})


# -------------------- Family ----------------------------------------------------------------


class EvaluatedRows(Protocol):
    """What the frame needs to know of rows: `Sample` holds those of a table, `ImageSample` images."""

    domain: Any

    def __len__(self) -> int: ...

    def rows(self, index: np.ndarray) -> Self:
        """The rows at the positions `index`, int64 (m,), in that order."""
        ...

    def head(self, rows: int) -> Self:
        """The first `rows` rows."""
        ...

    @classmethod
    def joined(cls, samples: Sequence[Any]) -> Self:
        """All rows of some samples of one domain, in order."""
        ...

    def uniform(self, rows: int, generator: np.random.Generator) -> Self:
        """Rows of which only the domain is known."""
        ...

    def independent(self, rows: int, generator: np.random.Generator) -> Self:
        """Rows of which every part is known by itself, and nothing of how the parts belong together."""
        ...

    @property
    def coordinates(self) -> np.ndarray:
        """Rows as points with a Euclidean distance, (n, width) float64."""
        ...

    @property
    def contents(self) -> list[bytes]:
        """Every row as bytes, equal for equal rows."""
        ...


Kind = TypeVar("Kind", bound=EvaluatedRows)
Evaluated = TypeVar("Evaluated", contravariant=True)


@dataclass(frozen=True, eq=False)
class Reference(Generic[Kind]):
    """Real rows to evaluate by.

    holdout: rows the model has not seen; every metric compares with these.
    train: rows the model was fitted to, only for metrics that look for traces of them (`needs_train`).
    """

    holdout: Kind
    train: Kind | None = None


class Metric(Protocol[Evaluated]):
    """Scores that are computed together; a frozen dataclass whose fields are public settings.

    needs_train: whether `reference.train` is looked at. Null samples must then be disjoint from two other real sets,
    so all of it happens on at most half of the training rows.
    costly: fewer null replicates and draws are measured.
    baselines: whether rows made without data are worth scoring.
    """

    needs_train: ClassVar[bool]
    costly: ClassVar[bool]
    baselines: ClassVar[bool]

    def measure(self, evaluated: Evaluated, reference: Reference[Any]) -> list[Score]:
        """Bare scores (name, value, better, group, meaning, parts, detail); always the same names in the same order
        for one domain. Never raises on odd tables: a score that cannot be computed is `Score.absent`.

        Deterministic: whatever is drawn (subsamples, projections, folds) is drawn by a fixed seed field.
        """
        ...


class TrainsNetwork:
    """A family that trains a network on the evaluated rows, which takes a minute or more: it is measured
    `Counts.trainings` times on draws and on fresh real samples, and knows its baselines without training."""
