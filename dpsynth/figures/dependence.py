"""How strongly columns depend on each other: real rows, synthetic rows, and what the model got wrong.

The measure is that of `association_matrix`, in [0, 1] for every pair of columns whatever their kinds. The picture
reads real rows: it is private output.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from dpsynth.figures.style import AMOUNT, INK, SIGNED, figure, figure_style, note, short
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.association import association_matrix

MOST = 64  # columns shown
REACH = 0.5  # of the scale of differences, the same for all pictures, so that they can be compared
UNKNOWN = "#e6e6e6"


def dependence(real: Sample, synthetic: Sample, title: str = "") -> Figure:
    """Three maps of all pairs of columns: real, synthetic, and synthetic minus real. title: what is compared."""
    return dependence_maps(association_matrix(real), association_matrix(synthetic), real.domain.names, title)


def dependence_maps(real: np.ndarray, synthetic: np.ndarray, names: Sequence[str], title: str = "") -> Figure:
    """The same from two matrices, float (D, D) in [0, 1]; NaN, shown grey, where a pair has no measure.

    Of more than `MOST` columns those with the largest gaps are shown; mean and largest gap are of all pairs.
    """
    real, synthetic = (np.array(matrix, dtype=np.float64) for matrix in (real, synthetic))
    gap = synthetic - real
    pairs = gap[~np.eye(len(gap), dtype=bool)]
    known = np.abs(pairs[np.isfinite(pairs)])
    worst = np.nan_to_num(np.abs(gap)).max(axis=0, initial=0.0)
    shown: list[int] = np.sort(np.argsort(-worst, kind="stable")[:MOST]).tolist()
    labels = [short(names[j], 18) for j in shown]
    for matrix in (real, synthetic, gap):
        np.fill_diagonal(matrix, np.nan)  # a column with itself says nothing
    side = min(5.2, max(2.8, 0.16 * len(shown)))
    with figure_style():
        picture = figure(3 * side + 2.6, side + (1.8 if title else 1.3))
        picture.set_layout_engine("compressed")
        panels = picture.subplots(1, 3)
        _draw(panels[0], real[np.ix_(shown, shown)], labels, "Real", AMOUNT, (0.0, 1.0), rows_named=True)
        left = _draw(panels[1], synthetic[np.ix_(shown, shown)], labels, "Synthetic", AMOUNT, (0.0, 1.0))
        right = _draw(panels[2], gap[np.ix_(shown, shown)], labels, "Difference", SIGNED, (-REACH, REACH))
        bar = picture.colorbar(left, ax=panels[:2], shrink=0.8, pad=0.01, aspect=30, ticks=[0, 0.25, 0.5, 0.75, 1])
        bar.set_label("strength of dependence (0 none, 1 full)")
        bar = picture.colorbar(right, ax=panels[2], shrink=0.8, pad=0.01, aspect=30, extend="both")
        bar.set_label("synthetic minus real (red: too strong)")
        if len(known):
            note(panels[2], f"gap: mean {known.mean():.3f}, largest {known.max():.3f}")
        if title:
            picture.suptitle(title, x=0.005, y=0.99, va="top", ha="left", fontsize=8, color=INK)
        if len(shown) < len(names):
            note(panels[0], f"the {len(shown)} of {len(names)} columns with the largest gaps")
    return picture


def _draw(
    axes: Axes,
    matrix: np.ndarray,
    labels: Sequence[str],
    title: str,
    colormap: str,
    scale: tuple[float, float],
    rows_named: bool = False,
) -> AxesImage:
    colors = matplotlib.colormaps[colormap].with_extremes(bad=UNKNOWN)
    image = axes.imshow(matrix, cmap=colors, vmin=scale[0], vmax=scale[1], interpolation="nearest")
    axes.set_title(title)
    places = np.arange(len(labels))
    size = 7.0 if len(labels) <= 24 else 5.5 if len(labels) <= 40 else 4.2
    axes.set_xticks(places, labels, rotation=90, fontsize=size, color=INK)
    axes.set_yticks(places, labels if rows_named else [""] * len(labels), fontsize=size, color=INK)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image
