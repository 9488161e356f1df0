"""What an epsilon means: the trade-off curve of the strongest attacker, and the odds that a release can leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from dpsynth.figures.style import FAINT, INK, LINES, figure, figure_style


class AttackCurve(NamedTuple):
    """For one epsilon: the largest power at rates `alpha` of false accusations, and the largest chance of "in" after
    the release at chances `prior` before it; all (n,)."""

    epsilon: float
    alpha: np.ndarray
    power: np.ndarray
    prior: np.ndarray
    posterior: np.ndarray


def attack_limits(curves: Sequence[AttackCurve], title: str) -> Figure:
    """Two panels with a line for each epsilon: who is recognised, and what an attacker may believe afterwards."""
    with figure_style():
        picture = figure(7.4, 4.1)
        left, right = picture.subplots(1, 2)
        for axes in (left, right):
            axes.plot([0, 100], [0, 100], color=FAINT, linewidth=0.9, linestyle=(0, (4, 2)))
            axes.set_xlim(0, 100)
            axes.set_ylim(0, 100)
            axes.set_aspect("equal")
        for k, curve in enumerate(curves):
            color = LINES[k % len(LINES)]
            left.plot(
                100 * curve.alpha, 100 * curve.power, color=color, linewidth=1.6, label=f"epsilon {curve.epsilon:g}"
            )
            right.plot(100 * curve.prior, 100 * curve.posterior, color=color, linewidth=1.6)
        left.set_title("Who can be recognised")
        left.set_xlabel("wrongly accused, % of those who are not in")
        left.set_ylabel("recognised at most, % of those who are in")
        right.set_title("What may be believed afterwards")
        right.set_xlabel('belief in "in" before the release, %')
        right.set_ylabel("after it at most, %")
        for axes in (left, right):
            axes.annotate("nothing learnt", (97, 91), ha="right", va="top", fontsize=6.5, color=INK, rotation=45)
        picture.legend(title=title, loc="outside upper left", ncols=5, alignment="left")
    return picture
