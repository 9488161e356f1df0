"""merf: one noisy mean embedding of the rows, and a generator fitted to it. Tables and images, in minutes on a CPU.

Fitting a class-conditional generator to a noisy mean embedding: post-processing, free of charge.

    loss = sum over classes c of  w_c |T_c - E phi(G(z, c))|^2

the squared maximum mean discrepancy (Gretton et al. 2012, JMLR 13) between the released means T and the generator, up
to a constant. With B samples a class, the square of their mean feature m is too large by the variance of m, and a
generator that minimised it would shrink its own variety; so |E phi|^2 is estimated from pairs of different samples,
(B^2 |m|^2 - sum |phi|^2) / (B (B - 1)), which is unbiased.

w_c grows with the noisy number of rows of the class, because the noise of T_c falls with it.

    1  the sum of public random features of all rows, by class, leaves once, with noise
    (`privacy/mechanisms/mean_embedding.py`)
    2  a class-conditional generator is trained until its samples have the same mean features (`recipe.py`)

After DP-MERF (Harder, Adamczewski, Park 2021, arXiv:2002.11603), with changes that cost no budget: the exact Gaussian
calibration, the sum instead of the mean (half the noise under add_remove), features of several bandwidths in one
release of norm one, counts of the classes in the same release, an unbiased loss, and generators whose output is smooth
(images) or a distribution over codes whose mean features are exact (tables).

Guarantee: the release of step 1 is all that reads the rows. Its term for a row has norm 1, so its sensitivity is 1
under add_remove; under replace_one it is max(sqrt 2, 2 sqrt(1 - count_weight)), derived where it is made. Features,
sizes and steps are public: they follow from configuration and domain. The rest is post-processing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from dpsynth.data.image.domain import ImageDomain, ImageView
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.models.contract.option_groups import OptionGroup, above_zero, at_least, between, refuse
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, PrivateRows, Synthesizer
from dpsynth.models.merf.fitted import FittedImageGenerator, FittedTableGenerator, image_generator, table_generator
from dpsynth.models.shared.row_vectors import VectorView
from dpsynth.networks.fourier_features import CodeFeatures, ImageFeatures
from dpsynth.networks.generators import AffineGenerator, GeneratorShape
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import nearest_counts
from dpsynth.privacy.mechanisms.mean_embedding import Embedding, MeanEmbedding
from dpsynth.training import Public, resolve_device, train
from dpsynth.training.loop import ExponentialAverage

FEWEST = 4  # samples of a class in a step


class EmbeddingFit:
    """The steps of such a fit, for `dpsynth.training.train`.

    features: a map with `moments`. batch: samples of a step, shared evenly by the classes, at least FEWEST each.
    generator: source of the noise z; it belongs to the state of training.
    """

    def __init__(
        self,
        network: AffineGenerator,
        features: nn.Module,
        target: Embedding,
        batch: int,
        generator: torch.Generator,
    ) -> None:
        self.network, self.features, self.generator = network, features, generator
        self.each = max(FEWEST, -(-batch // network.classes))
        self.labels = torch.arange(network.classes, device=network.device).repeat_interleave(self.each)
        self.means = target.means.float().to(network.device)
        divisors = target.divisors
        self.weights = (divisors / divisors.mean()).float().to(network.device)
        # Of the loss, what the noise alone contributes where the fit is perfect; only to be shown.
        noise_floor = (divisors.reciprocal() * target.deviation).square() * self.means.shape[1]
        self.noise_floor = float((noise_floor * self.weights.cpu()).mean())

    def step(self, t: int) -> dict[str, Public]:
        """Leave the gradient of the loss in `.grad`. Loss and noise are means over the classes."""
        shape = len(self.labels), self.network.shape.latent
        noise = torch.randn(shape, generator=self.generator).to(self.network.device)
        outputs = self.network(noise, self.labels)
        mean, own = self.features.moments(outputs, self.network.classes)  # type: ignore[operator]
        spread = (self.each * mean.square().sum(dim=1) - own) / (self.each - 1)
        discrepancy = spread - 2 * (mean * self.means).sum(dim=1) + self.means.square().sum(dim=1)
        loss = (self.weights * discrepancy).mean()
        self.network.zero_grad(set_to_none=True)
        (loss * self.network.classes).backward()
        return {"loss": Public(loss.detach()), "noise": Public(self.noise_floor)}


# -------------------- Merf ------------------------------------------------------------------

NAME = "mean embedding"
ROWS_AT_ONCE = 1000
WARM_UP = 20  # steps until the learning rate is reached
RARE = 1e-4  # least initial probability of a code


@dataclass(frozen=True, kw_only=True)
class MERFPlan(MethodPlan):
    """What is released, and the steps of the generator that is fitted to it."""

    embedding: MeanEmbedding
    features: int
    classes: int
    steps: int


@dataclass(frozen=True)
class EmbeddingOptions(OptionGroup):
    """The random features whose sum is released.

    Attributes:
        frequencies: Of the random Fourier features; each is a cosine and a sine.
        bandwidths: Of the kernels of images, in root mean square pixel distance, black to white being 1.
        single_fraction: Of tables: part of the features' squared norm for one-way marginals; pairs have the rest.
        count_weight: Part of a row's squared norm that counts the rows of each class.
    """

    frequencies: int = 2000
    bandwidths: Sequence[float] = (0.45, 0.25, 0.16, 0.11)
    single_fraction: float = 0.3
    count_weight: float = 0.05

    def __post_init__(self) -> None:
        at_least(self, 1, "frequencies")
        if not self.bandwidths or not all(width > 0 for width in self.bandwidths):
            refuse(self, "bandwidths", "must be one or more numbers above 0")
        if self.frequencies < len(self.bandwidths):
            refuse(self, "frequencies", "every bandwidth needs one at least")
        between(self, 0, 1, "single_fraction", "count_weight", ends="()")


@dataclass(frozen=True)
class GeneratorOptions(OptionGroup):
    """The class-conditional generator.

    Attributes:
        latent: Numbers of noise that a sample is made of.
        hidden: Units of a hidden layer.
        layers: Residual hidden layers.
        waves: Of images: fraction of the cosine waves along a side that they are made of; fewer is smoother.
    """

    latent: int = 16
    hidden: int = 256
    layers: int = 2
    waves: float = 0.45

    def __post_init__(self) -> None:
        at_least(self, 1, "latent", "hidden")
        at_least(self, 0, "layers")
        between(self, 0, 1, "waves", ends="(]")


@dataclass(frozen=True)
class TrainingOptions(OptionGroup):
    """The training of the generator: post-processing, which costs time only.

    Attributes:
        steps: Of Adam.
        batch_size: Samples of a step, over all classes.
        learning_rate: Of Adam, falling to zero.
        averaging: Decay of the average of the weights along the path; 0 takes the last weights.
    """

    steps: int = 1500
    batch_size: int = 500
    learning_rate: float = 6e-3
    averaging: float = 0.99

    def __post_init__(self) -> None:
        at_least(self, 1, "steps", "batch_size")
        above_zero(self, "learning_rate")
        between(self, 0, 1, "averaging", ends="[)")


@dataclass(frozen=True)
class MERF(Synthesizer):
    """The recipe. Defaults are one set for all data sets.

    Attributes:
        bins: Of tables: most value bins of a number.
        size: Working resolution of images, pixels of the longer side, unless the domain declares one.
        embedding, generator, training: Options in groups.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"table", "image"})
    learns_from: ClassVar[tuple[type[PrivateRows], ...]] = (Table, Images)

    bins: int = 32
    size: int = 32
    embedding: EmbeddingOptions = field(default_factory=EmbeddingOptions)
    generator: GeneratorOptions = field(default_factory=GeneratorOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)

    def __post_init__(self) -> None:
        at_least(self, 1, "bins", "size", where="model.")

    @property
    def shape(self) -> GeneratorShape:
        return GeneratorShape(self.generator.latent, self.generator.hidden, self.generator.layers)

    def _plan(self, domain: Domain | ImageDomain, budget: Budget, before: Sequence[Charge]) -> MERFPlan:
        view = self._view(domain)

        def embedding(noise: float) -> MeanEmbedding:
            return MeanEmbedding(
                name=NAME, neighbours=budget.neighbours, noise_multiplier=noise,
                count_weight=self.embedding.count_weight,
            )  # fmt: skip

        released = embedding(calibrate(lambda z: (*before, embedding(z)), budget))
        classes, features = self._width(view)
        memory = self._memory(domain, classes, features)
        return MERFPlan(
            embedding=released, features=features, classes=classes, steps=self.training.steps, memory_bytes=memory
        )

    def _fit(
        self, table: Table | Images, rows: int, plan: MERFPlan, ledger: Ledger, run: FitRun
    ) -> FittedTableGenerator | FittedImageGenerator:
        view = self._view(table.domain)
        features = self._features(view, run.randomness.model("features"))
        embedding = plan.embedding.measure(_blocks(view, features, table), *self._width(view), ledger)
        network = self._network(view, run.randomness.model("initial weights"))
        if isinstance(features, CodeFeatures) and features.sizes:
            _begin(network, features, embedding)
        self._train(network, features, embedding, run)
        fractions = torch.from_numpy(nearest_counts(embedding.counts.numpy()) + 1e-9)
        fractions /= fractions.sum()
        if isinstance(view, ImageView):
            return FittedImageGenerator(view.domain, self.size, self.generator.waves, network, fractions)
        return FittedTableGenerator(view.domain, self.bins, network, fractions)

    def _train(
        self, network: AffineGenerator, features: CodeFeatures | ImageFeatures, target: Embedding, run: FitRun
    ) -> None:
        """Post-processing: the generator meets the released means."""
        options, device = self.training, resolve_device(run.settings.device)
        network.to(device)
        fit = EmbeddingFit(network, features.to(device), target, options.batch_size, run.randomness.model("noise"))
        average = ExponentialAverage(network, options.averaging) if options.averaging else None
        train(
            network,
            fit.step,
            torch.optim.Adam(network.parameters(), lr=options.learning_rate, betas=(0.9, 0.99), fused=True),
            lambda t: min(1.0, (t + 1) / WARM_UP) * (1 - t / options.steps),
            options.steps,
            average,
            settings=run.settings,
            generators={"noise": fit.generator},
            checkpoint=run.checkpoint,
            progress=run.progress,
            title="generator",
        )
        if average is not None:
            average.apply()

    def _view(self, domain: Domain | ImageDomain) -> VectorView | ImageView:
        return ImageView(domain, self.size) if isinstance(domain, ImageDomain) else VectorView(domain, self.bins)

    def _features(self, view: VectorView | ImageView, generator: torch.Generator) -> CodeFeatures | ImageFeatures:
        """Public: they follow from the configuration, the domain and the seed."""
        options = self.embedding
        if isinstance(view, ImageView):
            return ImageFeatures(view.shape, options.frequencies, list(options.bandwidths), generator, view.levels)
        bins = [block.value_bins if block.on_axis else 0 for block in view.blocks]
        return CodeFeatures(view.sizes, bins, options.frequencies, options.single_fraction, generator)

    def _network(self, view: VectorView | ImageView, generator: torch.Generator) -> AffineGenerator:
        if isinstance(view, ImageView):
            return image_generator(view, self.shape, self.generator.waves, generator)
        return table_generator(view, self.shape, generator)

    def _width(self, view: VectorView | ImageView) -> tuple[int, int]:
        """Classes, and features of a row; public."""
        if isinstance(view, ImageView):
            return max(1, len(view.domain.classes)), 2 * self.embedding.frequencies
        pairs = len(view.blocks) > 1
        return view.classes, max(1, view.width + 2 * self.embedding.frequencies * pairs)

    def _memory(self, domain: Domain | ImageDomain, classes: int, features: int) -> int:
        """Bytes at the peak: the encoded rows, blocks of features or a step, the released sums."""
        each = 8 * len(domain) if isinstance(domain, Domain) else int(np.prod(domain.shape))
        batch = max(ROWS_AT_ONCE, self.training.batch_size, 4 * classes)
        return each * (domain.rows or 30_000) + 8 * features * (4 * batch + 4 * classes)


