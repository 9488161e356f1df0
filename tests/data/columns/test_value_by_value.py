"""How a value is read depends on this value alone: on no other value of the column, on no type, chunk or engine."""

import datetime as dt
import decimal
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpsynth.data import Domain, Table
from dpsynth.data.columns import Boolean, Category, Date, Datetime, Integer, Number
from dpsynth.data.columns.datetime_column import second_of, to_seconds
from dpsynth.data.columns.raw import distinct, number_of, to_numbers
from dpsynth.data.table import tabular_files

DAY = dt.date(2000, 1, 1), dt.date(2030, 12, 31)
COLUMNS = [
    Category("c", ("1", "1.0", "True", "a", "2020-01-01"), missing=True),
    Category("c"),
    Boolean("b", missing=True),
    Integer("i", -5, 1000, point_masses=(-9,), missing=True),
    Integer("i"),
    Number("x", -1.5, 2.5, missing=True),
    Number("x", 0.0, 10.0, decimals=2, missing=True),
    Date("d", *DAY, point_masses=(dt.date(9999, 12, 31),), missing=True),
    Date("d", *DAY, missing=True, format="%d/%m/%Y"),
    Datetime("t", dt.datetime(2000, 1, 1), dt.datetime(2030, 1, 1), missing=True),
    Datetime("t", missing=True, format="%Y-%m-%d %H:%M:%S.%f"),
]
ODD = [
    *[
        True,
        1,
        1.0,
        decimal.Decimal("1"),
        decimal.Decimal("1.0"),
        "1",
        "1.0",
        b"1",
        1 + 0j,
        np.float32(0.1),
        np.int8(1),
    ],
    *[np.bool_(True), "True", "true", 0, -0.0, 0.1, 2**53 + 1, 2**63, 10**400, "9007199254740993", 1j, float("inf")],
    *[pd.Timestamp("2020-01-01 00:00:00.123456789"), "2020-01-01 00:00:00.123456789", "2020-01-01T00:00:00.1+02:00"],
    *[dt.date(9999, 12, 31), dt.datetime(9999, 12, 31), "9999-12-31", "0001-01-01", "31/12/9999", "31/12/2020"],
    *[pd.Timestamp("2020-01-01", tz="Europe/Paris"), dt.datetime(2020, 1, 1), np.datetime64("2020-01-01T00:00", "ns")],
    *[np.datetime64("9999-12-31"), dt.date(2020, 1, 1), "2020-01-01", "2020-1-1", "20200101", 20200101, 20200101.0],
    *[
        "2020-01-01 00:00:00.123456",
        "9999-12-31 23:59:59.000000",
        "2020-02-30",
        "1e400",
        "1e5",
        "+7",
        " 7 ",
        "1_0",
        "0x1",
    ],
    *["", "NA", "?", "nan", "inf", "-Infinity", None, np.nan, pd.NA, pd.NaT, [1], [1, "a"], {}, {"a": 1}, (1, 2)],
    *[dt.timedelta(1), np.timedelta64(1, "s"), pd.Period("2020-01"), uuid.UUID(int=1), "\ud800", "é", "７"],
]
RAW = st.one_of(
    st.sampled_from(ODD), st.integers(), st.floats(), st.text(max_size=5), st.booleans(), st.decimals(allow_nan=True),
    st.dates(), st.datetimes(), st.datetimes(timezones=st.timezones()), st.binary(max_size=3), st.none(),
    st.floats(width=32).map(np.float32), st.datetimes().map(str), st.dates().map(str), st.floats().map(repr),
)  # fmt: skip


