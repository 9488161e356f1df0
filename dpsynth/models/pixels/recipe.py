"""Images by masked autoregression over quantised pixels, conditional on the class, trained with DP-SGD.

    1  images become small ones of few levels, at a public size and depth; every image by itself
    2  a fraction of the budget counts every pixel with its class and its nearest neighbours (`neighbour_tables.py`)
    3  a fraction trains a linear class-rejection classifier over fixed features (`class_rejection.py`)
    4  the rest trains a masked network that starts at the distribution of the tables (`dp_training.py`)
    5  draws that the classifier counts to another class are drawn again, and images brought back to their size: free

Guarantee: the ledger composes the tables, the classifier's steps and the network's steps, and nothing else reads the
images. Sensitivities are derived where the noise is drawn, for both neighbour relations:
`privacy/mechanisms/marginals.py` for the tables, `privacy/dpsgd/dp_sgd.py` for clipped gradients. Sizes, steps, rates
and noise follow from public constants, the domain and the budget.

MADE: Germain et al. 2015 (arXiv:1502.03509). PixelCNN: van den Oord et al. 2016 (arXiv:1601.06759).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, NamedTuple

import numpy as np
import torch

from dpsynth.data.image.domain import ImageDomain, ImageView
from dpsynth.data.image.images import Images
from dpsynth.errors import ConfigError
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, Synthesizer
from dpsynth.models.pixels.fitted import FittedPixels, Kind, PixelShape
from dpsynth.models.pixels.neighbour_tables import NeighbourTables
from dpsynth.models.shared.class_rejection import ClassifierTraining, RejectionClassifier
from dpsynth.models.shared.dp_training import DPTraining
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.dpsgd.gradients import Mode
from dpsynth.privacy.ledger import Ledger, Planned

SGD = "pixels dp-sgd"
SHOWN_IMAGES = 256  # whose loss is shown while training
FINE_NEIGHBOURS = 2  # that tables must hold at a size for the finer scale
IMAGES_AT_ONCE = 4096


class Scale(NamedTuple):
    """What goes together: pixels of the longer side, and the network that is trained on them."""

    size: int
    width: int
    layers: int
    steps: int


COARSE, FINE = Scale(14, 32, 1, 800), Scale(20, 64, 2, 1200)


@dataclass(frozen=True, kw_only=True)
class PixelPlan(MethodPlan):
    """What is released: the tables, the steps of the classifier, those of the network; and the sizes behind them."""

    scale: Scale
    tables: NeighbourTables
    classifier: ClassifierTraining | None
    sgd: DPSGD
    size: int
    levels: int
    neighbours: int
    channels: int

    @property
    def charges(self) -> tuple[Planned, ...]:
        return (self.tables.tables, *((self.classifier.sgd,) if self.classifier else ()), self.sgd)


@dataclass(frozen=True)
class PixelMAF(Synthesizer):
    """The recipe. Defaults are one set for all data sets; `data.size` and `data.levels` win over `size` and `levels`.

    size: pixels of the longer side at which images are modelled. levels: values of a pixel. None for size, width,
    layers or steps takes that of `FINE` where the budget counts two neighbours of every pixel well (at `size`, else at
    the fine one), and that of `COARSE` where noise would drown them.
    network: conv (few shared weights) or dense. width, above, beside, layers, reach: of `PixelCNN`. hidden, layers: of
    `PixelMADE`.
    table_fraction, classifier_fraction: of the budget; classifier_fraction 0 leaves the classifier out, as do images
    without classes. classifier_steps, classifier_rate, classifier_clip: steps over all images, learning rate and
    clipping norm of the classifier. steps, batch_size, learning_rate, decay, clipping_norm, averaging: of the network's
    DP-SGD, as in `MAF`. temperature: what logits are divided by when images are drawn. tries: draws until the
    classifier is overruled. gradients: engine for clipped sums. microbatch_size: images at a time; memory only, never
    the result.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"image"})
    learns_from: ClassVar[tuple[type[Images], ...]] = (Images,)

    size: int | None = None
    levels: int = 4
    network: Kind = "conv"
    width: int | None = None
    above: int = 4
    beside: int = 5
    layers: int | None = None
    reach: int = 0
    hidden: int = 256
    table_fraction: float = 0.3
    classifier_fraction: float = 0.2
    classifier_steps: int = 150
    classifier_rate: float = 0.3
    classifier_clip: float = 0.5
    steps: int | None = None
    batch_size: int = 512
    learning_rate: float = 3e-3
    decay: float = 1.0
    clipping_norm: float = 1.0
    averaging: float = 0.0
    temperature: float = 0.9
    tries: int = 4
    gradients: Mode = "fused"
    microbatch_size: int | None = None

    def __post_init__(self) -> None:
        for name in ("size", "width", "hidden", "steps", "batch_size", "classifier_steps", "tries"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"model.images.{name}={getattr(self, name)}: must be at least 1")
        for name in ("above", "beside", "layers", "reach", "classifier_fraction", "averaging", "decay"):
            if getattr(self, name) is not None and getattr(self, name) < 0:
                raise ConfigError(f"model.images.{name}={getattr(self, name)}: must not be negative")
        for name in (
            "table_fraction",
            "classifier_rate",
            "classifier_clip",
            "learning_rate",
            "clipping_norm",
            "temperature",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"model.images.{name}={getattr(self, name)}: must be above 0")
        if not 2 <= self.levels <= 256:
            raise ConfigError(f"model.images.levels={self.levels}: must be a whole number from 2 to 256")
        if self.table_fraction + self.classifier_fraction >= 1:
            raise ConfigError("model.images.table_fraction and classifier_fraction leave nothing for the network")
        if self.network not in ("conv", "dense"):
            raise ConfigError(f"model.images.network '{self.network}': choose conv or dense")

    def _plan(self, domain: ImageDomain, budget: Budget, before: Sequence[Charge]) -> PixelPlan:
        scale, tables, classifier = (
            self._scale(domain, budget),
            self._tables(domain, budget),
            self._classifier(domain, budget),
        )
        first = [tables.tables, *([classifier.sgd] if classifier else [])]
        sgd = self._descent(scale).planned(domain.rows, budget, (*before, *first))
        grid = tables.grid
        return PixelPlan(
            scale=scale, tables=tables, classifier=classifier, sgd=sgd,
            size=max(grid.height, grid.width // grid.channels), levels=grid.levels, neighbours=grid.neighbours,
            channels=scale.width, memory_bytes=self._memory(tables, domain, scale),
        )  # fmt: skip

    def _fit(self, images: Images, rows: int, plan: PixelPlan, ledger: Ledger, run: FitRun) -> FittedPixels:
        domain, tables, grid = images.domain, plan.tables, plan.tables.grid
        shape = self._shape(plan.scale, grid.neighbours)
        view = shape.view(domain)
        codes = torch.from_numpy(view.codes(images.pixels))
        labels = torch.zeros(len(codes), dtype=torch.int64)
        if images.labels is not None:
            labels = torch.from_numpy(np.asarray(images.labels, dtype=np.int64))
        grids = grid.flatten(codes)

        counts = tables.measure(grids, labels, ledger)
        table, means = tables.distribution(counts).log().float(), tables.means(counts)
        classifier = None
        if plan.classifier is not None:
            classifier = RejectionClassifier(view.shape, len(domain.classes))
            units = [part.float() / max(grid.levels - 1, 1) for part in codes.split(IMAGES_AT_ONCE)]
            plan.classifier.fit(classifier, units, labels, rows, ledger)
        network = shape.build(domain, table, means, run.randomness.model("initial weights"))
        self._descent(plan.scale).train(network, (grids, labels), rows, plan.sgd, ledger, run)
        return FittedPixels(domain, shape, network.to("cpu"), table, means, classifier)

    def _scale(self, domain: ImageDomain, budget: Budget) -> Scale:
        """Public: as wished, else by how much the tables' noise leaves of neighbours."""
        tables = self._tables_at(self.size or FINE.size, domain, budget)
        scale = FINE if tables.grid.neighbours >= FINE_NEIGHBOURS else COARSE
        wished = {name: getattr(self, name) for name in Scale._fields if getattr(self, name) is not None}
        return scale._replace(**wished)

    def _descent(self, scale: Scale) -> DPTraining:
        return DPTraining.of(replace(self, steps=scale.steps), SGD, SHOWN_IMAGES)

    def _shape(self, scale: Scale, neighbours: int) -> PixelShape:
        recipe = replace(self, size=scale.size, width=scale.width, layers=scale.layers)
        own = {field.name: getattr(recipe, field.name) for field in fields(PixelShape) if field.name != "neighbours"}
        return PixelShape(neighbours=neighbours, **own)

    def _tables(self, domain: ImageDomain, budget: Budget) -> NeighbourTables:
        return self._tables_at(self._scale(domain, budget).size, domain, budget)

    def _tables_at(self, size: int, domain: ImageDomain, budget: Budget) -> NeighbourTables:
        view = ImageView(domain, size, self.levels)
        classes, rows = max(len(domain.classes), 1), domain.rows or UNKNOWN_ROWS
        return NeighbourTables.planned(view.shape, view.levels, classes, rows, budget, self.table_fraction)

    def _classifier(self, domain: ImageDomain, budget: Budget) -> ClassifierTraining | None:
        if not domain.classes or not self.classifier_fraction:
            return None
        return ClassifierTraining.planned(
            budget, self.classifier_fraction, self.classifier_steps, self.classifier_rate, self.classifier_clip
        )

    def _memory(self, tables: NeighbourTables, domain: ImageDomain, scale: Scale) -> int:
        """Bytes at the peak: the tables; codes and features of all images; a batch's patches in the widest layer."""
        grid, rows = tables.grid, domain.rows or UNKNOWN_ROWS
        batch = self.microbatch_size or 2 * self.batch_size
        per_image = 8 * self.hidden
        if self.network == "conv":
            taps = (2 * self.beside + 1) * self.above + self.beside + scale.width * (2 * self.reach + 1) ** 2
            per_image = grid.places * (taps + 4 * scale.width * (1 + scale.layers))
        stored = rows * (10 * grid.places + 4 * 12 * 64)
        return 24 * tables.cells + 8 * batch * per_image + stored + 32 * grid.places * self.hidden * grid.levels
