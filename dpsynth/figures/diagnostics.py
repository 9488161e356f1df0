"""Is a flow right? Real rows pushed through it must come out as independent standard normal coordinates.

Is a sample standard normal? Distances and tests for the base coordinates of a flow.

With thousands of rows every model fails every test, so each test comes with the size of the departure:

ks            sup |F_n - Phi|, with the exact null distribution of Kolmogorov; `ks_band` is its critical value
deviations    F_n(Phi^-1(t)) - t, what a PIT or PP plot shows, with the diagonal taken away
radius        |u|^2 against the chi-square distribution with D degrees of freedom, by the same distance
mardia        multivariate skewness and kurtosis (Mardia 1970, Biometrika 57, pp. 519-530; small-sample scaling of
              the skewness: Mardia 1974, Sankhya B 36, pp. 115-128), which look at the shape alone: mean and
              covariance are taken from the sample
dependences   what correlation of values or of magnitudes is left between pairs of coordinates

For one table and one fitted flow, `FittedFlow.base(table, seed)` gives a matrix u, float (n, D), with one coordinate
per column; N(0, I) where the model is true. What deviates tells where the model is wrong: a coordinate by itself
(the column given those before it), pairs (dependence that was missed), or all together (the length of u).
The pictures are computed from real rows: they are private output.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch
from scipy import special, stats

from dpsynth.figures.style import ACCENT, AMOUNT, FAINT, INK, LINES, REAL, SYNTHETIC, figure, figure_style, note, short

COST = 2e10  # most products that the skewness may take; wide tables use fewer rows
RANK = 1e-10  # directions with less than this fraction of the largest variance do not count
AT_ONCE = 4096  # rows


@dataclass(frozen=True)
class Distance:
    """A Kolmogorov-Smirnov distance in [0, 1] and the chance of a larger one if the distribution were true."""

    distance: float
    p: float


@dataclass(frozen=True)
class Mardia:
    """Multivariate skewness and kurtosis beside what a normal sample of this size has on average.

    rows, dimensions   of the sample they are computed from; dimensions without variance do not count
    skewness_p         by the chi-square distribution; kurtosis_p by the normal distribution, two-sided
    """

    rows: int
    dimensions: int
    skewness: float
    skewness_expected: float
    skewness_p: float
    kurtosis: float
    kurtosis_expected: float
    kurtosis_p: float


def ks(values: np.ndarray) -> Distance:
    """Of values, float (n,), from N(0, 1)."""
    return _distance(special.ndtr(values))


def radius(values: np.ndarray) -> Distance:
    """Of the squared lengths of rows, float (n, D), from the chi-square distribution with D degrees of freedom."""
    squares = np.square(values).sum(axis=1)
    return _distance(special.chdtr(values.shape[1], squares))


def ks_band(rows: int, level: float = 0.95) -> float:
    """The distance that a sample of `rows` values of the true distribution stays below with probability `level`."""
    return float(stats.kstwo.ppf(level, rows))


def deviations(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(len(points),) fraction of values at most Phi^-1(t), minus t, at the points t in (0, 1)."""
    ordered = np.sort(special.ndtr(values))
    return np.searchsorted(ordered, points, side="right") / len(ordered) - points


def dependences(values: np.ndarray) -> np.ndarray:
    """(D, D) in [0, 1], zero on the diagonal: the larger of |correlation| of values and of magnitudes.

    Independent coordinates have 0 up to 1 / sqrt(n); a constant one has 0 with all.
    """
    most = np.maximum(np.abs(_correlation(values)), np.abs(_correlation(np.abs(values))))
    np.fill_diagonal(most, 0.0)
    return most


