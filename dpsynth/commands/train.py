"""train.py: from a table to a released model and synthetic rows, under a stated guarantee."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from dpsynth.commands import kept_options
from dpsynth.commands.budget_table import print_plan, print_statement
from dpsynth.commands.declaration import declared_domain, intake_of, rows_of_person, rows_to_fit, told_of
from dpsynth.commands.judgement import write_text
from dpsynth.commands.launch import launch
from dpsynth.commands.options import TrainOptions, resolved, typed
from dpsynth.commands.run_folder import RunFolder
from dpsynth.data.selection import Selection
from dpsynth.errors import ConfigError
from dpsynth.marginals.encoded_files import EncodedFiles
from dpsynth.models import artifact
from dpsynth.models.machine_limits import refuse_beyond_memory
from dpsynth.privacy.processes import joined, leading, shared_key, together
from dpsynth.privacy.random import Streams, fresh_key, seeded_key
from dpsynth.training import Checkpoint, listen


def main() -> None:
    launch("train", train)


@joined()
def train(config: DictConfig) -> None:
    begun = time.monotonic()
    console = Console(quiet=not leading())  # of the processes that torchrun may have started, one speaks

    # What is asked for, from public facts alone.
    wanted = Path(config.run or "outputs/" + "-".join(chosen()[group] for group in ("model", "data")))
    run = None
    if config.resume:
        if together():
            raise ConfigError("resume=true: a run of several processes keeps no checkpoint; start it anew")
        run = RunFolder.to_resume(wanted)
        kept = resumed(config, run)
    else:
        kept = resolved(config)
        kept_options.refuse_interpolation(kept)
    options = typed(TrainOptions, kept)
    recipe = options.recipe()
    neighbours = options.privacy.neighbours
    budget = options.privacy.budget(rows_of_person(options.data, neighbours))
    domain = declared_domain(options.data, options.columns, neighbours)
    plan = recipe.plan(domain, budget, options.privacy.shares())
    print_plan(plan, domain, console)
    if options.privacy.dry_run:
        return
    refuse_beyond_memory(plan, options.trainer)

    # The data are opened, and a folder is claimed for what comes of them.
    key = run.kept_key() if run else fresh_key() if options.privacy.noise == "secure" else seeded_key(options.seed)
    selection = Selection(shared_key(key), budget.neighbours)
    files: list[str] = []
    rows = rows_to_fit(options.data, options.columns, domain, selection, files.append)
    if isinstance(rows, EncodedFiles):
        rows.verify()  # a refusal that depends on private rows comes before any budget is spent
    report = intake_of(rows)
    if options.trainer.private_console:
        console.print(*files, *told_of(report), sep="\n", markup=False, highlight=False, soft_wrap=True)
    if budget.neighbours == "replace_one":  # then the number of rows is public, and the plan counts on it
        plan = recipe.plan_for(rows, budget, options.privacy.shares())
    streams = Streams(options.seed, options.privacy.noise)  # type: ignore[arg-type]
    if not leading():  # helps to fit, and writes nothing
        recipe.fit(rows, plan, streams, settings=options.trainer)
        return
    if run is None:
        run = RunFolder.claim(wanted, options.overwrite)
        if run.path != wanted:
            console.print(f"{wanted} holds another run, so this one goes to {run.path}", markup=False, highlight=False)
        kept_options.write(run, kept, chosen())
        run.keep_key(selection.key)
    write_text(run.private / "intake.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    (run.private / "data.txt").write_text("".join(f"{line}\n" for line in files), encoding="utf-8")

    checkpoint = Checkpoint(run.checkpoint)
    with resumable(run, checkpoint):
        # The model is fitted; only privacy mechanisms look at the data.
        trainer = options.trainer
        progress = listen(trainer.progress, run.private, trainer.tensorboard, trainer.private_console)
        fitted = recipe.fit(rows, plan, streams, progress, None if together() else checkpoint, trainer)

        # Everything that may be handed out appears at once.
        synthetic = fitted.sample(options.n, seed=options.seed)
        with artifact.written_aside(run.release) as folder:
            artifact.write(fitted, folder)
            synthetic.write(folder / f"synthetic{synthetic.suffix}")
    checkpoint.delete()

    print_statement(fitted.statement, console)
    console.print(
        f"{len(synthetic)} synthetic {synthetic.unit}, the model and the statement may be handed out: {run.release}\n"
        f"Private are settings, training curves and the description of the data: {run.private}\n"
        f"Took {time.monotonic() - begun:.0f} s. Judge it with: evaluate.py run={run.path}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def chosen() -> dict[str, str]:
    """The names chosen from the groups of configs/, for example {"model": "maf", "data": "adult"}."""
    choices = HydraConfig.get().runtime.choices
    return {group: choices[group] for group in ("model", "data")}


@contextmanager
def resumable(run: RunFolder, checkpoint: Checkpoint) -> Iterator[None]:
    """Say how to go on after Ctrl-C; remove a run that failed before its training was worth keeping."""
    try:
        yield
    except KeyboardInterrupt as stop:
        done = str(stop) or "interrupted"
        raise KeyboardInterrupt(f"{done}; go on with: train.py run={run.path} resume=true") from None
    except Exception:
        if not checkpoint.trained:
            run.abandon()
        raise


def resumed(config: DictConfig, run: RunFolder) -> dict[str, Any]:
    """The options the run was started with.  How it is run (`trainer`) may change; what it is may not."""
    kept = kept_options.read(run)
    names = kept.pop("chosen")
    given = resolved(config)
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
    return kept


def _at(options: Any, key: str) -> Any:
    """The option called `key`, such as privacy.epsilon; None where there is none."""
    for part in key.split("."):
        options = options.get(part) if isinstance(options, dict) else None
    return options


if __name__ == "__main__":
    main()
