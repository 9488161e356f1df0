"""The report: one self-contained HTML page, no scripts, nothing loaded from elsewhere.

It says how the evaluation cuts each column into cells, so that fractions can be checked by hand, and where a score is
worst: the columns or combinations that are farthest behind fresh real samples.

It is made from real rows and says so in its header: it belongs in `private/`, never in `release/`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from dpsynth.data.columns import Category, Column
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.tabular_files import write_text
from dpsynth.metrics.framework.metric import Score
from dpsynth.report.bullet_chart import mark
from dpsynth.report.guarantee import plain, promises, releases
from dpsynth.report.verdict import RULE, folded, verdict
from dpsynth.report.wording import ARROWS, NOT_QUALITY, absences, grouped, number, small, span

LISTED = 12  # categories named


def cells(domain: Domain, bins: int) -> list[tuple[str, str]]:
    """(column, its cells in words) by the declared domain alone; every column also has a cell for missing values."""
    return [(column.name, _cut(column, bins)) for column in domain.columns]


def _cut(column: Column, bins: int) -> str:
    if isinstance(column, Category):
        names = ", ".join(column.values[:LISTED])
        more = f" and {len(column.values) - LISTED} more" if len(column.values) > LISTED else ""
        return f"{len(column.values)} categories: {names}{more}"
    low, high = getattr(column, "low", None), getattr(column, "high", None)
    return f"{column.kind}, {bins} equal-width bins from {low} to {high}"


# -------------------- Weak parts ------------------------------------------------------------

SHOWN = 5


@dataclass(frozen=True)
class Weak:
    """One part of a score, what it is, and what fresh real samples have there (None when not known)."""

    part: str
    value: float
    real_baseline: float | None


def weakest(score: Score, most: int = SHOWN) -> list[Weak]:
    """The parts farthest behind their real-data baselines, the farthest first; parts as good as their real-data
    baselines are left out.

    Without real-data baselines, the worst values.
    """
    sign = 1.0 if score.better == "lower" else -1.0
    best = 0.0 if score.better == "lower" else max([1.0, *score.parts.values()])

    def behind(part: str) -> float:
        return sign * (score.parts[part] - score.part_real_baselines.get(part, best))

    worst = sorted((part for part in score.parts if behind(part) > 0), key=behind, reverse=True)[:most]
    return [Weak(part, score.parts[part], score.part_real_baselines.get(part)) for part in worst]


def weak_scores(scores: Sequence[Score], most: int = 6) -> list[tuple[Score, list[Weak]]]:
    """Scores with parts that are behind real samples, main ones first, each with its weakest parts."""
    having = [score for score in scores if score.value is not None and weakest(score, 1)]
    shown, rest = folded(having, most)
    return [(score, weakest(score)) for score in (*shown, *rest)[:most]]


# -------------------- Page ------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """What a report is made of.

    scores     of the evaluation; empty when only pictures were asked for
    statement  content of privacy.json, None when unknown (the page then warns that nothing is guaranteed)
    figures    caption -> picture as the bytes of a PNG file; the caption is also the text for those who do not see it
    facts      what was compared (model, data, rows, seed, ...), shown in the header as given
    alone      name of a release -> epsilon that it would cost by itself
    settings   of the evaluation; with the domain they say how columns were cut into cells
    remarks    sentences to stand with "what the scores do not say"
    """

    scores: Sequence[Score]
    statement: Mapping[str, Any] | None = None
    figures: Mapping[str, bytes] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    alone: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    domain: Domain | None = None
    remarks: Sequence[str] = ()
    title: str = "Synthetic data report"

    def html(self) -> str:
        """The page as text."""
        environment = Environment(
            loader=PackageLoader("dpsynth.report", "."),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"number": number, "plain": plain, "small": small, "mark": mark, "facts": _facts}
        statement = self.statement or {}
        present = [score for score in self.scores if score.value is not None]
        bins = self.settings.get("bins")
        return environment.get_template("page.html.j2").render(
            page=self,
            verdict=verdict(self.scores, self.statement),
            rule=RULE,
            groups={title: folded(scores) for title, scores in grouped(present).items()},
            absences=absences(self.scores),
            arrows=ARROWS,
            span=span,
            promises=promises(statement) if statement else [],
            releases=releases(statement),
            weak=weak_scores([score for score in self.scores if score.group not in NOT_QUALITY]),
            cells=cells(self.domain, bins) if self.domain is not None and isinstance(bins, int) else [],
            figures={caption: _data_uri(png) for caption, png in self.figures.items()},
        )

    def write(self, path: str | Path) -> Path:
        """Write the page; whole or not at all."""
        return write_text(path, self.html())


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _facts(detail: Mapping[str, Any]) -> str:
    """The facts of a score that fit in a line: texts, numbers and flat collections of them."""
    short = {key: text for key, value in detail.items() if len(text := plain(value)) <= 200}
    return "; ".join(f"{key.replace('_', ' ')}: {text}" for key, text in short.items())
