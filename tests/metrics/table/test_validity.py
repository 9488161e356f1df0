import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import DataError
from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.columns import Columns
from dpsynth.metrics.table.marginals import Divergence
from dpsynth.metrics.table.validity import Validity, coerced, validity, with_files

RULES = Domain.from_yaml(
    """
columns:
  age:    {kind: integer, bounds: [0, 99]}
  limit:  {kind: integer, bounds: [0, 120], missing: true}
  gain:   {kind: number, bounds: [0, 1000], point_masses: -1}
  day:    {kind: date, bounds: [2020-01-01, 2020-12-31]}
  sex:    {kind: category, categories: [f, m]}
  region: {kind: category, categories: [north, south], other: elsewhere}
  flag:   {kind: boolean}
constraints: ["age <= limit"]
missing_values: ["", "-"]
"""
)
GOOD = {"age": "30", "limit": "40", "gain": "-1", "day": "2020-05-05", "sex": "f", "region": "west", "flag": "yes"}


def raw(**columns: list[str]) -> pd.DataFrame:
    """Texts as a CSV file has them: the first rows as given, all else good."""
    return pd.DataFrame(
        {name: (columns.get(name, []) + [value] * 10)[:10] for name, value in GOOD.items()}, dtype="str"
    )


def test_good_rows_are_valid_also_with_permitted_gaps_and_point_masses():
    score = validity(raw(limit=["", "-"]), RULES)
    assert score.value == 1.0
    assert score.parts == {"constraint age <= limit": 1.0}
    assert score.detail == {"rows": 10, "broken_rows": 0, "cells": 1.0}


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("age", "100", "age: within bounds"),
        ("age", "-3", "age: within bounds"),
        ("age", "inf", "age: within bounds"),
        ("age", "3.5", "age: integer"),
        ("age", "old", "age: integer"),
        ("age", "-", "age: not missing"),
        ("limit", "121", "limit: within bounds"),
        ("limit", "none of that", "limit: integer"),
        ("gain", "1000.5", "gain: within bounds"),
        ("gain", "", "gain: not missing"),
        ("day", "2021-01-01", "day: within bounds"),
        ("day", "someday", "day: date"),
        ("sex", "x", "sex: listed category"),
        ("sex", "", "sex: not missing"),
        ("region", "-", "region: not missing"),
        ("flag", "perhaps", "flag: listed boolean"),
    ],
)
def test_each_rule_is_named_and_counted_once(column, value, rule):
    score = validity(raw(**{column: [value, value]}), RULES)
    assert score.value == pytest.approx(0.8)
    assert score.parts == {rule: pytest.approx(0.8), "constraint age <= limit": 1.0}
    assert score.detail["broken_rows"] == 2
    assert score.detail["cells"] == pytest.approx(1 - 2 / 70)


def test_constraints_are_evaluated_and_rows_are_counted_once():
    score = validity(raw(age=["50", "50", "99", "150"], limit=["40", "", "1", "1"], sex=["x"]), RULES)
    assert score.parts["constraint age <= limit"] == pytest.approx(0.8), "rows 0 and 2; row 3 is out of bounds already"
    assert score.detail["broken_rows"] == 3
    assert score.value == pytest.approx(0.7)


def test_parsed_tables_of_legal_rows_are_valid(domain, draw):
    frame = draw(200, 0)
    [score] = Validity().measure(Sample(frame, domain), Reference(Sample(draw(50, 1), domain)))
    assert score.value == 1.0
    assert score.name == "validity"
    assert score.group == "validity"
    assert validity(Table(raw(limit=["-"]), RULES).frame, RULES).value == 1.0


def test_a_broken_frame_is_seen_through_the_sample(domain, draw):
    frame = draw(100, 0).assign(age=lambda f: f["age"].where(f.index >= 25, 300))
    [score] = Validity().measure(Sample(frame, domain), Reference(Sample(draw(50, 1), domain)))
    assert score.value == pytest.approx(0.75)


def test_reading_hides_what_the_raw_file_shows():
    frame = raw(age=["200"], limit=["120"], gain=["-50"], day=["1999-01-01"])
    table = Table(frame, RULES)
    assert validity(table.frame, RULES).value == 1.0
    assert validity(frame, RULES).value == pytest.approx(0.9)
    scores = [Score("ks", 0.1, "lower"), validity(table.frame, RULES)]
    evaluated = with_files(scores, [frame], RULES)
    assert evaluated[0] is scores[0]
    assert evaluated[1].value == pytest.approx(0.9)
    assert evaluated[1].parts["age: within bounds"] == pytest.approx(0.9)
    assert evaluated[1].low is None
    both = with_files(scores, [frame, raw()], RULES)[1]
    assert both.value == pytest.approx(0.95)
    assert both.low < 0.95 < both.high
    assert both.parts["age: within bounds"] == pytest.approx(0.9), "of the worst file"


def test_legible_rows_equal_the_table_where_that_can_be_read():
    frame = raw(age=["200", "7.6"], limit=["-", "oops"], day=["1999-01-01"], region=["west"])
    pd.testing.assert_frame_equal(coerced(frame, RULES), Table(frame, RULES, unreadable="missing").frame)


def test_metrics_can_read_what_a_table_must_refuse():
    frame = raw(age=["", "old"], sex=["x", ""], flag=["perhaps"], day=["someday"], gain=["nan"])
    with pytest.raises(DataError):
        Table(frame, RULES)
    sample = Sample(coerced(frame, RULES), RULES)
    missing = sample.codes == np.array(sample.sizes) - 1
    names = RULES.names
    assert {name: int(missing[:, names.index(name)].sum()) for name in names} == {
        "age": 2, "limit": 0, "gain": 1, "day": 1, "sex": 2, "region": 0, "flag": 1,
    }  # fmt: skip
    real = Reference(Sample(Table(raw(), RULES).frame, RULES))
    assert all(
        score.value is not None for score in [*Columns().measure(sample, real), *Divergence().measure(sample, real)]
    )


def test_a_lacking_column_is_refused():
    with pytest.raises(DataError, match="sex"):
        validity(raw().drop(columns="sex"), RULES)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_the_values_rows_are_evaluated_and_the_repaired_table_is_valid(data):
    values = st.one_of(st.text(max_size=4), st.integers(-200, 200).map(str), st.floats().map(str), st.just("-"))
    frame = pd.DataFrame({name: data.draw(st.lists(values, min_size=3, max_size=3)) for name in GOOD}, dtype="str")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = validity(frame, RULES)
    assert 0 <= score.value <= 1
    assert score.value <= min(score.parts.values())
    assert (score.value == 1.0) == (score.detail["broken_rows"] == 0)
    frame = frame.assign(sex="f", flag="no", region="north")
    repaired = RULES.repair(pd.DataFrame({c.name: c.parse(frame[c.name])[0] for c in RULES}))
    assert validity(repaired, RULES).value == 1.0