def _blocks(
    view: VectorView | ImageView, features: CodeFeatures | ImageFeatures, table: Table | Images
) -> Iterator[tuple[Tensor, Tensor]]:
    """Features and classes of the rows, a block at a time; those of a row are the same in any block."""
    codes, labels = (np.zeros(0), np.zeros(len(table), np.int64))
    if isinstance(table, Table):
        assert isinstance(view, VectorView)
        codes, labels = view.codes(table)
    elif table.labels is not None:
        labels = table.labels
    for start in range(0, len(table), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        if isinstance(table, Images):
            assert isinstance(view, ImageView)
            phi = features.rows(torch.from_numpy(view.codes(table.pixels[part])))
        else:
            phi = features.rows(torch.from_numpy(codes[part]))
        yield phi, torch.from_numpy(labels[part])


def _begin(network: AffineGenerator, features: CodeFeatures, embedding: Embedding) -> None:
    """Start a table's generator at the noisy one-way marginals of each class, which the embedding holds."""
    singles = embedding.sums[:, : sum(features.sizes)] * (len(features.sizes) / features.single_fraction) ** 0.5
    for c, row in enumerate(singles.numpy()):
        distributions = [nearest_counts(part) for part in np.split(row, np.cumsum(features.sizes)[:-1])]
        logs = [np.log(np.maximum(distribution / distribution.sum(), RARE)) for distribution in distributions]
        with torch.no_grad():
            network.shift[c] = torch.from_numpy(np.concatenate(logs))
