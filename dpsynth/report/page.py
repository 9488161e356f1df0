"""The report: one self-contained HTML page, no scripts, nothing loaded from elsewhere.

It is made from real rows and says so in its header: it belongs in `private/`, never in `release/`.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from dpsynth.figures.style import render
from dpsynth.metrics.score import Score
from dpsynth.report.terminal import ARROWS, number, share
from dpsynth.report.verdict import RULE, verdict

WORST_SHOWN = 5


def render_report(
    scores: Sequence[Score],
    statement: Mapping[str, Any] | None,
    figures: Mapping[str, Figure],
    *,
    title: str = "Synthetic data report",
    facts: Mapping[str, object] | None = None,
) -> str:
    """The page as HTML text.

    statement  content of privacy.json, None when unknown (the page then warns that nothing is guaranteed)
    figures    caption -> figure
    facts      what was compared (model, data, rows, seed, ...), shown in the header as given
    """
    environment = Environment(
        loader=PackageLoader("dpsynth.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["share"] = share
    environment.filters["plain"] = _plain
    return environment.get_template("page.html.j2").render(
        title=title,
        facts=facts or {},
        verdict=verdict(scores, statement),
        rule=RULE,
        scores=[score for score in scores if score.value is not None],
        absent=[score for score in scores if score.value is None],
        arrows=ARROWS,
        guarantee={key: value for key, value in (statement or {}).items() if not _is_table(value)},
        tables={key: _columns(value) for key, value in (statement or {}).items() if _is_table(value)},
        worst=_worst(scores),
        figures={caption: _data_uri(figure) for caption, figure in figures.items()},
    )


def write_report(
    path: str | Path,
    scores: Sequence[Score],
    statement: Mapping[str, Any] | None,
    figures: Mapping[str, Figure],
    *,
    title: str = "Synthetic data report",
    facts: Mapping[str, object] | None = None,
) -> Path:
    """Write the page; whole or not at all."""
    path = Path(path)
    text = render_report(scores, statement, figures, title=title, facts=facts)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    try:
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def _data_uri(figure: Figure) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(render(figure, "svg")).decode("ascii")


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _columns(records: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """Records as headings and rows; a key that one record lacks is an empty cell there."""
    headings = list(dict.fromkeys(key for record in records for key in record))
    return headings, [[record.get(heading, "") for heading in headings] for record in records]


def _plain(value: Any) -> str:
    """A value of the statement as text: short numbers, nested parts as compact JSON."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping) and not any(isinstance(item, Mapping | list) for item in value.values()):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=str)
    return str(value)


def _worst(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """The worst marginals: pairs where there are any, because two columns can still be looked at."""
    by_name = {score.name: score for score in scores}
    for name in ("tv_2way", "tv_3way", "tv_1way"):
        if name in by_name and by_name[name].detail.get("worst"):
            return list(by_name[name].detail["worst"])[:WORST_SHOWN]
    return []
