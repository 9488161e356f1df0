"""dpsynth/runs/streamed_data.py: files too large for memory are trained on block by block, with the same result."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dpsynth

SCHEMA = """
rows: 400
columns:
  age: {kind: integer, bounds: [0, 99]}
  floor: {kind: integer, bounds: [0, 20]}
  city: {kind: category, categories: [A, B, C], missing: true}
  pay: {kind: number, bounds: [0, 10], decimals: 1}
constraints: ["age >= floor"]
"""
WORDS = ("data=csv", "data.path=rows.csv", "data.schema=rows.yaml", "privacy.epsilon=3", "privacy.noise=seeded",
         "trainer.progress=quiet")  # fmt: skip


@pytest.fixture
def rows(command):
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": generator.integers(0, 120, 400),
            "floor": generator.integers(0, 21, 400),
            "city": generator.choice(["A", "B", ""], 400),
            "pay": generator.random(400).round(1) * 10,
        }
    )
    frame.to_csv("rows.csv", index=False)
    frame.to_parquet("rows.parquet")
    Path("rows.yaml").write_text(SCHEMA)


@pytest.fixture
def streamed(monkeypatch):
    """Every file counts as one that is too large to be held."""
    made = []

    def apply():
        import dpsynth.commands.train as train

        monkeypatch.setattr("dpsynth.runs.streamed_data.STREAMED", 0)
        original = train.encoded_to_fit
        monkeypatch.setattr(train, "encoded_to_fit", lambda *words: made.append(words[3]) or original(*words))
        return made

    return apply


@pytest.mark.parametrize("model", ["independent", "mst", "privbayes", "aim"])
def test_the_release_is_the_one_of_rows_in_memory(command, rows, streamed, model):
    words = (*WORDS, f"model={model}", "data.holdout=0.2", "data.n_train=200")
    assert command("train", *words, "run=held").code == 0
    folders = streamed()
    outcome = command("train", *words, "run=streamed")
    assert outcome.code == 0, outcome.err
    assert len(folders) == 1
    assert not folders[0].exists(), "private rows are removed"
    for name in ("synthetic.csv", "model.safetensors"):
        assert Path("held/release", name).read_bytes() == Path("streamed/release", name).read_bytes()
    assert dpsynth.load("held").statement == dpsynth.load("streamed").statement
    assert Path("held/private/intake.json").read_text() == Path("streamed/private/intake.json").read_text()
    assert json.loads(Path("held/private/intake.json").read_text())["rows"] > 100
    assert Path("held/private/data.txt").read_text() == Path("streamed/private/data.txt").read_text()


@pytest.mark.parametrize("words", [("data=parquet", "data.path=rows.parquet"), ("columns=[city, age]",),
                                   ("privacy.neighbours=replace_one",), ("data.holdout=0",)])  # fmt: skip
def test_other_options_make_no_difference(command, rows, streamed, words):
    words = (*(word for word in WORDS if not any(word.split("=")[0] == each.split("=")[0] for each in words)), *words)
    assert command("train", *words, "model=independent", "run=held").code == 0
    folders = streamed()
    assert command("train", *words, "model=independent", "run=streamed").code == 0
    assert len(folders) == 1
    assert Path("held/release/synthetic.csv").read_bytes() == Path("streamed/release/synthetic.csv").read_bytes()


def test_what_cannot_stream_is_held(command, rows, streamed):
    folders = streamed()
    Path("open.yaml").write_text(SCHEMA.replace("bounds: [0, 99]", "bounds: private"))
    frame = pd.read_csv("rows.csv").assign(who=range(400))
    frame.to_csv("people.csv", index=False)
    for words in (
        ("model=example",),
        ("model=independent", "data.schema=open.yaml"),
        ("model=independent", "data.path=people.csv", "data.person=who", "data.max_rows_per_person=1"),
    ):
        outcome = command("train", *WORDS, *words, "run=mine", "overwrite=true")
        assert outcome.code == 0, outcome.err
    assert folders == []


def test_a_refused_value_leaves_nothing(command, rows, streamed):
    folders = streamed()
    with Path("rows.csv").open("a") as file:
        file.write("old,3,A,1\n")
    assert "'old' (row 401)" in command("train", *WORDS, "model=mst", "run=mine").mistake
    assert not Path("mine").exists()
    assert not folders[0].exists()
    assert not [name for name in os.listdir() if name.startswith("rows-")]


def test_long_tables_are_evaluated_by_a_sample_and_it_is_said(command, rows, streamed, monkeypatch):
    """With room for all rows the scores are those of the tables in memory; with less, a part is taken."""
    words = (*WORDS, "model=independent", "data.holdout=0.2", "run=mine")
    assert command("train", *words).code == 0
    scored = ("evaluate", "run=mine", "metrics=quick", "figures=none", "progress=quiet")
    files = ("evaluate", "real=rows.csv", "synthetic=mine/release/synthetic.csv", "schema=rows.yaml", *scored[2:])

    def scores(*those):
        found = []
        for each, path in those:
            outcome = command(*each)
            assert outcome.code == 0, outcome.err
            found.append((outcome.out, json.loads(Path(path, "scores.json").read_text())))
        return found

    of_run, of_tables = (scored, "mine/private"), ((*files, "out=files"), "files")
    [(_, before)] = scores(of_run)
    streamed()
    [(out, after)] = scores(of_run)
    assert before["scores"] == after["scores"]
    assert "chosen at random" not in out
    monkeypatch.setattr("dpsynth.runs.streamed_data.MOST_ROWS", 50)
    (run, kept), (of_files, _) = scores(of_run, of_tables)
    assert "real rows: 50 of 3" in run
    assert "held-out rows: 50 of " in run
    assert "synthetic rows of synthetic.csv: 50 of 400, chosen at random" in run
    assert "real rows: 50 of 400, chosen at random" in of_files
    assert "chosen at random" in json.dumps(kept)
    assert "50 of 400, chosen at random" in Path("mine/private/report.html").read_text()
