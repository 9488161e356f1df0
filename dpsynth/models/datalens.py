"""datalens: a generator taught by the noisy votes of teachers on disjoint shards (Wang et al. 2021, arXiv:2103.11109).

    1  a small share of the budget buys a histogram for each class: pixel values of images, or counts of rows
    2  every round the generator shows B queries X = G(z, y); each teacher trains on its shard against them, and votes
       for the direction in which it finds them more real (`models/teacher_ensemble.py`)
    3  the sum of the votes leaves once, with Gaussian noise (`privacy/votes.py`)
    4  the generator follows: Adam on |T - G(z, y)|^2, where the targets T go where the votes say
    5  a share buys how images scatter around the nearest query of their class (`models/class_variation.py`)
    6  a share bought a linear judge of classes (`models/image_judge.py`): images that it counts to another class are
       drawn again

Guarantee: the ledger composes the histogram, the judge's steps, the rounds and the scatter; nothing else reads the
rows. Shards, rounds, queries and noise are public (`planned_datalens.py`).

Defaults differ from the source where its signal drowns at small epsilon. At noise multiplier z a sum of N votes of norm
C has noise 2 C z in each of its numbers, whatever N; the signal is N C times how well teachers agree. So teachers start
from the same weights and hold few rows each (they agree, and N is large), vote on low frequencies only (less noise in
all), with plain clipped gradients (their sum is an average, not a majority), on queries that stay the same from round
to round (so that momentum averages the noise). `configs/experiment/datalens_*.yaml` hold the published settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.images import Images
from dpsynth.data.table import Table
from dpsynth.models.class_variation import Variation, offsets
from dpsynth.models.datalens_student import Lesson
from dpsynth.models.fitted_datalens import FittedDataLensImages, FittedDataLensTable, Student
from dpsynth.models.image_finish import Finish, tone_curves
from dpsynth.models.image_judge import ImageJudge
from dpsynth.models.planned_datalens import DataLensPlan, PlannedDataLens
from dpsynth.models.synthesizer import Run
from dpsynth.models.teacher_ensemble import TeacherEnsemble
from dpsynth.models.teacher_space import IMAGES_AT_ONCE, Space
from dpsynth.privacy.ledger import Ledger
from dpsynth.training import resolve_device, train
from dpsynth.training.averaging import ExponentialAverage

TONED = 400  # images of a class from which its tone curve is made


@dataclass(frozen=True)
class DataLens(PlannedDataLens):
    """The recipe, whose fields `configs/model/datalens.yaml` explains, and its run."""

    def _fit(
        self, rows: Table | Images, n: int, plan: DataLensPlan, ledger: Ledger, run: Run
    ) -> FittedDataLensTable | FittedDataLensImages:
        streams = run.streams
        space, values = self.space(rows.domain, plan.frequencies), None
        if isinstance(rows, Table):
            vectors, labels = space.table_rows(rows, self.bins)
        else:
            values, labels = space.pixels(rows)
            vectors = space.image_rows(values)
        histograms = plan.histograms.measure(values, labels, space.classes, ledger)
        judge = None
        if plan.judge is not None and values is not None:
            judge = ImageJudge(values.shape[1:], space.classes)
            units = (part.float() / 255 for part, _ in _blocks(values, labels))
            plan.judge.fit(judge, units, torch.from_numpy(labels), n, ledger)
        device, rule = resolve_device(run.settings.device), plan.votes
        people = rows.people if isinstance(rows, Table) else None
        shards = ledger.shards(rule.sharding, len(rows), people)
        seed = int(torch.randint(1 << 40, (1,), generator=streams.model("teachers")))
        ensemble = TeacherEnsemble(self.network(space), rule.teachers, self._schooling(seed, space.extent), device)
        data, classes = torch.from_numpy(vectors).to(device), torch.from_numpy(labels).to(device)

        def ask(turn: int, x: Tensor, y: Tensor) -> Tensor:
            """The released direction of a round: the only way from the rows to the student."""
            noisy = rule.measure(turn, ensemble.ask(turn, shards, data, classes, x, y, rule), ledger)
            return (rule.aggregated(noisy) / rule.unit).float().to(device)

        scatter = plan.scatter
        student = self._student(
            space, rule.queries, scatter is not None, streams.model("generator"), streams.model("codes")
        )
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
            more={"teachers": ensemble, "lesson": lesson, "ledger": ledger},
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
        variation = None
        if scatter is not None and values is not None:
            away, low = self._offsets(values, labels, student, rows.domain), self._low(rows.domain)
            variation = Variation.of(scatter.measure(away, ledger), low)
        finish = Finish(self.spread, self.deformation, variation)
        drawn = torch.arange(space.classes).repeat_interleave(TONED)
        generator = streams.model("tones")
        varied = finish.varied(student.draw(drawn, generator), drawn, generator)
        curves = tone_curves(varied, drawn, torch.from_numpy(histograms))
        return FittedDataLensImages(rows.domain, student, finish, curves, judge, self.tries)

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
            "architecture": self.generator, "latent": self.latent, "classes": space.classes, "width": self.width,
            "shape": list(space.shape), "heads": list(space.heads), "blend": 0.0 if scattered else self.blend,
        }  # fmt: skip
        count = 0 if self.fresh else queries
        drawn = torch.randn(count, self.latent, generator=codes)
        return Student.made(shape, drawn, torch.arange(count) % space.classes, weights)


def _blocks(values: NDArray[np.uint8], labels: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of images, as bytes, and their classes."""
    yield from zip(*(torch.from_numpy(array).split(IMAGES_AT_ONCE) for array in (values, labels)), strict=True)
