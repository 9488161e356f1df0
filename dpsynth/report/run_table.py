"""Several runs in one table with their baselines: for the terminal, spreadsheets, Markdown and LaTeX.

There is a line for each run, and for each data set three baselines: a fresh real sample, independent columns and
uniform rows. The best value of a score among the runs on one data set with one epsilon is marked. Each value is shown
with the half-width of its interval over draws; that of the real sample with the half-width of its band.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table
from rich.text import Text

from dpsynth.metrics.framework.metric import Score
from dpsynth.report.verdict import column_scores, losses
from dpsynth.report.wording import ARROWS, NOT_QUALITY, around, number, small

FACTS = ("run", "model", "data", "epsilon", "delta", "seed")
YARDSTICKS = ("real sample", "independent", "uniform")


@dataclass(frozen=True)
class RunScores:
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

    runs: Sequence[RunScores]
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

    def _cell(self, run: RunScores, name: str, members: Sequence[RunScores]) -> Cell:
        score = run.by_name.get(name)
        if score is None or score.value is None:
            return Cell()
        rivals = [other.by_name[name].value for other in members if other.cell == run.cell and name in other.by_name]
        values = [value for value in rivals if value is not None]
        best = min(values) if score.better == "lower" else max(values)
        # what reads the same is the same
        return Cell(score.value, score.low, score.high, len(values) > 1 and number(score.value) == number(best))


def long_form(runs: Sequence[RunScores]) -> list[dict[str, Any]]:
    """One record for every score of every run, with all its numbers, for other programs."""
    records: list[dict[str, Any]] = []
    for run in runs:
        for score in run.scores:
            numbers = (
                "group",
                "better",
                "value",
                "low",
                "high",
                "real_baseline",
                "real_baseline_low",
                "real_baseline_high",
            )
            record = {key: run.facts.get(key) for key in FACTS} | {"private": run.private, "score": score.name}
            record |= {key: getattr(score, key) for key in numbers}
            record |= {key: score.baselines.get(key) for key in ("independent", "uniform")}
            records.append({**record, "like_real": score.like_real, "reason": score.reason})
    return records


def _yardstick(kind: str, name: str, members: Sequence[RunScores]) -> Cell:
    """What real rows or a baseline score, the mean over the runs of a data set: the draws differ a little."""
    scores = [run.by_name[name] for run in members if name in run.by_name]
    if kind != "real sample":
        return Cell(_mean([score.baselines.get(kind) for score in scores]))
    value, low, high = (
        _mean([getattr(s, key) for s in scores]) for key in ("real_baseline", "real_baseline_low", "real_baseline_high")
    )
    return Cell(value, low, high)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _order(run: RunScores) -> tuple[float, str, str, str]:
    try:
        epsilon = float(run.facts["epsilon"])
    except (TypeError, ValueError):
        epsilon = float("inf")
    return epsilon, str(run.facts["model"]), str(run.facts["seed"]), str(run.facts["run"])


def _name(run: RunScores) -> str:
    return f"{run.facts['model']} on {run.facts['data']} at epsilon {small(run.facts['epsilon'])} ({run.facts['run']})"


# -------------------- Table formats ---------------------------------------------------------

CAPTION = (
    "Private: computed from real rows. Values are means over draws of rows, ± the reach of the 95 % interval of one "
    "more draw (for the real sample, of one more real sample). Bold: the best run on that data set with that epsilon."
)
_LATEX = {
    **{sign: "\\" + sign for sign in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "±": "$\\pm$",
    ARROWS["lower"]: "$\\downarrow$",
    ARROWS["higher"]: "$\\uparrow$",
}


def rich_table(table: RunTable) -> Table:
    """For the terminal: a section for each data set."""
    shown = Table(title="Runs compared", title_justify="left", header_style="bold", box=None, pad_edge=False)
    for heading in table.headings:
        fact = heading in ("run", "model", "data")
        shown.add_column(heading, justify="left" if fact else "right", overflow="fold")
    for section in table.sections:
        for line in section:
            cells = [Text(cell.text, style="bold" if cell.best else "") for cell in line.cells]
            shown.add_row(*(Text(word) for word in line.words), *cells, style="dim" if line.yardstick else "")
        shown.add_section()
    return shown


def csv_text(table: RunTable) -> str:
    """One line for each run and yardstick; a score takes three columns: value, low, high."""
    records: list[dict[str, Any]] = []
    for section in table.sections:
        for line in section:
            record = {key: line.facts.get(key) for key in FACTS}
            for name, cell in zip(table.names, line.cells, strict=True):
                record |= {name: cell.value, f"{name}_low": cell.low, f"{name}_high": cell.high}
            records.append(record)
    return records_text(records)


def records_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Records with the same keys as CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def markdown(table: RunTable) -> str:
    """One table for all data sets, what to know about it, and the remarks."""
    left = len(("run", "model", "data"))
    lines = ["| " + " | ".join(table.headings) + " |"]
    lines.append("|" + "|".join([" --- "] * left + [" ---: "] * (len(table.headings) - left)) + "|")
    for section in table.sections:
        for line in section:
            words = [word.replace("|", "\\|") for word in line.words]
            words = [f"_{word}_" if line.yardstick and word else word for word in words]
            lines.append("| " + " | ".join([*words, *(_bold(cell, "**{}**") for cell in line.cells)]) + " |")
    remarks = [f"- {remark}" for remark in table.remarks]
    return "\n".join([*lines, "", CAPTION, *(["", *remarks] if remarks else [])]) + "\n"


def latex(table: RunTable) -> str:
    """A tabular of the package booktabs, data sets divided by rules."""
    lines = [f"% {CAPTION}", "% Needs \\usepackage{booktabs}"]
    lines.append("\\begin{tabular}{lll" + "r" * (len(table.headings) - 3) + "}")
    lines += ["\\toprule", " & ".join(map(_escaped, table.headings)) + " \\\\"]
    for section in table.sections:
        lines.append("\\midrule")
        for line in section:
            words = [_escaped(word) for word in line.words]
            words = [f"\\emph{{{word}}}" if line.yardstick and word else word for word in words]
            lines.append(" & ".join([*words, *(_bold(cell, "\\textbf{{{}}}", True) for cell in line.cells)]) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _bold(cell: Cell, form: str, escaped: bool = False) -> str:
    text = _escaped(cell.text) if escaped else cell.text
    return form.format(text) if cell.best else text


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)
