"""One number of an evaluation, with everything needed to read it: its direction, a floor and a baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Score:
    """One score of a synthetic table against real holdout rows.

    name        stable, file-safe name, such as "tv_2way"
    value       the synthetic table's score, or None when the metric does not apply; `reason` then says why
    better      the direction in which the score improves
    floor       what a real sample of the same size scores: as good as can be hoped for
    baseline    what is scored without having seen any data (uniform rows, a coin, the majority class)
    low, high   an interval around `value`, where one is known
    meaning     one plain sentence: what is measured, and its range
    detail      json-able parts: per column, worst marginals, settings
    """

    name: str
    value: float | None
    better: Literal["lower", "higher"]
    floor: float | None = None
    baseline: float | None = None
    low: float | None = None
    high: float | None = None
    meaning: str = ""
    reason: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.better not in ("lower", "higher"):
            raise ValueError(f"score {self.name}: better must be 'lower' or 'higher', not {self.better!r}")
        if self.value is None and not self.reason:
            raise ValueError(f"score {self.name}: a score without a value needs a reason")
        for name in ("value", "floor", "baseline", "low", "high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"score {self.name}: {name} must be finite or None, not {number}")

    @classmethod
    def absent(cls, name: str, better: Literal["lower", "higher"], reason: str, meaning: str = "") -> Score:
        """A metric that does not apply to these tables, and why."""
        return cls(name, None, better, reason=reason, meaning=meaning)

    @property
    def closeness(self) -> float | None:
        """Share of the way from the baseline (0) to a real sample (1); None where it cannot be told.

        Above 1 means better than one real sample by chance, below 0 worse than knowing nothing.
        """
        if self.value is None or self.floor is None or self.baseline is None:
            return None
        reach = self.floor - self.baseline
        improves = reach < 0 if self.better == "lower" else reach > 0
        return (self.value - self.baseline) / reach if improves else None

    def to_dict(self) -> dict[str, Any]:
        """Plain json-able dict; `from_dict` reads it back."""
        return {
            "name": self.name,
            "value": self.value,
            "better": self.better,
            "floor": self.floor,
            "baseline": self.baseline,
            "low": self.low,
            "high": self.high,
            "meaning": self.meaning,
            "reason": self.reason,
            "detail": dict(self.detail),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Score:
        return cls(**record)
