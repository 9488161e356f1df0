"""A linear classifier of images over fixed features, from noisy gradients: it rejects draws of the wrong class.

Histograms of oriented gradients: fixed features by which a linear classifier knows images under strong privacy.

With handcrafted features a linear model learns from few noisy steps what a network would need public data for (Tramer
and Boneh 2021, arXiv:2011.11660). Histograms after Dalal and Triggs 2005.

Every image is described by itself, to the last bit: all steps are of the kinds listed in `data/row_maps.py`.

A linear classifier of images over fixed features, from noisy gradients: it says which draws are of their class.

    p(image | class) is drawn by keeping of the generator's images of a class those that the classifier counts to it

A linear model over handcrafted features learns classes from very few noisy steps (Tramer and Boneh 2021,
arXiv:2011.11660), far better than a generator's own likelihoods do. The features of an image follow from it alone.

Guarantee: every step releases one sum over all images of gradients clipped to norm C, each of its image alone, with
Gaussian noise in units of the sensitivity: C when an image is added, 2 C when it is replaced (`privacy/dpsgd/dp_sgd.py`
has the derivation). The sums are over all images, so they are made in float64, where the rounding of the sum is proven
to stay within the slack of the sensitivity (`privacy/dpsgd/clipping.py`). Nothing is sampled, so the steps compose to
one Gaussian release exactly, whose cost is a fraction of the budget. Using the classifier is post-processing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpsynth.data.row_maps import row_norms, smoothed, window_means, window_sums
from dpsynth.models.contract.option_groups import OptionGroup, above_zero, at_least
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import fraction_noise
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.dpsgd.gradients import clipped_gradients
from dpsynth.privacy.ledger import Ledger

ORIENTATIONS = 8  # one for each octant
CELLS = 7  # along a side, roughly
_FAINT = 0.05  # norm below which a cell's edges count as none
_AT_ONCE = 64  # images; what they need stays in the processor's cache
_STEPS = 1 << 16  # of a slope between 0 and 1 in the table of arcs
_ARCS = (torch.atan(torch.arange(_STEPS + 1, dtype=torch.float64) / _STEPS) * (4 / math.pi)).float()  # in octants


def oriented_gradients(units: Tensor) -> Tensor:
    """(n, channels, h, w) in [0, 1] -> (n, features) float32 of norm at most sqrt(1.25).

    Edge directions in cells of a few pixels, normalised by their neighbourhood, and the coarse image at half weight.
    """
    return torch.cat([_described(part) for part in units.split(_AT_ONCE)])


def _described(units: Tensor) -> Tensor:
    height, width = units.shape[2:]
    grey = units[:, 0]
    for channel in range(1, units.shape[1]):
        grey = grey + units[:, channel]
    smooth = smoothed(smoothed(F.pad(grey / units.shape[1], (2, 2, 2, 2)), 1), 2)
    right = smooth[:, 1:-1, 2:] - smooth[:, 1:-1, :-2]
    down = smooth[:, 2:, 1:-1] - smooth[:, :-2, 1:-1]
    strength = (right * right + down * down).sqrt()
    turns = _octants(right, down)
    below = turns.floor()
    fraction, first = turns - below, below.long() % ORIENTATIONS
    histograms = strength.new_zeros(len(units), ORIENTATIONS, height, width)
    histograms.scatter_(1, first[:, None], (strength * (1 - fraction))[:, None])
    histograms.scatter_(1, ((first + 1) % ORIENTATIONS)[:, None], (strength * fraction)[:, None])
    cell = max(2, round(min(height, width) / CELLS))
    kernel = (min(cell + 2, height + 2), min(cell + 2, width + 2))
    cells = window_sums(F.pad(histograms, (1, 1, 1, 1)), kernel, cell) / (kernel[0] * kernel[1])
    around = window_sums(F.pad(row_norms(cells.movedim(1, -1)), (1, 1, 1, 1)), (3, 3), 1) / 9
    edges = _unit((cells / (around + _FAINT)[:, None]).flatten(1))
    coarse = _unit(window_means(units * 2 - 1, min(cell, height, width)).flatten(1))
    return torch.cat([edges, coarse * 0.5], 1)


def _octants(right: Tensor, down: Tensor) -> Tensor:
    """Directions as numbers of eighths of a turn, in [-4, 4]: arcs of slopes between 0 and 1 come from a table."""
    level, steep = right.abs(), down.abs()
    larger = torch.maximum(level, steep)
    slope = torch.minimum(level, steep) / torch.where(larger > 0, larger, 1.0)
    turns = _ARCS.to(right.device).take((slope * _STEPS).round().long()).to(right.dtype)
    turns = torch.where(steep > level, 2 - turns, turns)
    turns = torch.where(right < 0, 4 - turns, turns)
    return torch.where(down < 0, -turns, turns)


def _unit(x: Tensor) -> Tensor:
    return x / row_norms(x)[:, None].clamp(min=1e-6)


# -------------------- Class-rejection classifier -----------------------------------------------------------

NAME = "class-rejection classifier gradients"
IMAGES_AT_ONCE = 4096


class RejectionClassifier(nn.Module):
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
        """(n, ...) draws of classes `labels` (n,), each drawn again while the classifier counts it to another class;
        the last of `tries` draws stays as it is. draw: draws for some labels. shown: draws as images in [0, 1]."""
        drawn = draw(labels)
        for _ in range(tries - 1):
            refused = (self.classes_of(shown(drawn)) != labels).nonzero().squeeze(1)
            if not len(refused):
                break
            drawn[refused] = draw(labels[refused])
        return drawn


@dataclass(frozen=True)
class ClassifierOptions(OptionGroup):
    """A class-rejection classifier of draws, for images with classes.

    Attributes:
        fraction: Of the budget; 0 leaves the classifier out.
        steps: Noisy gradient steps, each over all images.
        learning_rate: Of Adam.
        clipping_norm: Of an image's gradient.
        tries: Draws of an image until the classifier is overruled.
    """

    fraction: float = 0.2
    steps: int = 100
    learning_rate: float = 0.3
    clipping_norm: float = 0.5
    tries: int = 4

    def __post_init__(self) -> None:
        at_least(self, 0, "fraction")
        at_least(self, 1, "steps", "tries")
        above_zero(self, "learning_rate", "clipping_norm")


@dataclass(frozen=True)
class ClassifierTraining:
    """Public: how the classifier is trained. learning_rate: of Adam, falling to zero. sgd: its releases, on all
    images."""

    sgd: DPSGD
    learning_rate: float

    @classmethod
    def planned(cls, budget: Budget, options: ClassifierOptions) -> ClassifierTraining | None:
        """With the noise at which all steps take a fraction of the budget; None for a fraction of 0. Without a finite
        epsilon nothing is clipped."""
        if not options.fraction:
            return None
        sgd = DPSGD(
            name=NAME,
            neighbours=budget.neighbours,
            releases=options.steps,
            noise_multiplier=fraction_noise(budget, options.fraction, options.steps),
            clipping_norm=options.clipping_norm if budget.private else math.inf,
        )
        return cls(sgd, options.learning_rate)

    def fit(
        self, classifier: RejectionClassifier, units: Iterable[Tensor], labels: Tensor, rows: int, ledger: Ledger
    ) -> None:
        """Train `classifier` in place.

        units: (n, channels, height, width) in [0, 1], in parts. labels: (n,) int64. rows: public number of images.
        """
        features = torch.cat([oriented_gradients(part) for part in units])
        classifier.double()
        engine = clipped_gradients("fused", classifier, self.sgd.clipping_norm, IMAGES_AT_ONCE)
        weights = engine.coordinates.weights()
        optimizer = torch.optim.Adam([weights])
        for t in range(self.sgd.releases):
            weights.grad = self.sgd.gradient(t, engine, (features, labels), ledger, rows)
            optimizer.param_groups[0]["lr"] = self.learning_rate * (1 - t / self.sgd.releases)
            optimizer.step()
            engine.coordinates.write(weights)
        classifier.float()
