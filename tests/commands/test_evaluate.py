import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

QUICK = ("metrics=quick", "metrics.pairs=3", "metrics.triples=2")


def test_a_run_is_scored_against_the_data_it_names(command, finished):
    before = {path: path.read_bytes() for path in (finished / "release").iterdir()}
    outcome = command("evaluate", "run=mine", *QUICK)
    assert outcome.code == 0, outcome.err
    assert "tv_2way" in outcome.out
    assert "Guarantee: (1, 1e-05)-differential privacy" in outcome.out
    scores = json.loads((finished / "private" / "scores.json").read_text())
    assert "tv_1way" in [score["name"] for score in scores["scores"]]
    assert scores["settings"]["pairs"] == 3
    assert "<html" in (finished / "private" / "report.html").read_text()
    assert any((finished / "private" / "figures").iterdir())
    assert {path: path.read_bytes() for path in (finished / "release").iterdir()} == before  # B25


def test_any_tables_can_be_compared(command, finished):
    schema = json.loads((finished / "release" / "model.json").read_text())["domain"]
    Path("schema.yaml").write_text(yaml.safe_dump(schema))
    command("generate", "run=mine", "n=100", "out=a.csv")
    command("generate", "run=mine", "n=100", "out=b.csv")
    given = ("real=a.csv", "synthetic=b.csv", "schema=schema.yaml", "out=scores")
    outcome = command("evaluate", *given, *QUICK)
    assert outcome.code == 0, outcome.err
    assert "nothing is guaranteed" in outcome.out
    with_holdout = command("evaluate", *given, "holdout=a.csv", *QUICK)
    assert with_holdout.code == 0
    assert json.loads(Path("scores/scores.json").read_text())["real"] == "a.csv"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "real= is missing"),
        (("real=a.csv", "synthetic=a.csv"), "schema= is missing"),
        (("run=nowhere",), "no such folder"),
        (("run=mine", "real=a.csv"), "a run brings its own"),
        (("run=mine", "metrics.bins=0"), "metrics.bins"),
        (("run=mine", "metrics=best"), "metrics/best: no such choice; there are full, quick"),
        (("run=mine", "synthetic=nowhere.csv"), "nowhere.csv"),
    ],
)
def test_mistakes_are_one_line(command, finished, options, message):
    assert message in command("evaluate", *options).mistake
    assert sorted(path.name for path in (finished / "private").iterdir()) == ["config.yaml"]


def test_a_release_without_its_private_folder_needs_the_tables_named(command, finished, tmp_path):
    (finished / "release").rename(tmp_path / "handed-out")
    assert "real data are not known" in command("evaluate", f"run={tmp_path / 'handed-out'}").mistake


def test_a_damaged_synthetic_table_is_named(command, finished):
    frame = pd.read_csv(finished / "release" / "synthetic.csv").drop(columns="color")
    frame.to_csv(finished / "release" / "synthetic.csv", index=False)
    assert "color" in command("evaluate", "run=mine").mistake
