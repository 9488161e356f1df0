"""The recipe of `datalens` and its plan: all that is known of a run before a private row is touched.

Shards, rounds, queries and noise follow from public settings, the domain and the budget; `datalens.py` runs what is
planned. The noise of the votes is solved from epsilon, or `sigma` is given and checked against the budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from dpsynth.data.domain import Domain
from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.images import Images
from dpsynth.data.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.class_variation import LowFrequencies
from dpsynth.models.image_finish import view_of
from dpsynth.models.image_judge import JudgeTraining
from dpsynth.models.synthesizer import MethodPlan, Synthesizer
from dpsynth.models.teacher_ensemble import Schooling, Stacked
from dpsynth.models.teacher_space import Space
from dpsynth.networks.class_generator import Architecture
from dpsynth.networks.stacked_conv import StackedConv
from dpsynth.networks.stacked_mlp import StackedMLP
from dpsynth.privacy.accounting import Charge
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.budget_fraction import fraction_noise
from dpsynth.privacy.calibration import calibrate
from dpsynth.privacy.class_histograms import ClassHistograms
from dpsynth.privacy.class_scatter import ClassScatter
from dpsynth.privacy.ledger import Planned
from dpsynth.privacy.votes import REFUSED, Aggregate, Compress, Votes, rdp_2017

VOTES, HISTOGRAMS, SCATTER = "votes", "class histograms", "class scatter"
FEATURES = 12 * 64  # of an image that its judge sees, about
UNKNOWN_ROWS = 30_000  # stands for the number of rows when none is declared
LARGEST = 50_000  # parameters of one teacher
TONES = 32  # bins of the pixel values of images
MOST_QUERIES = 24  # of a class, unless the recipe says how many


@dataclass(frozen=True, kw_only=True)
class DataLensPlan(MethodPlan):
    """What is released, and the public numbers of a run.

    frequencies: of the map that teachers of images see. published_epsilon: what DataLens would report, not the
    guarantee.
    """

    histograms: ClassHistograms
    judge: JudgeTraining | None
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
        judge = (self.judge.sgd,) if self.judge else ()
        return (self.histograms, *judge, *((self.scatter,) if self.scatter else ()), self.votes)

    @property
    def settings(self) -> dict[str, Any]:
        settings = super().settings
        if self.published_epsilon is not None:  # nobody may take it for the guarantee
            settings["epsilon as published (not the guarantee)"] = settings.pop("published_epsilon")
        return settings


@dataclass(frozen=True)
class PlannedDataLens(Synthesizer):
    """The recipe; `configs/model/datalens.yaml` says what each field is. Defaults are one set for all data."""

    modalities: ClassVar[frozenset[str]] = frozenset({"table", "image"})
    learns_from: ClassVar[tuple[type[Any], ...]] = (Table, Images)

    teachers: int | None = None
    rows_per_teacher: int = 5
    discriminator: Literal["mlp", "conv"] = "mlp"
    hidden: int = 16
    linear: bool = True
    alike: bool = True
    keep: bool = False
    teacher_steps: int = 1
    first_steps: int = 1
    teacher_rate: float = 1e-2
    teacher_epsilon: float = 1.0
    teacher_batch: int = 6
    focus: float = 0.24
    teachers_per_chunk: int = 200
    compress: Compress = "project"
    frequencies: int | None = None
    k: int = 200
    levels: int = 4
    bound: float = 1e-3
    aggregate: Aggregate = "linear"
    threshold: float = 0.5
    sigma: float | None = None
    accountant: Literal["gdp", "rdp_2017"] = "gdp"
    rounds: int = 15
    queries: int | None = None
    fresh: bool = False
    step_size: float = 1.2
    momentum: float = 0.5
    histogram_share: float = 0.02
    scatter_share: float = 0.1
    scatter_frequencies: int = 8
    scatter_radius: float = 0.7
    judge_share: float = 0.2
    judge_steps: int = 100
    judge_rate: float = 0.3
    judge_clip: float = 0.5
    tries: int = 4
    generator: Architecture = "mlp"
    size: int | None = None
    bins: int = 16
    latent: int = 32
    width: int = 256
    student_steps: int = 40
    last_steps: int = 300
    student_rate: float = 2e-3
    averaging: float = 0.0
    blend: float = 0.5
    spread: float = 0.2
    deformation: float = 0.4

    def __post_init__(self) -> None:
        if self.compress in REFUSED:
            raise ConfigError(f"model.compress={self.compress}: refused, {REFUSED[self.compress]}")
        for name in (
            "rows_per_teacher", "hidden", "rounds", "latent", "width", "student_steps", "bins", "judge_steps", "tries",
            "scatter_frequencies",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must be at least 1")
        for name in ("queries", "frequencies", "teachers"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must be at least 1, or null")
        if self.queries is None and self.sigma is not None:
            raise ConfigError("model.sigma speaks of a number of queries: set model.queries too")
        for name in (
            "last_steps", "momentum", "averaging", "blend", "spread", "deformation", "judge_share", "scatter_share"
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must not be negative")
        for name in ("step_size", "student_rate", "judge_rate", "judge_clip", "scatter_radius"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must be above 0")
        if self.momentum >= 1 or self.averaging >= 1 or not 0 < self.histogram_share < 1:
            raise ConfigError(
                "model.momentum, model.averaging and model.histogram_share must be below 1, the last above 0"
            )
        if self.histogram_share + self.scatter_share + self.judge_share >= 1:
            raise ConfigError(
                "model.histogram_share, model.scatter_share and model.judge_share leave nothing for the votes"
            )
        for name, kinds in (
            ("discriminator", ("mlp", "conv")),
            ("generator", ("mlp", "dcgan")),
            ("accountant", ("gdp", "rdp_2017")),
        ):
            if getattr(self, name) not in kinds:
                raise ConfigError(f"model.{name}={getattr(self, name)}: choose {' or '.join(kinds)}")
        if self.discriminator == "conv" and self.compress == "project":
            raise ConfigError("model.discriminator=conv sees pixels: take model.compress=clip, not project")
        self._schooling(0, 1.0)

    def _plan(self, domain: Domain | ImageDomain, budget: Budget, before: Sequence[Charge]) -> DataLensPlan:
        histograms = ClassHistograms(
            name=HISTOGRAMS, neighbours=budget.neighbours, bins=1 if isinstance(domain, Domain) else TONES,
            noise_multiplier=fraction_noise(budget, self.histogram_share),
        )  # fmt: skip
        judge, scatter = self._judge(domain, budget), self._scatter(domain, budget)
        first = (histograms, *((judge.sgd,) if judge else ()), *((scatter,) if scatter else ()))

        def votes(space: Space, queries: int, noise: float) -> Votes:
            return Votes(
                name=VOTES, neighbours=budget.neighbours, releases=self.rounds, noise_multiplier=noise,
                teachers=teachers, queries=queries, width=space.width, compress=self.compress,
                aggregate=self.aggregate, k=self.k, levels=self.levels, bound=self.bound, threshold=self.threshold,
            )  # fmt: skip

        teachers, coarse = self._teachers(domain.rows), self.space(domain, 1)
        solved = calibrate(lambda z: (*before, *first, votes(coarse, 1, z)), budget)
        each = self._each(teachers, coarse.classes, solved)
        frequencies = self.frequencies or round(5.35 * each**0.25)
        space = self.space(domain, frequencies)
        queries = self.queries or each * space.classes
        network = self.network(space)
        if network.size > LARGEST:
            raise ConfigError(f"a teacher has {network.size} parameters, more than {LARGEST}: lower model.hidden")
        rule = votes(space, queries, solved)
        if self.sigma is not None and budget.private:
            rule = votes(space, queries, self.sigma / rule.sensitivity)
        published = None
        if self.accountant == "rdp_2017" and budget.private:
            if self.compress not in ("topk_sign", "topk_stochastic"):
                raise ConfigError("model.accountant=rdp_2017 knows model.compress=topk_sign and topk_stochastic only")
            published = rdp_2017(self.rounds, queries, min(self.k, space.width), rule.deviation, budget.delta)
        return DataLensPlan(
            histograms=histograms, judge=judge, scatter=scatter, votes=rule, frequencies=frequencies,
            teachers=teachers, teacher_parameters=network.size, queries=queries, rounds=self.rounds,
            sigma=rule.deviation, published_epsilon=published,
            memory_bytes=self._memory(space, rule, network, domain.rows or UNKNOWN_ROWS),
        )  # fmt: skip

    def space(self, domain: Domain | ImageDomain, frequencies: int) -> Space:
        """What teachers see and the generator makes, from public facts."""
        if isinstance(domain, Domain):
            return Space.of_table(domain, self.bins)
        return Space.of_images(domain, self.size, frequencies if self.compress == "project" else None)

    def network(self, space: Space) -> Stacked:
        """The teachers' public shape; convolutions are for images only."""
        if self.discriminator == "conv" and len(space.shape) == 3:
            return StackedConv((space.shape[0], space.shape[1], space.shape[2]), space.classes, self.hidden)
        return StackedMLP(space.width, space.classes, self.hidden, self.linear)

    def _judge(self, domain: Domain | ImageDomain, budget: Budget) -> JudgeTraining | None:
        if isinstance(domain, Domain) or not domain.classes or not self.judge_share:
            return None
        return JudgeTraining.planned(budget, self.judge_share, self.judge_steps, self.judge_rate, self.judge_clip)

    def _low(self, domain: ImageDomain) -> LowFrequencies:
        """The public map in which images of a class scatter."""
        return LowFrequencies(view_of(domain, self.size), self.scatter_frequencies)

    def _scatter(self, domain: Domain | ImageDomain, budget: Budget) -> ClassScatter | None:
        """Around queries that stay, of images."""
        if isinstance(domain, Domain) or self.fresh or not self.scatter_share:
            return None
        low, classes = self._low(domain), max(1, len(domain.classes))
        radius = self.scatter_radius * self.space(domain, 1).extent
        return ClassScatter(
            name=SCATTER, neighbours=budget.neighbours, classes=classes, width=low.width, radius=radius,
            noise_multiplier=fraction_noise(budget, self.scatter_share),
        )  # fmt: skip

    def _teachers(self, rows: int | None) -> int:
        """Public: as declared, or from the declared number of rows."""
        return self.teachers or max(1, (rows or UNKNOWN_ROWS) // self.rows_per_teacher)

    def _each(self, teachers: int, classes: int, noise: float) -> int:
        """Queries of a class, by a public rule: the less noise against a class's votes, the finer one may ask."""
        return max(1, min(MOST_QUERIES, round(0.6 * math.sqrt(teachers / classes / noise)))) if noise else MOST_QUERIES

    def _schooling(self, seed: int, extent: float) -> Schooling:
        return Schooling(
            self.teacher_steps, self.first_steps, self.teacher_rate, self.teacher_batch, self.alike, self.keep,
            self.teacher_epsilon, self.focus * extent, self.rounds, self.teachers_per_chunk, seed,
        )  # fmt: skip

    def _memory(self, space: Space, rule: Votes, network: Stacked, rows: int) -> int:
        """Bytes at the peak: kept teachers, one chunk with its gradients and votes, the rows, the judge's features,
        and the generator."""
        chunk = min(self.teachers_per_chunk, rule.teachers)
        at_once = chunk * (16 * network.size + 16 * rule.queries * (rule.width + 4 * self.hidden))
        kept = 12 * network.size * rule.teachers if self.keep else 0
        flat = math.prod(space.shape)
        return (
            kept
            + at_once
            + rows * (2 * flat + 4 * (space.width if space.basis is not None else 0) + 4 * FEATURES)
            + 16 * self.width * (flat + 2 * self.width)
        )