def mardia(values: np.ndarray) -> Mardia | None:
    """Of rows, float (n, D); None for fewer than three rows or no variance at all.

    Where n D min(n, D^2) would exceed `COST`, the first rows stand for all.
    """
    width = values.shape[1]
    rows = len(values)
    while rows * width * min(rows, width**2) > COST:
        rows = int(rows * 0.9)
    scaled = _whitened(values[:rows])
    if scaled is None:
        return None
    d = scaled.shape[1]
    skewness = _skewness(scaled)
    kurtosis = float(np.square(np.square(scaled).sum(axis=1)).mean())
    freedom = d * (d + 1) * (d + 2) / 6
    scale = (d + 1) * (rows + 1) * (rows + 3) / (rows * ((rows + 1) * (d + 1) - 6))  # makes the mean exact
    mean = d * (d + 2) * (rows - 1) / (rows + 1)
    z = (kurtosis - mean) / np.sqrt(8 * d * (d + 2) / rows)
    return Mardia(
        rows=rows,
        dimensions=d,
        skewness=skewness,
        skewness_expected=6 * freedom / (rows * scale),
        skewness_p=float(special.chdtrc(freedom, rows * scale * skewness / 6)),
        kurtosis=kurtosis,
        kurtosis_expected=mean,
        kurtosis_p=float(2 * special.ndtr(-abs(z))),
    )


def _distance(levels: np.ndarray) -> Distance:
    """Of values already mapped to [0, 1] by the distribution's distribution function."""
    ordered, n = np.sort(levels), len(levels)
    above = (np.arange(1, n + 1) / n - ordered).max()
    below = (ordered - np.arange(n) / n).max()
    distance = float(max(above, below))
    return Distance(distance, float(np.clip(stats.kstwo.sf(distance, n), 0.0, 1.0)))


def _correlation(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=0)
    spread = np.sqrt(np.square(centred).mean(axis=0))
    scaled = centred / np.where(spread > RANK, spread, np.inf)
    return np.clip(scaled.T @ scaled / len(values), -1.0, 1.0)


def _whitened(values: np.ndarray) -> np.ndarray | None:
    """Rows with mean 0 and covariance I in the directions that vary; None without one, or with too few rows."""
    if len(values) < 3:
        return None
    centred = values - values.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred / len(values))
    kept = variances > RANK * max(variances[-1], RANK)
    if not kept.any():
        return None
    return centred @ (directions[:, kept] / np.sqrt(variances[kept]))


def _skewness(scaled: np.ndarray) -> float:
    """Mean of (y_i . y_j)^3 over all pairs of rows, by the cheaper of two sums that are equal."""
    rows, width = scaled.shape
    if rows < width**2:
        blocks = (scaled[start : start + AT_ONCE] @ scaled.T for start in range(0, rows, AT_ONCE))
        return float(sum((block**3).sum() for block in blocks) / rows**2)
    moments = np.zeros((width * width, width))
    for start in range(0, rows, AT_ONCE):
        part = scaled[start : start + AT_ONCE]
        moments += (part[:, :, None] * part[:, None, :]).reshape(len(part), -1).T @ part
    return float(np.square(moments / rows).sum())


# -------------------- Diagnostics -----------------------------------------------------------

REACH = 5.0  # of the axes; u is bounded by about 4.75
MOST = 64  # panels, and names of columns
PAIRED = 8  # columns in the pairwise picture
NAMED = 5  # worst columns with a colour of their own
CELLS = 48  # of a pair's picture, in each direction
POINTED = 3000  # rows up to which each is a point
POINTS = np.linspace(0, 1, 513)[1:-1]


def diagnostics(base: np.ndarray, names: Sequence[str]) -> dict[str, Figure]:
    """All pictures below by their captions, one informative sentence each, which serve as text alternatives.

    base: coordinates of real rows the model has not seen, float (n, D). names: of the D columns.
    """
    base = _checked(base, names)
    rows, width = base.shape
    distances = [ks(column).distance for column in base.T]
    worst = int(np.argmax(distances))
    band, length = ks_band(rows), radius(base)
    within = sum(distance <= band for distance in distances)
    captions = [
        f"The flow maps {rows:,} real rows to one coordinate per column, drawn here against the standard normal "
        f"density they would follow if the model were true: {names[worst]} is farthest, with a Kolmogorov-Smirnov "
        f"distance of {distances[worst]:.3f}.",
        f"Quantiles of the same coordinates: {within} of {width} columns stay within the 95 % Kolmogorov-Smirnov band "
        f"of {rows:,} rows ({band:.3f}), and squared lengths are {length.distance:.3f} away from their chi-square "
        "distribution.",
    ]
    pictures = [base_marginals(base, names), base_quantiles(base, names)]
    if width > 1:
        left = dependences(base)
        i, j = divmod(int(np.argmax(left)), width)
        captions.append(
            "Pairs of these coordinates, for the columns with most dependence left; where the model is right they "
            f"form round clouds: the largest correlation of values or magnitudes, {left[i, j]:.2f}, is between "
            f"{names[i]} and {names[j]}."
        )
        pictures.append(base_pairs(base, names))
    return dict(zip(captions, pictures, strict=True))


