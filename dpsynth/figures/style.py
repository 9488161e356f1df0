"""The common style of all figures: few colours safe for colour-blind readers, thin lines, no decoration.

Figures are made without pyplot, so nothing global changes and no display is needed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

REAL = "#b9bec5"  # light grey, always a filled area behind
SYNTHETIC = "#0072b2"  # blue of the Okabe-Ito palette, always in front
ACCENT = "#d55e00"  # vermilion of the same palette, for the one thing to look at
INK = "#24292f"
FAINT = "#6b7280"
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#24292f")  # Okabe-Ito, one per model
MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # beside the colour, for readers who do not see it
AMOUNT = "Blues"  # colour map of amounts, light to dark
SIGNED = "RdBu_r"  # colour map of differences, blue below zero, red above

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.labelsize": 8,
    "axes.labelcolor": FAINT,
    "axes.edgecolor": "#9aa1aa",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.parse_math": False,  # names of columns and categories are text, whatever they hold
    "svg.hashsalt": "dpsynth",  # the same picture gives the same bytes
}


@contextmanager
def figure_style() -> Iterator[None]:
    """What is drawn or saved inside follows the common style; the caller's settings come back after."""
    with matplotlib.rc_context(_RC):
        yield


def figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches; call it, and draw on it, inside `figure_style()`."""
    return Figure(figsize=(width, height), layout="constrained")


def entitle(legend: Legend, title: str, words: str) -> None:
    """What a figure compares, and below it how to read it, above the entries of its legend."""
    legend.set_title(f"{title}\n{words}" if title else words)
    text = legend.get_title()
    text.set_fontsize(8)
    text.set_color(INK)
    text.set_linespacing(1.5)


def note(axes: Axes, text: str) -> None:
    """A small remark at the right end of a panel's title line."""
    axes.set_title(text, loc="right", fontsize=7, fontweight="normal", color=FAINT)


def short(text: str, length: int) -> str:
    """The text, cut to `length` letters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def save(picture: Figure, path: str | Path, formats: tuple[str, ...] = ("png", "svg"), dpi: int = 150) -> list[Path]:
    """Write the figure as `path` with each format's suffix; returns the files. Folders are made as needed."""
    stem = Path(path)
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = [stem.parent / f"{stem.name}.{form}" for form in formats]
    for file, form in zip(files, formats, strict=True):
        file.write_bytes(render(picture, form, dpi))
    return files


def render(picture: Figure, form: str = "svg", dpi: int = 150) -> bytes:
    """The figure as the bytes of one file, the same bytes every time."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if form == "svg" else {}
    with figure_style():
        picture.savefig(buffer, format=form, dpi=dpi, metadata=metadata)
    return buffer.getvalue()
