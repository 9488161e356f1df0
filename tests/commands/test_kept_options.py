"""private/config.yaml of a run folder that somebody else wrote: read as data, or refused in one line."""

import os
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.errors import ArtifactError
from dpsynth.runs import kept_options
from dpsynth.runs.command_line import with_lists
from dpsynth.runs.run_folder import RunFolder

CHOSEN = {"model": "maf", "data": "csv"}


def folder(path: Path, text: str) -> RunFolder:
    run = RunFolder(path)
    run.private.mkdir(parents=True, exist_ok=True)
    run.config.write_text(text)
    return run


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text().filter(lambda x: "${" not in x),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.text().filter(lambda x: "${" not in x), each, max_size=3)
    ),
    max_leaves=12,
)


REQUIRED = {"model": {}, "data": {}, "privacy": {"epsilon": 1.0, "delta": 1e-5}, "trainer": {}}


@given(data=st.dictionaries(st.text(max_size=5).filter(lambda x: "${" not in x), PLAIN, max_size=4))
def test_options_come_back_as_they_were(data, tmp_path_factory):
    run = folder(tmp_path_factory.mktemp("run"), "")
    options = {**REQUIRED, "model": data}
    kept_options.write(run, options, CHOSEN)
    assert kept_options.read(run) == {**options, "chosen": CHOSEN}


GOOD = yaml.safe_dump({**REQUIRED, "seed": 0, "chosen": CHOSEN})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks the names"),
        ("[]", "lacks the names"),
        ("seed: 0", "lacks the names"),
        ("chosen: maf", "lacks the names"),
        ("chosen: {model: [], data: x}", "lacks the names"),
        ("a: [", "not readable"),
        (yaml.safe_dump({"chosen": CHOSEN}), "model is missing"),
        (GOOD + "seeed: 1\n", "unknown option seeed"),
        (GOOD.replace("seed: 0", "seed: x"), "seed=x"),
        (GOOD.replace("trainer: {}", "trainer: []"), "trainer"),
        (GOOD + "a: &x [1]\nb: *x\n", "an alias"),
        (GOOD + "a: !!python/object/apply:os.system [true]\n", "the tag"),
        (GOOD + "a: !!binary aGk=\n", "the tag"),
        (GOOD + "? [1, 2]\n: 3\n", "not readable"),
        (GOOD + "1: 3\n", "key 1 is not text"),
        (GOOD + "a: " + "[" * 5000 + "]" * 5000, "levels deep"),
        (GOOD + "a: " + "x" * 2_000_000, "larger than any options"),
        (GOOD + "a: {b: ['${oc.env:HOME}']}\n", "contains ${"),
        (GOOD + "'${oc.env:HOME}': 1\na: '${seed}'\n", "contains ${"),
    ],
)
def test_what_train_never_wrote_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(ArtifactError) as error:
        kept_options.read(folder(tmp_path, text))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text(tmp_path):
    run = folder(tmp_path, "")
    run.config.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtifactError, match="not readable"):
        kept_options.read(run)


@pytest.fixture
def unfinished(command, finished):
    """A run folder whose options name foreign code; `change` edits them."""
    (finished / "release").rename(finished.parent / "elsewhere")

    def change(edit):
        kept = yaml.safe_load((finished / "private" / "config.yaml").read_text())
        edit(kept)
        (finished / "private" / "config.yaml").write_text(yaml.safe_dump(kept))

    return change


@pytest.mark.parametrize(
    "model",
    [
        {"_target_": "os.system", "command": "touch pwned"},
        {"_target_": "shutil.copyfile", "src": "/etc/hostname", "dst": "pwned"},
        {"_target_": "joblib.load", "filename": "bad.pkl"},
        {"_target_": "distutils.spawn.spawn", "cmd": ["touch", "pwned"]},
        {"_target_": "dpsynth.models.example.Example", "bins": {"_target_": "os.system", "command": "touch pwned"}},
        {"_target_": "dpsynth.models.contract.fitted.os.system", "command": "touch pwned"},
        {"_target_": "dpsynth.models.example.Example", "_args_": ["touch pwned"]},
        {"_target_": "evil.Model"},
    ],
)
def test_resuming_runs_no_code_that_the_folder_names(command, unfinished, monkeypatch, model):
    Path("evil.py").write_text("from pathlib import Path\nPath('pwned').touch()\n")
    monkeypatch.syspath_prepend(os.getcwd())
    unfinished(lambda kept: kept.update(model=model))
    mistake = command("train", "run=mine", "resume=true").mistake
    assert mistake.startswith("model")
    assert not Path("pwned").exists()
    assert "evil" not in sys.modules


def test_no_secret_of_the_environment_is_read(command, unfinished, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter-two")
    unfinished(lambda kept: kept["data"].update(distribution="${oc.env:SECRET}"))
    for name in ("train", "evaluate"):
        if name == "evaluate":
            Path("elsewhere").rename("mine/release")
        outcome = command(name, "run=mine", *(["resume=true"] if name == "train" else []))
        assert "contains ${" in outcome.mistake
        assert "hunter" not in outcome.out + outcome.err


def test_an_option_that_could_not_be_read_again_is_refused_before_the_data_are_opened(command, monkeypatch):
    outcome = command("train", "data=toy", "data.distribution='\\${seed}'")
    assert "data.distribution" in outcome.mistake
    assert not Path("outputs").exists()


@pytest.mark.parametrize("place", [("columns",), ("data", "classes"), ("data", "ignore"), ("data", "path")])
def test_no_file_is_named_by_kept_options(tmp_path, place):
    """What resolves @FILE is for the one who types it; a run folder of somebody else must not open a file so."""
    content = {"model": {}, "data": {"name": "toy"}, "privacy": {"epsilon": 1.0, "delta": 1e-5}, "trainer": {}}
    content["chosen"] = {"model": "maf", "data": "toy"}
    run = RunFolder(tmp_path)
    run.private.mkdir()
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    for value, refused in (("@/etc/passwd", True), ("name", False), (["@a", "b"], False)):
        inner[place[-1]] = value
        run.config.write_text(yaml.safe_dump(content))
        if refused:
            with pytest.raises(ArtifactError, match=rf"{'.'.join(place)} names a file by @"):
                kept_options.read(run)
        else:
            kept_options.read(run)


def test_lists_in_files_are_kept_as_lists(command):
    Path("some.yaml").write_text("[age, color]")
    words = ("data=toy", "data.rows=300", "privacy.epsilon=8", "trainer.progress=quiet")
    probe = command("train", *words, "columns=@none.yaml", "run=mine")
    assert "cannot be read" in probe.mistake
    assert with_lists({"columns": "@some.yaml", "data": {"ignore": "a"}}) == {
        "columns": ["age", "color"],
        "data": {"ignore": ["a"]},
    }