def base_marginals(base: np.ndarray, names: Sequence[str]) -> Figure:
    """Each coordinate's histogram against the N(0, 1) density; of many columns, the `MOST` that are farthest."""
    base = _checked(base, names)
    rows, width = base.shape
    found = [ks(column) for column in base.T]
    shown: list[int] = np.sort(np.argsort([-each.distance for each in found], kind="stable")[:MOST]).tolist()
    across = min(len(shown), 5 if len(shown) <= 20 else 8)
    down = math.ceil(len(shown) / across)
    grid_points = np.linspace(-REACH, REACH, 201)
    bins = np.linspace(-REACH, REACH, 2 * min(40, max(8, int(rows ** (1 / 3)))) + 1)
    band = ks_band(rows)
    with figure_style():
        picture = figure(max(1.8 * across, 3.6), 1.35 * down + 0.6)
        grid = picture.subplots(down, across, squeeze=False)  # not shared: that takes quadratic time
        for axes in grid.flat[len(shown) :]:
            axes.set_visible(False)
        for place, (axes, j) in enumerate(zip(grid.flat, shown, strict=False)):
            counts, _ = np.histogram(np.clip(base[:, j], -REACH, REACH), bins)
            heights = counts / rows / np.diff(bins)
            axes.stairs(heights, bins, fill=True, color=REAL)
            axes.plot(grid_points, stats.norm.pdf(grid_points), color=SYNTHETIC, linewidth=1.2)
            axes.set_title(short(names[j], 16), fontsize=8)
            words = f"KS {found[j].distance:.3f}\n{_chance(found[j].p)}"
            color = ACCENT if found[j].distance > band else FAINT
            axes.text(1, 0.98, words, transform=axes.transAxes, ha="right", va="top", fontsize=7, color=color)
            axes.set(xlim=(-REACH, REACH), xticks=[-4, -2, 0, 2, 4], yticks=[])
            axes.set_ylim(0, max(0.6, 1.05 * float(heights.max())))
            axes.spines["left"].set_visible(False)
            axes.tick_params(labelbottom=place + across >= len(shown))
        handles = [
            Patch(color=REAL, label=f"coordinates of {rows:,} real rows"),
            Line2D([], [], color=SYNTHETIC, label="standard normal, if the model were true"),
        ]
        title = f"vermilion: a distance beyond {band:.3f}, which a column of a true model has in 5 % of samples"
        if len(shown) < width:
            title += f"; the {len(shown)} columns farthest from normal, of {width}"
        _legend(picture, handles, title, across)
    return picture


