"""dpsynth encode, as a person would run it."""

import re
import sys
from pathlib import Path

import pytest

from dpsynth.commands import __main__ as entry
from dpsynth.marginals.counting.counting import count
from dpsynth.marginals.counting.encoded_files import EncodedFiles


@pytest.fixture
def encode(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("age,sex\n" + "31,Female\n47,Male\n" * 40)
    Path("b.csv").write_text("age,sex\n" + "31,Female\n470,Male\n" * 10)
    Path("s.yaml").write_text(
        "columns:\n  age: {kind: integer, bounds: [0, 99]}\n  sex: {kind: category, categories: [Female, Male]}\n"
    )

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["dpsynth", "encode", *arguments])
        code = 0
        try:
            entry.main()
        except SystemExit as end:
            code = end.code
        return code, *capfd.readouterr()

    return run


def test_several_files_become_one(encode):
    code, out, _ = encode("a.csv", "b.csv", "out.parquet", "schema=s.yaml", "bins=10")
    assert code == 0
    assert not re.search(r"\b(100|10)\b", out), "counts of rows are private"
    report = Path("out.parquet.txt").read_text()
    described = "column 'age': 10 of 100 values (10.0%) lie outside its domain and were moved to the nearest bound\n"
    assert report == described + "100 rows of 2 columns\n"
    again = ("schema=s.yaml", "bins=10", "overwrite=true", "private_console=true")
    assert encode("a.csv", "b.csv", "out.parquet", *again)[1].startswith(report)
    files = EncodedFiles.open("out.parquet")
    assert files.bins == 10
    assert count(files, files.sizes, [(1,)])[1,].tolist() == [50, 50]


def test_a_glob_is_expanded_and_nothing_is_overwritten_unasked(encode):
    assert encode("*.csv", "out.parquet", "schema=s.yaml")[0] == 0
    assert "exists already" in encode("a.csv", "out.parquet", "schema=s.yaml")[2]
    assert encode("a.csv", "out.parquet", "schema=s.yaml", "overwrite=true")[0] == 0
    assert len(EncodedFiles.open("out.parquet")) == 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.csv", "schema=s.yaml"), "the file to write"),
        (("a.csv", "out.parquet"), "schema=FILE"),
        (("a.csv", "out.parquet", "schema=s.yaml", "bin=3"), "unknown option bin"),
        (("a.csv", "out.parquet", "schema=s.yaml", "bins=many"), "whole number"),
        (("a.csv", "out.parquet", "schema=s.yaml", "overwrite=1"), "true or false"),
        (("a.csv", "out.parquet", "schema=s.yaml", "private_console=1"), "true or false"),
        (("a.csv", "out.parquet", "schema=s.yaml", "invalid=drop"), "clamp, missing, error"),
        (("a.csv", "out.csv", "schema=s.yaml"), ".parquet"),
        (("nowhere.csv", "out.parquet", "schema=s.yaml"), "nowhere.csv"),
    ],
)
def test_mistakes_are_one_line(encode, arguments, message):
    code, _, err = encode(*arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err
    assert not Path("out.parquet").exists()


def test_help(encode):
    assert "schema=FILE" in encode("--help")[1]


def test_a_method_over_marginals_fits_to_encoded_files_and_needs_no_raw_row(encode, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encode("a.csv", "out.parquet", "schema=s.yaml")
    monkeypatch.chdir(tmp_path / "work")
    for raw in ("a.csv", "b.csv"):
        (tmp_path / raw).unlink()
    files = f"data.path={tmp_path}/out.parquet"
    quiet = ("trainer.progress=quiet", "run=r", "privacy.epsilon=8")
    assert command("train", "model=mst", "data=encoded", files, *quiet).code == 0
    synthetic = (tmp_path / "work" / "r" / "release" / "synthetic.csv").read_text().splitlines()
    assert synthetic[0] == "age,sex"
    assert 40 < len(synthetic) < 120
    assert "encoded" in command("evaluate", "run=r").mistake
    assert "columns" in command("train", "model=mst", "data=encoded", files, "columns=[age]").mistake
    refused = command("train", "data=encoded", files, "run=r2").mistake
    assert (
        "learns from a table, not from encoded files; "
        "these do: model=aim | auto | independent | mst | napsu | privbayes" in refused
    )
    dask = ("model=mst", "model.counting.engine=dask", "data=encoded", files, "run=r3")
    assert "dask" in command("train", *dask).mistake
