"""One evaluation from tables to files: scores.json, report.html and figures, and what the terminal shows."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from dpsynth.commands.candidate import Candidate
from dpsynth.commands.pictures import KINDS as FIGURES
from dpsynth.commands.pictures import Picture, pictures
from dpsynth.commands.score_file import ScoreFile, basis_of
from dpsynth.commands.score_progress import KINDS as PROGRESS
from dpsynth.commands.score_progress import following
from dpsynth.data.domain import Domain
from dpsynth.data.images import Images
from dpsynth.data.table import Table
from dpsynth.data.tabular_files import write_whole
from dpsynth.errors import ConfigError, DpsynthError
from dpsynth.metrics.comparison import Report
from dpsynth.metrics.copying import NOT_PRIVACY
from dpsynth.metrics.images import LOGISTIC_ROWS
from dpsynth.metrics.score import Score
from dpsynth.metrics.suite import Settings, evaluate, evaluate_images
from dpsynth.metrics.validity import with_files, with_real
from dpsynth.privacy.accounting import StatedCharge, prove
from dpsynth.privacy.budget import Budget
from dpsynth.report import Page, absences, scores_table, verdict


@dataclass(frozen=True)
class Judge:
    """How candidates are judged.

    figures   "all" scores and pictures, "diagnostics" pictures alone, "none" scores alone
    progress  how the terminal is told: auto, bar, lines or quiet

    Raises ConfigError for other words.
    """

    settings: Settings
    figures: str = "all"
    progress: str = "auto"

    def __post_init__(self) -> None:
        for name, kinds in (("figures", FIGURES), ("progress", PROGRESS)):
            if getattr(self, name) not in kinds:
                raise ConfigError(f"{name}={getattr(self, name)}: choose one of {', '.join(kinds)}")

    def judge(self, candidate: Candidate) -> ScoreFile:
        """Compute everything, then write scores.json, figures/ and report.html into the candidate's folder.

        With figures="diagnostics" only figures/ is written, and the scores are empty.
        """
        names = " ".join(str(candidate.names.get(key) or "") for key in ("model", "data")).strip() or "synthetic table"
        with following(f"Judging {names}", self.progress) as report:
            shown, scores = self._scores(candidate, report)
            result = ScoreFile(tuple(scores), basis_of(self.settings, candidate.digests), candidate.names)
            drawn: list[Picture] = []
            if self.figures != "none":
                drawn = list(pictures(candidate, shown, result.scores))
            page = self._page(candidate, result, drawn, len(shown))
            text = page.html() if result.scores else ""

        # Everything is there; now it is written.
        for picture in drawn:
            picture.write(candidate.out / "figures")
        if result.scores:
            result.write(candidate.out)
            write_text(candidate.out / "report.html", text)
        return result

    def _scores(self, candidate: Candidate, report: Report) -> tuple[pd.DataFrame | Images, list[Score]]:
        """The draw that is shown, and all scores; none for figures="diagnostics".

        The draws: what the files hold, and more from the model for the interval of every score.
        """
        settings, wanted = self.settings, self.figures != "diagnostics"
        train, holdout = candidate.train, candidate.holdout
        if isinstance(train, Images):
            # only classifiers look at more images than the distances do
            rows = None if settings.trainings > 1 else max(settings.image_rows, LOGISTIC_ROWS)
            draws = candidate.images(settings.costly_draws if wanted else 1, rows, settings.seed)
            assert not isinstance(holdout, Table), "of one kind with train"
            return draws[0], evaluate_images(train, holdout, draws, settings, report) if wanted else []
        tables = candidate.tables(settings.draws if wanted else 1, settings.seed)
        if not wanted:
            return tables[0], []
        assert not isinstance(holdout, Images), "of one kind with train"
        assert isinstance(candidate.domain, Domain), "of one kind with train"
        unseen = None if holdout is None else holdout.frame
        scores = evaluate(train.frame, unseen, tables, candidate.domain, settings, report)
        if any(score.name == "validity" for score in scores):
            raw = [frame for frame in candidate.raw if isinstance(frame, pd.DataFrame)]
            scores = with_files(scores, [*raw, *tables[len(raw) :]], candidate.domain)
            assert isinstance(candidate.real, Table), "of one kind with train"
            kept = ~candidate.real.broken & candidate.domain.satisfied(candidate.real.frame)
            scores = with_real(scores, float(kept.mean()))
        return tables[0], scores

    def _page(self, candidate: Candidate, result: ScoreFile, drawn: list[Picture], rows: int) -> Page:
        holdout = candidate.holdout
        seen = (
            f"{len(holdout):,}, held out" if holdout is not None else f"{len(candidate.train):,}, none of them held out"
        )
        unit = candidate.train.unit
        facts = {key: value for key, value in candidate.names.items() if value is not None}
        return Page(
            scores=result.scores,
            statement=candidate.statement,
            figures={picture.caption: picture.png for picture in drawn},
            facts={**facts, f"synthetic {unit}": f"{rows:,}", f"real {unit}": seen},
            alone=epsilon_alone(candidate.statement or {}),
            settings=asdict(self.settings),
            domain=candidate.domain if isinstance(candidate.domain, Domain) else None,
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


def show(result: ScoreFile, candidate: Candidate, console: Console, begun: float) -> None:
    """What a person reads in the terminal."""
    if result.scores:
        console.print(scores_table(result.scores, f"Synthetic against real {candidate.train.unit}"))
        judged = verdict(result.scores, candidate.statement)
        for sentence in (
            *absences(result.scores),
            judged.headline,
            *judged.sentences,
            f"Guarantee: {judged.guarantee}",
        ):
            console.print(sentence, highlight=False, soft_wrap=True)
    where = candidate.out / ("report.html" if result.scores else "figures")
    what = "Report" if result.scores else "Pictures"
    took = f"({time.monotonic() - begun:.0f} s)"
    console.print(f"{what}, not to be handed out: {where} {took}", highlight=False, soft_wrap=True)


def write_text(path: Path, text: str) -> Path:
    """A text file, whole or not at all."""
    return write_whole(path, lambda aside: aside.write_text(text, encoding="utf-8"))
