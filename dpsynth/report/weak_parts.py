"""Where a score is worst: the columns or combinations that are farthest behind fresh real samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dpsynth.metrics.score import Score
from dpsynth.report.headlines import folded

SHOWN = 5


@dataclass(frozen=True)
class Weak:
    """One part of a score, what it is, and what fresh real samples have there (None when not known)."""

    part: str
    value: float
    floor: float | None


def weakest(score: Score, most: int = SHOWN) -> list[Weak]:
    """The parts farthest behind their floors, the farthest first; parts as good as their floors are left out.

    Without floors, the worst values.
    """
    sign = 1.0 if score.better == "lower" else -1.0
    best = 0.0 if score.better == "lower" else max([1.0, *score.parts.values()])

    def behind(part: str) -> float:
        return sign * (score.parts[part] - score.part_floors.get(part, best))

    worst = sorted((part for part in score.parts if behind(part) > 0), key=behind, reverse=True)[:most]
    return [Weak(part, score.parts[part], score.part_floors.get(part)) for part in worst]


def weak_scores(scores: Sequence[Score], most: int = 6) -> list[tuple[Score, list[Weak]]]:
    """Scores with parts that are behind real samples, main ones first, each with its weakest parts."""
    having = [score for score in scores if score.value is not None and weakest(score, 1)]
    shown, rest = folded(having, most)
    return [(score, weakest(score)) for score in (*shown, *rest)[:most]]
