import csv
import io
import re

import pytest
from rich.console import Console

from dpsynth.report.run_table import (
    YARDSTICKS,
    RunScores,
    RunTable,
    csv_text,
    latex,
    long_form,
    markdown,
    records_text,
    rich_table,
)


@pytest.fixture
def runs(score, area):
    """Three runs on adult, two of them with one epsilon, and one on a data set with an awkward name."""

    def run(name, model, data, epsilon, pairs, auc):
        facts = {"run": name, "model": model, "data": data, "epsilon": epsilon, "delta": 1e-5, "seed": 0}
        return RunScores(facts, [score(value=pairs), area(auc)])

    return [
        run("b", "maf", "adult", 1.0, 0.05, 0.90),
        run("a", "mst", "adult", 1.0, 0.06, 0.91),
        run("c", "maf", "adult", 0.1, 0.30, 0.70),
        run("d", "maf", "a_b & c|d", "inf", 0.01, 0.93),
    ]


def test_every_data_set_has_its_three_yardsticks(runs):
    table = RunTable(runs)
    assert len(table.sections) == 2
    for section in table.sections:
        assert [line.facts["model"] for line in section if line.yardstick] == list(YARDSTICKS)
    adult = table.sections[1]
    assert [line.facts["run"] for line in adult[:3]] == ["c", "b", "a"]  # by epsilon, then model
    real, independent, uniform = adult[3:]
    assert (real.cells[0].value, real.cells[0].low, real.cells[0].high) == pytest.approx((0.03, 0.02, 0.04))
    assert (independent.cells[0].value, uniform.cells[0].value) == pytest.approx((0.2, 0.7))


def test_the_best_of_rivals_is_marked_and_nobody_without_rivals(runs):
    table = RunTable(runs)
    best = {
        line.facts["run"]: [cell.best for cell in line.cells]
        for s in table.sections
        for line in s
        if not line.yardstick
    }
    assert table.names == ("tv_2way", "boosting_auc")
    assert best == {"b": [True, False], "a": [False, True], "c": [False, False], "d": [False, False]}


def test_what_reads_the_same_is_equally_good(runs, score):
    facts = [{**runs[0].facts, "run": name} for name in "xy"]
    table = RunTable([RunScores(facts[0], [score(value=0.05)]), RunScores(facts[1], [score(value=0.050000001)])])
    assert [line.cells[0].best for line in table.sections[0][:2]] == [True, True]


def test_a_score_that_some_runs_lack_leaves_a_gap(runs):
    table = RunTable([runs[0], RunScores(runs[1].facts, runs[1].scores[:1])])
    gap = next(line for line in table.sections[0] if line.facts.get("run") == "a").cells[1]
    assert gap.text == ""
    assert not gap.best


def test_losing_and_missing_promises_are_said(runs):
    table = RunTable([*runs, RunScores({**runs[0].facts, "run": "e"}, runs[0].scores, private=False)])
    assert table.remarks == [
        "maf on adult at epsilon 0.1 (c) loses to independent columns on tv_2way.",
        "maf on adult at epsilon 1 (e) promises no privacy.",
    ]


def test_csv_reads_back(runs):
    found = list(csv.DictReader(io.StringIO(csv_text(RunTable(runs)))))
    assert len(found) == 4 + 2 * 3
    mine = next(line for line in found if line["run"] == "b")
    assert [float(mine[f"tv_2way{end}"]) for end in ("", "_low", "_high")] == pytest.approx([0.05, 0.04, 0.06])
    assert mine["data"] == "adult"
    long = list(csv.DictReader(io.StringIO(records_text(long_form(runs)))))
    assert len(long) == 8
    every = {(run, name) for run in "abcd" for name in ("tv_2way", "boosting_auc")}
    assert {(line["run"], line["score"]) for line in long} == every
    assert records_text([]) == "\n"


def test_markdown_is_one_whole_table(runs):
    lines = [line for line in markdown(RunTable(runs)).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 4 + 2 * 3
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    text = markdown(RunTable(runs))
    assert "**0.0500±.0100**" in text
    assert "Private: computed from real rows" in text
    assert "- maf on adult at epsilon 0.1 (c) loses to independent columns" in text


def test_latex_is_escaped_and_balanced(runs):
    text = latex(RunTable(runs))
    body = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert len(body) == 1 + 4 + 2 * 3
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in body}) == 1
    assert r"a\_b \& c|d" in text
    assert r"\textbf{0.0500$\pm$.0100}" in text
    assert r"tv\_2way $\downarrow$" in text
    assert text.count("{") == text.count("}")
    assert text.count("\\midrule") == 2


def test_the_terminal_shows_all_of_it(runs):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(rich_table(RunTable(runs)))
    text = console.export_text()
    for part in ("real sample", "independent", "uniform", "0.0500±.0100", "tv_2way ↓", "boosting_auc ↑", "inf"):
        assert part in text
