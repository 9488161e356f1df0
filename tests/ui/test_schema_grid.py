"""A schema goes through the grid and back unchanged; what nobody checked stays marked."""

import datetime as dt
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth import Domain
from dpsynth.data.columns import Boolean, Category, Date, Datetime, Identifier, Integer, Number
from dpsynth.data.table.draft import draft_frame
from dpsynth.errors import SchemaError
from dpsynth.ui.schema_grid import GridRow, estimated_privately, grid_of, text_of, unchecked

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(
    lambda name: name == name.strip()
)


@st.composite
def columns(draw, name):
    kind = draw(st.sampled_from(["category", "boolean", "integer", "number", "date", "datetime", "identifier"]))
    missing = draw(st.booleans())
    low = draw(st.integers(-1000, 1000))
    if kind == "category":
        categories = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
        return Category(name, categories=tuple(categories), missing=missing, ordered=draw(st.booleans()))
    if kind == "boolean":
        return Boolean(name, missing=missing)
    if kind == "integer":
        return Integer(name, low=low, high=low + draw(st.integers(1, 99)), missing=missing)
    if kind == "number":
        decimals = draw(st.sampled_from([None, 2]))
        return Number(name, low=low, high=low + 0.5, missing=missing, decimals=decimals)
    if kind == "identifier":
        return Identifier(name, pattern=draw(st.sampled_from(["uuid", "V-{n:06}", "{n}"])))
    if kind == "date":
        return Date(name, low=dt.date(2000, 1, 1), high=dt.date(2020, 12, 31), missing=missing)
    return Datetime(name, low=dt.datetime(2000, 1, 1), high=dt.datetime(2020, 1, 1, 12), resolution=60)


@st.composite
def domains(draw):
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    learned = Boolean("learned " + names[0])  # a table of identifiers alone is none
    return Domain((learned, *(draw(columns(name)) for name in names)), rows=draw(st.sampled_from([None, 2000])))


@given(domains())
def test_a_schema_comes_back_as_it_was(domain):
    rows, rest = grid_of(domain.to_yaml())
    assert Domain.from_yaml(text_of(rows, rest)) == domain


@given(domains())
def test_marks_stay_until_a_line_is_checked(domain):
    rows = [replace(row, checked=False) for row in grid_of(domain.to_yaml())[0]]
    again, rest = grid_of(text_of(rows, {}))
    assert unchecked(again) == [row.column for row in rows]
    assert unchecked(grid_of(text_of([replace(row, checked=True) for row in again], rest))[0]) == []


def test_a_draft_is_unchecked_and_can_be_estimated_privately():
    frame = pd.DataFrame(
        {"age": [20 + n % 59 for n in range(60)], "sex": ["F", "M"] * 30, "id": [f"P{n:03}" for n in range(60)]}
    )
    rows, rest = grid_of(draft_frame(frame))
    assert unchecked(rows) == ["age", "sex", "id"]
    text = text_of([estimated_privately(row) for row in rows], rest)
    for secret in ("20", "80", "F", "M", "P"):  # nothing that was read from the rows is left
        assert secret not in text.replace("[", " ").replace("]", " ").replace(",", " ").split()
    domain = Domain.from_yaml(text)
    assert domain["age"].low is None
    assert domain["sex"].categories is None
    assert unchecked(grid_of(text)[0]) == []


def row(**changes):
    plain = GridRow("x", True, "integer", "0, 10", False, False, "", "", True)
    return replace(plain, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "weekday"}, "x: kind 'weekday' is none"),
        ({"values": '"0, 10'}, "x: values: cannot be read"),
        ({"more": "decimals"}, "x: more: write its keys"),
    ],
)
def test_what_cannot_be_read_is_said(changes, message):
    with pytest.raises(SchemaError, match=message):
        text_of([row(**changes)], {})


def test_one_label_at_most():
    with pytest.raises(SchemaError, match="x, y: one column at most is the label"):
        text_of([row(label=True), row(column="y", label=True)], {})


def test_a_column_that_is_not_used_is_ignored():
    domain = Domain.from_yaml(text_of([row(), row(column="y", use=False)], {}))
    assert domain.names == ("x",)


def test_a_category_may_be_called_private():
    domain = Domain((Category("x", categories=("private",)), Category("y", categories=None)))
    assert Domain.from_yaml(text_of(*grid_of(domain.to_yaml()))) == domain
