"""One evaluation from tables to files: scores.json, report.html and figures, and what the terminal shows.

How far an evaluation is: a bar on a terminal, a line now and then elsewhere, on stderr.

No remaining time is guessed: scores that fit models come first and take a hundred times as long as the last ones.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dpsynth.data.database.database import Database
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.data.table.tabular_files import write_text
from dpsynth.errors import ConfigError, DpsynthError
from dpsynth.evaluation.inputs import EvaluationInputs
from dpsynth.evaluation.pictures import KINDS as FIGURES
from dpsynth.evaluation.pictures import Picture, pictures
from dpsynth.evaluation.score_file import ScoreFile, basis_of
from dpsynth.evaluation.suite import Settings, evaluate, evaluate_database, evaluate_images
from dpsynth.metrics.framework.comparison import Report
from dpsynth.metrics.framework.metric import Score
from dpsynth.metrics.image.classifiers import LOGISTIC_ROWS
from dpsynth.metrics.table.membership import NOT_PRIVACY
from dpsynth.metrics.table.validity import with_files, with_real
from dpsynth.privacy.accounting.accounting import StatedCharge, prove
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.report import Page, absences, scores_table, verdict

KINDS = ("auto", "bar", "lines", "quiet")
SECONDS = 10.0  # between two lines


@contextmanager
def following(title: str, kind: str = "auto") -> Iterator[Report]:
    """A function to report (done, in all, what was last done) to.

    kind: one of `KINDS`; `auto` draws a bar on a terminal and prints plain lines elsewhere.
    """
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else "lines"
    if kind == "bar":
        with _bar() as bar:
            task = bar.add_task(title, total=None, last="")
            yield lambda done, total, last: bar.update(task, completed=done, total=total, last=last)
    elif kind == "lines":
        yield _Lines(title)
    else:
        yield lambda done, total, last: None


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[last]}"),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


class _Lines:
    """One plain line every `SECONDS` seconds, and none for what takes less."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun = self._said = time.monotonic()

    def __call__(self, done: int, total: int, last: str) -> None:
        now = time.monotonic()
        if now - self._said < SECONDS:
            return
        self._said = now
        print(
            f"{self._title}: {done} of {total} done in {now - self._begun:.0f} s, {last}", file=sys.stderr, flush=True
        )


# -------------------- Evaluation ------------------------------------------------------------


