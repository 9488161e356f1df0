import csv
import json
import shutil
from pathlib import Path

import pytest

from dpsynth.evaluation import evaluation as evaluation
from dpsynth.evaluation.run_comparison import data_labels

QUICK = (
    "metrics=quick",
    "metrics.families=[marginals]",
    "metrics.pairs=3",
    "metrics.triples=2",
    "metrics.draws=2",
    "metrics.replicates=2",
    "progress=quiet",
    "figures=none",
)


@pytest.fixture
def runs(command, finished):
    """Two runs in the folder `all`, beside things that are no runs."""
    folder = Path("all")
    folder.mkdir()
    finished.rename(folder / "one")
    outcome = command(
        "train", "data=toy", "data.rows=300", "privacy.epsilon=10", "run=all/two", "trainer.progress=quiet"
    )
    assert outcome.code == 0, outcome.err
    (folder / "notes.txt").write_text("no run")
    (folder / "empty").mkdir()
    unfinished = folder / "unfinished" / "private"
    unfinished.mkdir(parents=True)
    (unfinished / "config.yaml").write_text("{}")
    return folder


@pytest.fixture
def counted(monkeypatch):
    """The runs that were really evaluated, by folder name."""
    names = []
    evaluate = evaluation.Evaluator.evaluate

    def recorded(self, inputs):
        names.append(Path(inputs.names["run"]).name)
        return evaluate(self, inputs)

    monkeypatch.setattr(evaluation.Evaluator, "evaluate", recorded)
    return names


def records(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_runs_are_compared_in_all_formats(command, runs):
    outcome = command("evaluate", "runs='all/*'", "out=table", *QUICK)
    assert outcome.code == 0, outcome.err
    assert outcome.err.strip() == "left out: all/unfinished is not finished"
    for part in ("one", "two", "real sample", "independent", "uniform", "tv_2way ↓"):
        assert part in outcome.out
    files = {"comparison.csv", "comparison.md", "comparison.tex", "scores.csv", "tradeoff.png", "tradeoff.svg"}
    assert {path.name for path in Path("table").iterdir()} == files
    lines = records("table/comparison.csv")
    assert [(line["model"], line["run"]) for line in lines[:2]] == [("example", "one"), ("example", "two")]
    assert [line["epsilon"] for line in lines[:2]] == ["1.0", "10.0"]
    assert [line["model"] for line in lines[2:]] == ["real sample", "independent", "uniform"]
    long = records("table/scores.csv")
    assert {line["score"] for line in long} == {"tv_1way", "tv_2way", "tv_3way"}
    assert (runs / "one" / "private" / "report.html").exists()


@pytest.mark.parametrize(("suffix", "begins"), [(".tex", "\\begin{tabular}"), (".md", "|"), (".csv", "run,")])
def test_one_table_is_written_where_a_file_is_named(command, runs, suffix, begins):
    outcome = command("evaluate", "runs='all/*'", f"out=table{suffix}", *QUICK)
    assert "2 of 2 runs are evaluated first" in outcome.out
    assert begins in Path(f"table{suffix}").read_text()
    again = command("evaluate", "runs='all/*'", f"out=table{suffix}", *QUICK)
    assert "evaluated first" not in again.out
    other = command("evaluate", "runs='all/*'", "out=other", *QUICK, "metrics.bins=8")
    assert "2 of them have scores of other settings or files" in other.out


def test_scores_are_used_again_while_they_hold(command, runs, counted):
    assert command("evaluate", "run=all/one", *QUICK).code == 0
    assert command("evaluate", "runs='all/*'", "out=table", *QUICK).code == 0
    assert counted == ["one", "two"]
    table = Path("table/comparison.csv").read_text()
    assert command("evaluate", "runs=[all/one,all/two]", "out=again", *QUICK, "metrics.threads=1").code == 0
    assert counted == ["one", "two"]
    assert Path("again/comparison.csv").read_text() == table

    assert command("evaluate", "runs='all/*'", "out=table", *QUICK, "metrics.bins=8").code == 0
    assert counted == ["one", "two"] * 2
    synthetic = runs / "two" / "release" / "synthetic.csv"
    synthetic.write_text("\n".join(synthetic.read_text().splitlines()[:-1]) + "\n")
    (runs / "one" / "private" / "scores.json").write_text("{")
    assert command("evaluate", "runs='all/*'", "out=table", *QUICK, "metrics.bins=8").code == 0
    assert counted == ["one", "two"] * 3


def test_a_broken_run_is_left_out_and_named(command, runs):
    shutil.copytree(runs / "one", runs / "broken")
    (runs / "broken" / "release" / "model.json").write_text("{}")
    outcome = command("evaluate", "runs='all/*'", "out=table", *QUICK)
    assert outcome.code == 0, outcome.err
    assert "left out: all/broken" in outcome.err
    assert len(records("table/comparison.csv")) == 2 + 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("runs='nowhere/*'",), "no finished run there"),
        (("runs=all", "real=a.csv"), "real: not together with runs="),
        (("runs='all/*'", "figures=diagnostics"), "give run= instead of runs="),
        (("runs='all/*'", "out=all/notes.txt"), "is a file; name a folder"),
    ],
)
def test_mistakes_are_one_line(command, runs, options, message):
    assert message in command("evaluate", *options).mistake


def test_when_no_run_can_be_evaluated(command, runs):
    for name in ("one", "two"):
        (runs / name / "private" / "config.yaml").unlink()
    outcome = command("evaluate", "runs='all/*'", "out=table", *QUICK)
    assert outcome.code == 2
    assert outcome.err.strip().splitlines()[-1].startswith("error: runs=all/*: none of these runs")
    assert not Path("table").exists()


def test_data_sets_opened_in_different_ways_have_different_names():
    adult = {"name": "adult", "n_train": None, "path": None}
    small = {**adult, "n_train": 1000}
    people = {"name": "csv", "path": "data/people.csv"}
    assert data_labels([adult, adult, people]) == ["adult", "adult", "people"]
    assert data_labels([adult, small]) == ["adult (n_train=None)", "adult (n_train=1000)"]
    assert data_labels([{**people, "path": f"{x}/people.csv"} for x in "ab"]) == [
        "people (path=a/people.csv)",
        "people (path=b/people.csv)",
    ]


def test_scores_json_has_no_numbers_that_json_lacks(command, runs):
    assert command("evaluate", "run=all/one", *QUICK).code == 0
    text = (runs / "one" / "private" / "scores.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(name))
