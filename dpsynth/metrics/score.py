"""One number of an evaluation, with everything needed to read it: direction, noise floor, baselines, interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Better = Literal["lower", "higher"]
NUMBERS = ("value", "low", "high", "floor", "floor_low", "floor_high")


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
    floor       what a fresh real sample of the same size scores, on average: as good as can be hoped for
    floor_low, floor_high
                the null band, where the score of one fresh real sample falls with 95 % confidence
    baselines   name -> score of rows made without the model: "uniform" over the domain, "independent" columns
    parts       the numbers the score is made of, by column or marginal; part_floors: the same of real samples
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
    floor: float | None = None
    floor_low: float | None = None
    floor_high: float | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    part_floors: Mapping[str, float] = field(default_factory=dict)
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
        """Whether the score is no worse than the null band: not to be told from a fresh real sample by it."""
        if self.value is None or self.floor_low is None or self.floor_high is None:
            return None
        return self.value <= self.floor_high if self.better == "lower" else self.value >= self.floor_low

    def closeness(self, baseline: str = "uniform") -> float | None:
        """Share of the way from a baseline (0) to a real sample (1); None where it cannot be told.

        Above 1 means better than one real sample by chance, below 0 worse than the baseline.
        """
        start = self.baselines.get(baseline)
        if self.value is None or self.floor is None or start is None:
            return None
        reach = self.floor - start
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
