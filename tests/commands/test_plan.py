"""dpsynth plan: advice before any data, from the schema alone."""

import pytest

from dpsynth.commands.plan import plan
from dpsynth.errors import ConfigError

SCHEMA = """columns:
  a: {kind: category, categories: [x, y, z]}
  b: {kind: category, categories: [x, y, z]}
  c: {kind: integer, bounds: [0, 100]}
rows: 300
"""


@pytest.fixture
def schema(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "s.yaml").write_text(SCHEMA)
    return tmp_path


def test_few_rows_are_warned_of_and_many_are_not(schema, capsys):
    plan(["s.yaml", "epsilon=0.3"])
    few = " ".join(capsys.readouterr().out.split())
    assert "model=auto takes independent" in few
    assert "with 300 rows of 3 columns and epsilon 0.3, expect no dependence between columns; take epsilon" in few
    plan(["s.yaml", "rows=100_000"])
    many = " ".join(capsys.readouterr().out.split())
    assert "model=auto takes aim" in many
    assert "Warning" not in many


def test_without_a_number_of_rows_every_branch_of_auto_is_said(schema, capsys):
    (schema / "u.yaml").write_text(SCHEMA.replace("rows: 300\n", ""))
    plan(["u.yaml"])
    said = " ".join(capsys.readouterr().out.split())
    assert "model=auto decides by the noisy number of rows, as the schema declares none: independent below" in said
    plan(["u.yaml", "neighbours=replace_one"])
    assert "model=auto takes" in capsys.readouterr().out


def test_it_fits_a_terminal(schema, capsys):
    plan(["s.yaml"])
    assert max(map(len, capsys.readouterr().out.splitlines()[:7])) <= 100


def test_unknown_numbers_of_rows_are_said(schema, capsys):
    (schema / "s.yaml").write_text(SCHEMA.replace("rows: 300\n", ""))
    plan(["s.yaml"])
    assert "the schema declares none" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["s.yaml", "epslion=1"], "did you mean epsilon=1"),
        (["s.yaml", "epsilon=x"], "epsilon=x: must be a number"),
        (["s.yaml", "rows=0"], "rows=0: must be a whole number"),
        (["s.yaml", "neighbours=all"], "choose add_remove or replace_one"),
        (["s.yaml", "--epsilon", "3"], "without dashes, as NAME=VALUE; did you mean epsilon=3"),
        (["a.csv"], "holds data; name its schema"),
        (["s.yaml", "t.yaml"], "name one schema"),
    ],
)
def test_mistakes(schema, words, message):
    with pytest.raises(ConfigError, match=message):
        plan(words)