def base_pairs(base: np.ndarray, names: Sequence[str]) -> Figure:
    """Density of pairs of coordinates, for the `PAIRED` columns with most dependence left, in table order.

    The circles hold 50 % and 95 % of N(0, I). Raises ValueError for fewer than two columns.
    """
    base = _checked(base, names)
    rows, width = base.shape
    if width < 2:
        raise ValueError("pairs of coordinates need two columns")
    left = dependences(base)
    shown: list[int] = np.sort(np.argsort(-left.max(axis=0), kind="stable")[:PAIRED]).tolist()
    across = len(shown) - 1
    with figure_style():
        picture = figure(max(1.1 * across + 1.0, 4.2), 1.1 * across + (0.6 if across > 2 else 1.2))
        grid = picture.subplots(across, across, squeeze=False)
        for i in range(across):
            for k in range(across):
                axes = grid[i, k]
                if k > i:
                    axes.set_visible(False)
                    continue
                x, y = shown[k], shown[i + 1]
                _draw_cloud(axes, base[:, x], base[:, y])
                for fraction in (0.5, 0.95):
                    axes.add_patch(
                        Circle((0, 0), math.sqrt(-2 * math.log(1 - fraction)), fill=False, color=ACCENT, lw=0.8)
                    )
                axes.set_title(f"{left[x, y]:.2f}", loc="right", fontsize=7, fontweight="normal", color=FAINT, pad=2)
                axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), xticks=[-3, 0, 3], yticks=[-3, 0, 3])
                axes.tick_params(labelbottom=i == across - 1, labelleft=k == 0)
                if i == across - 1:
                    axes.set_xlabel(short(names[x], 15), color=INK)
                if k == 0:
                    axes.set_ylabel(short(names[y], 15), color=INK)
        which = (
            f"the {len(shown)} of {width} columns with most dependence left" if len(shown) < width else "all columns"
        )
        label = "hold 50 % and 95 % of the rows where the model is right;\nabove a panel: the larger correlation of "
        label += "values or magnitudes,\n0 where the model is right"
        circles = Line2D([], [], color=ACCENT, marker="o", markerfacecolor="none", linestyle="", label=label)
        place: dict[str, Any] = {"loc": "upper right" if across > 2 else "outside upper left"}
        title = f"coordinates of {rows:,} real rows, {which}"
        picture.legend(handles=[circles], title=title, alignment="left", title_fontsize=8, fontsize=7, **place)
    return picture


