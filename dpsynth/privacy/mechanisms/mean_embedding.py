"""The class-conditional mean embedding of private rows: one Gaussian release of a sum of features.

With public features phi(x) of norm at most 1 and a class y, the query is the vector

    S = sum over rows of  onehot(y) (x) ( sqrt(a) , sqrt(1 - a) phi(x) )          (classes, 1 + features)

so that one release holds the noisy number of rows of every class (a: `count_weight`) and the sum of the features of
every class; their quotient is the class's mean embedding (DP-MERF: Harder, Adamczewski, Park 2021, arXiv:2002.11603).

Sensitivity. The term of a row has norm at most sqrt(a + 1 - a) = 1 and lies in the cells of its class.
    add_remove: the sum moves by one term: at most 1.
    replace_one: rows of different classes move different cells: sqrt(1 + 1). Rows of one class leave the constant
    where it is and move the rest by sqrt(1 - a) |phi - phi'| <= 2 sqrt(1 - a). The larger of both is the sensitivity.
    The bound 2 on |phi - phi'| is not improved: with random Fourier features phi.phi' is the mean of cos(w.(x - x')),
    which some pair of rows may bring near -1, and features of another kind may come here.
The norm does not rest on the feature map: every row's features are scaled down to norm 1 here, in float64, where they
are longer, and a row with a feature that is no number counts as all zeros. So it holds for any map. The number of rows
divides nothing before the release.

Event: `GaussianDpEvent(noise_multiplier)`, exact (`gaussian.py`, Balle and Wang 2018, arXiv:1805.06530).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from dpsynth.data.row_maps import row_norms
from dpsynth.errors import BudgetError
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise.gaussian import GaussianMechanism


@dataclass(frozen=True)
class Embedding:
    """What was released. counts: (classes,) float64 noisy rows. sums: (classes, features) float64 noisy sums of phi.

    deviation: standard deviation of the noise of an entry of `sums`; 0 only when epsilon is infinite.
    """

    counts: Tensor
    sums: Tensor
    deviation: float
    count_deviation: float

    @property
    def divisors(self) -> Tensor:
        """(classes,) float64: the noisy counts, at least 1 and at least their noise, which keeps the means small."""
        return self.counts.clamp(min=max(1.0, self.count_deviation))

    @property
    def means(self) -> Tensor:
        """(classes, features) float64 mean embeddings. Post-processing."""
        return self.sums / self.divisors[:, None]


@dataclass(frozen=True, kw_only=True)
class MeanEmbedding(GaussianMechanism):
    """A planned release.

    Attributes:
        count_weight: a, the part of the squared norm of a row's term that counts it.
    """

    count_weight: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.count_weight < 1:
            raise BudgetError(f"count_weight={self.count_weight!r}: must lie strictly between 0 and 1")

    @property
    def sensitivity(self) -> float:
        """L2 distance of the sums of neighbours, at most; derived above."""
        if self.neighbours == "add_remove":
            return 1.0
        return max(math.sqrt(2.0), 2.0 * math.sqrt(1.0 - self.count_weight))

    def measure(self, rows: Iterable[tuple[Tensor, Tensor]], classes: int, features: int, ledger: Ledger) -> Embedding:
        """The noisy embedding of all rows.

        rows: blocks of ((b, features) float features, (b,) int64 classes), any number, in any sizes. Memory: one block
        in float64, and a few times classes x features. classes, features: public.
        """
        noisy = ledger.release(self, self.exact(rows, classes, features))
        scales = math.sqrt(self.count_weight), math.sqrt(1.0 - self.count_weight)
        return Embedding(
            noisy[:, 0] / scales[0], noisy[:, 1:] / scales[1], self.deviation / scales[1], self.deviation / scales[0]
        )

    def exact(self, rows: Iterable[tuple[Tensor, Tensor]], classes: int, features: int) -> Tensor:
        """(classes, 1 + features) float64: the private query S itself."""
        total = torch.zeros(classes, 1 + features, dtype=torch.float64)
        for phi, labels in rows:
            if phi.ndim != 2 or phi.shape[1] != features or labels.shape != phi.shape[:1]:
                raise ValueError(
                    f"{self.name}: expected (b, {features}) features and (b,) classes, "
                    f"got {tuple(phi.shape)} and {tuple(labels.shape)}"
                )
            terms = torch.empty(len(phi), 1 + features, dtype=torch.float64)
            terms[:, 0] = math.sqrt(self.count_weight)
            terms[:, 1:] = phi.detach().to("cpu", torch.float64)
            bounded = terms[:, 1:]
            norms = row_norms(bounded)[:, None]
            factor = math.sqrt(1.0 - self.count_weight) / norms.clamp(min=1.0)
            bounded.mul_(factor)
            bounded[~torch.isfinite(norms[:, 0])] = 0.0
            total.index_add_(0, labels.detach().cpu().clamp(0, classes - 1), terms)
        return total
