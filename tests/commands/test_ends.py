"""How commands end when they are told to, or killed: whole or absent, one line, and no key left behind."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

import dpsynth

TOY = ("data=toy", "data.rows=300", "trainer.progress=quiet", "privacy.epsilon=8")
FAST = ("model=independent", "model.counting.engine=numpy", *TOY)
SLOW = ("model=maf", "model.training.steps=100000", "model.hidden=8", "model.dp_sgd_fraction=0.5", *TOY)
# Waits at a place of the command until it is told to go on.
AT = """
import pathlib, time
import {module} as module
original = {place}
def waiting(*words, **options):
    pathlib.Path("there").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
    return original(*words, **options)
{place} = waiting
"""
PLACES = {
    "reading": ("dpsynth.commands.train", "module.rows_to_fit"),
    "fitting": ("dpsynth.models.marginal.independent", "module.Independent._fit"),
    "writing": ("dpsynth.models.contract.fitted", "module.write"),
}


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("place", "number"),
    [(place, signal.SIGTERM) for place in PLACES] + [("fitting", signal.SIGHUP), ("writing", signal.SIGHUP)],
)
def test_a_signal_ends_every_phase_with_one_line(start, place, number):
    module, name = PLACES[place]
    run = start("train", *FAST, "run=mine", before=AT.format(module=module, place=name))
    until(Path("there").exists)
    os.kill(run.process.pid, number)
    outcome = run.end()
    word = {signal.SIGTERM: "terminated", signal.SIGHUP: "the terminal was closed"}[number]
    hint = "; go on with: train.py run=mine resume=true" if place != "reading" else ""
    assert outcome.code == 128 + number
    assert outcome.err == f"stopped: {word}{hint}\n"
    if place == "reading":
        assert not Path("mine").exists()
    else:
        assert [path.name for path in Path("mine").iterdir()] == ["private"], "nothing half-written, no lock"


def test_training_is_saved_on_sighup_and_goes_on(start):
    run = start("train", *SLOW, "run=mine")
    until(lambda: Path("mine/private/checkpoint/generators.state").exists())
    time.sleep(1)
    os.kill(run.process.pid, signal.SIGHUP)
    outcome = run.end()
    assert outcome.code == 128 + signal.SIGHUP
    assert "go on with: train.py run=mine resume=true" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_kill_between_the_release_and_the_clean_up_leaves_no_key(start):
    hold = AT.format(module="dpsynth.commands.train", place="module.Checkpoint.delete")
    run = start("train", *FAST, "run=mine", before=hold)
    until(Path("there").exists)
    run.process.kill()
    run.process.join()
    key = Path("mine/private/checkpoint/generators.state")
    assert key.exists()
    outcome = start("generate", "run=mine", "n=5").end()
    assert (outcome.code, key.exists()) == (0, False)
    assert outcome.err.strip() == "removed mine/private/checkpoint, left behind by a run that was killed"


def check(folder: Path) -> None:
    """A run folder after a kill: its release is whole or absent, and the key lies in an unfinished run only."""
    if (folder / "release").exists():
        names = {path.name for path in (folder / "release").iterdir() if not path.name.startswith("synthetic-")}
        assert names == {"model.json", "model.safetensors", "privacy.json", "synthetic.csv"}
        assert dpsynth.load(folder).statement["private"]


@pytest.mark.slow
def test_a_hundred_kills_at_random_moments(start):
    """Train, generate and evaluate are killed; the next command finds everything whole, absent or to be resumed."""
    draw, kills = random.Random(0), 0
    commands = {
        "train": lambda: ("run=mine", "resume=true") if Path("mine").exists() else (*FAST, "run=mine"),
        "generate": lambda: ("run=mine", "n=1000"),
        "evaluate": lambda: ("run=mine", "metrics=quick", "figures=none", "progress=quiet"),
    }
    while kills < 100:
        finished = Path("mine/release").exists()
        name = draw.choice(["generate", "evaluate"]) if finished else "train"
        run = start(name, *commands[name]())
        run.process.join(draw.uniform(0.05, 1.5))
        if run.process.exitcode is None:
            run.process.kill()
            kills += 1
        run.process.join()
        check(Path("mine"))
        if finished and draw.random() < 0.1:
            assert start("generate", "run=mine", "n=3").end().code == 0
            left = [path for path in Path("mine").rglob("*") if path.name.startswith(".") or "checkpoint" in path.name]
            assert not left
            Path("mine").rename(f"done-{kills}")
