"""Membership inference: can an attacker who has only the judged table tell who was in the training rows?

Two attacks score training rows (members) and holdout rows (non-members); the AUC of the scores says how well they tell
the two apart. The attacker knows other rows of the population, the other half of the holdout, and no shadow model.

- distance: near to a judged row means member.
- density: the ratio of the density of the judged rows to that of the population, high where the model overfits
  (DOMIAS; van Breugel, Sun, Qian, van der Schaar, arXiv 2302.12580, eq. 1). Densities are those of the nearest
  neighbour, whose log is -d log(distance) plus a constant, so that the score is the log ratio of two distances: sharp
  enough to see a single memorised row.

A failed attack is no evidence of leakage, and no evidence against it either: a stronger attack may succeed. The
holdout must have been split off at random: where it is of another law than the training rows (another year, another
place), that difference is what an attack finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import stats

from dpsynth.metrics.copying import nearest
from dpsynth.metrics.family import Reference
from dpsynth.metrics.ranking import UNSEEN
from dpsynth.metrics.sample import Sample
from dpsynth.metrics.score import Score

MEANINGS = {
    "membership_density_auc": (
        "AUC of telling training rows from unseen ones by local overfitting "
        "(.5 no evidence of leakage, which is no proof of privacy; 1 all found)"
    ),
    "membership_distance_auc": (
        "AUC of telling training rows from unseen ones by the distance to the nearest judged row "
        "(.5 no evidence of leakage, which is no proof of privacy; 1 all found)"
    ),
}
RATES = (0.01, 0.1)  # false alarms allowed
LEAST = 1e-6  # added to distances on unit-scaled columns before their logs are taken


@dataclass(frozen=True)
class Attack:
    """How well scores tell members from non-members.

    auc, with its `low` and `high` 95 % bounds. hits: for each rate of `RATES`, the share of members found when at
    most that share of non-members is named by mistake.
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
        above = (ranks[:m] - stats.rankdata(members)) / n  # share of non-members below each member, ties one half
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
            return "evidence that training rows can be told from unseen ones"
        return "no evidence of leakage by this attack, which is no proof of privacy"


@dataclass(frozen=True)
class Membership:
    """Scores "membership_density_auc" and "membership_distance_auc", lower is better; intervals, hits at few false
    alarms and the verdict in the detail.

    targets: members attacked, and as many non-members. rows: judged rows, and population rows, the attacker uses.
    """

    targets: int = 2_000
    rows: int = 20_000
    needs_train: ClassVar[bool] = True
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = False

    def measure(self, judged: Sample, reference: Reference) -> list[Score]:
        if reference.train is None:
            return _absent(UNSEEN)
        half = len(reference.holdout) // 2
        if half == 0:
            return _absent("one holdout row cannot be both attacked and known to the attacker; give more")
        count = min(self.targets, len(reference.train), half)
        known = reference.holdout.rows(np.arange(half, len(reference.holdout))).head(self.rows)
        points = np.concatenate([reference.train.head(count).coordinates, reference.holdout.head(count).coordinates])
        known_points, judged_points = known.coordinates, judged.head(self.rows).coordinates
        to_judged, to_known = (nearest(points, others)[:, 0] for others in (judged_points, known_points))
        density = np.log(to_known + LEAST) - np.log(to_judged + LEAST)
        scores: list[Score] = []
        for (name, text), suspicion in zip(MEANINGS.items(), (density, -to_judged), strict=True):
            attack = Attack.of(suspicion[:count], suspicion[count:])
            detail: dict[str, Any] = {
                "auc_low": attack.low,
                "auc_high": attack.high,
                **{f"hits_at_{rate:g}_false_alarms": share for rate, share in attack.hits.items()},
                "verdict": attack.verdict,
                "members": count,
                "non_members": count,
                "judged_rows": len(judged_points),
                "population_rows": len(known_points),
            }
            scores.append(Score(name, attack.auc, "lower", "attack", text, limits=(0.0, 1.0), detail=detail))
        return scores


def _absent(reason: str) -> list[Score]:
    return [Score.absent(name, "lower", reason, text, "attack") for name, text in MEANINGS.items()]
