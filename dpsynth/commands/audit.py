"""dpsynth audit: attack methods on data made up for it, and print what the attacks prove beside what is claimed.

    dpsynth audit model=mst data=toy privacy.epsilon=1
    dpsynth audit model=independent data=csv data.holdout=0.2      # starts at two files that differ in their first row
    dpsynth audit --all                                            # every method, and the mechanisms themselves

No data of anybody are opened. A claim that is refuted ends the command with exit code 1.
"""

import json
import logging
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from dpsynth.commands.audited_mechanisms import mechanism_findings
from dpsynth.commands.audited_methods import Auditor, from_files, recipe_for
from dpsynth.commands.config_files import config_folder
from dpsynth.commands.launch import launch
from dpsynth.data.database import DatabaseDomain
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.sources.toy import DISTRIBUTIONS
from dpsynth.data.table import tabular_files
from dpsynth.errors import ConfigError
from dpsynth.evaluation.evaluation import following
from dpsynth.privacy.audit import Finding, Workers
from dpsynth.privacy.distributed import leading
from dpsynth.runs.data_options import declared_domain
from dpsynth.runs.options import AuditOptions, typed
from dpsynth.runs.run_folder import free_name

IMAGES = ImageDomain(8, 8, classes=("dark", "bright"))  # of the audit of all methods
TABLES = "chain"  # the toy distribution whose domain the tables of that audit have
FILES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("independent", "csv", {}),
    ("independent", "csv", {"person": "person", "max_rows_per_person": 2}),
    ("merf", "image_folder", {}),
)  # what of that audit starts at files: model, data, options


def main() -> None:
    words = {"--all": "all=true", "model=all": "all=true"}
    sys.argv = [sys.argv[0], *(words.get(word, word) for word in sys.argv[1:])]
    launch("audit", run_audit)


def run_audit(config: DictConfig) -> None:
    begun, console = time.monotonic(), Console(quiet=not leading())
    options = typed(AuditOptions, config)
    if options.privacy.account is not None:
        raise ConfigError("privacy.account: an audit runs on made-up data and charges no account; leave it out")
    logging.disable(logging.WARNING)  # remarks on small settings, thousands of times
    findings: list[Finding] = []
    with Workers.started(options.processes) as workers, tempfile.TemporaryDirectory(prefix="dpsynth-audit-") as folder:
        auditor = Auditor(options, workers, partial(following, kind=options.progress))
        made = every_method(auditor, Path(folder)) if options.all else one_method(auditor, options, Path(folder))
        for finding in made:
            findings.append(finding)
            console.print(line(finding), highlight=False, soft_wrap=True)
    show(findings, console)
    name = "all" if options.all else "-".join(HydraConfig.get().runtime.choices[group] for group in ("model", "data"))
    path = Path(options.out) if options.out else free_name(Path(f"outputs/audit-{name}.json"))
    write(findings, path)
    console.print(f"Written to {path}. Took {time.monotonic() - begun:.0f} s.", highlight=False, soft_wrap=True)
    if any(finding.refuted for finding in findings):
        sys.exit(1)


def one_method(auditor: Auditor, options: AuditOptions, folder: Path) -> Iterator[Finding]:
    """The model of the options on the data of the options."""
    choices = HydraConfig.get().runtime.choices
    name, data = choices["model"], choices["data"]
    overrides = (word.lstrip("+~").partition("=")[0] for word in HydraConfig.get().overrides.task)
    chosen = frozenset(key.removeprefix("model.") for key in overrides if key.startswith("model."))
    modality = "image" if data == "image_folder" else "table"
    if options.data.get("name") in ("database", "database_toy"):
        raise ConfigError(
            f"data={data}: tables and images are attacked here, databases are not; dpsynth.testing.check_model replays "
            "a method on databases that differ in a person"
        )
    if not from_files(options.data):
        domain = declared_domain(options.data)
        assert not isinstance(domain, DatabaseDomain), "refused above"
        modality = "image" if isinstance(domain, ImageDomain) else "table"
        yield from auditor.in_memory(name, recipe_for(options.model, name, modality, options, chosen), domain, data)
    else:
        recipe = recipe_for(options.model, name, modality, options, chosen)
        yield from auditor.from_files(name, recipe, options.data, folder)


def every_method(auditor: Auditor, folder: Path) -> Iterator[Finding]:
    """The mechanisms, every method on tables and images, and the way from files."""
    options = auditor.options
    yield from mechanism_findings(auditor)
    for path in sorted((config_folder() / "model").glob("*.yaml")):
        model: Any = OmegaConf.to_container(OmegaConf.load(path))
        for modality, domain, words in (
            ("table", DISTRIBUTIONS[TABLES]().domain, "table"),
            ("image", IMAGES, "images"),
        ):
            recipe = recipe_for(model, path.stem, modality, options)
            if modality in recipe.modalities:
                yield from auditor.in_memory(path.stem, recipe, domain, words)
    for number, (name, data, changes) in enumerate(FILES):
        model = OmegaConf.to_container(OmegaConf.load(config_folder() / "model" / f"{name}.yaml"))
        content: Any = OmegaConf.to_container(OmegaConf.load(config_folder() / "data" / f"{data}.yaml"))
        own = folder / str(number)
        own.mkdir()
        modality = "image" if data == "image_folder" else "table"
        recipe = recipe_for(model, name, modality, options)
        yield from auditor.from_files(name, recipe, {**content, **changes}, own)


def line(finding: Finding) -> str:
    """A finding in a sentence."""
    verdict = "REFUTED" if finding.refuted else "not refuted"
    return (
        f"{finding.subject} on {finding.data}: claims epsilon {_short(finding.claimed_epsilon)}, an attacker who sees "
        f"{finding.sees} proves at least {_short(finding.audited_epsilon)} in {finding.runs:,} runs: {verdict}"
    )


def show(findings: list[Finding], console: Console) -> None:
    """All findings as one table."""
    title = f"Lower bounds at confidence {findings[0].confidence:g} each"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("method", "data", "attacker sees"):
        table.add_column(name)
    for name in ("epsilon", "audited", "mu", "audited", "runs"):
        table.add_column(name, justify="right", no_wrap=True)
    for f in findings:
        figures = (f.claimed_epsilon, f.audited_epsilon, f.claimed_mu, f.audited_mu)
        style = "bold red" if f.refuted else None
        table.add_row(f.subject, f.data, f.sees, *map(_short, figures), f"{f.runs:,}", style=style)
    console.print(table)


def write(findings: list[Finding], path: Path) -> None:
    """The findings as JSON."""
    text = json.dumps({"findings": [finding.to_dict() for finding in findings]}, indent=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    tabular_files.write_text(path, text + "\n")


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return "inf" if math.isinf(value) else f"{value:.3g}"


if __name__ == "__main__":
    main()
