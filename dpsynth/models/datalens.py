"""datalens: a generator taught by the noisy votes of teachers on disjoint shards (Wang et al. 2021, arXiv:2103.11109).

    1  a small share of the budget buys a histogram for each class: pixel values of images, or counts of rows
    2  every round the generator shows B queries X = G(z, y); each teacher trains on its shard against them, and votes
       for the direction in which it finds them more real (`models/teacher_ensemble.py`)
    3  the sum of the votes leaves once, with Gaussian noise (`privacy/votes.py`)
    4  the generator follows: Adam on |T - G(z, y)|^2, where the targets T go where the votes say
    5  a share bought a linear judge of classes (`models/image_judge.py`): images that it counts to another class are
       drawn again

Guarantee: the ledger composes the histogram, the judge's steps and the rounds, nothing else reads the rows. Shards,
rounds, queries and noise are public. The noise is solved from epsilon, or `sigma` is given and checked against the
budget.

Defaults differ from the source where its signal drowns at small epsilon. At noise multiplier z a sum of N votes of norm
C has noise 2 C z in each of its numbers, whatever N; the signal is N C times how well teachers agree. So teachers start
from the same weights and hold few rows each (they agree, and N is large), vote on low frequencies only (less noise in
all), with plain clipped gradients (their sum is an average, not a majority), on queries that stay the same from round
to round (so that momentum averages the noise). `configs/experiment/datalens_*.yaml` hold the published settings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from dpsynth.data.domain import Domain
from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.images import Images
from dpsynth.data.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.datalens_student import Lesson
from dpsynth.models.fitted_datalens import FittedDataLensImages, FittedDataLensTable, Student
from dpsynth.models.image_finish import Finish, tone_curves
from dpsynth.models.image_judge import ImageJudge, JudgeTraining
from dpsynth.models.synthesizer import OwnPlan, Run, Synthesizer
from dpsynth.models.teacher_ensemble import Schooling, Stacked, TeacherEnsemble
from dpsynth.models.teacher_space import IMAGES_AT_ONCE, Space
from dpsynth.networks.class_generator import Architecture
from dpsynth.networks.stacked_conv import StackedConv
from dpsynth.networks.stacked_mlp import StackedMLP
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import calibrate
from dpsynth.privacy.class_histograms import histogram_charge, noisy_class_histograms
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.shards import Sharding
from dpsynth.privacy.shares import share_noise
from dpsynth.privacy.votes import REFUSED, Aggregate, Compress, Votes, rdp_2017, rounds_event
from dpsynth.training import resolve_device, train
from dpsynth.training.averaging import ExponentialAverage

VOTES, HISTOGRAMS = "votes", "class histograms"
FEATURES = 12 * 64  # of an image that its judge sees, about
UNKNOWN_ROWS = 30_000  # stands for the number of rows when none is declared
LARGEST = 50_000  # parameters of one teacher
MOST_QUERIES = 24  # of a class, unless the recipe says how many
TONED = 400  # images of a class from which its tone curve is made


@dataclass(frozen=True)
class DataLens(Synthesizer):
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
    deformation: float = 1.0

    def __post_init__(self) -> None:
        if self.compress in REFUSED:
            raise ConfigError(f"model.compress={self.compress}: refused, {REFUSED[self.compress]}")
        for name in (
            "rows_per_teacher", "hidden", "rounds", "latent", "width", "student_steps", "bins", "judge_steps", "tries"
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must be at least 1")
        for name in ("queries", "frequencies", "teachers"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must be at least 1, or null")
        if self.queries is None and self.sigma is not None:
            raise ConfigError("model.sigma speaks of a number of queries: set model.queries too")
        for name in ("last_steps", "momentum", "averaging", "blend", "spread", "deformation", "judge_share"):
            if getattr(self, name) < 0:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must not be negative")
        for name in ("step_size", "student_rate", "judge_rate", "judge_clip"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must be above 0")
        if self.momentum >= 1 or self.averaging >= 1 or not 0 < self.histogram_share < 1:
            raise ConfigError(
                "model.momentum, model.averaging and model.histogram_share must be below 1, the last above 0"
            )
        if self.histogram_share + self.judge_share >= 1:
            raise ConfigError("model.histogram_share and model.judge_share leave nothing for the votes")
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

    def _plan(self, domain: Domain | ImageDomain, budget: Budget, before: Sequence[Charge]) -> OwnPlan:
        tones = histogram_charge(HISTOGRAMS, share_noise(budget, self.histogram_share))
        judge = self._judge(domain, budget)
        first = (tones, *([judge.charge()] if judge else []))
        solved = calibrate(lambda z: (*before, *first, Charge(VOTES, rounds_event(z, self.rounds))), budget)
        teachers = self._teachers(domain.rows)
        each = self._each(teachers, self.space(domain, 1).classes, solved)
        frequencies = self.frequencies or round(5.35 * each**0.25)
        space = self.space(domain, frequencies)
        rule = self._votes(space, teachers, self.queries or each * space.classes, 0.0)
        network = self.network(space)
        if network.size > LARGEST:
            raise ConfigError(f"a teacher has {network.size} parameters, more than {LARGEST}: lower model.hidden")
        noise = solved
        if self.sigma is not None and budget.private:
            noise = self.sigma / rule.sensitivity
        detail = {"noise_multiplier": noise, "rounds": self.rounds, "sensitivity": rule.sensitivity}
        settings: dict[str, Any] = {
            "noise_multiplier": noise,
            "sigma": noise * rule.sensitivity,
            "histogram noise": tones.detail["noise_multiplier"],
            "judge noise_multiplier": judge.noise_multiplier if judge else None,
            "teachers": rule.teachers,
            "teacher parameters": network.size,
            "queries": rule.queries,
            "frequencies": frequencies,
            "rounds": self.rounds,
        }
        if self.accountant == "rdp_2017" and budget.private:
            if self.compress not in ("topk_sign", "topk_stochastic"):
                raise ConfigError("model.accountant=rdp_2017 knows model.compress=topk_sign and topk_stochastic only")
            k = min(self.k, space.width)
            told = rdp_2017(self.rounds, rule.queries, k, noise * rule.sensitivity, budget.delta)
            settings["epsilon as published (not the guarantee)"] = told
        charges = (*first, Charge(VOTES, rule.event(noise), detail=detail))
        return OwnPlan(charges, settings, self._memory(space, rule, network, domain.rows or UNKNOWN_ROWS))

    def _fit(
        self, rows: Table | Images, n: int, ledger: Ledger, run: Run
    ) -> FittedDataLensTable | FittedDataLensImages:
        settings, streams = ledger.plan.settings, run.streams
        space, values = self.space(rows.domain, settings["frequencies"]), None
        if isinstance(rows, Table):
            vectors, labels = space.table_rows(rows, self.bins)
        else:
            values, labels = space.pixels(rows)
            vectors = space.image_rows(values)
        bins = 1 if values is None else 32
        histograms = noisy_class_histograms(
            HISTOGRAMS, values, labels, space.classes, bins, settings["histogram noise"], ledger, streams.privacy
        )
        judge, training = None, self._judge(rows.domain, ledger.plan.budget)
        if training is not None and values is not None:
            judge = ImageJudge((values.shape[1], values.shape[2], values.shape[3]), space.classes)
            parts = (part.float() / 255 for part in torch.from_numpy(values).split(IMAGES_AT_ONCE))
            training.fit(judge, parts, torch.from_numpy(labels), n, ledger, streams.privacy)
        device = resolve_device(run.settings.device)
        rule = self._votes(space, settings["teachers"], settings["queries"], settings["noise_multiplier"])
        ledger.spend(VOTES, rule.event(rule.noise_multiplier))
        people = rows.people if isinstance(rows, Table) else None
        shards = Sharding(rule.teachers, ledger.plan.budget.neighbours).deal(streams.privacy, len(rows), people)
        seed = int(torch.randint(1 << 40, (1,), generator=streams.model("teachers")))
        ensemble = TeacherEnsemble(self.network(space), rule.teachers, self._schooling(seed, space.extent), device)
        data, classes = torch.from_numpy(vectors).to(device), torch.from_numpy(labels).to(device)

        def ask(turn: int, x: Tensor, y: Tensor) -> Tensor:
            """The released direction of a round: the only way from the rows to the student."""
            total = ensemble.ask(turn, shards, data, classes, x, y, rule)
            noisy = rule.release(turn, total, streams.privacy)
            return (rule.aggregated(noisy) / rule.unit).float().to(device)

        student = self._student(space, rule.queries, streams.model("generator"), streams.model("codes"))
        lesson = Lesson(
            student, space.seen, space.back, ask, self.rounds, rule.queries, self.student_steps, self.fresh,
            self.step_size * space.extent, self.momentum, space.extent, streams.model("queries"), device,
        )  # fmt: skip
        average = ExponentialAverage(student.network, self.averaging) if self.averaging else None
        train(
            student.network,
            lesson.step,
            torch.optim.Adam(student.network.parameters(), lr=self.student_rate, betas=(0.5, 0.999)),
            lambda t: min(1.0, 2 * (lesson.steps + self.last_steps - t) / (self.last_steps + 1)),
            lesson.steps + self.last_steps,
            average,
            settings=run.settings,
            generators={"queries": lesson.generator},
            more={"teachers": ensemble, "lesson": lesson},
            checkpoint=run.checkpoint,
            progress=run.progress,
            title="student",
        )
        if average is not None:
            average.apply()
        student.network.to("cpu")
        if isinstance(rows, Table):
            shares = torch.from_numpy(histograms[:, 0]).clamp_min(0.5)
            return FittedDataLensTable(rows.domain, student, self.bins, shares / shares.sum())
        finish = Finish(self.spread, self.deformation)
        drawn = torch.arange(space.classes).repeat_interleave(TONED)
        generator = streams.model("tones")
        varied = finish.varied(student.draw(drawn, generator), generator)
        return FittedDataLensImages(
            rows.domain, student, finish, tone_curves(varied, drawn, torch.from_numpy(histograms)), judge, self.tries
        )

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

    def _student(self, space: Space, queries: int, weights: torch.Generator, codes: torch.Generator) -> Student:
        shape = {
            "architecture": self.generator, "latent": self.latent, "classes": space.classes, "width": self.width,
            "shape": list(space.shape), "heads": list(space.heads), "blend": self.blend,
        }  # fmt: skip
        count = 0 if self.fresh else queries
        drawn = torch.randn(count, self.latent, generator=codes)
        return Student.made(shape, drawn, torch.arange(count) % space.classes, weights)

    def _judge(self, domain: Domain | ImageDomain, budget: Budget) -> JudgeTraining | None:
        if isinstance(domain, Domain) or not domain.classes or not self.judge_share:
            return None
        return JudgeTraining.planned(budget, self.judge_share, self.judge_steps, self.judge_rate, self.judge_clip)

    def _teachers(self, rows: int | None) -> int:
        """Public: as declared, or from the declared number of rows."""
        return self.teachers or max(1, (rows or UNKNOWN_ROWS) // self.rows_per_teacher)

    def _each(self, teachers: int, classes: int, noise: float) -> int:
        """Queries of a class, by a public rule: the less noise against a class's votes, the finer one may ask."""
        return max(1, min(MOST_QUERIES, round(0.6 * math.sqrt(teachers / classes / noise)))) if noise else MOST_QUERIES

    def _votes(self, space: Space, teachers: int, queries: int, noise: float) -> Votes:
        return Votes(
            teachers, queries, space.width, self.compress, self.aggregate, self.k, self.levels, self.bound,
            self.threshold, self.rounds, noise, VOTES,
        )  # fmt: skip

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
