"""Schemas: strict reading, no YAML traps, and the way back."""

import datetime as dt
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data import Boolean, Category, Date, Datetime, Domain, Integer, Number
from dpsynth.data.table.schema import _KEYS, TOP_KEYS
from dpsynth.errors import DpsynthError, SchemaError

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=8)
WORDS = TEXT.map(str.strip).filter(bool)


@st.composite
def columns(draw, name):
    missing = draw(st.booleans())
    kind = draw(st.sampled_from(["category", "boolean", "integer", "number", "date", "datetime"]))
    if kind == "boolean":
        return Boolean(name, missing=missing)
    if kind == "category":
        listed = draw(st.one_of(st.none(), st.lists(WORDS, min_size=1, max_size=4, unique=True).map(tuple)))
        listed = None if listed == ("private",) else listed
        return Category(name, listed, draw(st.none() | WORDS), draw(st.booleans()), missing=missing)
    if kind == "number":
        decimals = draw(st.none() | st.integers(1, 4))
        return Number(name, -1.5, 2.5, draw(st.sampled_from([(), (0.0,), (-7.0, 1.5)])), decimals, missing=missing)
    if kind == "date":
        day = draw(st.dates(dt.date(1800, 1, 1), dt.date(2200, 1, 1)))
        return Date(name, day, day + dt.timedelta(days=draw(st.integers(1, 9999))), missing=missing)
    if kind == "datetime":
        start = draw(st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2200, 1, 1))).replace(microsecond=0)
        step = draw(st.integers(1, 5000))
        return Datetime(name, start, start + dt.timedelta(seconds=9 * step), resolution=step, missing=missing)
    low = draw(st.integers(-(10**6), 10**6))
    scale = draw(st.sampled_from(["linear", "log"]))
    if draw(st.booleans()):
        return Integer(name, missing=missing)
    return Integer(name, low, low + draw(st.integers(5, 10**6)), (low, -(10**7)), scale=scale, missing=missing)


@st.composite
def domains(draw):
    names = draw(st.lists(WORDS, min_size=1, max_size=4, unique=True))
    made = tuple(draw(columns(name)) for name in names)
    rows = draw(st.none() | st.integers(1, 10**9))
    return Domain(made, rows=rows, missing_values=draw(st.sampled_from([("", "?"), ("NA",)])))


@given(domain=domains())
@settings(max_examples=150, deadline=None)
def test_round_trips_through_yaml_and_json(domain):
    assert Domain.from_dict(json.loads(json.dumps(domain.to_dict()))) == domain
    assert Domain.from_yaml(domain.to_yaml()) == domain


def test_the_form_in_the_documentation():
    domain = Domain.from_yaml("""
columns:
  age:    {kind: integer, bounds: [17, 90]}
  gain:   {kind: integer, bounds: [0, 99999], point_masses: 0, scale: log}
  pay:    {kind: number, bounds: [0, 1e3], decimals: 2, point_masses: [0, -1]}
  start:  {kind: date, bounds: [1990-01-01, 2026-12-31], missing: true}
  end:    {kind: date, bounds: [1990-01-01, 2026-12-31], missing: true}
  town:   {kind: category, categories: private}
  wage:   {kind: number, bounds: private}
  income: {kind: category, categories: ["<=50K", ">50K"], label: true}
constraints: ["start <= end"]
rows: 30000
missing_values: ["", "?"]
""")
    assert domain["pay"] == Number("pay", 0.0, 1000.0, (0.0, -1.0), 2)
    assert domain.label == "income"
    assert [column.name for column in domain.undeclared] == ["town", "wage"]
    assert [str(rule) for rule in domain.constraints] == ["start <= end"]
    assert domain.rows == 30_000
    done = domain.complete({"wage": Number("wage", 0.0, 9.0), "town": Category("town", ("x",))})
    assert done.undeclared == ()
    assert done.constraints == domain.constraints
    assert done.select(["end", "age"]).names == ("end", "age")
    assert done.select(["end", "age"]).constraints == ()


