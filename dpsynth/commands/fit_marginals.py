"""dpsynth fit-marginals FILE RUN: a synthetic table from noisy marginals that were measured elsewhere.

No private row is opened and no budget is spent, so none of the options of train apply.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from dpsynth.errors import ConfigError
from dpsynth.marginals.table_files import read_measured
from dpsynth.models.contract import fitted as artifact
from dpsynth.models.contract.fitted import load
from dpsynth.models.marginal.measured_elsewhere import fit_tables
from dpsynth.release.facts import Facts
from dpsynth.release.folder import write_release
from dpsynth.runs.run_folder import RunFolder


def fit_marginals(arguments: Sequence[str]) -> None:
    """Fit a model to the tables of a YAML file, or to those of a release, and write a release."""
    parser = argparse.ArgumentParser(
        prog="dpsynth fit-marginals",
        description="A synthetic table from noisy marginals measured elsewhere (SQL, OpenDP, Tumult, Beam), named in a "
        "YAML file with their noise and the statement of those who measured: see docs/release.md.",
    )
    parser.add_argument("file", metavar="FILE.yaml", help="schema, statement and tables")
    parser.add_argument("run", metavar="RUN", help="new folder; the release is written into RUN/release")
    parser.add_argument("--n", type=int, help="synthetic rows; by default what the tables count")
    parser.add_argument("--seed", type=int, default=0, help="of the rows")
    parser.add_argument("--iterations", type=int, default=1000, help="of the fit, at most")
    options = parser.parse_args(list(arguments))
    if options.iterations < 1:
        raise ConfigError(f"--iterations {options.iterations}: must be at least 1")
    run = RunFolder(Path(options.run).expanduser())
    if run.release.exists() or run.private.exists():
        raise ConfigError(f"{run.path}: holds a run already; choose another folder")
    domain, tables, statement = read_measured(options.file)
    fitted = fit_tables(tables, domain, statement, options.iterations)
    n = fitted.checked_rows(options.n, options.seed)
    facts = Facts(date=dt.date.today().isoformat())
    with artifact.temporary_folder(run.release) as folder:
        write_release(fitted, lambda path: fitted.write(path, n, options.seed), folder, facts, ".csv")
    load(run.release)
    print(f"{n} synthetic rows and the model: {run.release}\n{fitted.statement['guarantee']}")
