"""Copying diagnostics: do judged rows repeat rows the model was fitted to more than rows it never saw?

Every figure is set beside the same figure for as many holdout rows. None of them measures privacy: tables that pass
such tests have been attacked with success (Yao, Krčo, Ganev, de Montjoye, "The DCR Delusion", arXiv 2505.01524; Ganev,
arXiv 2407.16929), and near copies also arise where people are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dpsynth.metrics.family import Reference, Rows
from dpsynth.metrics.ranking import UNSEEN
from dpsynth.metrics.score import Better, Score

NOT_PRIVACY = (
    "Copying diagnostics do not measure privacy: a table without a single near copy can still give people away "
    "(arXiv 2505.01524, 2407.16929). Only the guarantee in the ledger speaks of privacy."
)
CHUNK = 256  # rows whose distances to all others are held at a time
ROUND = 1e-12  # squared distances below this share of the squared norm are rounding errors of equal points

MEANINGS: dict[str, tuple[Better, str]] = {
    "exact_copies": ("lower", "share of judged rows that equal a training row (0 to 1); no measure of privacy"),
    "dcr_share": (
        "lower",
        "share of judged rows nearer to a training row than to as many unseen rows, ties one half "
        "(.5 no copying, 1 all near copies); no measure of privacy",
    ),
    "nndr_median": (
        "higher",
        "distance to the nearest training row over that to the second nearest, median over judged rows "
        "(0 next to a single row, 1 to none in particular); no measure of privacy",
    ),
}


def nearest(points: np.ndarray, others: np.ndarray, count: int = 1) -> np.ndarray:
    """Euclidean distances (n, count) from each of `points` (n, d) to its nearest `others` (m, d), ascending.

    With fewer others than `count` the farthest is repeated. Equal points are exactly 0 apart.
    """
    norms, found = np.square(others).sum(axis=1), np.empty((len(points), count))
    reach = min(count, len(others))
    for start in range(0, len(points), CHUNK):
        part = points[start : start + CHUNK]
        own = np.square(part).sum(axis=1)[:, None]
        squares = part @ others.T
        squares *= -2.0
        squares += norms
        if reach == 1:
            least = squares.min(axis=1, keepdims=True)
        else:
            least = np.sort(np.partition(squares, reach - 1, axis=1)[:, :reach], axis=1)
        least = least + own
        least[least <= ROUND * (1.0 + own)[:, [0] * reach]] = 0.0
        found[start : start + CHUNK] = np.sqrt(np.pad(least, ((0, 0), (0, count - reach)), mode="edge"))
    return found


def equal_rows(judged: Rows, real: Rows) -> np.ndarray:
    """Which judged rows equal some real row in everything (missing equals missing), bool (n,)."""
    known = set(real.contents)
    return np.array([row in known for row in judged.contents])


@dataclass(frozen=True)
class Copying:
    """Scores "exact_copies", "dcr_share", "nndr_median"; the detail holds the same figures for holdout rows.

    queries: judged rows whose neighbours are looked for. rows: no more training rows, and as many holdout rows, are
    looked at; copies of the others stay unseen.
    """

    queries: int = 2_000
    rows: int = 20_000
    needs_train: ClassVar[bool] = True
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = False

    def measure(self, judged: Rows, reference: Reference) -> list[Score]:
        if reference.train is None:
            return [Score.absent(name, better, UNSEEN, text, "copying") for name, (better, text) in MEANINGS.items()]
        rows = min(self.rows, len(reference.train), len(reference.holdout))
        train, holdout = reference.train.head(rows), reference.holdout.head(rows)
        points = judged.head(self.queries).coordinates
        near, far = (nearest(points, sample.coordinates, 2) for sample in (train, holdout))
        copies, same = (float(equal_rows(judged, sample).mean()) for sample in (train, holdout))
        closer = (near[:, 0] < far[:, 0]) + 0.5 * (near[:, 0] == far[:, 0])
        ratio, other_ratio = (float(np.median(_ratio(distances))) for distances in (near, far))
        distance, other_distance = (float(np.median(distances[:, 0])) for distances in (near, far))
        facts = {"judged_rows": len(points), "real_rows": rows, "caution": NOT_PRIVACY}
        figures: dict[str, tuple[float, dict[str, Any]]] = {
            "exact_copies": (copies, {"of_holdout_rows": same, "judged_rows": len(judged)}),
            "dcr_share": (float(closer.mean()), {"median": distance, "median_to_holdout": other_distance}),
            "nndr_median": (ratio, {"to_holdout_rows": other_ratio}),
        }
        return [
            Score(
                name, figures[name][0], better, "copying", text, limits=(0.0, 1.0), detail={**facts, **figures[name][1]}
            )
            for name, (better, text) in MEANINGS.items()
        ]


def _ratio(distances: np.ndarray) -> np.ndarray:
    """First over second distance, (n,) in [0, 1]; 1 where both are 0: a row that stands there twice names nobody."""
    first, second = distances.T
    return np.divide(first, second, out=np.ones(len(first)), where=second > 0)
