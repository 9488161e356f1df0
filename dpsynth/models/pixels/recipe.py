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
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple

import numpy as np
import torch

from dpsynth.data.image.domain import ImageDomain, ImageView
from dpsynth.data.image.images import Images
from dpsynth.errors import ConfigError
from dpsynth.models.contract.option_groups import OptionGroup, above_zero, at_least, between, one_of
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, Synthesizer
from dpsynth.models.pixels.fitted import FittedPixels, Kind, PixelShape
from dpsynth.models.pixels.neighbour_tables import NeighbourTables
from dpsynth.models.shared.class_rejection import ClassifierOptions, ClassifierTraining, RejectionClassifier
from dpsynth.models.shared.dp_training import DPTraining, DPTrainingOptions
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
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
class PixelNetworkOptions(OptionGroup):
    """The masked network over pixels.

    Attributes:
        kind: conv (masked convolutions, few shared weights) or dense (a masked dense network).
        width: Channels of the convolutions; None is that of the scale.
        above: Rows of pixels that the first convolution sees above a place.
        beside: Columns to each side that it sees.
        layers: Residual layers behind the first; None is that of the scale.
        reach: Pixels that their windows reach up and sideways; 0 sees the place alone.
        hidden: Units of a hidden layer of the dense network.
    """

    kind: Kind = "conv"
    width: int | None = None
    above: int = 4
    beside: int = 5
    layers: int | None = None
    reach: int = 0
    hidden: int = 256

    def __post_init__(self) -> None:
        one_of(self, ("conv", "dense"), "kind")
        at_least(self, 1, "width", "hidden")
        at_least(self, 0, "above", "beside", "layers", "reach")


@dataclass(frozen=True)
class PixelMAF(Synthesizer):
    """The recipe. Defaults are one set for all data sets; `data.size` and `data.levels` win over `size` and `levels`.

    Size, `network.width`, `network.layers` and `training.steps` may be None. They take those of `FINE` where the budget
    counts two neighbours of every pixel well (at `size`, else at the fine one), and those of `COARSE` where noise would
    drown them.

    Attributes:
        size: Pixels of the longer side at which images are modelled.
        levels: Values of a pixel.
        table_fraction: Of the budget, for tables of every pixel with its class and neighbours.
        temperature: What logits are divided by when images are drawn.
        network: Shape of the network.
        training: Its DP-SGD.
        classifier: Of draws of images with classes.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"image"})
    learns_from: ClassVar[tuple[type[Images], ...]] = (Images,)

    size: int | None = None
    levels: int = 4
    table_fraction: float = 0.3
    temperature: float = 0.9
    network: PixelNetworkOptions = field(default_factory=PixelNetworkOptions)
    training: DPTrainingOptions = field(default_factory=DPTrainingOptions)
    classifier: ClassifierOptions = field(default_factory=lambda: ClassifierOptions(steps=150))

    def __post_init__(self) -> None:
        at_least(self, 1, "size", where="model.images.")
        if self.training.batch_size is None:
            raise ConfigError("model.images.training.batch_size=null: must be a number")
        above_zero(self, "table_fraction", "temperature", where="model.images.")
        between(self, 2, 256, "levels", where="model.images.")
        if self.table_fraction + self.classifier.fraction >= 1:
            raise ConfigError("model.images.table_fraction and classifier.fraction leave nothing for the network")

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
        return Scale(
            self.size or scale.size,
            self.network.width or scale.width,
            scale.layers if self.network.layers is None else self.network.layers,
            self.training.steps or scale.steps,
        )

    def _descent(self, scale: Scale) -> DPTraining:
        return DPTraining.of(replace(self.training, steps=scale.steps), SGD, SHOWN_IMAGES)

    def _shape(self, scale: Scale, neighbours: int) -> PixelShape:
        network = self.network
        return PixelShape(
            size=scale.size, neighbours=neighbours, levels=self.levels, network=network.kind, width=scale.width,
            above=network.above, beside=network.beside, layers=scale.layers, reach=network.reach,
            hidden=network.hidden, temperature=self.temperature, tries=self.classifier.tries,
        )  # fmt: skip

    def _tables(self, domain: ImageDomain, budget: Budget) -> NeighbourTables:
        return self._tables_at(self._scale(domain, budget).size, domain, budget)

    def _tables_at(self, size: int, domain: ImageDomain, budget: Budget) -> NeighbourTables:
        view = ImageView(domain, size, self.levels)
        classes, rows = max(len(domain.classes), 1), domain.rows or UNKNOWN_ROWS
        return NeighbourTables.planned(view.shape, view.levels, classes, rows, budget, self.table_fraction)

    def _classifier(self, domain: ImageDomain, budget: Budget) -> ClassifierTraining | None:
        if not domain.classes:
            return None
        return ClassifierTraining.planned(budget, self.classifier)

    def _memory(self, tables: NeighbourTables, domain: ImageDomain, scale: Scale) -> int:
        """Bytes at the peak: the tables; codes and features of all images; a batch's patches in the widest layer."""
        grid, rows = tables.grid, domain.rows or UNKNOWN_ROWS
        network = self.network
        assert self.training.batch_size is not None, "refused when the recipe is made"
        batch = self.training.microbatch_size or 2 * self.training.batch_size
        per_image = 8 * network.hidden
        if network.kind == "conv":
            taps = (2 * network.beside + 1) * network.above + network.beside
            taps += scale.width * (2 * network.reach + 1) ** 2
            per_image = grid.places * (taps + 4 * scale.width * (1 + scale.layers))
        stored = rows * (10 * grid.places + 4 * 12 * 64)
        return 24 * tables.cells + 8 * batch * per_image + stored + 32 * grid.places * network.hidden * grid.levels
