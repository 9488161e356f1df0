"""The scores as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from dpsynth.metrics.score import Score

ARROWS = {"lower": "↓", "higher": "↑"}


def scores_table(scores: Sequence[Score], title: str = "synthetic against real rows") -> Table:
    """One line for each score: value, what a real sample scores, what is scored without data, and how far the
    value has come from there. Metrics that do not apply say why.
    """
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    table.add_column("score")
    for heading in ("synthetic", "real sample", "no data", "of the way"):
        table.add_column(heading, justify="right")
    for score in scores:
        name = f"{score.name} {ARROWS[score.better]}"
        if score.value is None:
            table.add_row(name, "absent", "", "", Text(score.reason or "", style="dim"))
            continue
        table.add_row(
            name,
            Text(number(score.value), style="bold"),
            number(score.floor),
            number(score.baseline),
            share(score),
        )
    return table


def number(value: float | None) -> str:
    """Four decimals; empty where there is none."""
    return "" if value is None else f"{value:.4f}"


def share(score: Score) -> str:
    """Closeness in per cent, between 0 and 100; empty where it cannot be told."""
    return "" if score.closeness is None else f"{100 * min(max(score.closeness, 0.0), 1.0):.0f}%"