def test_yaml_traps_keep_their_spelling():
    text = """
columns:
  c: {kind: category, categories: [yes, no, on, 012, 1.50, 1e3, 1990-01-01, null, ~, 12:30, True]}
"""
    spelled = ("yes", "no", "on", "012", "1.50", "1e3", "1990-01-01", "null", "~", "12:30", "True")
    domain = Domain.from_yaml(text)
    assert domain["c"] == Category("c", spelled)
    assert Domain.from_yaml(domain.to_yaml()) == domain


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("columns: {a: {kind: integer, bounds: [0, 1], bound: 3}}", "did you mean 'bounds'"),
        ("columns: {a: {kind: integer}}\nrow: 3", "did you mean 'rows'"),
        ("columns: {a: {kind: int, bounds: [0, 1]}}", "kind 'int'"),
        ("columns: {a: {kind: integer}}", "bounds: private"),
        ("columns: {a: {kind: category}}", "categories: private"),
        ("columns: {a: {kind: category, categories: abc}}", "must be a list"),
        ("columns: {a: {kind: integer, bounds: [0]}}", "low, high"),
        ("columns: {a: {kind: integer, bounds: [5, 2]}}", "must be below"),
        ("columns: {a: {kind: integer, bounds: [0, x]}}", "not a finite number"),
        ("columns: {a: {kind: integer, bounds: [0, 1.5]}}", "whole number"),
        ("columns: {a: {kind: date, bounds: [1990-13-01, 1991-01-01]}}", "YYYY-MM-DD"),
        ("columns: {a: {kind: boolean, missing: maybe}}", "true or false"),
        ("columns: {a: {kind: boolean, categories: [x]}}", "unknown key 'categories'"),
        ("columns:\n  a: {kind: boolean}\n  a: {kind: boolean}", "line 3: 'a' stands twice"),
        ("columns: {a: {kind: boolean, label: true}, b: {kind: boolean, label: true}}", "keep one"),
        ("columns: {a: {kind: boolean}}\nrows: 0", "positive"),
        ("columns: {a: {kind: boolean}}\nconstraints: a == b", "must be a list"),
        ("columns: {a: boolean}", "write it as"),
        ("columns: {}\n", "needs 'columns:'"),
        ("columns: [a\n", "not valid YAML"),
        ("just text\n", "expected a mapping"),
    ],
)
def test_mistakes_are_named_on_one_line(text, says):
    with pytest.raises(SchemaError, match=says) as caught:
        Domain.from_yaml(text + "\n")
    assert "\n" not in str(caught.value)


def test_schema_files(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("columns: {a: {kind: nothing}}")
    with pytest.raises(SchemaError, match=r"s\.yaml: column 'a'"):
        Domain.from_yaml(file)
    with pytest.raises(SchemaError, match="dpsynth schema"):
        Domain.from_yaml(tmp_path / "absent.yaml")
    with pytest.raises(DpsynthError, match="no column 'z'"):
        Domain((Boolean("a"),))["z"]


def test_the_reference_of_the_schema_declares_every_key(tmp_path):
    """docs/schema.md: its example loads, and every key of the loader stands on the page."""
    page = (Path(__file__).parents[3] / "docs" / "schema.md").read_text()
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "people.yaml").write_text(example)
    assert len(Domain.from_yaml(tmp_path / "people.yaml")) == 11  # and an identifier, which is not learned
    keys = {key for keys in _KEYS.values() for key in keys} | set(TOP_KEYS) - {"columns"}
    assert not [key for key in sorted(keys) if f"`{key}`" not in page and f"`{key}:" not in page]


def test_ignored_columns_keep_their_places_and_are_not_learned():
    text = """columns:
  first: {ignore: true}
  age: {kind: integer, bounds: [0, 9]}
  key: {kind: identifier}
  note: {kind: number, bounds: [0, 1], ignore: true}
  sex: {kind: category, categories: [f, m], ignore: false}
"""
    domain = Domain.from_yaml(text)
    assert domain.names == ("age", "sex")
    assert domain.in_file == ("first", "age", "key", "note", "sex")
    assert [column.name for column in domain.written] == ["age", "key", "sex"]
    assert Domain.from_yaml(domain.to_yaml()) == domain
    assert domain.select(["sex"]).in_file == ("sex",)
    with pytest.raises(SchemaError, match="'note' is ignored by the schema"):
        domain.select(["note"])
    for wrong in ("{ignore: perhaps}", "{ignore: true, knd: integer}", "{ignore: false}"):
        with pytest.raises(SchemaError, match="column 'first'"):
            Domain.from_yaml(text.replace("first: {ignore: true}", f"first: {wrong}"))
