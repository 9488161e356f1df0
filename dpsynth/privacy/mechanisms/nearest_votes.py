"""Nearest-neighbour votes: which public candidates lie where the private rows are? The one query of Private Evolution.

Every private row votes for its k nearest candidates of its own group (class), with weight 1 / sqrt(k) each; the votes
of all rows are added up and leave with Gaussian noise (Lin et al. 2023, arXiv 2305.15560, Algorithm 2).

Guarantee. The votes of one row are a vector over all candidates of all groups, not negative, of L2 norm at most 1
(less where its group has fewer than k candidates; 0 where it has none). The histogram is the sum of these vectors.
    add_remove   a row that comes or goes moves the histogram by its own vector: sensitivity 1
    replace_one  |u - v|^2 = |u|^2 + |v|^2 - 2 u.v <= 2, because no entry is negative: sensitivity sqrt(2), also when
                 the new row belongs to another group and its vote moves from one group's candidates to another's
Both are `count_sensitivity`. All groups leave in one release; T iterations are T of them, composed exactly. Where a
candidate stands, its look-ahead variations included, is public: a row votes once an iteration, however the candidates
came about.

Floats. A row's nearest candidate must not depend on which other rows stand beside it in a matrix product, whose
rounding may change with the shape. So coordinates lie in [-1, 1] and are rounded to multiples of 1 / q, with q so small
that every product and every partial sum is a whole number that float32 holds: distances are exact, in any order of
summation and in the reduced precisions that processors use for float32 products. Ties go to the first candidate. Votes
are whole numbers, added exactly, and scaled by 1 / sqrt(k) at the end.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.budget import count_sensitivity
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanism import Detail
from dpsynth.privacy.noise.gaussian import GaussianMechanism

FINEST = 255  # steps between 0 and 1: whole numbers up to here are exact in bfloat16 too
_LARGEST_SUM = 2.0**22  # of squares; scores are differences of such, in halves, and stay below 2^24 halves
_SCORES_AT_ONCE = 1 << 22  # entries of the matrix of scores that are held at a time


class Points(NamedTuple):
    """Rows or candidates as points.

    values: (n, d) float in [-1, 1]; values outside are cut off, what is no number becomes 0.
    groups: (n,) int64, 0 or more: a row votes among the candidates of its own group.
    """

    values: NDArray[np.floating]
    groups: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class NearestVotes(GaussianMechanism):
    """All histograms of votes of one run, one release an iteration.

    Attributes:
        nearest: Candidates that a row votes for, k.
        provenance: What the candidates were made of; a public remark for the privacy statement.
    """

    nearest: int = 1
    provenance: str = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nearest < 1:
            raise BudgetError(f"{self.name!r}: at least one nearest candidate is needed")

    @property
    def sensitivity(self) -> float:
        return count_sensitivity(self.neighbours)

    @property
    def detail(self) -> Detail:
        return {**super().detail, "provenance": self.provenance}

    def measure(
        self, rows: Points, candidates: Points, ledger: Ledger, step: int, device: str | torch.device = "cpu"
    ) -> NDArray[np.float64]:
        """(candidates,) float64 noisy votes of iteration `step`; may be negative.

        rows: private. candidates: public.
        """
        return ledger.release(self, votes(rows, candidates, self.nearest, device), step)


def votes(
    rows: Points, candidates: Points, nearest: int = 1, device: str | torch.device = "cpu"
) -> NDArray[np.float64]:
    """(candidates,) float64 exact votes: private. Every row gives 1 / sqrt(nearest) to each of its nearest ones."""
    chosen = nearest_candidates(rows, candidates, nearest, device)
    return np.bincount(chosen[chosen >= 0], minlength=len(candidates.values)) / math.sqrt(nearest)


def nearest_candidates(
    rows: Points, candidates: Points, nearest: int = 1, device: str | torch.device = "cpu"
) -> NDArray[np.int64]:
    """(rows, nearest) int64 positions of each row's nearest candidates of its group, -1 where there are no more."""
    steps = grid_steps(candidates.values.shape[1])
    found = np.full((len(rows.values), nearest), -1, dtype=np.int64)
    for group in np.unique(candidates.groups):
        members, voters = np.flatnonzero(candidates.groups == group), np.flatnonzero(rows.groups == group)
        points = _on_grid(candidates.values[members], steps)
        # |x - s|^2 = |x|^2 + 2 (|s|^2 / 2 - x.s), and |x|^2 is the same for all candidates.
        halves = (points.double() ** 2).sum(dim=1).div_(2).float().to(device)
        points = points.to(device)
        at_once = max(1, _SCORES_AT_ONCE // len(members))
        for start in range(0, len(voters), at_once):
            part = voters[start : start + at_once]
            scores = torch.addmm(halves, _on_grid(rows.values[part], steps).to(device), points.T, alpha=-1.0)
            for k in range(min(nearest, len(members))):
                chosen = scores.argmin(dim=1, keepdim=True)  # the first of equals
                found[part, k] = members[chosen.flatten().cpu().numpy()]
                scores.scatter_(1, chosen, math.inf)
    return found


def grid_steps(dimensions: int) -> int:
    """q: steps between 0 and 1 for points of so many coordinates, such that d q^2 <= 2^22."""
    steps = min(FINEST, math.floor(math.sqrt(_LARGEST_SUM / max(dimensions, 1))))
    if steps < 1:
        raise BudgetError(f"points of {dimensions} coordinates are too many for exact distances: embed in fewer")
    return steps


def _on_grid(values: NDArray[np.floating], steps: int) -> torch.Tensor:
    """Whole numbers in [-q, q] as float32, rounded on the processor whatever the device."""
    given = torch.from_numpy(np.array(values, dtype=np.float32, order="C"))
    return torch.nan_to_num_(given, nan=0.0).clamp_(-1.0, 1.0).mul_(steps).round_()