def _draw_cloud(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Few rows as points, many as a map of counts (logarithmic)."""
    axes.set_aspect("equal")
    if len(x) <= POINTED:
        axes.scatter(x, y, s=3, color=SYNTHETIC, alpha=0.35, linewidths=0, rasterized=True)
        return
    edges = np.linspace(-REACH, REACH, CELLS + 1)
    counts, _, _ = np.histogram2d(x, y, bins=[edges, edges])
    norm = LogNorm(vmin=0.5, vmax=max(2.0, float(counts.max())))
    extent = (-REACH, REACH, -REACH, REACH)
    shown = np.ma.masked_equal(counts.T, 0)
    axes.imshow(shown, cmap=AMOUNT, norm=norm, extent=extent, origin="lower", interpolation="nearest")


def base_quantiles(base: np.ndarray, names: Sequence[str]) -> Figure:
    """Three panels: every column's deviation from uniform after the normal's distribution function, with the 95 %
    Kolmogorov-Smirnov band; the distances, sorted; and |u|^2 against chi-square quantiles with Mardia's numbers."""
    base = _checked(base, names)
    with figure_style():
        picture = figure(11.5, 3.9)
        left, middle, right = picture.subplots(1, 3, width_ratios=[1.25, 0.9, 1.0])
        _draw_deviations(left, middle, base, names)
        _draw_lengths(right, base)
    return picture


def _draw_deviations(left: Axes, middle: Axes, base: np.ndarray, names: Sequence[str]) -> None:
    rows, width = base.shape
    found = [ks(column) for column in base.T]
    order: list[int] = np.argsort([-each.distance for each in found], kind="stable").tolist()
    colors = dict(zip(order[:NAMED], LINES, strict=False))
    band = ks_band(rows)
    for j in order[::-1]:  # the worst on top
        look = (
            {"color": colors[j], "linewidth": 1.4}
            if j in colors
            else {"color": REAL, "linewidth": 0.8, "rasterized": True}
        )
        left.plot(POINTS, deviations(base[:, j], POINTS), **look)
    left.axhspan(-band, band, facecolor=SYNTHETIC, alpha=0.12, linewidth=0, zorder=0)
    left.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    reach = 1.15 * max(band, found[order[0]].distance)
    left.set(xlim=(0, 1), ylim=(-reach, reach), xticks=[0, 0.25, 0.5, 0.75, 1])
    left.set_xlabel("level under the model (PIT)")
    left.set_ylabel("fraction of real rows below that level, minus the level")
    left.set_title("Each column")
    note(left, "shaded: 95 % band; colours: see the distances")

    shown = order[:24]
    places = np.arange(len(shown))
    distances = [found[j].distance for j in shown]
    middle.hlines(places, 0, distances, color=REAL, linewidth=1.0)
    middle.scatter(distances, places, color=[colors.get(j, FAINT) for j in shown], s=18, zorder=3)
    middle.axvspan(0, band, facecolor=SYNTHETIC, alpha=0.12, linewidth=0, zorder=0)
    middle.set_yticks(places, [short(names[j], 20) for j in shown], fontsize=7 if len(shown) < 18 else 6)
    middle.tick_params(axis="y", length=0)
    for text, j in zip(middle.get_yticklabels(), shown, strict=True):
        text.set_color(colors.get(j, FAINT))
    middle.set(xlim=(0, None), ylim=(len(shown) - 0.4, -0.6), xlabel="Kolmogorov-Smirnov distance from N(0, 1)")
    middle.set_title("Distances")
    note(middle, f"worst {len(shown)} of {width}" if len(shown) < width else "")


def _draw_lengths(axes: Axes, base: np.ndarray) -> None:
    rows, width = base.shape
    squares = np.sort(np.square(base).sum(axis=1))
    kept = np.unique(np.round(np.linspace(0, rows - 1, min(rows, 400))).astype(int))
    kept = np.union1d(kept, np.arange(max(0, rows - 20), rows))
    expected = stats.chi2.ppf((kept + 0.5) / rows, width)
    low, high = (stats.chi2.ppf(stats.beta.ppf(level, kept + 1, rows - kept), width) for level in (0.025, 0.975))
    axes.fill_between(expected, low, high, facecolor=SYNTHETIC, alpha=0.2, linewidth=0)
    axes.axline((width, width), slope=1, color=SYNTHETIC, linewidth=1.0)
    axes.scatter(expected, squares[kept], s=7, color=INK, linewidths=0, zorder=3)
    top = 1.2 * float(max(squares[-1], high[-1]))
    axes.set(xlim=(0, 1.05 * float(expected[-1])), ylim=(0, top))
    axes.set_xlabel(f"chi-square quantile, {width} degrees of freedom")
    axes.set_ylabel("squared length of real rows' coordinates")
    axes.set_title("All columns together")
    found = radius(base)
    note(axes, f"KS {found.distance:.3f}, {_chance(found.p)}")
    axes.text(0.04, 0.96, _mardia_words(mardia(base)), transform=axes.transAxes, va="top", fontsize=6.5, color=INK)


def _mardia_words(found: Mardia | None) -> str:
    if found is None:
        return "Mardia's tests need at least three\nrows that vary"
    return (
        f"Mardia's skewness {found.skewness:.3g} (normal: {found.skewness_expected:.3g}, {_chance(found.skewness_p)})\n"
        f"Mardia's kurtosis {found.kurtosis:.4g} (normal: {found.kurtosis_expected:.4g}, {_chance(found.kurtosis_p)})"
    )


def _chance(p: float) -> str:
    return "p < .001" if p < 0.001 else f"p {p:.3f}".replace("0.", ".", 1)


def _checked(base: np.ndarray, names: Sequence[str]) -> np.ndarray:
    base = np.asarray(base, dtype=np.float64)
    if base.ndim != 2 or base.shape[1] != len(names) or not base.size:
        raise ValueError(f"base coordinates of shape {base.shape} for {len(names)} columns: give (rows, columns)")
    return base


def _legend(picture: Figure, handles: Sequence[Line2D | Patch], title: str, across: int) -> None:
    legend = picture.legend(
        handles=list(handles), title=title, loc="outside upper left", ncols=2 if across > 2 else 1, alignment="left"
    )
    legend.get_title().set_fontsize(8)
    legend.get_title().set_color(FAINT)
