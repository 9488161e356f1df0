"""Tables are legal by construction, round trip through files, and bound what one person contributes."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data import Boolean, Category, Date, Datetime, Domain, Integer, Number, Table
from dpsynth.errors import ConfigError, DataError

KEY = bytes(range(32))
SMALL = Domain((Integer("n", 0, 9), Category("c", ("x", "y"), missing=True)))


def test_columns_are_ordered_and_legal():
    table = Table(pd.DataFrame({"c": ["x", "?", "z"], "n": ["3", "44", "-inf"]}, index=[5, 5, 6]), SMALL)
    assert list(table.frame.columns) == ["n", "c"]
    assert table.frame["n"].tolist() == [3, 9, 0]
    assert table.frame["c"].isna().tolist() == [False, True, True]
    assert table.invalid == {"n": 2, "c": 1}
    assert table.intake["c"].to_dict() == {
        "name": "c",
        "rows": 3,
        "missing": 2,
        "outside": 1,
        "kept": 1,
        "unreadable": 0,
        "done": "made missing",
    }
    assert (
        "2 of 3 values (66.7%) lie outside its domain and were moved to the nearest bound" in table.intake["n"].line()
    )
    assert "3" not in repr(table)  # no count of rows, no values


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
def test_files_bring_the_same_table_back(people, tmp_path, name):
    path = people.write(tmp_path / "deep" / name)
    again = Table.read(path, people.domain, invalid="error")
    assert again.frame.equals(people.frame)
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_another_suffix_is_refused(people, tmp_path):
    with pytest.raises(ConfigError, match=r"\.csv or \.parquet"):
        people.write(tmp_path / "out.xlsx")


def test_reading_refuses_what_cannot_be_meant(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("n,c\n")
    with pytest.raises(DataError, match="no rows"):
        Table.read(file, SMALL)
    file.write_text("n,c\n?,x\n,y\n")
    with pytest.raises(DataError, match="column 'n' has no values at all"):
        Table.read(file, SMALL)
    file.write_text("n,c\n1,\n2,?\n")
    assert Table.read(file, SMALL).frame["c"].isna().all()
    file.write_text("n;c\n1;x\n")
    with pytest.raises(DataError, match=r"set data\.delimiter=';'"):
        Table.read(file, SMALL)
    assert len(Table.read(file, SMALL, delimiter=";")) == 1
    file.write_text("n,c\n44,x\n")
    with pytest.raises(DataError, match="'44'"):
        Table.read(file, SMALL, invalid={"numbers": "error", "categories": "missing"})
    for word in ("drop", {"number": "clamp"}, None):
        with pytest.raises(ConfigError, match="clamp, missing, error"):
            Table.read(file, SMALL, invalid=word)  # pyright: ignore


@given(
    owners=st.lists(st.sampled_from(["a", "b", "c", "", "7"]), max_size=60),
    most=st.integers(1, 4),
    key=st.binary(min_size=32, max_size=32),
)
@settings(max_examples=60, deadline=None)
def test_nobody_contributes_more_than_the_bound(owners, most, key):
    domain = Domain((Integer("row", 0, 100),))
    frame = pd.DataFrame({"row": range(len(owners)), "who": pd.Series(owners, dtype=object)})
    bounded = Table(frame, domain, person="who").bound_contributions("who", most, key)
    rows = bounded.frame["row"].to_numpy()
    kept = pd.Series(owners, dtype=object).iloc[rows]
    expected = pd.Series(owners, dtype=object).value_counts().clip(upper=most).drop("", errors="ignore")
    assert kept.value_counts().to_dict() == expected.to_dict()  # as many as allowed, nameless rows dropped
    assert (np.diff(rows) > 0).all()
    assert list(bounded.frame.columns) == ["row"]
    assert bounded.rows_per_person == bounded.head(3).rows_per_person == most


def test_the_kept_rows_of_a_person_are_random():
    domain = Domain((Integer("row", 0, 9),))
    table = Table(pd.DataFrame({"row": range(10), "who": ["p"] * 10}), domain, person="who")
    first = [table.bound_contributions("who", 1, s.to_bytes(32)).frame["row"][0] for s in range(500)]
    assert min(np.bincount(first, minlength=10)) > 25


def test_a_declared_person_column_stays():
    domain = Domain((Integer("who", 0, 9), Boolean("b")))
    table = Table(pd.DataFrame({"who": [1, 1, 2], "b": [True, False, True]}), domain)
    bounded = table.bound_contributions("who", 1, KEY)
    assert bounded.frame["who"].tolist() == [1, 2]
    with pytest.raises(ConfigError, match="no person column"):
        table.bound_contributions("nobody", 1, KEY)


def test_split_parts_rows_by_their_own_draws():
    domain = Domain((Integer("row", 0, 10_000),))
    table = Table(pd.DataFrame({"row": range(5000)}), domain)
    train, held = table.split(0.2, KEY)
    assert sorted([*train.frame["row"], *held.frame["row"]]) == list(range(5000))
    assert 850 < len(held) < 1150
    assert train.coverage == ("each row with probability 0.8",)
    exact, rest = table.split(0.2, KEY, "replace_one")
    assert (len(exact), len(rest)) == (4000, 1000)
    for held_fraction in (0, 1, -0.1, True, float("nan")):
        with pytest.raises(ConfigError, match="holdout"):
            table.split(held_fraction, KEY)
    with pytest.raises(ConfigError, match="32 bytes"):
        table.split(0.2, b"short")


def test_split_keeps_people_together():
    frame = pd.DataFrame({"row": np.arange(300), "who": np.arange(300) // 3})
    train, held = Table(frame, Domain((Integer("row", 0, 999),)), person="who").split(0.5, KEY)
    assert not set(train.frame["row"] // 3) & set(held.frame["row"] // 3)


def test_subset_and_redeclare():
    table = Table(pd.DataFrame({"x": [0.5, 2.0, 9.0]}), Domain((Number("x"),)))
    assert len(table.subset(2, KEY, "replace_one")) == 2
    assert len(table.subset(99, KEY, "replace_one")) == 3
    private = table.redeclare(table.domain.complete({"x": Number("x", 0.0, 5.0)}))
    assert private.frame["x"].tolist() == [0.5, 2.0, 5.0]
    with pytest.raises(ConfigError, match="positive whole number"):
        table.subset(0, KEY)
    with pytest.raises(ConfigError, match="declare 'rows: NUMBER'"):
        table.subset(2, KEY)
    many = Table(pd.DataFrame({"x": np.arange(1000.0)}), Domain((Number("x"),), rows=1000)).subset(300, KEY)
    assert 240 < len(many) < 360
    assert many.coverage == ("each row with probability 0.3",)


@pytest.mark.parametrize("form", [None, "%d.%m.%Y", "epoch_s"])
@pytest.mark.parametrize("rows", [0, 2])
def test_dates_of_which_none_is_known_are_written(form, rows, tmp_path):
    day, moment = dt.date(2000, 1, 1), dt.datetime(2000, 1, 1)
    domain = Domain(
        (
            Integer("n", 0, 9),
            Date("day", day, dt.date(2001, 1, 1), missing=True, format=None if form == "epoch_s" else form),
            Datetime("moment", moment, dt.datetime(2001, 1, 1), missing=True, format=form),
        )
    )
    table = Table(pd.DataFrame({"n": range(rows), "day": [None] * rows, "moment": [None] * rows}), domain)
    text = table.to_csv(tmp_path / "dates.csv").read_text()
    assert text.splitlines() == ["n,day,moment", "0,,", "1,,"][: rows + 1]


def test_the_digest_of_the_content_knows_values_columns_and_their_order(people):
    frame = people.frame
    changed = frame.assign(age=frame["age"].where(frame.index != 7, 18 + (frame["age"] == 18)))
    tables = [Table.as_it_stands(each, people.domain) for each in (frame, changed, frame[::-1], frame.head(399))]
    tables.append(Table.as_it_stands(frame, Domain(people.domain.columns[::-1])))
    assert len({table.content_hash for table in tables}) == len(tables)
    assert Table(frame.copy(), people.domain).content_hash == people.content_hash
