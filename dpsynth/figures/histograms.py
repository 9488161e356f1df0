"""Every column's histogram, real against synthetic, as one picture.

Places and labels of the ticks of an ordered column, in its own unit: round numbers, round dates.

Bars of declared point masses and of missing values stand apart from the bins, so a pile of zeros neither hides
the tail nor is hidden by it. A panel turns to a log axis by itself when one cell would flatten the others.
The picture reads real rows: it is private output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import matplotlib.ticker
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dpsynth.data.columns import Category, Date, Datetime, Integer, NumericColumn
from dpsynth.data.table.domain import Domain
from dpsynth.figures.style import FAINT, INK, REAL, SYNTHETIC, entitle, figure, figure_style, note, short
from dpsynth.metrics.framework.encoding import numbers, positions
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.marginals import Workload, total_variations

MOST = 4  # ticks of one axis

# numpy's unit, multiple of it, and the letters of its ISO text that make the label
_CALENDAR: tuple[tuple[str, int, slice], ...] = (
    *(("s", step, slice(11, 19)) for step in (1, 5, 15, 30)),
    *(("m", step, slice(11, 16)) for step in (1, 5, 15, 30)),
    *(("h", step, slice(11, 16)) for step in (1, 3, 6, 12)),
    *(("D", step, slice(5, 10)) for step in (1, 2, 5, 10, 20)),
    *(("M", step, slice(0, 7)) for step in (1, 2, 3, 6)),
    *(("Y", step * 10**power, slice(0, 4)) for power in range(4) for step in (1, 2, 5)),
)


def axis_ticks(column: NumericColumn) -> tuple[list[float], list[str]]:
    """Ticks on the column's value axis, within its bounds."""
    low, high = column.start, column.stop
    if isinstance(column, Date | Datetime):
        return calendar_ticks(low, high)
    whole = isinstance(column, Integer)
    places = matplotlib.ticker.MaxNLocator(MOST, integer=whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    kept = [float(place) for place in places if low <= place <= high]
    return kept, [compact(place) for place in kept]


def calendar_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Ticks between two moments in seconds since 1970: the finest calendar step that gives at most `MOST`."""
    for unit, step, letters in _CALENDAR:
        origin = 1970 if unit == "Y" else 0  # round years, not round numbers of years since 1970
        first, last = (int(np.datetime64(round(end), "s").astype(f"M8[{unit}]").astype(int)) for end in (low, high))
        if (last - first) // step > MOST:
            continue
        numbers = np.arange(-(-(first + origin) // step) * step, last + origin + 1, step) - origin
        seconds = numbers.astype(f"M8[{unit}]").astype("M8[s]")
        inside = [moment for moment in seconds if low <= moment.astype(np.int64) <= high]
        if len(inside) <= MOST:
            return [float(moment.astype(np.int64)) for moment in inside], [_label(moment, letters) for moment in inside]
    return [], []


def _label(moment: np.datetime64, letters: slice) -> str:
    text = str(moment)
    midnight = letters.start == 11 and text.endswith("00:00:00")
    return text[5:10] if midnight else text[letters]


def compact(value: float) -> str:
    """A number in few letters: 25k, 1.5M, 0.25."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= unit:
            divisor = 1e3 if letter == "k" else unit
            return f"{value / divisor:g}{letter}"
    return f"{value:g}"


# -------------------- Histograms ------------------------------------------------------------

BINS = 40  # of a column with more distinct values than this
PANELS = 24  # of a page
MOST_BARS = 10  # categories shown by name in a panel
FLATTENED = 10.0  # highest over 90th-percentile occupied cell, beyond which a panel turns to a log axis

_LOOKS: tuple[dict[str, Any], ...] = (
    {"fill": True, "facecolor": REAL, "edgecolor": REAL, "linewidth": 0.0},
    {"fill": False, "edgecolor": SYNTHETIC, "linewidth": 1.0},
)


def histograms(
    real: pd.DataFrame, synthetic: pd.DataFrame, domain: Domain, *, across: int = 4, title: str = "", page: int = 1
) -> Figure:
    """A grid of panels, `across` per row, one for each column of a page of the domain; see `pages`.

    Beside a column's name stands the total variation of its 1-way marginal (32 bins): 0 equal, 1 disjoint.

    Args:
        real, synthetic: rows of `domain`.
        title: what is compared; a line above everything.
        page: from 1 on; each shows `PANELS` columns, the last one what is left.
    """
    one, two = Sample(real, domain), Sample(synthetic, domain)
    distances = total_variations(one.codes, two.codes, one.sizes, Workload.draw(len(one.sizes), 1))
    first = (page - 1) * PANELS
    columns, distances = domain.columns[first : first + PANELS], distances[first : first + PANELS]
    across = min(across, len(columns))
    down = math.ceil(len(columns) / across)
    with figure_style():
        picture = figure(3.1 * across, 2.05 * down + 0.45)
        grid = picture.subplots(down, across, squeeze=False)
        for axes in grid.flat[len(columns) :]:
            axes.set_axis_off()
        for axes, column, distance in zip(grid.flat, columns, distances, strict=False):
            if isinstance(column, Category):
                logarithmic = _draw_bars(axes, column, real, synthetic)
            else:
                assert isinstance(column, NumericColumn)
                logarithmic = _draw_bins(axes, column, real, synthetic)
            axes.set_title(short(column.name, 24))
            note(axes, ("log, " if logarithmic else "") + f"TV {distance:.3f}")
        words = "fraction of rows in each cell"
        if pages(domain) > 1:
            words += f"; columns {first + 1} to {first + len(columns)} of {len(domain.columns)}"
        outline: dict[str, Any] = {"facecolor": "none", "edgecolor": SYNTHETIC, "linewidth": 1.2}
        handles = [
            Patch(color=REAL, label=f"real, {len(real):,} rows"),
            Patch(**outline, label=f"synthetic, {len(synthetic):,} rows"),
        ]
        place: dict[str, Any] = {"loc": "outside upper left", "ncols": 2, "alignment": "left"}
        entitle(picture.legend(handles=handles, **place), title, words)
    return picture


def pages(domain: Domain) -> int:
    """How many pages of `PANELS` panels the columns of a domain take."""
    return max(1, math.ceil(len(domain.columns) / PANELS))


@dataclass(frozen=True)
class _Cells:
    """How a numeric column is cut for one panel: bin edges on its value axis, point masses, and the missing cell."""

    edges: np.ndarray
    point_masses: tuple[float, ...]
    missing: bool

    @classmethod
    def of(cls, column: NumericColumn) -> _Cells:
        low, high = column.start, column.stop
        if isinstance(column, Integer):  # the same number of values in every bin, but perhaps in the last
            width = math.ceil((high - low + 1) / BINS)
            edges = np.arange(low, high + 1 + width, width) - 0.5
        else:
            edges = np.linspace(low, high, BINS + 1)
        return cls(edges, tuple(sorted(column.point_mass_values)), column.missing)

    def fractions(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fraction of rows in each bin, and in each of [point masses..., missing]."""
        apart = [values == point_mass for point_mass in self.point_masses]
        apart += [np.isnan(values)] if self.missing else []
        inside = ~np.isnan(values) & ~np.isin(values, self.point_masses)
        binned, _ = np.histogram(values[inside], self.edges)
        return binned / len(values), np.array([mask.mean() for mask in apart])


def _draw_bins(axes: Axes, column: NumericColumn, real: pd.DataFrame, synthetic: pd.DataFrame) -> bool:
    cells = _Cells.of(column)
    sides = [cells.fractions(numbers(column, frame)) for frame in (real, synthetic)]
    low, high = float(cells.edges[0]), float(cells.edges[-1])
    span = high - low
    logarithmic = _flattened(np.concatenate(sides[0])) or _flattened(np.concatenate(sides[1]))
    ground = min(0.5 / len(real), 0.5 / len(synthetic)) if logarithmic else 0.0

    # point masses stand to the left of the bins, missing to the right
    step = span / 9
    places = [low - step * (len(cells.point_masses) - k) for k in range(len(cells.point_masses))]
    places += [high + step] if cells.missing else []
    for (binned, apart), look in zip(sides, _LOOKS, strict=True):
        axes.stairs(np.maximum(binned, ground), cells.edges, baseline=ground, **look)
        if places:
            axes.bar(places, np.maximum(apart - ground, 0.0), width=step * 0.6, bottom=ground, **look)
    if logarithmic:
        axes.set_yscale("log")
        axes.set_ylim(bottom=ground)
    axes.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(_percent))
    if not logarithmic:
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))

    ticks, labels = axis_ticks(column)
    dated = isinstance(column, Date | Datetime)
    names = ["point mass" if dated else compact(point_mass) for point_mass in cells.point_masses]
    names += ["missing"] if cells.missing else []
    # ticks of the bins must not run into the labels of the bars beside them
    least, most = low + span * 0.07 * bool(cells.point_masses), high - span * 0.2 * cells.missing
    kept = [k for k, tick in enumerate(ticks) if least <= tick <= most]
    ticks, labels = [ticks[k] for k in kept], [labels[k] for k in kept]
    axes.set_xticks([*ticks, *places], [*labels, *names])
    for text in axes.get_xticklabels()[len(ticks) :]:
        text.set_color(INK)
    axes.set_xlim(min([low, *[p - step * 0.5 for p in places]]), max([high, *[p + step * 0.5 for p in places]]))
    return logarithmic


def _draw_bars(axes: Axes, column: Category, real: pd.DataFrame, synthetic: pd.DataFrame) -> bool:
    names = column.values
    sides = []
    for frame in (real, synthetic):
        codes = positions(column, frame)
        counts = np.bincount(np.where(codes < 0, len(names), codes), minlength=len(names) + 1)
        sides.append(counts / len(codes))
    ranked = np.argsort(-sides[0][:-1], kind="stable")
    shown = ranked[: MOST_BARS if len(names) <= MOST_BARS else MOST_BARS - 1]
    if column.ordered:
        shown = np.sort(shown)
    rest = np.setdiff1d(ranked, shown)
    labels = [short(names[j], 16) for j in shown]
    rows = [[side[j] for j in shown] for side in sides]
    if len(rest):
        labels.append(f"{len(rest)} others")
        rows = [[*row, side[rest].sum()] for row, side in zip(rows, sides, strict=True)]
    if column.missing:
        labels.append("missing")
        rows = [[*row, side[-1]] for row, side in zip(rows, sides, strict=True)]
    places = np.arange(len(labels))
    for row, look in zip(rows, _LOOKS, strict=True):
        axes.barh(places, row, height=0.8, **look)
    axes.set_yticks(places, labels, fontsize=6.5 if len(labels) > 6 else 7)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(_percent))
    if column.missing or len(rest):
        special = {"missing", f"{len(rest)} others"}
        for text in axes.get_yticklabels():
            text.set_color(INK if text.get_text() in special else FAINT)
    return False


def _flattened(fractions: np.ndarray) -> bool:
    occupied = fractions[fractions > 0]
    return len(occupied) > 2 and occupied.max() > FLATTENED * np.quantile(occupied, 0.9)


def _percent(value: float, _position: int | None = None) -> str:
    return f"{100 * value:g}%"
