"""Several runs in one table: a line for each run, and for each data set the three yardsticks of every comparison, a
fresh real sample, independent columns and uniform rows.

The best value of a score among the runs on one data set with one epsilon is marked. Values carry the reach of the
interval over draws, that of the real sample the reach of its band.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dpsynth.metrics.score import Score
from dpsynth.report.headlines import column_scores
from dpsynth.report.verdict import losses
from dpsynth.report.wording import ARROWS, NOT_QUALITY, around, number, small

FACTS = ("run", "model", "data", "epsilon", "delta", "seed")
YARDSTICKS = ("real sample", "independent", "uniform")


@dataclass(frozen=True)
class Run:
    """One evaluated run. `facts` holds the keys `FACTS`; data names the data set as it is to be grouped."""

    facts: Mapping[str, Any]
    scores: Sequence[Score]
    private: bool = True

    @property
    def by_name(self) -> dict[str, Score]:
        """The scores that have a value."""
        return {score.name: score for score in self.scores if score.value is not None}

    @property
    def cell(self) -> tuple[str, str]:
        """Data set and epsilon: runs are rivals within it."""
        return str(self.facts["data"]), small(self.facts["epsilon"])


@dataclass(frozen=True)
class Cell:
    """One value of the table, with its interval, and whether it is the best of its rivals."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    best: bool = False

    @property
    def text(self) -> str:
        """The value and the reach of its interval: 0.0512±.0008."""
        return around(self.value, self.low, self.high)


@dataclass(frozen=True)
class Line:
    """One line of the table: a run, or a yardstick of a data set (which has no run, epsilon, delta and seed)."""

    facts: Mapping[str, Any]
    cells: Sequence[Cell]
    yardstick: bool = False

    @property
    def words(self) -> list[str]:
        """The facts as text, in the order of `FACTS`."""
        return ["" if self.facts.get(key) is None else small(self.facts[key]) for key in FACTS]


@dataclass(frozen=True)
class RunTable:
    """The table of some runs, its lines grouped by data set. `names`: the scores that are its columns."""

    runs: Sequence[Run]
    names: Sequence[str] = ()
    sections: Sequence[Sequence[Line]] = field(init=False)

    def __post_init__(self) -> None:
        every = {score.name: score for run in self.runs for score in run.scores if score.value is not None}
        names = tuple(self.names) or tuple(column_scores(list(every.values())))
        object.__setattr__(self, "names", names)
        data_sets = dict.fromkeys(str(run.facts["data"]) for run in self.runs)
        object.__setattr__(self, "sections", tuple(tuple(self._section(data)) for data in sorted(data_sets)))

    @property
    def headings(self) -> list[str]:
        """Of all columns; scores with the arrow of their better direction."""
        better = {score.name: ARROWS[score.better] for run in self.runs for score in run.scores}
        return [*FACTS, *(f"{name} {better.get(name, '')}".strip() for name in self.names)]

    @property
    def remarks(self) -> list[str]:
        """Sentences to read with the table: which run loses to independent columns, which promises nothing."""
        found: list[str] = []
        for run in self.runs:
            lost = losses([score for score in run.scores if score.group not in NOT_QUALITY])
            if lost:
                found.append(f"{_name(run)} loses to independent columns on {', '.join(s.name for s in lost)}.")
            if not run.private:
                found.append(f"{_name(run)} promises no privacy.")
        return found

    def _section(self, data: str) -> list[Line]:
        members = sorted((run for run in self.runs if str(run.facts["data"]) == data), key=_order)
        lines = [Line(run.facts, [self._cell(run, name, members) for name in self.names]) for run in members]
        for yardstick in YARDSTICKS:
            cells = [_yardstick(yardstick, name, members) for name in self.names]
            lines.append(Line({"model": yardstick, "data": data}, cells, yardstick=True))
        return lines

    def _cell(self, run: Run, name: str, members: Sequence[Run]) -> Cell:
        score = run.by_name.get(name)
        if score is None or score.value is None:
            return Cell()
        rivals = [other.by_name[name].value for other in members if other.cell == run.cell and name in other.by_name]
        values = [value for value in rivals if value is not None]
        best = min(values) if score.better == "lower" else max(values)
        # what reads the same is the same
        return Cell(score.value, score.low, score.high, len(values) > 1 and number(score.value) == number(best))


def long_form(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One record for every score of every run, with all its numbers, for other programs."""
    records: list[dict[str, Any]] = []
    for run in runs:
        for score in run.scores:
            numbers = ("group", "better", "value", "low", "high", "floor", "floor_low", "floor_high")
            record = {key: run.facts.get(key) for key in FACTS} | {"private": run.private, "score": score.name}
            record |= {key: getattr(score, key) for key in numbers}
            record |= {key: score.baselines.get(key) for key in ("independent", "uniform")}
            records.append({**record, "like_real": score.like_real, "reason": score.reason})
    return records


def _yardstick(kind: str, name: str, members: Sequence[Run]) -> Cell:
    """What real rows or a baseline score, the mean over the runs of a data set: the draws differ a little."""
    scores = [run.by_name[name] for run in members if name in run.by_name]
    if kind != "real sample":
        return Cell(_mean([score.baselines.get(kind) for score in scores]))
    value, low, high = (_mean([getattr(s, key) for s in scores]) for key in ("floor", "floor_low", "floor_high"))
    return Cell(value, low, high)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _order(run: Run) -> tuple[float, str, str, str]:
    try:
        epsilon = float(run.facts["epsilon"])
    except (TypeError, ValueError):
        epsilon = float("inf")
    return epsilon, str(run.facts["model"]), str(run.facts["seed"]), str(run.facts["run"])


def _name(run: Run) -> str:
    return f"{run.facts['model']} on {run.facts['data']} at epsilon {small(run.facts['epsilon'])} ({run.facts['run']})"
