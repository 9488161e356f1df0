"""datalens: a generator trained on the noisy votes of teachers on disjoint shards (Wang et al. 2021, arXiv:2103.11109).

The recipe of `datalens` and its plan: all that is known of a run before a private row is touched.

Shards, rounds, queries and noise follow from public settings, the domain and the budget; `recipe.py` runs what is
planned. The noise of the votes is solved from epsilon, or `published.sigma` is given and checked against the budget.

datalens: a generator trained on the noisy votes of teachers on disjoint shards (Wang et al. 2021, arXiv:2103.11109).

    1  a small fraction of the budget is spent on a histogram for each class: pixel values of images, or counts of rows
    2  every round the generator shows B queries X = G(z, y); each teacher trains on its shard against them, and votes
       for the direction in which it finds them more real (`models/datalens/teachers.py`)
    3  the sum of the votes leaves once, with Gaussian noise (`privacy/mechanisms/votes.py`)
    4  the generator follows: Adam on |T - G(z, y)|^2, where the targets T go where the votes say
    5  a fraction is spent on how images scatter around the nearest query of their class
    (`models/datalens/image_postprocessing.py`)
    6  a fraction was spent on a linear classifier of classes (`models/shared/class_rejection.py`): images that it
    counts to another class are
       drawn again

Guarantee: the ledger composes the histogram, the classifier's steps, the rounds and the scatter; nothing else reads the
rows. Shards, rounds, queries and noise are public (`recipe.py`).

Defaults differ from the source where its signal drowns at small epsilon. At noise multiplier z a sum of N votes of norm
C has noise 2 C z in each of its numbers, whatever N; the signal is N C times how well teachers agree. So teachers start
from the same weights and hold few rows each (they agree, and N is large), vote on low frequencies only (less noise in
all), with plain clipped gradients (their sum is an average, not a majority), on queries that stay the same from round
to round (so that momentum averages the noise). `configs/reproduction/datalens*.yaml` hold the published settings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.option_groups import at_least, between
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, Synthesizer
from dpsynth.models.datalens.fitted import FittedDataLensImages, FittedDataLensTable, Student
from dpsynth.models.datalens.image_postprocessing import (
    LowFrequencies,
    PostProcessing,
    Variation,
    matching_curves,
    offsets,
    view_of,
)
from dpsynth.models.datalens.options import (
    OWN_CHOICES,
    PostProcessingOptions,
    PublishedVariant,
    ScatterOptions,
    StudentOptions,
    TeacherOptions,
    VoteOptions,
)
from dpsynth.models.datalens.student import StudentTraining
from dpsynth.models.datalens.teachers import IMAGES_AT_ONCE, Space, Stacked, TeacherEnsemble, TeacherTraining
from dpsynth.models.shared.class_rejection import ClassifierOptions, ClassifierTraining, RejectionClassifier
from dpsynth.networks.discriminators import StackedConv, StackedMLP
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate, fraction_noise
from dpsynth.privacy.ledger import Ledger, Planned
from dpsynth.privacy.mechanisms.class_statistics import ClassHistograms, ClassScatter
from dpsynth.privacy.mechanisms.votes import Votes, rdp_2017
from dpsynth.training import resolve_device, train
from dpsynth.training.loop import ExponentialAverage

VOTES, HISTOGRAMS, SCATTER = "votes", "class histograms", "class scatter"
FEATURES = 12 * 64  # of an image that its classifier sees, about
LARGEST = 50_000  # parameters of one teacher
PIXEL_BINS = 32  # bins of the pixel values of images
MOST_QUERIES = 24  # of a class, unless the recipe says how many


@dataclass(frozen=True, kw_only=True)
class DataLensPlan(MethodPlan):
    """What is released, and the public numbers of a run.

    frequencies: of the map that teachers of images see. published_epsilon: what DataLens would report, not the
    guarantee.
    """

    histograms: ClassHistograms
    classifier: ClassifierTraining | None
    scatter: ClassScatter | None
    votes: Votes
    frequencies: int
    teachers: int
    teacher_parameters: int
    queries: int
    rounds: int
    sigma: float
    published_epsilon: float | None

    @property
    def charges(self) -> tuple[Planned, ...]:
        classifier = (self.classifier.sgd,) if self.classifier else ()
        return (self.histograms, *classifier, *((self.scatter,) if self.scatter else ()), self.votes)

    @property
    def settings(self) -> dict[str, Any]:
        settings = super().settings
        if self.published_epsilon is not None:  # nobody may take it for the guarantee
            settings["epsilon as published (not the guarantee)"] = settings.pop("published_epsilon")
        return settings


MATCHED_IMAGES = 400  # images of a class from which its histogram-matching curve is made


class SeenRows(NamedTuple):
    """Private rows as teachers look at them.

    vectors: (rows, numbers), float32 or bytes. labels: (rows,) int64. values: uint8 pixels of images, one array a row;
    None for a table. people: (rows,) whose row it is; None where every row stands for itself.
    """

    space: Space
    vectors: NDArray[Any]
    labels: NDArray[np.int64]
    values: NDArray[np.uint8] | None
    people: NDArray[Any] | None


@dataclass(frozen=True)
class DataLens(Synthesizer):
    """The recipe. Defaults are one set for all data.

    Attributes:
        rounds: Releases of votes; public, never fewer, never more.
        queries: Points voted on in a round, even over the classes; None follows from votes and noise.
        bins: Of a number, for tables.
        size: Longer side of generated images in pixels; None is the native size.
        histogram_fraction: Of the budget, for histograms of pixel values by class, or class counts.
        teacher, votes, student, scatter, classifier, post_processing: Options in groups.
        published: Choices of the published method; None makes our own.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"table", "image"})
    learns_from: ClassVar[tuple[type[Any], ...]] = (Table, Images)

    rounds: int = 15
    queries: int | None = None
    bins: int = 16
    size: int | None = None
    histogram_fraction: float = 0.02
    teacher: TeacherOptions = field(default_factory=TeacherOptions)
    votes: VoteOptions = field(default_factory=VoteOptions)
    student: StudentOptions = field(default_factory=StudentOptions)
    scatter: ScatterOptions = field(default_factory=ScatterOptions)
    classifier: ClassifierOptions = field(default_factory=ClassifierOptions)
    post_processing: PostProcessingOptions = field(default_factory=PostProcessingOptions)
    published: PublishedVariant | None = None

    def __post_init__(self) -> None:
        at_least(self, 1, "rounds", "queries", "bins", where="model.")
        between(self, 0, 1, "histogram_fraction", where="model.", ends="()")
        if self.queries is None and self.choices.sigma is not None:
            raise ConfigError("model.published.sigma speaks of a number of queries: set model.queries too")
        if self.histogram_fraction + self.scatter.fraction + self.classifier.fraction >= 1:
            raise ConfigError(
                "model.histogram_fraction, model.scatter.fraction and model.classifier.fraction leave nothing for "
                "the votes"
            )
        if self.choices.discriminator == "conv" and self.votes.compress == "project":
            raise ConfigError(
                "model.published.discriminator=conv sees pixels: take model.votes.compress=clip, not project"
            )

    @property
    def choices(self) -> PublishedVariant:
        """Those of the published variant where it is asked for, else our own."""
        return self.published or OWN_CHOICES

    def _plan(self, domain: Domain | ImageDomain, budget: Budget, before: Sequence[Charge]) -> DataLensPlan:
        histograms = ClassHistograms(
            name=HISTOGRAMS, neighbours=budget.neighbours, bins=1 if isinstance(domain, Domain) else PIXEL_BINS,
            noise_multiplier=fraction_noise(budget, self.histogram_fraction),
        )  # fmt: skip
        classifier, scatter = self._classifier(domain, budget), self._scatter(domain, budget)
        first = (histograms, *((classifier.sgd,) if classifier else ()), *((scatter,) if scatter else ()))

        def votes(space: Space, queries: int, noise: float) -> Votes:
            return Votes(
                name=VOTES, neighbours=budget.neighbours, releases=self.rounds, noise_multiplier=noise,
                teachers=teachers, queries=queries, width=space.width, compress=self.votes.compress,
                aggregate=self.votes.aggregate, k=self.votes.k, levels=self.votes.levels, bound=self.votes.bound,
                threshold=self.votes.threshold,
            )  # fmt: skip

        teachers, coarse = self._teachers(domain.rows), self.space(domain, 1)
        solved = calibrate(lambda z: (*before, *first, votes(coarse, 1, z)), budget)
        each = self._each(teachers, coarse.classes, solved)
        frequencies = self.votes.frequencies or round(5.35 * each**0.25)
        space = self.space(domain, frequencies)
        queries = self.queries or each * space.classes
        network = self.network(space)
        if network.size > LARGEST:
            raise ConfigError(
                f"a teacher has {network.size} parameters, more than {LARGEST}: lower model.teacher.hidden"
            )
        rule = votes(space, queries, solved)
        if self.choices.sigma is not None and budget.private:
            rule = votes(space, queries, self.choices.sigma / rule.sensitivity)
        published = None
        if self.choices.accountant == "rdp_2017" and budget.private:
            if self.votes.compress not in ("topk_sign", "topk_stochastic"):
                raise ConfigError(
                    "model.published.accountant=rdp_2017 knows model.votes.compress=topk_sign and topk_stochastic only"
                )
            published = rdp_2017(self.rounds, queries, min(self.votes.k, space.width), rule.deviation, budget.delta)
        return DataLensPlan(
            histograms=histograms, classifier=classifier, scatter=scatter, votes=rule, frequencies=frequencies,
            teachers=teachers, teacher_parameters=network.size, queries=queries, rounds=self.rounds,
            sigma=rule.deviation, published_epsilon=published,
            memory_bytes=self._memory(space, rule, network, domain.rows or UNKNOWN_ROWS),
        )  # fmt: skip

    def space(self, domain: Domain | ImageDomain, frequencies: int) -> Space:
        """What teachers see and the generator makes, from public facts."""
        if isinstance(domain, Domain):
            return Space.of_table(domain, self.bins)
        return Space.of_images(domain, self.size, frequencies if self.votes.compress == "project" else None)

    def network(self, space: Space) -> Stacked:
        """The teachers' public shape; convolutions are for images only."""
        if self.choices.discriminator == "conv" and len(space.shape) == 3:
            return StackedConv((space.shape[0], space.shape[1], space.shape[2]), space.classes, self.teacher.hidden)
        return StackedMLP(space.width, space.classes, self.teacher.hidden, self.choices.linear)

    def _classifier(self, domain: Domain | ImageDomain, budget: Budget) -> ClassifierTraining | None:
        if isinstance(domain, Domain) or not domain.classes:
            return None
        return ClassifierTraining.planned(budget, self.classifier)

    def _low(self, domain: ImageDomain) -> LowFrequencies:
        """The public map in which images of a class scatter."""
        return LowFrequencies(view_of(domain, self.size), self.scatter.frequencies)

    def _scatter(self, domain: Domain | ImageDomain, budget: Budget) -> ClassScatter | None:
        """Around queries that stay, of images."""
        if isinstance(domain, Domain) or self.choices.fresh or not self.scatter.fraction:
            return None
        low, classes = self._low(domain), max(1, len(domain.classes))
        radius = self.scatter.radius * self.space(domain, 1).extent
        return ClassScatter(
            name=SCATTER, neighbours=budget.neighbours, classes=classes, width=low.width, radius=radius,
            noise_multiplier=fraction_noise(budget, self.scatter.fraction),
        )  # fmt: skip

    def _teachers(self, rows: int | None) -> int:
        """Public: as declared, or from the declared number of rows."""
        return self.teacher.count or max(1, (rows or UNKNOWN_ROWS) // self.teacher.rows)

    def _each(self, teachers: int, classes: int, noise: float) -> int:
        """Queries of a class, by a public rule: the less noise against a class's votes, the finer one may ask."""
        return max(1, min(MOST_QUERIES, round(0.6 * math.sqrt(teachers / classes / noise)))) if noise else MOST_QUERIES

    def _teacher_training(self, seed: int, extent: float) -> TeacherTraining:
        teacher, choices = self.teacher, self.choices
        return TeacherTraining(
            teacher.steps, choices.first_steps, teacher.learning_rate, teacher.batch, choices.alike, choices.keep,
            choices.adam_epsilon, teacher.focus * extent, self.rounds, teacher.at_once, seed,
        )  # fmt: skip

    def _memory(self, space: Space, rule: Votes, network: Stacked, rows: int) -> int:
        """Bytes at the peak: kept teachers, one chunk with its gradients and votes, the rows, the classifier's
        features, and the generator."""
        chunk = min(self.teacher.at_once, rule.teachers)
        at_once = chunk * (16 * network.size + 16 * rule.queries * (rule.width + 4 * self.teacher.hidden))
        kept = 12 * network.size * rule.teachers if self.choices.keep else 0
        flat = math.prod(space.shape)
        return (
            kept
            + at_once
            + rows * (2 * flat + 4 * (space.width if space.basis is not None else 0) + 4 * FEATURES)
            + 16 * self.student.width * (flat + 2 * self.student.width)
        )

    # -------------------- The fit, in stages ------------------------------------------------

    def _fit(
        self, rows: Table | Images, n: int, plan: DataLensPlan, ledger: Ledger, run: FitRun
    ) -> FittedDataLensTable | FittedDataLensImages:
        seen = self._seen(rows, plan)
        histograms = plan.histograms.measure(seen.values, seen.labels, seen.space.classes, ledger)
        classifier = self._rejection_classifier(seen, plan, n, ledger)
        student = self._taught_student(seen, plan, ledger, run)
        if isinstance(rows, Table):
            fractions = torch.from_numpy(histograms[:, 0]).clamp_min(0.5)
            return FittedDataLensTable(rows.domain, student, self.bins, fractions / fractions.sum())
        variation = self._variation(seen, student, rows.domain, plan, ledger)
        # From here on only released numbers are looked at.
        post_processing = PostProcessing(self.post_processing.spread, self.post_processing.deformation, variation)
        drawn = torch.arange(seen.space.classes).repeat_interleave(MATCHED_IMAGES)
        generator = run.randomness.model("histogram matching")
        varied = post_processing.varied(student.draw(drawn, generator), drawn, generator)
        curves = matching_curves(varied, drawn, torch.from_numpy(histograms))
        return FittedDataLensImages(rows.domain, student, post_processing, curves, classifier, self.classifier.tries)

    def _seen(self, rows: Table | Images, plan: DataLensPlan) -> SeenRows:
        """Stage 1: rows as vectors in the space in which teachers look at them."""
        space = self.space(rows.domain, plan.frequencies)
        if isinstance(rows, Table):
            vectors, labels = space.table_rows(rows, self.bins)
            return SeenRows(space, vectors, labels, None, rows.people)
        values, labels = space.pixels(rows)
        return SeenRows(space, space.image_rows(values), labels, values, None)

    def _rejection_classifier(
        self, seen: SeenRows, plan: DataLensPlan, n: int, ledger: Ledger
    ) -> RejectionClassifier | None:
        """Stage 2, for images with classes: the classifier that will reject draws of the wrong class."""
        values, labels = seen.values, seen.labels
        if plan.classifier is None or values is None:
            return None
        classifier = RejectionClassifier(values.shape[1:], seen.space.classes)
        units = (part.float() / 255 for part, _ in _blocks(values, labels))
        plan.classifier.fit(classifier, units, torch.from_numpy(labels), n, ledger)
        return classifier

    def _taught_student(self, seen: SeenRows, plan: DataLensPlan, ledger: Ledger, run: FitRun) -> Student:
        """Stage 3: rounds in which teachers vote on the student's queries, and the student follows the noisy votes."""
        randomness, space = run.randomness, seen.space
        device, rule = resolve_device(run.settings.device), plan.votes
        shards = ledger.shards(rule.sharding, len(seen.vectors), seen.people)
        seed = int(torch.randint(1 << 40, (1,), generator=randomness.model("teachers")))
        ensemble = TeacherEnsemble(
            self.network(space), rule.teachers, self._teacher_training(seed, space.extent), device
        )
        data, classes = torch.from_numpy(seen.vectors).to(device), torch.from_numpy(seen.labels).to(device)

        def ask(turn: int, x: Tensor, y: Tensor) -> Tensor:
            """The released direction of a round: the only way from the rows to the student."""
            noisy = rule.measure(turn, ensemble.ask(turn, shards, data, classes, x, y, rule), ledger)
            return (rule.aggregated(noisy) / rule.unit).float().to(device)

        options = self.student
        student = self._student(
            space, rule.queries, plan.scatter is not None, randomness.model("generator"), randomness.model("codes")
        )
        student_training = StudentTraining(
            student, space.seen, space.back, ask, self.rounds, rule.queries, options.steps, self.choices.fresh,
            options.step_size * space.extent, options.momentum, space.extent, randomness.model("queries"), device,
        )  # fmt: skip
        average = ExponentialAverage(student.network, options.averaging) if options.averaging else None
        train(
            student.network,
            student_training.step,
            torch.optim.Adam(student.network.parameters(), lr=options.learning_rate, betas=(0.5, 0.999)),
            lambda t: min(1.0, 2 * (student_training.steps + options.last_steps - t) / (options.last_steps + 1)),
            student_training.steps + options.last_steps,
            average,
            settings=run.settings,
            generators={"queries": student_training.generator},
            more={"teachers": ensemble, "student_training": student_training, "ledger": ledger},
            checkpoint=run.checkpoint,
            progress=run.progress,
            title="student",
        )
        if average is not None:
            average.apply()
        student.network.to("cpu")
        return student

    def _variation(
        self, seen: SeenRows, student: Student, domain: ImageDomain, plan: DataLensPlan, ledger: Ledger
    ) -> Variation | None:
        """Stage 4, for images whose queries stay: how images scatter around the student's output."""
        if plan.scatter is None or seen.values is None:
            return None
        away = self._offsets(seen.values, seen.labels, student, domain)
        return Variation.of(plan.scatter.measure(away, ledger), self._low(domain))

    def _offsets(
        self, values: NDArray[np.uint8], labels: NDArray[np.int64], student: Student, domain: ImageDomain
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """How far images lie from the student's output for the nearest of its own codes, in low frequencies."""
        low = self._low(domain)
        seen = ((low.seen(pixels), codes) for pixels, codes in _blocks(values, labels))
        return offsets(seen, student.centres().flatten(1) @ low.basis().T, student.classes, low.reach)

    def _student(
        self, space: Space, queries: int, scattered: bool, weights: torch.Generator, codes: torch.Generator
    ) -> Student:
        shape = {
            "architecture": self.choices.generator, "latent": self.student.latent, "classes": space.classes,
            "width": self.student.width, "shape": list(space.shape), "heads": list(space.heads),
            "blend": 0.0 if scattered else self.post_processing.blend,
        }  # fmt: skip
        count = 0 if self.choices.fresh else queries
        drawn = torch.randn(count, self.student.latent, generator=codes)
        return Student.made(shape, drawn, torch.arange(count) % space.classes, weights)


def _blocks(values: NDArray[np.uint8], labels: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of images, as bytes, and their classes."""
    yield from zip(*(torch.from_numpy(array).split(IMAGES_AT_ONCE) for array in (values, labels)), strict=True)
