"""Copies of training rows, and membership inference: can an attacker tell who was in the training rows?

Copying diagnostics: do evaluated rows repeat rows the model was fitted to more than rows it never saw?

Every figure is set beside the same figure for as many holdout rows. None of them measures privacy: tables that pass
such tests have been attacked with success (Yao, Krčo, Ganev, de Montjoye, "The DCR Delusion", arXiv 2505.01524; Ganev,
arXiv 2407.16929), and near copies also arise where people are alike.

Membership inference: can an attacker who has only the evaluated table tell who was in the training rows?

Two attacks score training rows (members) and holdout rows (non-members); the AUC of the scores says how well they tell
the two apart. The attacker knows other rows of the population, the other half of the holdout, and no shadow model.

- distance: near to an evaluated row means member.
- density: the ratio of the density of the evaluated rows to that of the population, high where the model overfits
  (DOMIAS; van Breugel, Sun, Qian, van der Schaar, arXiv 2302.12580, eq. 1). Densities are those of the nearest
  neighbour, whose log is -d log(distance) plus a constant, so that the score is the log ratio of two distances: sharp
  enough to see a single memorised row.

A failed attack is no evidence of leakage, and no evidence against it either: a stronger attack may succeed. The
holdout must have been split off at random: where it is of another distribution than the training rows (another year,
another place), that difference is what an attack finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import stats

from dpsynth.metrics.framework.metric import Better, EvaluatedRows, Reference, Score
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.utility import UNSEEN

NOT_PRIVACY = (
    "Copying diagnostics do not measure privacy: a table without a single near copy can still give people away "
    "(arXiv 2505.01524, 2407.16929). Only the guarantee in the ledger speaks of privacy."
)
CHUNK = 256  # rows whose distances to all others are held at a time
ROUND = 1e-12  # squared distances below this fraction of the squared norm are rounding errors of equal points

COPYING_MEANINGS: dict[str, tuple[Better, str]] = {
    "exact_copies": ("lower", "fraction of evaluated rows that equal a training row (0 to 1); no measure of privacy"),
    "dcr_fraction": (
        "lower",
        "fraction of evaluated rows nearer to a training row than to as many unseen rows, ties one half "
        "(.5 no copying, 1 all near copies); no measure of privacy",
    ),
    "nndr_median": (
        "higher",
        "distance to the nearest training row over that to the second nearest, median over evaluated rows "
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


def equal_rows(evaluated: EvaluatedRows, real: EvaluatedRows) -> np.ndarray:
    """Which evaluated rows equal some real row in everything (missing equals missing), bool (n,)."""
    known = set(real.contents)
    return np.array([row in known for row in evaluated.contents])


@dataclass(frozen=True)
class Copying:
    """Scores "exact_copies", "dcr_fraction", "nndr_median"; the detail holds the same figures for holdout rows.

    queries: evaluated rows whose neighbours are looked for. rows: no more training rows, and as many holdout rows, are
    looked at; copies of the others stay unseen.
    """

    queries: int = 2_000
    rows: int = 20_000
    needs_train: ClassVar[bool] = True
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = False

    def measure(self, evaluated: EvaluatedRows, reference: Reference) -> list[Score]:
        if reference.train is None:
            return [
                Score.absent(name, better, UNSEEN, text, "copying") for name, (better, text) in COPYING_MEANINGS.items()
            ]
        rows = min(self.rows, len(reference.train), len(reference.holdout))
        train, holdout = reference.train.head(rows), reference.holdout.head(rows)
        points = evaluated.head(self.queries).coordinates
        near, far = (nearest(points, sample.coordinates, 2) for sample in (train, holdout))
        copies, same = (float(equal_rows(evaluated, sample).mean()) for sample in (train, holdout))
        closer = (near[:, 0] < far[:, 0]) + 0.5 * (near[:, 0] == far[:, 0])
        ratio, other_ratio = (float(np.median(_ratio(distances))) for distances in (near, far))
        distance, other_distance = (float(np.median(distances[:, 0])) for distances in (near, far))
        facts = {"evaluated_rows": len(points), "real_rows": rows, "caution": NOT_PRIVACY}
        figures: dict[str, tuple[float, dict[str, Any]]] = {
            "exact_copies": (copies, {"of_holdout_rows": same, "evaluated_rows": len(evaluated)}),
            "dcr_fraction": (float(closer.mean()), {"median": distance, "median_to_holdout": other_distance}),
            "nndr_median": (ratio, {"to_holdout_rows": other_ratio}),
        }
        return [
            Score(
                name, figures[name][0], better, "copying", text, limits=(0.0, 1.0), detail={**facts, **figures[name][1]}
            )
            for name, (better, text) in COPYING_MEANINGS.items()
        ]


def _ratio(distances: np.ndarray) -> np.ndarray:
    """First over second distance, (n,) in [0, 1]; 1 where both are 0: a row that stands there twice names nobody."""
    first, second = distances.T
    return np.divide(first, second, out=np.ones(len(first)), where=second > 0)


# -------------------- Membership ------------------------------------------------------------

MEMBERSHIP_MEANINGS = {
    "membership_density_auc": (
        "AUC of telling training rows from unseen ones by local overfitting "
        "(.5 no evidence of leakage, which is no proof of privacy; 1 all found)"
    ),
    "membership_distance_auc": (
        "AUC of telling training rows from unseen ones by the distance to the nearest evaluated row "
        "(.5 no evidence of leakage, which is no proof of privacy; 1 all found)"
    ),
}
RATES = (0.01, 0.1)  # false alarms allowed
LEAST = 1e-6  # added to distances on unit-scaled columns before their logs are taken


@dataclass(frozen=True)
class Attack:
    """How well scores tell members from non-members.

    auc, with its `low` and `high` 95 % bounds. hits: for each rate of `RATES`, the fraction of members found when at
    most that fraction of non-members is named by mistake.
    """

    auc: float
    low: float
    high: float
    hits: dict[float, float]

    @classmethod
    def of(cls, members: np.ndarray, others: np.ndarray) -> Attack:
        """From scores, (m,) and (n,), at least one of each; higher means member.

        The interval is DeLong's (DeLong, DeLong, Clarke-Pearson 1988): the AUC is a mean over members and over
        non-members of placements, whose variances add. It is [0, 1] where either group has one row. Where all
        placements are equal, as in perfect separation, the bound is that of the rule of three.
        """
        ranks = stats.rankdata(np.concatenate([members, others]))
        m, n = len(members), len(others)
        above = (ranks[:m] - stats.rankdata(members)) / n  # fraction of non-members below each member, ties one half
        below = 1.0 - (ranks[m:] - stats.rankdata(others)) / m
        auc = float(above.mean())
        low, high = 0.0, 1.0
        if m > 1 and n > 1:
            reach = stats.norm.ppf(0.975) * np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
            reach = max(float(reach), 3.0 / min(m, n) if auc in (0.0, 1.0) else 0.0)
            low, high = max(auc - reach, 0.0), min(auc + reach, 1.0)
        falling = np.sort(others)[::-1]
        hits = {rate: float((members > falling[min(int(rate * n), n - 1)]).mean()) for rate in RATES}
        return cls(auc, low, high, hits)

    @property
    def verdict(self) -> str:
        if self.low > 0.5:
            return "evidence that training rows can be distinguished from unseen ones"
        return "no evidence of leakage by this attack, which is no proof of privacy"


@dataclass(frozen=True)
class Membership:
    """Scores "membership_density_auc" and "membership_distance_auc", lower is better; intervals, hits at few false
    alarms and the verdict in the detail.

    targets: members attacked, and as many non-members. rows: evaluated rows, and population rows, the attacker uses.
    """

    targets: int = 2_000
    rows: int = 20_000
    needs_train: ClassVar[bool] = True
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = False

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        if reference.train is None:
            return _absent(UNSEEN)
        half = len(reference.holdout) // 2
        if half == 0:
            return _absent("one holdout row cannot be both attacked and known to the attacker; give more")
        count = min(self.targets, len(reference.train), half)
        known = reference.holdout.rows(np.arange(half, len(reference.holdout))).head(self.rows)
        points = np.concatenate([reference.train.head(count).coordinates, reference.holdout.head(count).coordinates])
        known_points, evaluated_points = known.coordinates, evaluated.head(self.rows).coordinates
        to_evaluated, to_known = (nearest(points, others)[:, 0] for others in (evaluated_points, known_points))
        density = np.log(to_known + LEAST) - np.log(to_evaluated + LEAST)
        scores: list[Score] = []
        for (name, text), suspicion in zip(MEMBERSHIP_MEANINGS.items(), (density, -to_evaluated), strict=True):
            attack = Attack.of(suspicion[:count], suspicion[count:])
            detail: dict[str, Any] = {
                "auc_low": attack.low,
                "auc_high": attack.high,
                **{f"hits_at_{rate:g}_false_alarms": fraction for rate, fraction in attack.hits.items()},
                "verdict": attack.verdict,
                "members": count,
                "non_members": count,
                "evaluated_rows": len(evaluated_points),
                "population_rows": len(known_points),
            }
            scores.append(Score(name, attack.auc, "lower", "attack", text, limits=(0.0, 1.0), detail=detail))
        return scores


def _absent(reason: str) -> list[Score]:
    return [Score.absent(name, "lower", reason, text, "attack") for name, text in MEMBERSHIP_MEANINGS.items()]
