"""What a training step says about itself, and which of it may be shown on a terminal.

A step returns figures by name. A plain number is private: a loss, the median gradient norm or the number of rows in a
batch is computed from private rows without noise, and a terminal is often recorded, copied into reports or kept
by a build server. Only what its author marks as `Public` is shown there; all figures are kept in `private/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Public:
    """A figure that follows from public facts and released numbers alone.

    value: a number, or a zero-dimensional tensor. What is computed from it is private again unless it is marked, too.
    """

    value: float | Tensor


Figure = float | Tensor | Public  # a plain number or zero-dimensional tensor is private
Figures = Mapping[str, Figure]


def number(figure: Figure) -> float:
    """The figure itself, whether it may be shown or not."""
    return float(figure.value if isinstance(figure, Public) else figure)


def settled(figures: Figures) -> dict[str, float | Public]:
    """The same figures with their tensors moved to the processor."""
    return {
        name: Public(number(figure)) if isinstance(figure, Public) else number(figure)
        for name, figure in figures.items()
    }


def public(figures: Figures) -> dict[str, float]:
    """The figures that may be shown anywhere."""
    return {name: number(figure) for name, figure in figures.items() if isinstance(figure, Public)}