def reading(column, values, dtype=object):
    read = column.read(pd.Series(values, dtype=dtype))
    written = column.parse(pd.Series(values, dtype=dtype))[0] if column.undeclared or column.missing else None
    shown = (
        [None] * len(values)
        if written is None
        else ["" if value is None or value is pd.NA or value != value else str(value) for value in written]
    )
    return [
        (repr(value), bool(gone), bool(a), bool(b), bool(c), text)
        for value, gone, a, b, c, text in zip(*read, shown, strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: f"{c.kind}-{getattr(c, 'format', None)}-{c.undeclared}")
@given(v=RAW, w=RAW)
@example(v=dt.date(9999, 12, 31), w="2020-01-01 00:00:00.123456789")
@example(v="9999-12-31", w=pd.Timestamp("2020-01-01 00:00:00.123456789"))
@example(v=True, w=1)
@example(v=decimal.Decimal("1.0"), w=decimal.Decimal("1"))
@example(v=2**53 + 1, w=0.5)
@example(v="9007199254740993", w="0.5")
@settings(max_examples=60, deadline=None)
def test_a_value_is_read_alike_alone_and_beside_any_other(column, v, w):
    [alone], both, turned = reading(column, [v]), reading(column, [v, w]), reading(column, [w, v])
    assert alone == both[0] == turned[1]


def test_all_the_odd_values_together_are_read_as_each_alone():
    for column in COLUMNS:
        alone = [reading(column, [value])[0] for value in ODD]
        assert reading(column, ODD) == alone
        assert reading(column, ODD[::-1]) == alone[::-1]


@given(
    texts=st.lists(
        st.one_of(st.floats().map(repr), st.integers().map(str), st.sampled_from(["+1.5", " 2", "x", "", "1e400"]))
    )
)
@settings(max_examples=100, deadline=None)
def test_long_columns_of_texts_are_read_as_each_text(texts):
    for series in (pd.Series(texts, dtype="str"), pd.Series(texts, dtype=object), pd.Series(texts, dtype="category")):
        np.testing.assert_array_equal(to_numbers(series), [number_of(text) for text in texts])


@given(
    texts=st.lists(
        st.one_of(st.datetimes().map(str), st.dates().map(str), st.sampled_from(["2020-1-1", "x", "2020-01-01T10Z"]))
    )
)
@settings(max_examples=100, deadline=None)
def test_long_columns_of_times_are_read_as_each_time(texts):
    for series in (pd.Series(texts, dtype="str"), pd.Series(texts, dtype=object)):
        np.testing.assert_array_equal(to_seconds(series), [second_of(text) for text in texts])


@pytest.mark.parametrize("text", ["0000-01-01", "0000-12-31 23:59:59", "10000-01-01"])
def test_a_year_that_python_does_not_know_is_no_moment_whatever_stands_beside_it(text):
    for beside in ([], ["odd"], ["2020-01-01"], ["2020-01-01T00:00Z"], [None]):
        for kind in ("str", object):
            assert np.isnan(to_seconds(pd.Series([text, *beside], dtype=kind))[0])
    instant = np.datetime64(text if text[0] == "0" else f"+{text}", "s")
    assert np.isnan(second_of(instant))
    assert np.isnan(to_seconds(pd.Series(np.array([instant])))).all()


def test_moments_are_those_that_python_means():
    for text in ("2020-02-29", "1969-12-31 23:59:59.5", "2020-06-01T10:00+02:00", "0001-01-01", "9999-12-31 23:59:59"):
        instant = dt.datetime.fromisoformat(text)
        zone = instant.tzinfo or dt.UTC
        expected = (
            instant.replace(microsecond=0, tzinfo=zone) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        ).total_seconds()
        assert second_of(text) == expected
        assert second_of(instant.replace(tzinfo=instant.tzinfo)) == expected
    for text in ("2020-02-30", "2020-13-01", "2020", "2020-01", "12:00", "2020-01-01 25:00", "2020-01-01Q"):
        assert np.isnan(second_of(text))


def test_values_are_stated_apart_by_type_and_text():
    values = [True, 1, 1.0, "1", decimal.Decimal("1"), decimal.Decimal("1.0"), 1, None, [1], [1]]
    codes, found = distinct(pd.Series(values, dtype=object))
    assert codes.tolist() == [0, 1, 2, 3, 4, 5, 1, -1, 6, 6]
    assert [type(value) for value in found] == [bool, int, float, str, decimal.Decimal, decimal.Decimal, list]


def test_whole_numbers_of_a_parquet_file_do_not_depend_on_missing_ones(tmp_path):
    column = Category("n", (str(2**53 + 1),), missing=True)
    for values in ([2**53 + 1], [2**53 + 1, None]):
        for kind in (pa.int64(), pa.uint64()):
            pq.write_table(pa.table({"n": pa.array(values, kind)}), tmp_path / "n.parquet")
            for frame in (
                tabular_files.read_parquet(tmp_path / "n.parquet"),
                *tabular_files.parquet_frames(tmp_path / "n.parquet", 1),
            ):
                assert column.parse(frame["n"])[0].dropna().isin([str(2**53 + 1)]).all()
    pq.write_table(pa.table({"n": pa.array([0.5])}), tmp_path / "o.parquet")
    both = tabular_files.read([tmp_path / "n.parquet", tmp_path / "o.parquet"])
    assert both["n"].tolist()[:1] + both["n"].tolist()[2:] == [2**53 + 1, 0.5]


@pytest.mark.parametrize("extra", ["2020-01-01 00:00:00.123456789", "x", "", "2020-01-01T00:00+05:00"])
def test_one_odd_date_changes_no_other_row_of_a_file(tmp_path, extra):
    """The experiment of two files: 700 far dates, and one time stamp in nanoseconds more."""
    domain = Domain((Date("d", *DAY, point_masses=(dt.date(9999, 12, 31),), missing=True),))
    days = ["9999-12-31"] * 7 + ["2020-05-05"] * 3
    (tmp_path / "a.csv").write_text("d\n" + "\n".join(days) + "\n")
    (tmp_path / "b.csv").write_text("d\n" + "\n".join([*days, f'"{extra}"']) + "\n")
    whole, more = (Table.read(tmp_path / name, domain, unreadable="missing") for name in ("a.csv", "b.csv"))
    assert more.head(10).frame.equals(whole.frame)
    chunks = [Table(frame, domain, unreadable="missing").frame for frame in tabular_files.frames(tmp_path / "b.csv", 3)]
    assert pd.concat(chunks, ignore_index=True).equals(more.frame)
