"""All scores on one page: which of them cannot tell the table from a real sample, and how far off the others are.

Above, scores that have a baseline: how much of the way from rows made without data to a real sample they go, so that
scores of every kind share one axis; it is logarithmic in what is left of the way. Below, all others: their distance
from a real sample in widths of the confidence band.
A filled blue circle lies within the confidence band, where one more real sample would lie; a vermilion diamond does
not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.transforms
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dpsynth.figures.style import ACCENT, FAINT, INK, REAL, SYNTHETIC, entitle, figure, figure_style, short
from dpsynth.metrics.framework.metric import Score

BASELINES = ("uniform", "independent")  # the first that a score allows is its 0
WAY = (-1.6, 0.07)  # ends of the axis of the way, a real sample at 0; what lies beyond is an arrow at the edge
FAR = 100.0  # band widths, likewise
LINE = 0.2  # inches


def score_overview(scores: Sequence[Score], title: str = "") -> Figure:
    """The page; scores that were not computed are counted below it. title: what is compared."""
    present = [score for score in scores if score.value is not None]
    placed = [score for score in present if _start(score) is not None]
    others = [score for score in present if _start(score) is None and score.real_baseline is not None]
    bare = len(present) - len(placed) - len(others)
    panels = [(rows, draw) for rows, draw in ((placed, _on_the_way), (others, _in_bands)) if rows]
    lines = [len(_lines(rows)) + 1.5 for rows, _ in panels] or [3.0]
    with figure_style():
        picture = figure(7.6, LINE * sum(lines) + 0.6 * len(lines) + 0.8)
        grid = picture.subplots(len(lines), 1, squeeze=False, height_ratios=lines)[:, 0]
        if not panels:
            grid[0].set_axis_off()
            grid[0].text(0.5, 0.5, "no score has a real sample to compare with", ha="center", color=FAINT)
        for axes, (rows, draw) in zip(grid, panels, strict=False):
            draw(axes, rows)
            axes.set_ylim(len(_lines(rows)) - 0.4, -0.7)
        _legend(picture, title, present, len(scores) - len(present), bare)
    return picture


def _start(score: Score) -> tuple[str, float] | None:
    """The baseline that is the score's 0, and its closeness from there."""
    for name in BASELINES:
        place = score.closeness(name)
        if place is not None:
            return name, place
    return None


def _lines(rows: Sequence[Score]) -> list[str | Score]:
    """Group names and scores from top to bottom; groups in order of appearance."""
    groups = dict.fromkeys(score.group for score in rows)
    return [line for group in groups for line in [group, *(score for score in rows if score.group == group)]]


def _on_the_way(axes: Axes, rows: Sequence[Score]) -> None:
    axes.axvline(-1, color=FAINT, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)
    axes.axvline(0, color=SYNTHETIC, linewidth=0.6, zorder=0)
    for place, line in enumerate(_lines(rows)):
        if isinstance(line, str):
            _heading(axes, place, line)
            continue
        start = _start(line)
        assert start is not None, "only scores with a start are placed here"
        assert line.real_baseline is not None
        name, position = start
        real_baseline, reach = line.real_baseline, line.real_baseline - line.baselines[name]
        ends = [
            None if x is None else (x - real_baseline) / reach
            for x in (line.real_baseline_low, line.real_baseline_high)
        ]
        interval = [None if x is None else (x - real_baseline) / reach for x in (line.low, line.high)]
        other = line.baselines.get("independent")
        if other is not None:
            axes.plot(np.clip((other - real_baseline) / reach, *WAY), place, "|", color=INK, ms=8, mew=1.4, zorder=5)
        _band(axes, place, ends, WAY, least=0.002)
        _dot(axes, place, line, position - 1, interval, WAY)
    axes.set_xscale("symlog", linthresh=0.02, linscale=0.4)
    axes.set_xlim(*WAY)
    axes.set_xticks(
        [-1, -0.5, -0.2, -0.1, -0.05, -0.02, 0, 0.05],
        ["no data\nused", "50 %", "80 %", "90 %", "95 %", "98 %", "a real\nsample", "105 %"],
    )
    axes.set_title("How much of the way from no data to a real sample")
    _finish(axes, rows)


