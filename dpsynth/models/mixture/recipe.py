"""mixture: images of each class as a mixture of Gaussians, from noisy moments and noisy clusters, in seconds.

    1  pixels and their squares, summed by class         -> mean m and deviation s of every pixel of a class
    2  u = (x - m) / (s + e), in slow cosine waves: sum of u u^T over all images      -> what varies together
    3  the same by class, in the leading directions of 2                     -> how a class differs from all others
    4  K clusters a class, in these directions: images go to the nearest of public centres, whose sums leave; the
       centres move, and so on for a few rounds (private k-means: Blum, Dwork, McSherry, Nissim 2005, SuLQ)
    draw a cluster, a point of N(centre, scatter of the class less that of its centres), and noise of the
    remaining directions; back to pixels by m and s, cut to [0, 1]

The cut makes edges sharp: where a class is dark, most of a Gaussian lies below 0. What noise does to each moment is
taken back by shrinkage (`moments.py`), which is post-processing.

Guarantee. Each of the releases is a Gaussian mechanism on a sum over images in which a term has norm at most 1 (in
units of its radius), bounded by the mechanism itself: 1 and 4 `MeanEmbedding` (`privacy/mechanisms/mean_embedding.py`),
2 and 3 `ClassScatter` (`privacy/mechanisms/class_statistics.py`), where the sensitivities are derived. Later queries
depend on earlier answers and on public numbers: the term of an image, and the cluster it is added to, follow from that
image, its class and these alone, so the releases compose adaptively, as planned. Radii, shares and rounds are public.
All noise is in the fixed proportion of the shares of mu^2 = 1 / noise_multiplier^2, so one number is calibrated.

Reference: covariances Dwork, Talwar, Thakurta, Zhang 2014 (Analyze Gauss, doi:10.1145/2591796.2591883).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from dpsynth.data.image.domain import ImageDomain, ImageView
from dpsynth.data.image.images import Images
from dpsynth.data.row_maps import nearest
from dpsynth.models.contract.option_groups import OptionGroup, above_zero, at_least, between, refuse
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, PrivateRows, Synthesizer
from dpsynth.models.mixture import moments
from dpsynth.models.mixture.fitted import FittedImageMixture
from dpsynth.models.mixture.moments import PixelSquares, Standardised
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.class_statistics import ClassScatter
from dpsynth.privacy.mechanisms.marginals import nearest_counts
from dpsynth.privacy.mechanisms.mean_embedding import MeanEmbedding

PIXELS, SHARED, SCATTER, CLUSTERS = "pixel moments", "scatter of all classes", "scatter by class", "clusters"
COUNT_WEIGHT = 0.1  # part of a term's squared norm that counts its image
ROWS_AT_ONCE = 2048
MOST_WAVES = 400  # cosine waves whose scatter is released, over all channels
CLASS_RADIUS, CLUSTER_RADIUS = 0.9, 0.8  # in units of the radius of standardised images


@dataclass(frozen=True, kw_only=True)
class MixturePlan(MethodPlan):
    """What is released, in this order, and the public sizes of the model."""

    pixels: MeanEmbedding
    shared: ClassScatter
    scatter: ClassScatter
    clusters: MeanEmbedding
    classes: int
    waves: int
    directions: int


@dataclass(frozen=True)
class ShareOptions(OptionGroup):
    """Shares of the budget, as parts of mu^2; only their proportions matter.

    Attributes:
        pixels: Of the means and deviations of pixels.
        shared: Of what varies together in all classes.
        scatter: Of what varies together in each class.
        clusters: Of all rounds of clusters.
    """

    pixels: float = 0.2
    shared: float = 0.2
    scatter: float = 0.2
    clusters: float = 0.4

    def __post_init__(self) -> None:
        above_zero(self, "pixels", "shared", "scatter", "clusters")


@dataclass(frozen=True)
class ImageMixture(Synthesizer):
    """The recipe. Defaults are one set for all data sets.

    Attributes:
        size: Working resolution, pixels of the longer side, unless the domain declares one.
        clusters: Of each class.
        rounds: In which the clusters' centres move.
        directions: Leading directions in which classes and clusters differ; in the others all are alike.
        waves: Cosine waves along a side in which images vary; fewer where channels are many.
        texture: Of what was released, the part of the deviation in the other directions that draws have: it is noise
            without shape, of which a classifier learns less than from plain surfaces.
        pixel_radius, radius: Norm of an image from the middle grey, and of a standardised image, beyond which it is
            scaled down; as root mean square of a pixel.
        shares: Of the budget.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"image"})
    learns_from: ClassVar[tuple[type[PrivateRows], ...]] = (Images,)

    size: int = 32
    clusters: int = 20
    rounds: int = 4
    directions: int = 80
    waves: int = 20
    texture: float = 0.4
    pixel_radius: float = 0.45
    radius: float = 0.5
    shares: ShareOptions = field(default_factory=ShareOptions)

    def __post_init__(self) -> None:
        at_least(self, 1, "size", "clusters", "rounds", "directions", "waves", where="model.")
        above_zero(self, "pixel_radius", "radius", where="model.")
        between(self, 0, 1, "texture", where="model.")
        if self.waves > 64:
            refuse(self, "waves", "must be at most 64", "model.")

    def _plan(self, domain: ImageDomain, budget: Budget, before: Sequence[Charge]) -> MixturePlan:
        classes, shape = max(1, len(domain.classes)), ImageView(domain, self.size).shape
        waves = len(self._waves(shape)[1])
        directions = min(self.directions, waves)
        radius = self.radius * math.sqrt(math.prod(shape))
        shares = self.shares
        whole = shares.pixels + shares.shared + shares.scatter + shares.clusters

        def releases(noise: float) -> tuple[MeanEmbedding, ClassScatter, ClassScatter, MeanEmbedding]:
            def part(share: float, rounds: int = 1) -> float:
                return noise * math.sqrt(whole * rounds / share)

            relation = budget.neighbours
            return (
                MeanEmbedding(
                    name=PIXELS, neighbours=relation, noise_multiplier=part(shares.pixels), count_weight=COUNT_WEIGHT,
                ),
                ClassScatter(
                    name=SHARED, neighbours=relation, noise_multiplier=part(shares.shared), classes=1, width=waves,
                    radius=radius,
                ),
                ClassScatter(
                    name=SCATTER, neighbours=relation, noise_multiplier=part(shares.scatter), classes=classes,
                    width=directions, radius=CLASS_RADIUS * radius,
                ),
                MeanEmbedding(
                    name=CLUSTERS, neighbours=relation, releases=self.rounds,
                    noise_multiplier=part(shares.clusters, self.rounds), count_weight=COUNT_WEIGHT,
                ),
            )  # fmt: skip

        pixels, shared, scatter, clusters = releases(calibrate(lambda z: (*before, *releases(z)), budget))
        return MixturePlan(
            pixels=pixels, shared=shared, scatter=scatter, clusters=clusters, classes=classes, waves=waves,
            directions=directions, memory_bytes=self._memory(domain, shape, classes, waves, directions),
        )  # fmt: skip

    def _fit(self, table: Images, rows: int, plan: MixturePlan, ledger: Ledger, run: FitRun) -> FittedImageMixture:
        view = ImageView(table.domain, self.size)
        fractions, mean, deviation = self._pixels(view, table, plan, ledger)
        gate = deviation.square() / (deviation.square() + moments.FAINT**2)
        scale = deviation + moments.SHORTEST
        waves, rings = self._waves(view.shape)
        seen = Standardised(mean, gate / scale, waves, view.levels)
        released = plan.shared.measure(
            ((block, torch.zeros_like(own)) for block, own in _each(seen, view, table)), ledger
        )
        scatter = moments.smooth_scatter(released.moments[0], float(released.deviations[0]), rings)
        values, vectors = (each.flip(-1) for each in torch.linalg.eigh(scatter))
        values = values.clamp(min=0)
        directions = vectors.T @ waves  # (waves, pixels), the leading ones first
        seen = Standardised(mean, gate / scale, directions[: plan.directions], view.levels)
        places = list(_each(seen, view, table))
        own = plan.scatter.measure(places, ledger)
        shared = values[: plan.directions].clamp(min=1e-4)
        by_class = [
            moments.class_scatter(each, float(noise), shared)
            for each, noise in zip(own.moments, own.deviations, strict=True)
        ]
        weights, centres = self._clusters(places, by_class, plan, ledger, run.randomness.model("centres"))
        remaining = directions[plan.directions :] * values[plan.directions :].sqrt()[:, None]
        parts = {"fractions": fractions, "weights": weights, "centres": centres, "mean": mean}
        parts["directions"] = directions[: plan.directions]
        parts["factors"] = torch.stack(
            [
                moments.root(moments.nonnegative(each - _between(*cluster)))
                for each, *cluster in zip(by_class, weights, centres, strict=True)
            ]
        )
        # Scaling images down to the radii took from their variance; the released deviations say how much there is.
        variances = torch.stack([moments.diagonal_in(parts["directions"], each) for each in by_class])
        drawn = (variances + remaining.square().sum(0)) * scale.square()
        gain = (deviation.square().sum(1) / drawn.sum(1).clamp(min=1e-12)).sqrt().clamp(max=MOST_GAIN)
        parts |= {"scale": scale * gain[:, None], "remaining": remaining * self.texture}
        return FittedImageMixture(table.domain, self.size, parts)

    def _pixels(
        self, view: ImageView, table: Images, plan: MixturePlan, ledger: Ledger
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fractions of the classes, means and deviations of their pixels: the first release."""
        features = PixelSquares(view.shape, view.levels, self.pixel_radius)
        rows = ((features.rows(codes), labels) for codes, labels in _blocks(view, table))
        released = plan.pixels.measure(rows, plan.classes, 2 * features.pixels, ledger)
        noise = released.deviation / released.divisors
        fractions = torch.from_numpy(nearest_counts(released.counts.numpy()) + 1e-9)
        return fractions / fractions.sum(), *features.moments(released.means, noise, view.shape)

    def _clusters(
        self,
        places: list[tuple[Tensor, Tensor]],
        scatter: list[Tensor],
        plan: MixturePlan,
        ledger: Ledger,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Weights (classes, clusters) and centres (classes, clusters, directions): the last releases.

        places: blocks of images of one class each as (n, directions), and their classes.
        """
        width, most = plan.directions, plan.scatter.radius * CLUSTER_RADIUS / CLASS_RADIUS
        start = torch.randn(plan.classes, self.clusters, width, generator=generator, dtype=torch.float64)
        centres = torch.stack([0.7 * z @ moments.root(each).T for z, each in zip(start, scatter, strict=True)])
        weights = torch.ones(plan.classes, self.clusters, dtype=torch.float64)
        for _ in range(self.rounds):
            terms = (
                ((block - centres[own[0], chosen]) / most, own * self.clusters + chosen)
                for block, own in places
                for chosen in [nearest(block, centres[own[0]], CUT * plan.scatter.radius)]
            )
            released = plan.clusters.measure(terms, plan.classes * self.clusters, width, ledger)
            counts = released.counts.clamp(min=max(20.0, released.count_deviation))
            moved = centres.reshape(-1, width) + released.sums / counts[:, None] * most
            noise = (released.deviation / counts * most).reshape(plan.classes, self.clusters)
            moved = moved.reshape(centres.shape)
            centres = torch.stack([moments.shrunk_centres(*each) for each in zip(moved, noise, scatter, strict=True)])
            weights = released.counts.clamp(min=0).reshape(plan.classes, self.clusters) + 1e-6
        return weights / weights.sum(1, keepdim=True), centres

    def _waves(self, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
        return moments.slow_waves(shape, min(self.waves, max(1, math.isqrt(MOST_WAVES // shape[0]))))

    def _memory(self, domain: ImageDomain, shape: Sequence[int], classes: int, waves: int, directions: int) -> int:
        """Bytes at the peak: the images, their places in the leading directions, a block, the model."""
        pixels = math.prod(shape)
        images = (domain.rows or 30_000) * (math.prod(domain.shape) + 8 * directions)
        block = 8 * ROWS_AT_ONCE * (3 * pixels + waves)
        return images + block + 8 * (4 * waves * pixels + 8 * classes * pixels + 6 * waves**2)


MOST_GAIN = 3.0  # by which the variance of draws is raised at most
CUT = 4.0  # places beyond so many radii are taken to lie there, when the nearest centre is sought


def _blocks(view: ImageView, table: Images) -> Iterator[tuple[Tensor, Tensor]]:
    """Whole numbers and classes of the images, a block at a time."""
    labels = np.zeros(len(table), np.int64) if table.labels is None else table.labels
    for start in range(0, len(table), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        yield torch.from_numpy(view.codes(table.pixels[part])), torch.from_numpy(labels[part])


def _each(seen: Standardised, view: ImageView, table: Images) -> Iterator[tuple[Tensor, Tensor]]:
    """Standardised images, blocks of one class each, and their classes."""
    for codes, labels in _blocks(view, table):
        for label in labels.unique().tolist():
            own = labels == label
            yield seen.rows(codes[own], label), labels[own]


def _between(weights: Tensor, centres: Tensor) -> Tensor:
    """(d, d) covariance of the centres of a class."""
    away = centres - weights @ centres
    return (away * weights[:, None]).T @ away
