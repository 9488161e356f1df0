"""A linear classifier of images over fixed features, from noisy gradients: it says which draws are of their class.

    p(image | class) is drawn by keeping of the generator's images of a class those that the judge counts to it

A linear model over handcrafted features learns classes from very few noisy steps (Tramer and Boneh 2021,
arXiv:2011.11660), far better than a generator's own likelihoods do. The features of an image follow from it alone.

Guarantee: every step releases one sum over all images of gradients clipped to norm C, each of its image alone, with
Gaussian noise in units of the sensitivity: C when an image is added, 2 C when it is replaced (`privacy/dp_sgd.py` has
the derivation). The sums are over all images, so they are made in float64, where the rounding of the sum is proven to
stay within the slack of the sensitivity (`privacy/clipping.py`). Nothing is sampled, so the steps compose to one
Gaussian release exactly, whose cost is a share of the budget. Using the judge is post-processing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpsynth.networks.oriented_gradients import oriented_gradients
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.budget_fraction import fraction_noise
from dpsynth.privacy.dp_sgd import DPSGD
from dpsynth.privacy.gradients import clipped_gradients
from dpsynth.privacy.ledger import Ledger

NAME = "judge gradients"
IMAGES_AT_ONCE = 4096


class ImageJudge(nn.Module):
    """features (n, F), labels (n,) -> (n,) cross entropies. Starts at zero, where no class is preferred."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        features = oriented_gradients(torch.zeros(1, *shape)).shape[1]
        self.linear = nn.Linear(features, classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.linear(features.to(self.linear.weight.dtype)), labels, reduction="none")

    @torch.no_grad()
    def classes_of(self, units: Tensor) -> Tensor:
        """(n,) int64: the likeliest class of images (n, channels, height, width) in [0, 1]."""
        parts = [self.linear(oriented_gradients(part)).argmax(1) for part in units.split(IMAGES_AT_ONCE)]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)

    def kept(
        self, draw: Callable[[Tensor], Tensor], shown: Callable[[Tensor], Tensor], labels: Tensor, tries: int
    ) -> Tensor:
        """(n, ...) draws of classes `labels` (n,), each drawn again while the judge counts it to another class; the
        last of `tries` draws stays as it is. draw: draws for some labels. shown: draws as images in [0, 1]."""
        drawn = draw(labels)
        for _ in range(tries - 1):
            refused = (self.classes_of(shown(drawn)) != labels).nonzero().squeeze(1)
            if not len(refused):
                break
            drawn[refused] = draw(labels[refused])
        return drawn


@dataclass(frozen=True)
class JudgeTraining:
    """Public: how the classifier is trained. learning_rate: of Adam, falling to zero. sgd: its releases, on all
    images."""

    sgd: DPSGD
    learning_rate: float

    @classmethod
    def planned(
        cls, budget: Budget, fraction: float, steps: int, learning_rate: float, clipping_norm: float
    ) -> JudgeTraining:
        """With the noise at which all steps take a fraction of the budget; without a finite epsilon nothing is
        clipped."""
        sgd = DPSGD(
            name=NAME,
            neighbours=budget.neighbours,
            releases=steps,
            noise_multiplier=fraction_noise(budget, fraction, steps),
            clipping_norm=clipping_norm if budget.private else math.inf,
        )
        return cls(sgd, learning_rate)

    def fit(self, judge: ImageJudge, units: Iterable[Tensor], labels: Tensor, rows: int, ledger: Ledger) -> None:
        """Train `judge` in place.

        units: (n, channels, height, width) in [0, 1], in parts. labels: (n,) int64. rows: public number of images.
        """
        features = torch.cat([oriented_gradients(part) for part in units])
        judge.double()
        engine = clipped_gradients("fused", judge, self.sgd.clipping_norm, IMAGES_AT_ONCE)
        weights = engine.coordinates.weights()
        optimizer = torch.optim.Adam([weights])
        for t in range(self.sgd.releases):
            weights.grad = self.sgd.gradient(t, engine, (features, labels), ledger, rows)
            optimizer.param_groups[0]["lr"] = self.learning_rate * (1 - t / self.sgd.releases)
            optimizer.step()
            engine.coordinates.write(weights)
        judge.float()
