"""Value bins estimated privately: by quantiles, and by PrivTree (Zhang, Xiao, Xie 2016, arXiv 1601.03229).

Bins of about equal mass, estimated privately: a noisy histogram over fine public bins, cut at its quantiles.

Guarantee: a row stands in one fine bin of each of m columns, so a neighbour changes m cells by one (add_remove, L2
sensitivity sqrt(m)) or 2 m (replace_one). All cells leave in one release of m marginals (`marginals.py`);
the cuts and the noisy counts within them are post-processing.

Bins that are fine where the rows are: PrivTree (Zhang, Xiao, Xie 2016, arXiv 1601.03229), for one column.

A node is a run of fine public bins with count c at depth k. Its score is b = max(-d, c - k d); it is split in halves
when b + X > 0, X discrete Laplace noise of parameter l. Only these decisions leave, never a count.

Guarantee, add_remove. Let D have one row more than D'. Scores differ on the path of that row alone. P[D -> tree] over
P[D' -> tree] is the product along the path of P[b + X > 0] / P[b' + X > 0] >= 1 at split nodes, and of a ratio in
[exp(-1/l), 1] at the leaf. With p = exp(-1/l), an integer score b splits with chance p^(1-b) / (1 + p) for b <= 1, else
1 - p^b / (1 + p); so the log of the ratio at a split node is 1/l for b <= 1 and at most (1/l) p^(b-1) above (the same
decay as for continuous noise). Unclipped scores fall by at least d from depth to depth: at most one is in (-d, 0], the
next above is at least 1 and costs at most 1/l, and each further one exp(-d/l) of the one below. The sum is at most
(1/l) (1 + 1 / (1 - exp(-d/l))), and l = 3 / epsilon with d >= l log 2 makes it epsilon. The depth does not enter.

replace_one: one row gone and one come, hence l = 6 / epsilon. Event of one tree: under pure epsilon-DP nothing is
further apart than the two sides of randomised response, with log ratios +-epsilon (Kairouz, Oh, Viswanath 2015, arXiv
1311.0776, Theorem 3.3); discrete Laplace noise of parameter 1 / epsilon on one integer that moves by one has just these
log ratios, so its event stands for a tree. Each column is one release: its histogram of fine bins, in which a neighbour
changes one cell by one (L1 sensitivity 1, or 2), goes in, and its cuts come out. The columns compose.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from dp_accounting import DpEvent, NonPrivateDpEvent
from dp_accounting.dp_event import DiscreteLaplaceDpEvent
from numpy.typing import NDArray

from dpsynth.privacy.accounting.budget import Budget, cells_changed
from dpsynth.privacy.accounting.calibration import fraction_noise
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanism import Detail, Mechanism, Norm
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals, nearest_counts
from dpsynth.privacy.noise.integer_noise import integers, sample_laplace
from dpsynth.privacy.noise.keystream import Keystream

NAME = "bins"
Counts = NDArray[np.int64]


class Bins(NamedTuple):
    """Private bins of one column: cuts (bins + 1,) from 0 to the number of fine bins, rising; noisy counts of the fine
    bins with their noise, where the mechanism releases them."""

    cuts: NDArray[np.int64]
    noisy: NDArray[np.int64] | None = None
    sigma: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PrivateQuantiles(NoisyMarginals):
    """Finds at most `bins` bins for each of `marginals` columns."""

    bins: int

    @classmethod
    def planned(cls, columns: int, bins: int, budget: Budget, fraction: float) -> PrivateQuantiles:
        """For a fraction of the budget."""
        sigma = fraction_noise(budget, fraction, columns * budget.cells_changed)
        return cls(name=NAME, neighbours=budget.neighbours, sigma=sigma, marginals=columns, bins=bins)

    def discretize(self, histograms: Sequence[Counts], ledger: Ledger) -> list[Bins]:
        """The bins of each column. histograms: exact counts of its fine bins, every row in at most one."""
        noisy = self.measure(histograms, ledger)
        # From here on only noisy counts are looked at.
        return [Bins(_cuts(counts, self.bins), counts, self.sigma) for counts in noisy]


def _cuts(noisy: Counts, bins: int) -> NDArray[np.int64]:
    below = np.concatenate([[0.0], nearest_counts(noisy).cumsum()])
    wanted = np.arange(1, bins) * below[-1] / bins
    inner = np.rint(np.interp(wanted, below, np.arange(len(below)))).astype(np.int64)
    return np.unique(np.concatenate([[0], inner, [len(noisy)]])).astype(np.int64)


# -------------------- Privtree --------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PrivTree(Mechanism):
    """Finds at most `bins` bins for each of `releases` columns.

    Attributes:
        epsilon: Of one column's tree; infinite only without a finite epsilon of the run.
        bins: Most bins of a column.
    """

    epsilon: float
    bins: int

    norm: ClassVar[Norm] = "l1"

    @classmethod
    def planned(cls, columns: int, bins: int, budget: Budget, fraction: float) -> PrivTree:
        """For a fraction of the budget."""
        noise = fraction_noise(budget, fraction, columns)
        epsilon = 1.0 / noise if noise else math.inf
        return cls(name=NAME, neighbours=budget.neighbours, releases=columns, epsilon=epsilon, bins=bins)

    @property
    def sensitivity(self) -> float:
        return float(cells_changed(self.neighbours))

    @property
    def noiseless(self) -> bool:
        return math.isinf(self.epsilon)

    @property
    def release_event(self) -> DpEvent:
        return NonPrivateDpEvent() if self.noiseless else DiscreteLaplaceDpEvent(self.epsilon, 1)

    @property
    def scale(self) -> float:
        """Parameter l of the noise; 0 without a finite budget."""
        return 3.0 * self.sensitivity / self.epsilon

    @property
    def decay(self) -> int:
        """What a score loses from depth to depth: d, in whole rows."""
        return math.ceil(self.scale * math.log(2))

    @property
    def detail(self) -> Detail:
        return {"trees": self.releases, "scale": self.scale}

    def discretize(self, histograms: Sequence[Counts], ledger: Ledger) -> list[Bins]:
        """The bins of each column. histograms: exact counts of its fine bins, every row in at most one."""
        return [Bins(ledger.release(self, counts, step=k)) for k, counts in enumerate(histograms)]

    def draw(self, query: Counts, noise: Keystream) -> NDArray[np.int64]:
        """The cuts of one column, ascending, from the exact counts of its fine bins (bins,)."""
        counts = integers(self.name, query)
        below = np.concatenate([[0], counts.cumsum()])
        cuts, open_nodes = {0, len(counts)}, [(0, len(counts))]
        for depth in range(math.ceil(math.log2(max(2, len(counts)))) + 1):
            open_nodes = [(low, high) for low, high in open_nodes if high - low > 1]
            if not open_nodes:
                break
            exact = np.array([below[high] - below[low] for low, high in open_nodes], dtype=np.int64)
            scores = np.maximum(-self.decay, exact - depth * self.decay)
            split = scores > 0 if self.noiseless else scores + sample_laplace(noise, self.scale, scores.size) > 0
            # From here on only decisions are looked at.
            chosen = [node for node, yes in zip(open_nodes, split, strict=True) if yes]
            if len(cuts) - 1 + len(chosen) > self.bins:
                break
            cuts |= {(low + high) // 2 for low, high in chosen}
            halves = [((low, (low + high) // 2), ((low + high) // 2, high)) for low, high in chosen]
            open_nodes = [half for pair in halves for half in pair]
        return np.array(sorted(cuts), dtype=np.int64)