@dataclass(frozen=True)
class Evaluator:
    """How candidates are evaluated.

    figures   "all" scores and pictures, "diagnostics" pictures alone, "none" scores alone
    progress  what the terminal shows: auto, bar, lines or quiet

    Raises ConfigError for other words.
    """

    settings: Settings
    figures: str = "all"
    progress: str = "auto"

    def __post_init__(self) -> None:
        for name, kinds in (("figures", FIGURES), ("progress", KINDS)):
            if getattr(self, name) not in kinds:
                raise ConfigError(f"{name}={getattr(self, name)}: choose one of {', '.join(kinds)}")

    def evaluate(self, inputs: EvaluationInputs) -> ScoreFile:
        """Compute everything, then write scores.json, figures/ and report.html into the candidate's folder.

        With figures="diagnostics" only figures/ is written, and the scores are empty.
        """
        names = " ".join(str(inputs.names.get(key) or "") for key in ("model", "data")).strip() or "synthetic table"
        with following(f"Evaluating {names}", self.progress) as report:
            shown, scores = self._scores(inputs, report)
            result = ScoreFile(tuple(scores), basis_of(self.settings, inputs.digests), inputs.names)
            drawn: list[Picture] = []
            if self.figures != "none":
                drawn = list(pictures(inputs, shown, result.scores))
            page = self._page(inputs, result, drawn, len(shown))
            text = page.html() if result.scores else ""

        # Everything is there; now it is written.
        for picture in drawn:
            picture.write(inputs.out / "figures")
        if result.scores:
            result.write(inputs.out)
            write_text(inputs.out / "report.html", text)
        return result

    def _scores(self, inputs: EvaluationInputs, report: Report) -> tuple[pd.DataFrame | Images | Database, list[Score]]:
        """The draw that is shown, and all scores; none for figures="diagnostics".

        The draws: what the files hold, and more from the model for the interval of every score.
        """
        settings, wanted = self.settings, self.figures != "diagnostics"
        train, holdout = inputs.train, inputs.holdout
        if isinstance(train, Images):
            # only classifiers look at more images than the distances do
            rows = None if settings.trainings > 1 else max(settings.image_rows, LOGISTIC_ROWS)
            draws = inputs.images(settings.costly_draws if wanted else 1, rows, settings.seed)
            assert holdout is None or isinstance(holdout, Images), "of one kind with train"
            return draws[0], evaluate_images(train, holdout, draws, settings, report) if wanted else []
        if isinstance(train, Database):
            databases = inputs.databases(settings.draws if wanted else 1, settings.seed)
            assert holdout is None or isinstance(holdout, Database), "of one kind with train"
            scores = evaluate_database(train, holdout, databases, settings, report) if wanted else []
            return databases[0], scores
        tables = inputs.tables(settings.draws if wanted else 1, settings.seed)
        if not wanted:
            return tables[0], []
        assert holdout is None or isinstance(holdout, Table), "of one kind with train"
        assert isinstance(inputs.domain, Domain), "of one kind with train"
        unseen = None if holdout is None else holdout.frame
        scores = evaluate(train.frame, unseen, tables, inputs.domain, settings, report)
        if any(score.name == "validity" for score in scores):
            raw = [frame for frame in inputs.raw if isinstance(frame, pd.DataFrame)]
            scores = with_files(scores, [*raw, *tables[len(raw) :]], inputs.domain)
            assert isinstance(inputs.real, Table), "of one kind with train"
            kept = ~inputs.real.broken & inputs.domain.satisfied(inputs.real.frame)
            scores = with_real(scores, float(kept.mean()))
        return tables[0], scores

    def _page(self, inputs: EvaluationInputs, result: ScoreFile, drawn: list[Picture], rows: int) -> Page:
        holdout = inputs.holdout
        seen = f"{len(holdout):,}, held out" if holdout is not None else f"{len(inputs.train):,}, none of them held out"
        unit = inputs.train.unit
        facts = {key: value for key, value in inputs.names.items() if value is not None}
        return Page(
            scores=result.scores,
            statement=inputs.statement,
            figures={picture.caption: picture.png for picture in drawn},
            facts={**facts, f"synthetic {unit}": f"{rows:,}", f"real {unit}": seen},
            alone=epsilon_alone(inputs.statement or {}),
            settings=asdict(self.settings),
            domain=inputs.domain if isinstance(inputs.domain, Domain) else None,
            remarks=(NOT_PRIVACY,),
        )


def epsilon_alone(statement: Mapping[str, Any]) -> dict[str, float]:
    """Name of each charge of a privacy statement -> epsilon that it would cost alone, at the statement's delta.

    Empty for a statement that promises nothing, or one that this version cannot read.
    """
    if statement.get("private") is not True:
        return {}
    try:
        budget = Budget.from_dict({**statement["target"], **statement})
        charges = [StatedCharge.from_dict(charge) for charge in statement["charges"]]
        return {charge.name: prove([charge], budget).epsilon for charge in charges}
    except (DpsynthError, KeyError, TypeError, ValueError):
        return {}


def show(result: ScoreFile, inputs: EvaluationInputs, console: Console, begun: float) -> None:
    """What a person reads in the terminal."""
    for name, part in inputs.sampled.items():
        console.print(f"{name}: {part}", markup=False, highlight=False, soft_wrap=True)
    if result.scores:
        console.print(scores_table(result.scores, f"Synthetic against real {inputs.train.unit}"))
        evaluated = verdict(result.scores, inputs.statement)
        for sentence in (
            *absences(result.scores),
            evaluated.headline,
            *evaluated.sentences,
            f"Guarantee: {evaluated.guarantee}",
        ):
            console.print(sentence, highlight=False, soft_wrap=True)
    where = inputs.out / ("report.html" if result.scores else "figures")
    what = "Report" if result.scores else "Pictures"
    took = f"({time.monotonic() - begun:.0f} s)"
    console.print(f"{what}, keep private: {where} {took}", highlight=False, soft_wrap=True)
