"""evaluate.py: how good are synthetic rows?  Judged against real rows, so everything it writes is private."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from dpsynth.commands.declaration import opened
from dpsynth.commands.launch import launch
from dpsynth.commands.options import EvaluateOptions, typed
from dpsynth.commands.run_folder import RunFolder
from dpsynth.data.domain import Domain
from dpsynth.data.table import Table
from dpsynth.errors import ArtifactError, ConfigError
from dpsynth.figures import histograms, save
from dpsynth.metrics.suite import Settings, evaluate
from dpsynth.models.artifact import find_release, load
from dpsynth.report import scores_table, verdict, write_report


@dataclass(frozen=True)
class Comparison:
    """What is compared: real rows a model was fitted to, real rows it never saw, and synthetic rows, in one
    domain.

    statement: of the run, None for a table made elsewhere.  out: the private folder for what is written.
    """

    train: Table
    holdout: Table | None
    synthetic: Table
    domain: Domain
    statement: Mapping[str, Any] | None
    out: Path
    names: Mapping[str, str]


def main() -> None:
    launch("evaluate", run_evaluation)


def run_evaluation(config: DictConfig) -> None:
    begun = time.monotonic()
    console = Console()
    options = typed(EvaluateOptions, config)
    settings = Settings.from_dict(options.metrics)
    compared = comparison_of_run(options) if options.run else comparison_of_files(options)

    # Without a holdout the training rows stand in for it, which a model that copies rows would profit from.
    holdout = compared.holdout or compared.train
    frames = (compared.train.frame, holdout.frame, compared.synthetic.frame)
    scores = evaluate(*frames, compared.domain, settings)
    picture = histograms(holdout.frame, compared.synthetic.frame, compared.domain)

    out = compared.out
    (out / "figures").mkdir(parents=True, exist_ok=True)
    record = {"settings": options.metrics, **compared.names, "scores": [score.to_dict() for score in scores]}
    (out / "scores.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
    save(picture, out / "figures" / "histograms")
    facts = {
        **compared.names,
        "synthetic rows": len(compared.synthetic),
        "real rows": f"{len(holdout)}, {'held out' if compared.holdout else 'which the model was fitted to'}",
    }
    caption = "Each column, real rows against synthetic ones"
    write_report(out / "report.html", scores, compared.statement, {caption: picture}, facts=facts)

    console.print(scores_table(scores))
    judged = verdict(scores, compared.statement)
    for sentence in (judged.headline, *judged.sentences, f"Guarantee: {judged.guarantee}"):
        console.print(sentence, highlight=False, soft_wrap=True)
    took = time.monotonic() - begun
    console.print(
        f"Report, not to be handed out: {out / 'report.html'} ({took:.0f} s)", highlight=False, soft_wrap=True
    )


def comparison_of_run(options: EvaluateOptions) -> Comparison:
    """A finished run against the data its private/config.yaml names."""
    for name in ("real", "holdout", "schema"):
        if getattr(options, name) is not None:
            raise ConfigError(f"{name}: a run brings its own; give either run= or real=, synthetic= and schema=")
    assert options.run is not None, "called for a run"
    release = find_release(options.run)
    run = RunFolder(release.parent)
    if not run.config.exists():
        raise ArtifactError(
            f"{run.config}: missing, so the real data are not known; "
            "use real=... synthetic=... schema=... to judge a release by itself"
        )
    fitted = load(release)
    kept = OmegaConf.load(run.config)
    source = opened(OmegaConf.to_container(kept.data), kept.columns)  # type: ignore[arg-type]
    return Comparison(
        train=source.train.redeclare(fitted.domain),
        holdout=source.holdout and source.holdout.redeclare(fitted.domain),
        synthetic=Table.read(options.synthetic or release / "synthetic.csv", fitted.domain),
        domain=fitted.domain,
        statement=fitted.statement,
        out=Path(options.out) if options.out else run.private,
        names={"run": str(run.path), **kept.chosen},
    )


def comparison_of_files(options: EvaluateOptions) -> Comparison:
    """A synthetic table made anywhere against real ones."""
    for name in ("real", "synthetic", "schema"):
        if getattr(options, name) is None:
            raise ConfigError(f"{name}= is missing; give run=FOLDER, or real=A.csv synthetic=C.csv schema=S.yaml")
    domain = Domain.from_yaml(str(options.schema))
    if domain.undeclared:
        names = ", ".join(column.name for column in domain.undeclared)
        raise ConfigError(f"schema={options.schema}: to compare tables, declare the bounds or categories of {names}")
    return Comparison(
        train=Table.read(str(options.real), domain),
        holdout=Table.read(options.holdout, domain) if options.holdout else None,
        synthetic=Table.read(str(options.synthetic), domain),
        domain=domain,
        statement=None,
        out=Path(options.out or "evaluation"),
        names={"real": str(options.real), "synthetic": str(options.synthetic)},
    )


if __name__ == "__main__":
    main()
