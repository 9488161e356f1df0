"""The scores as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from dpsynth.metrics.score import Score
from dpsynth.report.wording import ARROWS, around, grouped, number

_LIKE = {True: Text("yes", style="green"), False: Text("no"), None: Text("")}


def absences(scores: Sequence[Score]) -> list[str]:
    """One sentence for each reason, with the scores that are absent for it."""
    reasons: dict[str, list[str]] = {}
    for score in scores:
        if score.value is None:
            reasons.setdefault(score.reason or "", []).append(score.name)
    return [f"Absent: {', '.join(names)}: {reason}." for reason, names in reasons.items()]


def scores_table(scores: Sequence[Score], title: str = "Synthetic against real rows") -> Table:
    """One line for each score, by group: value with the reach of its interval over draws, that of fresh real samples
    with the reach of their band, what independent columns and uniform rows score, and whether the value lies in the
    band or on its better side. Absent scores are left to `absences`.
    """
    table = Table(
        title=title, title_justify="left", header_style="bold", box=None, padding=(0, 1, 0, 0), pad_edge=False
    )
    table.add_column("score", no_wrap=True)
    for heading in ("synthetic", "real sample", "indep.", "uniform", "in band"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group, members in grouped([score for score in scores if score.value is not None]).items():
        table.add_row(Text(group, style="italic"))
        for score in members:
            table.add_row(
                f" {score.name} {ARROWS[score.better]}",
                Text(around(score.value, score.low, score.high), style="bold"),
                around(score.floor, score.floor_low, score.floor_high),
                number(score.baselines.get("independent")),
                number(score.baselines.get("uniform")),
                _LIKE[score.like_real],
            )
    return table
