"""What privacy costs: scores of many runs over epsilon, one panel for each score and data set."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from dpsynth.figures.style import FAINT, INK, LINES, MARKERS, REAL, figure, figure_style, note, short

COLUMNS = ("model", "data", "epsilon", "score", "value")
REFERENCES = ("real_baseline", "real_baseline_low", "real_baseline_high", "uniform", "independent")
BASELINES = (("independent", "independent columns", (0, (5, 2))), ("uniform", "uniform rows", (0, (1.5, 2))))
ROOM = 1.0  # a baseline is drawn when it stretches the axis by no more than this fraction of it; else it is only named


def tradeoff(table: pd.DataFrame) -> Figure:
    """Each model's mean over seeds, the range over seeds, every run as a point, and what a real sample scores.

    table: long, one row per run and score, with the columns `COLUMNS` and, where known, `REFERENCES` and "better"
    ("lower" or "higher"); rows of one model and epsilon are runs with different seeds. Epsilon may be infinite; such
    runs stand at the right end. Raises ValueError for a table without a usable row.
    """
    lacking = [name for name in COLUMNS if name not in table.columns]
    if lacking:
        raise ValueError(f"the table of runs lacks the columns {', '.join(lacking)}")
    numbers = [name for name in ("epsilon", "value", *REFERENCES) if name in table.columns]
    table = table.assign(**{name: pd.to_numeric(table[name], errors="coerce") for name in numbers})
    table = table.loc[np.isfinite(table["value"].to_numpy()) & (table["epsilon"].to_numpy() > 0)]
    if table.empty:
        raise ValueError("the table of runs has no row with an epsilon and a value")
    for name in REFERENCES:
        if name not in table.columns:
            table = table.assign(**{name: math.nan})
    models = list(dict.fromkeys(table["model"]))
    panels = list(dict.fromkeys(zip(table["data"], table["score"], strict=True)))
    several = len({data for data, _ in panels}) > 1
    across = min(3, len(panels))
    down = math.ceil(len(panels) / across)
    with figure_style():
        picture = figure(max(3.1 * across, 4.6), 2.6 * down + 0.55)
        grid = picture.subplots(down, across, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes, (data, score) in zip(grid.flat, panels, strict=False):
            part = table.loc[((table["data"] == data) & (table["score"] == score)).to_numpy()]
            _draw(axes, part, models)
            axes.set_title(short(f"{data}: {score}" if several else str(score), 30))
        handles = [_line(k, model) for k, model in enumerate(models)]
        handles.append(Line2D([], [], color=REAL, linewidth=6, label="a real sample, 95 % band"))
        repeated = bool(table.duplicated(["data", "model", "epsilon", "score"]).any())
        title = "mean over runs, bars from the least to the greatest" if repeated else "one run for each point"
        if not several:
            title = f"{panels[0][0]}: {title}"
        legend = picture.legend(handles=handles, title=title, loc="outside upper left", ncols=4, alignment="left")
        legend.get_title().set_fontsize(8)
        legend.get_title().set_color(FAINT)
    return picture


def _line(k: int, label: str) -> Line2D:
    return Line2D([], [], color=LINES[k % len(LINES)], marker=MARKERS[k % len(MARKERS)], markersize=4, label=str(label))


def _draw(axes: Axes, part: pd.DataFrame, models: list[str]) -> None:
    epsilons = sorted({float(epsilon) for epsilon in part["epsilon"]})
    finite = [epsilon for epsilon in epsilons if math.isfinite(epsilon)]
    far = 3 * finite[-1] if finite else 1.0  # where an infinite epsilon stands
    place = {epsilon: epsilon if math.isfinite(epsilon) else far for epsilon in epsilons}
    for k, model in enumerate(models):
        values: dict[float, list[float]] = {epsilon: [] for epsilon in epsilons}
        for one, epsilon, value in zip(part["model"], part["epsilon"], part["value"], strict=True):
            if one == model:
                values[float(epsilon)].append(float(value))
        found = {place[epsilon]: values[epsilon] for epsilon in epsilons if values[epsilon]}
        color, marker = LINES[k % len(LINES)], MARKERS[k % len(MARKERS)]
        for x, scores in found.items():
            axes.vlines(x, min(scores), max(scores), color=color, linewidth=1.4)
            axes.plot([x] * len(scores), scores, ".", color=color, alpha=0.4, markersize=3)
        means = [sum(scores) / len(scores) for scores in found.values()]
        axes.plot(list(found), means, color=color, marker=marker, markersize=4.5, linewidth=1.2, zorder=3)
    _draw_references(axes, part)
    axes.set_xscale("log")
    low, high = min(place.values()), max(place.values())
    axes.set_xlim(low / 1.3, high * 1.3)
    axes.xaxis.set_major_locator(FixedLocator([place[epsilon] for epsilon in epsilons]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{epsilon:g}" if math.isfinite(epsilon) else "no\nnoise" for epsilon in epsilons])


def _draw_references(axes: Axes, part: pd.DataFrame) -> None:
    """The band of real samples, and baselines as far as they leave the lines readable."""
    mean = {name: _mean(part[name].to_numpy(dtype=np.float64)) for name in REFERENCES}
    shown = [*part["value"], *(mean[name] for name in ("real_baseline", "real_baseline_low", "real_baseline_high"))]
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    span = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-9)
    if math.isfinite(mean["real_baseline_low"]) and math.isfinite(mean["real_baseline_high"]):
        axes.axhspan(mean["real_baseline_low"], mean["real_baseline_high"], facecolor=REAL, linewidth=0, zorder=0)
    elif math.isfinite(mean["real_baseline"]):
        axes.axhline(mean["real_baseline"], color=REAL, linewidth=2, zorder=0)
    beyond: list[str] = []
    for name, words, dashes in BASELINES:
        if not math.isfinite(mean[name]):
            continue
        if max(low - mean[name], mean[name] - high) > ROOM * span:
            beyond.append(f"{words} {mean[name]:.3g}")
            continue
        axes.axhline(mean[name], color=FAINT, linewidth=0.8, linestyle=dashes, zorder=0)
        spot = {"xy": (1, mean[name]), "xycoords": ("axes fraction", "data"), "xytext": (0, 2)}
        axes.annotate(words, **spot, textcoords="offset points", ha="right", va="bottom", fontsize=6.5, color=INK)
        low, high = min(low, mean[name]), max(high, mean[name])
    margin = 0.06 * max(high - low, span)
    axes.set_ylim(low - margin, high + margin)
    better = part["better"].iloc[0] if "better" in part.columns else _better(mean)
    note(axes, f"{better} is better" if better in ("lower", "higher") else "")
    axes.set_xlabel("epsilon" + ("\noff the scale: " + ",\n".join(beyond) if beyond else ""), fontsize=7)


def _better(mean: dict[str, float]) -> str | None:
    """By the side on which a real sample lies of rows made without data."""
    for name in ("uniform", "independent"):
        if math.isfinite(mean[name]) and math.isfinite(mean["real_baseline"]) and mean[name] != mean["real_baseline"]:
            return "lower" if mean["real_baseline"] < mean[name] else "higher"
    return None


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan
