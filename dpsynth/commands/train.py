"""train.py: from a table to a released model and synthetic rows, under a stated guarantee."""

import datetime as dt
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.console import Console
from rich.text import Text

from dpsynth.commands.launch import MISTAKES, launch, one_line
from dpsynth.commands.plan_tables import print_advice, print_plan, print_statement, print_warnings
from dpsynth.data.columns import NumericColumn
from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.selection import Selection
from dpsynth.data.sources import SOURCES
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.data.table.tabular_files import write_text
from dpsynth.errors import ArtifactError, BudgetError, ConfigError
from dpsynth.marginals.counting.encoded_files import EncodedFiles
from dpsynth.models.contract import fitted as artifact
from dpsynth.models.contract.fitted import Fitted
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.models.contract.machine_limits import refuse_beyond_memory
from dpsynth.models.contract.option_types import check_types
from dpsynth.models.contract.synthesizer import SynthesisPlan, Synthesizer
from dpsynth.models.database.fitted import FittedDatabase
from dpsynth.models.database.recipe import recipe_for
from dpsynth.privacy.accounted_run import AccountedRun
from dpsynth.privacy.accounting.account import Account
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.distributed import joined, leading, shared_key, together
from dpsynth.privacy.noise.random import RandomGenerators, fresh_key, seeded_key
from dpsynth.release.facts import Facts
from dpsynth.release.folder import write_release
from dpsynth.runs import kept_options
from dpsynth.runs.command_line import data_options, swept, with_lists
from dpsynth.runs.data_options import chosen_columns, declared_domain, intake_of, rows_of_person, rows_to_fit, stated_of
from dpsynth.runs.options import TrainOptions, resolved, typed
from dpsynth.runs.run_folder import RunFolder
from dpsynth.runs.streamed_data import encoded_to_fit, streams
from dpsynth.training import Checkpoint, Stopped, listen

LOOKED_AT = 1000  # synthetic rows in which a column that is constant is looked for


def main() -> None:
    launch("train", train)


@joined()
def train(config: DictConfig) -> None:
    begun = time.monotonic()
    console = Console(quiet=not leading())  # of the processes that torchrun may have started, one speaks
    with ExitStack() as open_ones:
        # What is asked for, from public facts alone.
        run, lock, kept, names = None, None, with_lists(resolved(config)), chosen()
        if config.resume:
            if together():
                raise ConfigError("resume=true: a run of several processes keeps no checkpoint; start it anew")
            run, lock = RunFolder.to_resume(folder_of(kept, names))
            open_ones.callback(lock.release)
            kept, names = resumed(kept, run)
        kept_options.refuse_interpolation(kept)
        options = typed(TrainOptions, kept)
        wanted = folder_of(kept, names)
        replacing = options.overwrite and leading() and run is None and RunFolder.to_overwrite(wanted)
        data = data_options(options.data)
        columns = chosen_columns(options.columns, data)
        recipe, domain, budget, plan = planned(options, data, columns)
        print_plan(plan, domain, console)
        if options.privacy.dry_run:
            print_advice(domain, budget, console)
        print_warnings(domain, budget, console, None, names["model"])
        account = account_of(options, wanted)
        if account is not None:  # what the file holds is public, so a refusal is too
            account.check(plan, Checkpoint(run.checkpoint).fingerprint() if run else None)
        if options.privacy.dry_run:
            return
        refuse_beyond_memory(plan, options.trainer)
        expected = wanted
        if run is None and leading():
            expected = RunFolder.first_free(wanted)
            if expected != wanted:
                then = "until it can replace that" if replacing else "instead"
                text = f"{wanted} is taken; this run goes to {expected} {then}"
                console.print(text, markup=False, highlight=False, soft_wrap=True)

        # The data are opened, and a folder is claimed for what comes of them.
        key = run.kept_key() if run else fresh_key() if options.privacy.noise == "secure" else seeded_key(options.seed)
        selection = Selection(shared_key(key), budget.neighbours)
        files: list[str] = []
        if isinstance(domain, Domain) and streams(recipe, data, domain):
            scratch = tempfile.TemporaryDirectory(prefix="rows-", dir=os.environ.get("DPSYNTH_SCRATCH"))
            folder = Path(open_ones.enter_context(scratch))
            rows, report = encoded_to_fit(data, domain, selection, folder, files.append)
        else:
            rows = rows_to_fit(data, columns, domain, selection, files.append)
            report = intake_of(rows)
        if isinstance(rows, EncodedFiles):
            rows.verify()  # a refusal that depends on private rows comes before any budget is spent
        if options.trainer.private_console:
            console.print(*files, *stated_of(report), sep="\n", markup=False, highlight=False, soft_wrap=True)
        if budget.neighbours == "replace_one":  # then the number of rows is public, and the plan counts on it
            plan = recipe.plan_for(rows, budget, options.privacy.fractions())
        randomness = RandomGenerators(options.seed, options.privacy.noise)  # type: ignore[arg-type]
        if not leading():  # helps to fit, and writes nothing
            recipe.fit(rows, plan, randomness, settings=options.trainer)  # the leader charges the account
            return
        if run is None or lock is None:

            def fill(new: RunFolder) -> None:
                kept_options.write(new, kept, names)
                new.keep_key(selection.key)
                write_text(new.private / "intake.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
                write_text(new.private / "data.txt", "".join(f"{line}\n" for line in files))

            run, lock = RunFolder.claim(wanted, fill)
            open_ones.callback(lock.release)
            if run.path != expected:
                text = f"{expected} was taken in the meantime; this run goes to {run.path}"
                console.print(text, markup=False, highlight=False, soft_wrap=True)

        checkpoint = Checkpoint(run.checkpoint)
        with resumable(run, checkpoint):
            # The model is fitted; only privacy mechanisms look at the data.
            trainer = options.trainer
            progress = listen(trainer.progress, run.private, trainer.tensorboard, trainer.private_console)
            fitted = recipe.fit(rows, plan, randomness, progress, None if together() else checkpoint, trainer, account)

            # Everything that is safe to share appears at once.
            with artifact.temporary_folder(run.release) as folder:
                n, unit = write_synthetic(fitted, options, folder)
        checkpoint.delete()
        if options.overwrite and run.path != wanted:
            run = run.replace(wanted, lock)

    print_statement(fitted.statement, console)
    print_warnings(fitted.domain, budget, console, fitted.statement["rows"], names["model"])
    for sentence in constant_numbers(fitted):
        console.print("[bold]Warning:[/]", Text(sentence), highlight=False, soft_wrap=True)
    shared = (
        "are safe to share" if fitted.statement["private"] else "are NOT PRIVATE, so keep them as the data themselves"
    )
    console.print(
        f"{n} synthetic {unit}, the model and the statement {shared}: {run.release}\n"
        f"Settings, training curves and the description of the data are private: {run.private}\n"
        f"Took {time.monotonic() - begun:.0f} s. Evaluate it with: evaluate.py run={run.path}\n"
        f"Before you publish it, name its steward: dpsynth describe {run.path} --title ... --steward ... --license ...",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def planned(
    options: TrainOptions, data: Mapping[str, Any], columns: Sequence[str] | None
) -> tuple[Synthesizer, Domain | ImageDomain | DatabaseDomain, Budget, SynthesisPlan]:
    """What the options ask for, from public facts alone. Raises `ConfigError` where they lead to no plan."""
    recipe = options.recipe()
    source = SOURCES.get(data["name"]) if isinstance(data.get("name"), str) else None
    if source is not None:
        check_types(source, {key: value for key, value in data.items() if key != "name"}, "data")
    neighbours = options.privacy.neighbours
    budget = options.privacy.budget(rows_of_person(data, neighbours))
    domain = declared_domain(data, columns, neighbours)
    if options.out_format == "duckdb" and not isinstance(domain, DatabaseDomain):
        raise ConfigError("out_format=duckdb: is for databases; choose csv or parquet")
    recipe = recipe_for(recipe, domain)
    try:
        return recipe, domain, budget, recipe.plan(domain, budget, options.privacy.fractions())
    except ArithmeticError as error:
        raise ConfigError(f"model: its options lead to numbers that no computer holds ({error})") from error


def write_synthetic(fitted: Fitted, options: TrainOptions, folder: Path) -> tuple[int, str]:
    """Write a release with its rows, a block at a time; their number, and what they are."""
    n, facts = fitted.checked_rows(options.n, options.seed), Facts(date=dt.date.today().isoformat())
    if isinstance(fitted, FittedTable):
        write_release(fitted, lambda path: fitted.write(path, n, options.seed), folder, facts, f".{options.out_format}")
        return n, Table.unit
    if isinstance(fitted, FittedDatabase):
        persons, form = fitted.sample(n, options.seed), options.out_format
        write_release(fitted, lambda path: persons.write(path, form), folder, facts, Database.suffix)
        return n, Database.unit
    images = fitted.sample(n, options.seed)
    write_release(fitted, images.write, folder, facts, images.suffix)
    return n, images.unit


def constant_numbers(fitted: Fitted) -> list[str]:
    """A warning for each column of numbers that has a single value in rows drawn from the model, which is public."""
    if not isinstance(fitted, FittedTable):
        return []
    drawn, found = fitted.sample(LOOKED_AT, seed=0).frame, []
    for column in fitted.domain:
        values = drawn[column.name].dropna().unique()
        if isinstance(column, NumericColumn) and len(values) == 1:
            found.append(
                f"column '{column.name}' is {values[0]} in all of {LOOKED_AT:,} rows drawn. If the data are not so, "
                "their values lie too close together for the declared bounds: declare narrower ones, or scale: log"
            )
    return found


def account_of(options: TrainOptions, wanted: Path) -> AccountedRun | None:
    """The account that the run is charged to, under the names of the method and the run's folder."""
    if options.privacy.account is None:
        return None
    if options.privacy.noise != "secure":
        raise ConfigError("privacy.account counts private runs: leave it out, or set privacy.noise=secure")
    method = str(options.model["_target_"]).rpartition(".")[2]
    return AccountedRun(Account(Path(options.privacy.account)), f"{method}, {wanted.name}")


def folder_of(options: Mapping[str, Any], names: Mapping[str, str]) -> Path:
    """The folder that the options name, or one named after model and data, and in a sweep by what varies in it."""
    run, hydra = options.get("run"), HydraConfig.get()
    name = f"outputs/{names['model']}-{names['data']}" if run is None else str(run)  # a folder may be called 7
    if hydra.mode == RunMode.MULTIRUN:
        name = name.rstrip("/") + swept(hydra.overrides.task, hydra.job.config.override_dirname.exclude_keys)
    return Path(name)


def chosen() -> dict[str, str]:
    """The names chosen from the groups of configs/, for example {"model": "maf", "data": "adult"}."""
    choices = HydraConfig.get().runtime.choices
    return {group: choices[group] for group in ("model", "data")}


@contextmanager
def resumable(run: RunFolder, checkpoint: Checkpoint) -> Iterator[None]:
    """Say how to go on after a stop or a failure; remove a run that failed before anything was released."""
    hint = f"go on with: train.py run={run.path} resume=true"
    try:
        yield
    except KeyboardInterrupt as stop:
        if together():
            run.abandon()
            raise
        done = str(stop) or "interrupted"
        raise Stopped(f"{done}; {hint}", getattr(stop, "number", signal.SIGINT)) from None
    except Exception as error:
        if not checkpoint.exists:
            run.abandon()
        elif isinstance(error, BudgetError):  # to go on would end the same way
            raise BudgetError(f"{one_line(error)}; this run is over, and what it released is spent") from error
        elif isinstance(error, MISTAKES):
            raise ArtifactError(f"{one_line(error)}; what was done is kept, {hint}") from error
        else:
            print(f"what was done is kept, {hint}", file=sys.stderr)
        raise


def resumed(given: Mapping[str, Any], run: RunFolder) -> tuple[dict[str, Any], dict[str, str]]:
    """The options the run was started with, and the names of model and data.

    How it is run (`trainer`) may change; what it is may not.
    """
    kept = kept_options.read(run)
    names = kept.pop("chosen")
    for override in HydraConfig.get().overrides.task:
        key = override.lstrip("+~").partition("=")[0].partition("@")[0]
        if key in ("run", "resume", "overwrite"):
            continue
        if key in names:
            same = names[key] == chosen()[key]
        elif key.split(".")[0] == "trainer":
            same = True
            kept["trainer"] = given["trainer"]
        else:
            same = _at(kept, key) == _at(given, key)
        if not same:
            raise ConfigError(f"{override}: the run in {run.path} was started otherwise; leave it out, or start anew")
    return kept, names


def _at(options: Any, key: str) -> Any:
    """The option called `key`, such as privacy.epsilon; None where there is none."""
    for part in key.split("."):
        options = options.get(part) if isinstance(options, dict) else None
    return options


if __name__ == "__main__":
    main()
