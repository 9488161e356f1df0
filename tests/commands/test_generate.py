from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

import dpsynth


def test_rows_follow_from_seed_and_number(command, finished):
    for name, seed in (("a.csv", 1), ("b.csv", 1), ("c.csv", 2)):
        outcome = command("generate", "run=mine", "n=20", f"seed={seed}", f"out={name}")
        assert outcome.out == f"20 synthetic rows: {name}\n"
    a, b, c = (pd.read_csv(name) for name in ("a.csv", "b.csv", "c.csv"))
    assert a.equals(b)
    assert not a.equals(c)


def test_the_release_alone_is_enough(command, finished, tmp_path):
    (finished / "release").rename(tmp_path / "handed-out")
    assert command("generate", f"run={tmp_path / 'handed-out'}", "n=3", "out=a.parquet").code == 0
    assert len(pd.read_parquet("a.parquet")) == 3


def test_conditions_hold(command, finished):
    command("generate", "run=mine", "n=20", "where={color: red}", "out=red.csv")
    assert set(pd.read_csv("red.csv")["color"]) == {"red"}


def test_without_a_name_the_next_free_one_in_the_release_is_taken(command, finished):
    for number in (2, 3):
        assert f"synthetic-{number}.csv" in command("generate", "run=mine", "n=3").out
    assert len(pd.read_csv(finished / "release" / "synthetic.csv")) == 300


def test_files_are_overwritten_only_when_asked(command, finished):
    assert command("generate", "run=mine", "n=3", "out=a.csv").code == 0
    assert "exists already" in command("generate", "run=mine", "n=4", "out=a.csv").mistake
    assert len(pd.read_csv("a.csv")) == 3
    assert command("generate", "run=mine", "n=4", "out=a.csv", "overwrite=true").code == 0
    assert len(pd.read_csv("a.csv")) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "run is missing"),
        (("run=nowhere",), "nowhere: no such folder"),
        (("run=mine", "out=a.xlsx"), "write FILE.csv or FILE.parquet"),
        (("run=mine", "n=-1"), "n=-1: the number of rows"),
        (("run=mine", "n=many"), "n=many: must be a whole number or null"),
        (("run=mine", "where={colour: red}"), "where: no column 'colour'"),
        (("run=mine", "where={color: pink}"), "where: 'pink' is outside the domain"),
        (("run=mine", "where=red"), "where=red: must be a mapping"),
        (("run=mine", "rows=3"), "unknown option rows"),
        (("run=mine", "where={"), "where={: not valid YAML"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(command, finished, options, message):
    before = sorted(finished.rglob("*"))
    assert message in command("generate", *options).mistake
    assert sorted(finished.rglob("*")) == before


def test_the_model_is_the_same_for_python_and_the_command_line(command, finished):
    command("generate", "run=mine", "n=9", "seed=5", "out=a.parquet")
    frame = dpsynth.load(finished).sample(9, seed=5).frame
    assert frame["color"].tolist() == pd.read_parquet("a.parquet")["color"].tolist()


def test_images_in_the_format_of_the_datalens_project(command, pictured):
    assert command("generate", "run=pictured", "n=57", "seed=3", "out=plain.npz").code == 0
    for form, out in (("datalens", "new"), ("datalens_pickle", "old")):
        outcome = command("generate", "run=pictured", "n=57", "seed=3", f"out={out}", f"format={form}")
        assert outcome.out == f"57 synthetic images: {out}\n"
    rows = np.concatenate([np.load(f"new/data-{i}.npz", allow_pickle=False)["data"] for i in range(10)])
    assert rows.shape == (57, 8 * 8 + 10)
    assert rows.dtype == np.float32
    with np.load("plain.npz", allow_pickle=False) as plain:
        assert np.abs(rows[:, :64].reshape(57, 8, 8) - plain["images"] / 255).max() < 1e-6
        assert np.array_equal(rows[:, 64:].argmax(axis=1), plain["labels"])
    assert (rows[:, 64:].sum(axis=1) == 1).all()
    again = np.concatenate([joblib.load(f"old/eps-8.00.data-{i}.pkl") for i in range(10)])
    assert np.array_equal(again, rows)
    assert len(list(Path("new").iterdir())) == len(list(Path("old").iterdir())) == 10


def test_images_in_the_format_of_private_evolution(command, pictured):
    assert command("generate", "run=pictured", "n=57", "seed=3", "out=plain.npz").code == 0
    assert command("generate", "run=pictured", "n=57", "seed=3", "out=samples.npz", "format=pe").code == 0
    with np.load("plain.npz", allow_pickle=False) as plain, np.load("samples.npz", allow_pickle=False) as old:
        assert old["samples"].shape == (50, 8, 8, 3)
        for k, name in enumerate(plain["classes"]):
            block = slice(5 * k, 5 * k + 5)
            assert set(old["additional_info"][block]) == {name}
            expected = plain["images"][plain["labels"] == k][:5, :, :, None].repeat(3, axis=3)
            assert np.array_equal(old["samples"][block], expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("run=pictured", "out=a", "format=tar"), "format=tar: choose datalens or datalens_pickle or pe"),
        (("run=pictured", "format=datalens"), "name a folder with out=FOLDER"),
        (("run=pictured", "out=a.npz", "format=datalens"), "name a folder with out=FOLDER"),
        (("run=mine", "out=a", "format=datalens"), "is for images"),
        (("run=pictured", "out=a", "format=pe"), "name it with out=FILE.npz"),
    ],
)
def test_mistakes_with_the_format_are_one_line(command, finished, pictured, options, message):
    assert message in command("generate", *options).mistake


