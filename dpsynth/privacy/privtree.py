"""Bins that are fine where the rows are, bought: PrivTree (Zhang, Xiao, Xie 2016, arXiv 1601.03229), for one column.

A node is a run of fine public bins with count c at depth k. Its score is b = max(-d, c - k d); it is split in halves
when b + X > 0, X discrete Laplace noise of parameter l. Only these decisions leave, never a count.

Guarantee, add_remove. Let D have one row more than D'. Scores differ on the path of that row alone. P[D -> tree] over
P[D' -> tree] is the product along the path of P[b + X > 0] / P[b' + X > 0] >= 1 at split nodes, and of a ratio in
[exp(-1/l), 1] at the leaf. With p = exp(-1/l), an integer score b splits with chance p^(1-b) / (1 + p) for b <= 1, else
1 - p^b / (1 + p); so the log of the ratio at a split node is 1/l for b <= 1 and at most (1/l) p^(b-1) above (the same
decay as for continuous noise). Unclipped scores fall by at least d from depth to depth: at most one is in (-d, 0], the
next above is at least 1 and costs at most 1/l, and each further one exp(-d/l) of the one below. The sum is at most
(1/l) (1 + 1 / (1 - exp(-d/l))), and l = 3 / epsilon with d >= l log 2 makes it epsilon. The depth does not enter.

replace_one: one row gone and one come, hence l = 6 / epsilon. Event: under pure epsilon-DP nothing is further apart
than the two sides of randomised response, with log ratios +-epsilon (Kairouz, Oh, Viswanath 2015, arXiv 1311.0776,
Theorem 3.3); discrete Laplace noise of parameter 1 / epsilon on one integer that moves by one has just these log
ratios, so its event stands for a tree. The columns compose.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from dp_accounting import DpEvent, NonPrivateDpEvent, SelfComposedDpEvent
from numpy.typing import NDArray

from dpsynth.privacy.budget import Budget
from dpsynth.privacy.discrete import discrete_laplace_event, sample_laplace
from dpsynth.privacy.gaussian import check_scale
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.quantiles import NAME, Bins
from dpsynth.privacy.random import PrivacyStream
from dpsynth.privacy.shares import share_noise

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class PrivTree:
    """Buys at most `bins` bins for each of `columns` columns, all for `share` of the budget."""

    columns: int
    bins: int
    budget: Budget
    share: float

    @property
    def epsilon(self) -> float:
        """Of one column's tree; infinite without a finite budget."""
        noise = share_noise(self.budget, self.share, self.columns)
        return 1.0 / noise if noise else math.inf

    @property
    def scale(self) -> float:
        """Parameter l of the noise; 0 without a finite budget."""
        return 3.0 * self.budget.cells_changed / self.epsilon

    @property
    def decay(self) -> int:
        """What a score loses from depth to depth: d, in whole rows."""
        return math.ceil(self.scale * math.log(2))

    def charges(self) -> tuple[Charge, ...]:
        """What it costs; needs no data."""
        event: DpEvent = discrete_laplace_event(1.0 / self.epsilon) if self.budget.private else NonPrivateDpEvent()
        detail = {"trees": self.columns, "scale": self.scale}
        return (Charge(NAME, SelfComposedDpEvent(event, self.columns), detail=detail),)

    def run(self, histograms: Sequence[Counts], ledger: Ledger, stream: PrivacyStream) -> list[Bins]:
        """The bins of each column. histograms: exact counts of its fine bins, every row in at most one."""
        (charge,) = self.charges()
        ledger.spend(charge.name, charge.event)
        return [Bins(self._tree(f"{NAME}/{k}", counts, stream)) for k, counts in enumerate(histograms)]

    def _tree(self, name: str, counts: Counts, stream: PrivacyStream) -> NDArray[np.int64]:
        below = np.concatenate([[0], counts.cumsum()])
        cuts, open_nodes = {0, len(counts)}, [(0, len(counts))]
        for depth in range(math.ceil(math.log2(max(2, len(counts)))) + 1):
            open_nodes = [(low, high) for low, high in open_nodes if high - low > 1]
            if not open_nodes:
                break
            exact = np.array([below[high] - below[low] for low, high in open_nodes], dtype=np.int64)
            split = self._decide(name, np.maximum(-self.decay, exact - depth * self.decay), depth, stream)
            # From here on only decisions are looked at.
            chosen = [node for node, yes in zip(open_nodes, split, strict=True) if yes]
            if len(cuts) - 1 + len(chosen) > self.bins:
                break
            cuts |= {(low + high) // 2 for low, high in chosen}
            halves = [((low, (low + high) // 2), ((low + high) // 2, high)) for low, high in chosen]
            open_nodes = [half for pair in halves for half in pair]
        return np.array(sorted(cuts), dtype=np.int64)

    def _decide(self, name: str, scores: Counts, depth: int, stream: PrivacyStream) -> NDArray[np.bool_]:
        """Which scores stay above 0 with noise."""
        changed = float(self.budget.cells_changed)
        check_scale(stream, name, self.scale, changed)

        def draw(query: Counts) -> NDArray[np.bool_]:
            if self.scale == 0:
                return query > 0
            return query + sample_laplace(stream.keystream(name, depth), self.scale, query.size) > 0

        parameters = {"mechanism": "privtree", "scale": self.scale, "decay": self.decay}
        return stream.release(
            name, scores, sensitivity=changed, norm="l1", draw=draw, parameters=parameters, step=depth
        )
