"""evaluate.py runs='outputs/*': several runs side by side, in a terminal, three table formats and a picture.

Runs without scores of these settings are evaluated first; scores.json of the others is used again.
"""

import glob
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.measure import Measurement

from dpsynth.data.table.tabular_files import write_text, write_whole
from dpsynth.errors import ArtifactError, ConfigError, DpsynthError
from dpsynth.evaluation.evaluation import Evaluator
from dpsynth.evaluation.inputs import digests_of, facts_of, inputs_of_run
from dpsynth.evaluation.score_file import NAME as SCORES
from dpsynth.evaluation.score_file import ScoreFile, basis_of
from dpsynth.figures import tradeoff
from dpsynth.figures.style import render
from dpsynth.report.run_table import RunScores, RunTable, csv_text, latex, long_form, markdown, records_text, rich_table
from dpsynth.runs import kept_options
from dpsynth.runs.options import EvaluateOptions
from dpsynth.runs.run_folder import RunFolder, run_being_read

TABLES: dict[str, Callable[[RunTable], str]] = {".csv": csv_text, ".md": markdown, ".tex": latex}


@dataclass(frozen=True)
class Evaluated:
    """A run with its scores, and the options it was started with."""

    folder: Path
    kept: Mapping[str, Any]
    statement: Mapping[str, Any]
    scores: ScoreFile


def compare_runs(options: EvaluateOptions, evaluator: Evaluator, console: Console) -> None:
    """Compare the runs that `options.runs` names and write the tables into `options.out`."""
    for name in ("run", "real", "holdout", "synthetic", "schema"):
        if getattr(options, name) is not None:
            raise ConfigError(f"{name}: not together with runs=, which compares finished runs on their own data")
    if evaluator.figures == "diagnostics":
        raise ConfigError("figures=diagnostics: draws the pictures of one run; give run= instead of runs=")
    out = Path(options.out or "outputs/comparison")
    single = TABLES.get(out.suffix)  # out=table.tex asks for one file
    if single is None and out.exists() and not out.is_dir():
        raise ConfigError(f"out={out}: is a file; name a folder, or a file that ends with {' or '.join(TABLES)}")
    if single is not None and out.is_dir():
        raise ConfigError(f"out={out}: is a folder; name a file, or a folder without such an ending")
    assert options.runs is not None, "called for runs"

    folders = run_folders(options.runs)
    announce(folders, evaluator, console)
    found: list[Evaluated] = []
    for folder in folders:
        try:
            with run_being_read(folder):
                found.append(evaluated(folder, evaluator))
        except (DpsynthError, OSError) as error:
            print(f"left out: {' '.join(str(error).split())}", file=sys.stderr)
    if not found:
        raise ConfigError(f"runs={_shown(options.runs)}: none of these runs could be evaluated")

    runs = as_runs(found)
    table = RunTable(runs)
    if single is not None:
        write_text(out, single(table))
    else:
        for suffix, written in TABLES.items():
            write_text(out / f"comparison{suffix}", written(table))
        write_text(out / "scores.csv", records_text(long_form(runs)))
        draw_tradeoff(table, out)
    shown = rich_table(table)
    needed = Measurement.get(console, console.options.update(max_width=10_000), shown).maximum
    Console(width=max(console.width, needed)).print(shown)  # a line broken by the terminal is read better than cells
    for remark in table.remarks:
        console.print(remark, highlight=False, soft_wrap=True)
    console.print(f"{len(runs)} runs, keep private: {out}", highlight=False, soft_wrap=True)


def draw_tradeoff(table: RunTable, out: Path) -> None:
    """Write tradeoff.png and .svg, the scores of the table over epsilon; nothing when no run names an epsilon."""
    frame = pd.DataFrame(long_form(table.runs))
    frame = frame.loc[frame["score"].isin(table.names).to_numpy()]
    with suppress(ValueError):  # no row with an epsilon and a value
        picture = tradeoff(frame)
        for form in ("png", "svg"):
            content = render(picture, form)
            write_whole(out / f"tradeoff.{form}", lambda temporary, content=content: temporary.write_bytes(content))


