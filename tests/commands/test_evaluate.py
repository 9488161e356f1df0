import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

QUICK = (
    "metrics=quick",
    "metrics.families=[validity,marginals,copying]",
    "metrics.pairs=3",
    "metrics.triples=2",
    "metrics.draws=2",
    "metrics.replicates=2",
    "metrics.costly_replicates=2",
    "progress=quiet",
)


@pytest.fixture
def tables(command, finished):
    """A schema and two tables of one's own, a.csv and b.csv."""
    schema = json.loads((finished / "release" / "model.json").read_text())["domain"]
    Path("schema.yaml").write_text(yaml.safe_dump(schema))
    for seed, name in enumerate(("a.csv", "b.csv")):
        command("generate", "run=mine", "n=100", f"seed={seed}", f"out={name}")
    return ("real=a.csv", "schema=schema.yaml", "out=scores")


def read_scores(folder):
    record = json.loads((Path(folder) / "scores.json").read_text())
    return record, {score["name"]: score for score in record["scores"]}


def test_a_run_is_scored_against_the_data_it_names(command, finished):
    before = {path: path.read_bytes() for path in (finished / "release").iterdir()}
    outcome = command("evaluate", "run=mine", *QUICK)
    assert outcome.code == 0, outcome.err
    assert "tv_2way" in outcome.out
    assert "Guarantee: (1, 1e-05)-differential privacy" in outcome.out
    record, scores = read_scores(finished / "private")
    assert record["settings"]["pairs"] == 3
    assert (record["model"], record["data"], record["epsilon"], record["seed"]) == ("example", "toy", 1.0, 0)
    for number in ("value", "low", "high", "real_baseline", "real_baseline_low", "real_baseline_high"):
        assert isinstance(scores["tv_1way"][number], float)
    assert scores["tv_1way"]["detail"]["draws"] == 2
    assert scores["validity"]["value"] == 1.0
    report = (finished / "private" / "report.html").read_text()
    assert "epsilon if alone" in report
    assert "do not measure privacy" in report
    assert "held out" in report
    drawn = {path.name for path in (finished / "private" / "figures").iterdir()}
    assert {"scores.png", "histograms.png", "dependence.png"} <= drawn
    assert not [path for path in finished.rglob("*") if path.name.endswith(".part")]
    assert {path: path.read_bytes() for path in (finished / "release").iterdir()} == before  # B25


def test_the_same_evaluation_gives_the_same_scores(command, finished):
    for out in ("one", "two"):
        assert command("evaluate", "run=mine", f"out={out}", "figures=none", *QUICK).code == 0
    assert read_scores("one")[0]["scores"] == read_scores("two")[0]["scores"]
    assert sorted(path.name for path in Path("one").iterdir()) == ["report.html", "scores.json"]


def test_diagnostics_are_pictures_alone(command, finished):
    outcome = command("evaluate", "run=mine", "figures=diagnostics", "progress=quiet")
    assert outcome.code == 0, outcome.err
    private = {path.name for path in (finished / "private").iterdir()}
    assert private == {"config.yaml", "data.txt", "figures", "intake.json", "rows.key"}
    drawn = {path.name for path in (finished / "private" / "figures").iterdir()}
    assert {"histograms.png", "dependence.png"} <= drawn
    assert "scores.png" not in drawn


def test_any_tables_can_be_compared(command, tables):
    outcome = command("evaluate", *tables, "synthetic=b.csv", "figures=none", *QUICK)
    assert outcome.code == 0, outcome.err
    assert "nothing is guaranteed" in outcome.out
    record, scores = read_scores("scores")
    assert record["real"] == "a.csv"
    assert scores["tv_1way"]["low"] is None  # one draw has no interval
    assert scores["exact_copies"]["value"] is None  # nothing is held out
    assert "none of them held out" in Path("scores/report.html").read_text()


def test_several_files_are_draws_and_a_holdout_is_used(command, tables):
    given = (*tables, "holdout=a.csv", "figures=none")
    assert command("evaluate", *given, "synthetic=[a.csv,b.csv]", *QUICK).code == 0
    listed = read_scores("scores")[1]
    assert listed["tv_1way"]["detail"]["draws"] == 2
    assert listed["tv_1way"]["low"] is not None
    assert listed["exact_copies"]["value"] is not None
    assert command("evaluate", *given, "synthetic='[ab].csv'", *QUICK).code == 0
    assert read_scores("scores")[1] == listed


def test_illegal_values_of_a_foreign_table_are_counted_not_refused(command, tables):
    frame = pd.read_csv("b.csv", dtype=str, keep_default_na=False)
    frame.loc[:24, "color"] = "no such colour"
    frame.loc[50:74, frame.columns[0]] = "no number"
    frame.to_csv("odd.csv", index=False)
    outcome = command("evaluate", *tables, "synthetic=odd.csv", "figures=none", *QUICK)
    assert outcome.code == 0, outcome.err
    assert read_scores("scores")[1]["validity"]["value"] == pytest.approx(0.5)
    assert "Not all of it is legal (legal values)" in outcome.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "real= is missing"),
        (("real=a.csv", "synthetic=a.csv"), "schema= is missing"),
        (("run=nowhere",), "no such folder"),
        (("run=mine", "real=a.csv"), "a run brings its own"),
        (("run=mine", "runs=mine"), "not together with runs="),
        (("run=mine", "metrics.bins=0"), "metrics.bins"),
        (("run=mine", "metrics=best"), "metrics/best: no such choice. There are datalens, full, images"),
        (("run=mine", "synthetic=nowhere.csv"), "nowhere.csv"),
        (("run=mine", "synthetic=mine/private/config.yaml"), "config.yaml"),
        (("run=mine", "figures=some"), "figures=some: choose one of all, diagnostics, none"),
        (("run=mine", "progress=loud"), "progress=loud: choose one of auto, bar, lines, quiet"),
        (("run=mine", "out=mine/private/config.yaml"), "is a file; name a folder"),
    ],
)
def test_mistakes_are_one_line(command, finished, options, message):
    assert message in command("evaluate", *options).mistake
    files = sorted(path.name for path in (finished / "private").iterdir())
    assert files == ["config.yaml", "data.txt", "intake.json", "rows.key"]


def test_a_table_of_other_columns_is_refused(command, tables):
    Path("other.csv").write_text("x\n1\n")
    assert "not found" in command("evaluate", *tables, "synthetic=other.csv").mistake
    Path("empty.csv").write_text(Path("a.csv").read_text().splitlines()[0] + "\n")
    assert "no rows" in command("evaluate", *tables, "synthetic=empty.csv").mistake
    assert not Path("scores").exists()


def test_a_run_without_its_settings_cannot_name_its_data(command, finished):
    (finished / "private" / "config.yaml").unlink()
    assert "the real data are not known" in command("evaluate", "run=mine").mistake
