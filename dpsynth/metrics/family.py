"""What a metric is: a pure function of judged rows and real rows, which returns bare scores.

Floors, null bands, baselines and intervals are the same for all metrics and are added by `comparison.py`, which
calls `measure` on the synthetic draws, on fresh real samples, and on the baselines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np

from dpsynth.metrics.score import Score


class Rows(Protocol):
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


Kind = TypeVar("Kind", bound=Rows)
Judged = TypeVar("Judged", contravariant=True)


@dataclass(frozen=True, eq=False)
class Reference(Generic[Kind]):
    """Real rows to judge by.

    holdout: rows the model has not seen; every metric compares with these.
    train: rows the model was fitted to, only for metrics that look for traces of them (`needs_train`).
    """

    holdout: Kind
    train: Kind | None = None


class Family(Protocol[Judged]):
    """Scores that are computed together; a frozen dataclass whose fields are public settings.

    needs_train: whether `reference.train` is looked at. Null samples must then be disjoint from two other real sets,
    so all of it happens on at most half of the training rows.
    costly: fewer null replicates and draws are measured.
    baselines: whether rows made without data are worth scoring.
    """

    needs_train: ClassVar[bool]
    costly: ClassVar[bool]
    baselines: ClassVar[bool]

    def measure(self, judged: Judged, reference: Reference[Any]) -> list[Score]:
        """Bare scores (name, value, better, group, meaning, parts, detail); always the same names in the same order
        for one domain. Never raises on odd tables: a score that cannot be computed is `Score.absent`.

        Deterministic: whatever is drawn (subsamples, projections, folds) is drawn by a fixed seed field.
        """
        ...


class TrainsNetwork:
    """A family that trains a network on the judged rows, which takes a minute or more: it is measured
    `Counts.trainings` times on draws and on fresh real samples, and knows its baselines without training."""