def run_folders(wanted: str | Sequence[str]) -> list[Path]:
    """The folders of finished runs that patterns name; unfinished ones are named, other files passed over."""
    patterns = [wanted] if isinstance(wanted, str) else list(wanted)
    paths = sorted({Path(path) for pattern in patterns for path in glob.glob(pattern, recursive=True)})
    runs = [RunFolder(path) for path in paths]
    for run in runs:
        if run.unfinished:
            print(f"left out: {run.path} is not finished", file=sys.stderr)
    finished = [run.path for run in runs if (run.release / "model.json").is_file()]
    if not finished:
        raise ArtifactError(f"runs={_shown(wanted)}: no finished run there; name folders as in runs='outputs/*'")
    return finished


def announce(folders: Sequence[Path], evaluator: Evaluator, console: Console) -> None:
    """Say how many runs have to be evaluated first, before any of them is."""
    missing: list[Path] = []
    otherwise = 0
    for folder in folders:
        run = RunFolder(folder)
        with suppress(DpsynthError, OSError):  # reported when it is that run's turn
            if ScoreFile.read(run.private, basis_of(evaluator.settings, digests_of(run.release))) is None:
                missing.append(folder)
                otherwise += (run.private / SCORES).is_file()
    if missing:
        text = f"{len(missing)} of {len(folders)} runs are evaluated first, one after the other"
        if otherwise:
            text += (
                f"; {otherwise} of them {'has' if otherwise == 1 else 'have'} scores of other settings or files: "
                "say metrics= as it was said then to use those"
            )
        console.print(text, highlight=False, soft_wrap=True)


def evaluated(folder: Path, evaluator: Evaluator) -> Evaluated:
    """The run with scores of these settings: those in its private/ if they still hold, else new ones."""
    run = RunFolder(folder)
    kept = kept_options.read(run)
    scores = ScoreFile.read(run.private, basis_of(evaluator.settings, digests_of(run.release)))
    if scores is None:
        scores = evaluator.evaluate(inputs_of_run(EvaluateOptions(run=str(folder))))
    try:
        statement = json.loads((run.release / "privacy.json").read_text(encoding="utf-8"))
    except ValueError:
        raise ArtifactError(f"{run.release / 'privacy.json'}: not readable; copy the run again") from None
    return Evaluated(folder, kept, statement, scores)


def as_runs(found: Sequence[Evaluated]) -> list[RunScores]:
    """The runs as lines of a table; data sets that were opened in different ways have different names."""
    labels = data_labels([{**each.kept["data"], "columns": each.kept.get("columns")} for each in found])
    folders = [each.folder for each in found]
    unique = len({folder.name for folder in folders}) == len(folders)
    return [
        RunScores(
            facts_of(each.kept, each.statement)
            | {"run": each.folder.name if unique else str(each.folder), "data": label},
            each.scores.scores,
            each.statement.get("private") is True,
        )
        for each, label in zip(found, labels, strict=True)
    ]


def data_labels(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """A name for each data configuration: that of the source or file, and what sets it apart from its namesakes."""
    names = [_stem(config) for config in configs]
    labels: list[str] = []
    for name, config in zip(names, configs, strict=True):
        namesakes = [other for label, other in zip(names, configs, strict=True) if label == name]
        keys = dict.fromkeys(key for other in namesakes for key in other)
        apart = [key for key in keys if len({json.dumps(other.get(key), default=str) for other in namesakes}) > 1]
        labels.append(name + (f" ({', '.join(f'{key}={config.get(key)}' for key in apart)})" if apart else ""))
    return labels


def _stem(config: Mapping[str, Any]) -> str:
    name, path = str(config.get("name")), config.get("path")
    return Path(path).stem if name in ("csv", "parquet") and isinstance(path, str) else name


def _shown(wanted: str | Sequence[str]) -> str:
    return wanted if isinstance(wanted, str) else f"[{','.join(wanted)}]"
