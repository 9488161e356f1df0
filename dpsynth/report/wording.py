"""How numbers, scores and groups of scores are written: the same in the terminal, the report and the tables; and the
scores as a table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from dpsynth.metrics.framework.metric import Score

ARROWS = {"lower": "↓", "higher": "↑"}
GROUPS = {
    "validity": "Legal values and rules",
    "database": "Persons and their rows",
    "marginals": "Combinations of values",
    "columns": "Single columns",
    "pairs": "Dependence of columns",
    "joint": "The table as a whole",
    "utility": "Prediction and queries",
    "images": "Images",
    "copying": "Traces of copied rows",
    "attack": "Attacks on single rows",
    "seed_compat": "As in the original code",
}
LEAKS = ("copying", "attack")  # groups that ask whether rows leak, not whether they are good
NOT_QUALITY = (*LEAKS, "seed_compat")  # of the last, only the definitions of an older table are of interest


def number(value: float | None) -> str:
    """About four digits: 0.0123, 1.234, 56.8, 12,345; empty for None."""
    if value is None:
        return ""
    size = abs(value)
    if not math.isfinite(value) or size < 1:
        return f"{value:.4f}"
    return f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:,.0f}"


def span(low: float | None, high: float | None) -> str:
    """An interval as "0.0120 to 0.0131"; empty when there is none."""
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def around(value: float | None, low: float | None, high: float | None) -> str:
    """A value with the reach of its interval, 0.0512±.0008; without an interval the value alone.

    The longer side counts: the other may end early, at the least or greatest value the score can have.
    """
    if value is None or low is None or high is None:
        return number(value)
    return f"{number(value)}±{number(max(high - value, value - low)).removeprefix('0')}"


def small(value: object) -> str:
    """Epsilon, delta, a noise scale or a rate in at most four digits: 1, 1e-05, 4.072, inf."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.4g}"


def grouped(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """Title of a group -> its scores; known groups in the order of `GROUPS`, then others as they come."""
    known = [group for group in GROUPS if any(score.group == group for score in scores)]
    others = [score.group for score in scores if score.group not in GROUPS]
    return {
        GROUPS.get(group, group.capitalize() or "Other"): [score for score in scores if score.group == group]
        for group in dict.fromkeys([*known, *others])
    }


# -------------------- Terminal --------------------------------------------------------------

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
                around(score.real_baseline, score.real_baseline_low, score.real_baseline_high),
                number(score.baselines.get("independent")),
                number(score.baselines.get("uniform")),
                _LIKE[score.like_real],
            )
    return table