@pytest.mark.parametrize("name", ["run", "release"])
def test_the_home_folder_is_expanded_everywhere(command, tmp_path, monkeypatch, name):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    csv = "age\n" + "30\n40\n" * 30
    (tmp_path / "home" / "a.csv").write_text(csv)
    (tmp_path / "home" / "s.yaml").write_text("columns:\n  age: {kind: integer, bounds: [0, 100]}\n")
    data = ("data=csv", "data.path='~/a.csv'", "data.schema='~/s.yaml'", "data.holdout='~/a.csv'")
    assert command("train", *data, "run='~/mine'", "trainer.progress=quiet", "n=30").code == 0
    run = "~/mine" if name == "run" else "~/mine/release"
    assert command("generate", f"run='{run}'", "n=5").code == 0
    assert command("generate", f"run='{run}'", "n=5", "out='~/b.csv'").code == 0
    quick = ("metrics=quick", "figures=none", "progress=quiet")
    assert command("evaluate", f"run='{run}'", "synthetic='~/b.csv'", "out='~/scores'", *quick).code == 0
    files = ("real='~/a.csv'", "synthetic=['~/b.csv']", "schema='~/s.yaml'", "out='~/scores2'")
    assert command("evaluate", *files, *quick).code == 0
    assert command("evaluate", "runs='~/mine*'", "out='~/table'", *quick).code == 0
    assert not list((tmp_path / "work").iterdir())
    names = {path.name for path in (tmp_path / "home").glob("[!.]*")}
    assert names == {"a.csv", "s.yaml", "mine", "b.csv", "scores", "scores2", "table"}
    assert (tmp_path / "home" / "mine" / "release" / "synthetic-2.csv").exists()


def test_a_spreadsheet_takes_no_cell_for_a_formula(command):
    Path("a.csv").write_text("=name,n\n" + "=1+1,-3\n@x,4\n-5,1\n+a,2\nplain,0\n" * 20)
    Path("s.yaml").write_text(
        "columns:\n  '=name': {kind: category, categories: ['=1+1', '@x', '-5', '+a', plain]}\n"
        "  n: {kind: integer, bounds: [-3, 4]}\n"
    )
    data = ("data=csv", "data.path=a.csv", "data.schema=s.yaml", "data.holdout=0", "trainer.progress=quiet")
    assert command("train", *data, "run=mine", "privacy.epsilon=10").code == 0
    assert command("generate", "run=mine", "n=300", "seed=1", "out=plain.csv").code == 0
    assert command("generate", "run=mine", "n=300", "seed=1", "out=safe.csv", "out_escape=true").code == 0
    plain, safe = (pd.read_csv(name, dtype=str) for name in ("plain.csv", "safe.csv"))
    assert set(plain["=name"]) == {"=1+1", "@x", "-5", "+a", "plain"}
    assert set(safe["'=name"]) == {"'=1+1", "'@x", "-5", "'+a", "plain"}
    assert plain["n"].equals(safe["n"]), "numbers are left as they are"
    assert "out=FILE.csv" in command("generate", "run=mine", "out=a.parquet", "out_escape=true").mistake
    assert "out=FILE.csv" in command("generate", "run=mine", "out_escape=true").mistake


def test_rows_beyond_the_disk_or_memory_are_refused_with_the_figure(command, finished):
    for out in ((), ("out=a.csv",), ("out=a.parquet",)):
        assert "GiB, and" in command("generate", "run=mine", f"n={10**12}", *out).mistake
    assert not Path("a.csv").exists()


def test_images_beyond_memory_are_refused_with_the_figure(command, pictured):
    assert "GiB of memory" in command("generate", "run=pictured", f"n={10**12}").mistake


def test_many_rows_come_in_blocks_and_are_the_same(command, finished, monkeypatch):
    command("generate", "run=mine", "n=120", "seed=1", "out=one.csv")
    monkeypatch.setattr("dpsynth.models.contract.fitted_table.MOST_ROWS", 50)
    monkeypatch.setattr("dpsynth.models.contract.fitted_table.FEWEST_ROWS", 50)
    for name in ("a.csv", "b.csv", "a.parquet"):
        assert command("generate", "run=mine", "n=120", "seed=1", f"out={name}").out == f"120 synthetic rows: {name}\n"
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
    assert len(pd.read_csv("a.csv")) == len(pd.read_parquet("a.parquet")) == 120
    assert pd.read_csv("a.csv").head(50).equals(pd.read_csv("one.csv").head(50)) or len(pd.read_csv("one.csv")) == 120
