"""Two processes, really started, that meet in one folder: the loser touches nothing."""

import hashlib
import json
import time
from pathlib import Path

import pytest

import dpsynth
from dpsynth.marginals.counting.encoded_files import EncodedFiles

TOY = (
    "model=independent",
    "model.counting.engine=numpy",
    "data=toy",
    "data.rows=300",
    "trainer.progress=quiet",
    "privacy.epsilon=8",
)
# A fit that waits, once its folder is claimed, until a file called `go` is there.
WAITING = """
import pathlib, time
from dpsynth.models.marginal.independent import Independent
fit = Independent._fit
def waiting(*words):
    pathlib.Path("training").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
    return fit(*words)
Independent._fit = waiting
"""
BUSY = "another process is at work in this folder"


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def content(folder: Path) -> dict[str, str]:
    """Every file below `folder` with a checksum."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def live(start):
    """A run that has claimed its folder and is training until `go()`."""

    def begin(*words):
        Path("training").unlink(missing_ok=True)
        run = start("train", *TOY, "run=mine", *words, before=WAITING)
        until(Path("training").exists)
        return run

    return begin


@pytest.fixture
def killed(live):
    """A run that was killed in training, to be resumed."""
    run = live()
    run.process.kill()
    run.process.join()
    assert Path("mine/private/checkpoint/generators.state").exists()


def test_two_new_runs_take_two_folders(start):
    outcomes = [run.end() for run in [start("train", *TOY, "run=mine") for _ in range(2)]]
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes
    assert sorted(path.name for path in Path().iterdir()) == ["mine", "mine-2"]
    assert dpsynth.load("mine").domain == dpsynth.load("mine-2").domain


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("train", ("run=mine", "resume=true"), BUSY),
        ("train", (*TOY, "run=mine", "overwrite=true"), BUSY),
        ("generate", ("run=mine", "n=5"), BUSY),
        ("evaluate", ("run=mine",), BUSY),
    ],
)
def test_a_live_run_is_not_touched(start, live, name, words, message):
    run = live()
    before = content(Path("mine"))
    assert message in start(name, *words).end().mistake
    assert content(Path("mine")) == before
    Path("go").touch()
    assert run.end().code == 0


def test_of_two_that_resume_one_goes_on(start, killed):
    first = start("train", "run=mine", "resume=true", before=WAITING)
    Path("training").unlink()
    until(Path("training").exists)
    assert BUSY in start("train", "run=mine", "resume=true").end().mistake
    Path("go").touch()
    assert first.end().code == 0
    assert sorted(path.name for path in Path("mine").iterdir()) == ["private", "release"]
    assert not Path("mine/private/checkpoint").exists()


def test_three_that_generate_write_three_files(start, killed):
    Path("go").touch()
    assert start("train", "run=mine", "resume=true").end().code == 0
    outcomes = [each.end() for each in [start("generate", "run=mine", f"n={n}") for n in (5, 6, 7)]]
    assert [outcome.code for outcome in outcomes] == [0, 0, 0], outcomes
    rows = [len(path.read_text().splitlines()) - 1 for path in Path("mine/release").glob("synthetic-*.csv")]
    assert sorted(rows) == [5, 6, 7]
    assert sorted(path.name for path in Path("mine").iterdir()) == ["private", "release"]


def test_the_old_run_is_whole_and_readable_until_its_successor_is(start, live):
    assert start("train", *TOY, "run=mine", "n=11").end().code == 0
    before = content(Path("mine"))
    run = live("overwrite=true", "n=12")
    assert start("generate", "run=mine", "n=5", "out=more.csv").end().code == 0
    assert content(Path("mine")) == before
    Path("go").touch()
    assert run.end().code == 0
    assert len(Path("mine/release/synthetic.csv").read_text().splitlines()) == 1 + 12
    assert not Path("mine-2").exists()


def test_a_successor_that_is_killed_leaves_the_old_run_and_can_be_resumed(start, live):
    assert start("train", *TOY, "run=mine", "n=11").end().code == 0
    before = content(Path("mine"))
    run = live("overwrite=true", "n=12")
    run.process.kill()
    run.process.join()
    assert content(Path("mine")) == before
    Path("go").touch()
    assert start("train", "run=mine", "resume=true").end().code == 0
    assert len(Path("mine/release/synthetic.csv").read_text().splitlines()) == 1 + 12
    assert not Path("mine-2").exists()


def test_two_successors_replace_one_after_the_other(start):
    assert start("train", *TOY, "run=mine", "n=11").end().code == 0
    runs = [start("train", *TOY, "run=mine", f"n={n}", "overwrite=true") for n in (12, 13)]
    assert [run.end().code for run in runs] == [0, 0]
    assert len(Path("mine/release/synthetic.csv").read_text().splitlines()) - 1 in (12, 13)
    assert dpsynth.load("mine").statement["private"]
    assert [path.name for path in Path().iterdir() if path.is_dir()] == ["mine"]


EVALUATE = ("evaluate", "run=mine", "metrics=quick", "figures=none", "progress=quiet")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (EVALUATE, ("generate", "run=mine", "n=5")),
        (EVALUATE, EVALUATE),
        (("generate", "run=mine", "n=5", "out=more.csv"), ("generate", "run=mine", "n=5", "out=more.csv")),
    ],
)
def test_those_who_read_a_run_do_not_hinder_each_other(start, first, second):
    assert start("train", *TOY, "run=mine", "n=40").end().code == 0
    release = content(Path("mine/release"))
    outcomes = [each.end() for each in [start(*first), start(*second)]]
    assert any(outcome.code == 0 for outcome in outcomes), outcomes
    for outcome in outcomes:  # who comes second finds the file of the first, or has begun before it was there
        assert outcome.code == 0 or "exists already" in outcome.mistake
    after = content(Path("mine/release"))
    assert {name: after[name] for name in release} == release
    if "evaluate" in (first[0], second[0]):
        assert json.loads(Path("mine/private/scores.json").read_text())["scores"]
    assert not [path for path in Path().rglob("*") if path.name.endswith(".part") or path.name.startswith(".")]


def test_two_that_encode_into_one_file_leave_a_whole_one(start):
    rows = "".join(f"{k % 10},{'AB'[k % 2]}\n" for k in range(500))
    for name in ("a", "b"):
        Path(f"{name}.csv").write_text("number,letter\n" + rows * (2 if name == "b" else 1))
    Path("rows.yaml").write_text(
        "columns:\n  number: {kind: integer, bounds: [0, 9]}\n  letter: {kind: category, categories: [A, B]}\n"
    )
    words = ("out.parquet", "schema=rows.yaml", "overwrite=true")
    outcomes = [each.end() for each in [start("__main__", "encode", f"{name}.csv", *words) for name in ("a", "b")]]
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes
    files = EncodedFiles.open("out.parquet")
    files.verify()
    assert len(files) in (500, 1000)
    assert not list(Path().glob(".*"))