def _in_bands(axes: Axes, rows: Sequence[Score]) -> None:
    axes.axvline(0, color=SYNTHETIC, linewidth=0.6, zorder=0)
    for place, line in enumerate(_lines(rows)):
        if isinstance(line, str):
            _heading(axes, place, line)
            continue
        assert line.real_baseline is not None
        better = -1.0 if line.better == "lower" else 1.0
        real_baseline = line.real_baseline
        width = (
            (line.real_baseline_high or 0.0) - (line.real_baseline_low or 0.0)
            if line.real_baseline_low is not None
            else 0.0
        )

        def distance(
            x: float | None, real_baseline: float = real_baseline, width: float = width, better: float = better
        ):
            if x is None:
                return None
            gap = better * (x - real_baseline)
            return gap / width if width > 0 else float(np.sign(gap)) * FAR * 2  # a band without width: on it or off

        _band(
            axes, place, [distance(line.real_baseline_low), distance(line.real_baseline_high)], (-FAR, FAR), least=0.04
        )
        _dot(axes, place, line, distance(line.value) or 0.0, [distance(line.low), distance(line.high)], (-FAR, FAR))
    axes.set_xscale("symlog", linthresh=1.0, linscale=0.7)
    axes.set_xlim(-FAR * 1.25, FAR * 1.25)
    axes.set_xticks(
        [-100, -10, -1, 0, 1, 10, 100], ["100\nworse", "10", "1", "a real\nsample", "1", "10", "100\nbetter"]
    )
    axes.set_title("Distance from a real sample, in widths of the confidence band")
    _finish(axes, rows)


def _dot(
    axes: Axes, place: int, score: Score, x: float, interval: Sequence[float | None], edges: tuple[float, float]
) -> None:
    look = _look(score)
    low, high = interval
    if low is not None and high is not None:
        axes.hlines(place, *np.clip([low, high], *edges), color=look["color"], linewidth=1.6, zorder=3)
    if x < edges[0] or x > edges[1]:  # off the page
        look["marker"] = "<" if x < edges[0] else ">"
    axes.plot(np.clip(x, *edges), place, linestyle="", markersize=6, zorder=4, clip_on=False, **look)


def _look(score: Score) -> dict[str, Any]:
    if score.like_real is None:
        return {"marker": "o", "color": FAINT, "markerfacecolor": "white"}
    return {"marker": "o", "color": SYNTHETIC} if score.like_real else {"marker": "D", "color": ACCENT}


def _band(axes: Axes, place: int, ends: Sequence[float | None], edges: tuple[float, float], least: float) -> None:
    """The confidence band, at least a line wide."""
    low, high = ends
    if low is None or high is None:
        return
    low, high = sorted((low, high))
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    low, high = np.clip([low, high], *edges)
    axes.barh(place, high - low, left=low, height=0.8, color=REAL, linewidth=0, zorder=1)


def _heading(axes: Axes, place: int, group: str) -> None:
    axes.axhline(place + 0.45, color="#e3e6ea", linewidth=0.6, zorder=0)
    where = matplotlib.transforms.blended_transform_factory(axes.transAxes, axes.transData)
    axes.text(-0.01, place, group or "scores", transform=where, ha="right", va="center", fontweight="bold", color=INK)


def _finish(axes: Axes, rows: Sequence[Score]) -> None:
    """Names to the left, figures to the right."""
    lines = _lines(rows)
    named = [(place, line) for place, line in enumerate(lines) if isinstance(line, Score)]
    axes.set_yticks([place for place, _ in named], [short(line.name, 30) for _, line in named], color=INK)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    where = matplotlib.transforms.blended_transform_factory(axes.transAxes, axes.transData)
    for place, line in named:
        words = f"{_figure(line.value)}  ({_figure(line.real_baseline)})"
        axes.text(1.02, place, words, transform=where, va="center", fontsize=7, color=_look(line)["color"])
    axes.text(1.02, -0.7, "value (real)", transform=where, va="bottom", fontsize=7, color=FAINT)


def _figure(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"


def _legend(picture: Figure, title: str, present: Sequence[Score], absent: int, bare: int) -> None:
    evaluated = [score.like_real for score in present if score.like_real is not None]
    alike = sum(evaluated)
    looks: dict[str, dict[str, Any]] = {
        f"like a real sample: {alike}": {"marker": "o", "color": SYNTHETIC},
        f"unlike one: {len(evaluated) - alike}": {"marker": "D", "color": ACCENT},
        "independent columns": {"marker": "|", "color": INK, "markersize": 8},
    }
    handles: list[Line2D | Patch] = [Line2D([], [], linestyle="", label=label, **look) for label, look in looks.items()]
    handles.insert(2, Patch(color=REAL, label="confidence band: where 95 % of real samples fall"))
    words = f"{len(evaluated)} scores with a real sample to compare with"
    notes = [f"not applicable: {absent}"] * bool(absent) + [f"without such a sample, not shown: {bare}"] * bool(bare)
    words += "".join(f"; {note}" for note in notes)
    entitle(picture.legend(handles=handles, loc="outside upper left", ncols=2, alignment="left"), title, words)
