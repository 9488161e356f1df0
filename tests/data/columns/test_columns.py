"""Every kind reads every value without raising, stays in its domain, and finds its own output unchanged."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.columns import Boolean, Category, Column, Date, Datetime, Integer, Number, NumericColumn
from dpsynth.errors import DataError, SchemaError

COLUMNS: list[Column] = [
    Category("c", ("a", "b", "1")),
    Category("c", ("a", "b", "1"), missing=True),
    Category("c", ("a", "b"), other="rest"),
    Boolean("b"),
    Boolean("b", missing=True),
    Integer("i", -5, 1000, point_masses=(0, -9)),
    Integer("i", 1, 7, missing=True),
    Number("x", -1.5, 2.5),
    Number("x", 0.0, 1.0, point_masses=(0.0, 99.0), missing=True),
    Number("x", 0.05, 12.5, decimals=2, scale="log"),
    Date("d", dt.date(1990, 1, 1), dt.date(2020, 12, 31), missing=True),
    Date("d", dt.date(1990, 1, 1), dt.date(2020, 12, 31), point_masses=(dt.date(9999, 12, 31),)),
    Datetime("t", dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 2), resolution=60),
]

GARBAGE = st.one_of(
    st.none(),
    st.text(max_size=6),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.lists(st.integers(), max_size=2),
    st.sampled_from(
        [
            *[
                "",
                "?",
                "NaN",
                "inf",
                "-inf",
                " a ",
                "a",
                "0",
                "1e400",
                "2000-01-01",
                "2000-02-30",
                "1_0",
                "0x1",
            ],
            *[
                np.nan,
                pd.NA,
                pd.NaT,
                np.inf,
                -np.inf,
                10**400,
                2**63,
                1e308,
                decimal.Decimal("3.5"),
                1j,
                b"a",
            ],
            *[pd.Timestamp("2001-01-01", tz="Europe/Paris"), "2001-01-01T00:00+05:00", {}, object()],
        ]
    ),
)


def legal(column: Column, series: pd.Series) -> bool:
    missing = series.isna().to_numpy(dtype=bool)
    if missing.any() and not column.missing:
        return False
    known = series[~missing]
    if isinstance(column, Boolean):
        return known.isin([True, False]).all()
    if isinstance(column, Category):
        return known.isin(column.values).all()
    assert isinstance(column, NumericColumn)
    return bool(column.contains(column.numbers(known)).all())


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: f"{c.kind}-{c.missing}")
@given(values=st.lists(GARBAGE, max_size=12))
@settings(max_examples=60, deadline=None)
def test_reading_is_total_and_stays_in_the_domain(column, values):
    series = pd.Series(values, dtype=object)
    reading = column.read(series)
    written = column.write(reading.values, reading.missing)
    assert len(written) == len(values)
    assert legal(column, written)
    assert column.missing or not reading.missing.any()
    again = column.read(written)
    assert not again.invalid.any()
    assert column.write(again.values, again.missing).equals(written)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: f"{c.kind}-{c.missing}")
@pytest.mark.parametrize("dtype", ["float32", "int8", "bool", "Int64", "datetime64[ns]", "category", "complex128"])
def test_reading_takes_every_pandas_dtype(column, dtype):
    series = pd.Series([0, 1, 1]).astype(dtype)
    reading = column.read(series)
    assert legal(column, column.write(reading.values, reading.missing))


def test_dtypes_at_the_boundary():
    def dtype(column, values):
        return str(column.parse(pd.Series(values, dtype=object))[0].dtype)

    assert dtype(Integer("i", 0, 9), ["3"]) == "int64"
    assert dtype(Integer("i", 0, 9, missing=True), ["3", None]) == "Int64"
    assert dtype(Number("x", 0.0, 9.0), ["3"]) == "float64"
    assert dtype(Boolean("b"), ["yes"]) == "bool"
    assert dtype(Boolean("b", missing=True), ["yes", "?"]) == "boolean"
    assert dtype(Date("d", dt.date(2000, 1, 1), dt.date(2001, 1, 1)), ["2000-05-05"]) == "datetime64[s]"


def test_policies_for_numbers():
    raw = pd.Series(["5", "-3", "99", "abc", "inf", ""], dtype=object)
    plain, changed = Integer("i", 1, 10).parse(raw)
    assert plain.tolist() == [5, 1, 10, 1, 10, 1]  # no nearest bound: the lower one, whatever the data
    assert changed == 5
    kept, changed = Integer("i", 1, 10, missing=True).parse(raw)
    assert kept.isna().tolist() == [False, False, False, True, False, True]
    assert changed == 4  # the empty one was allowed
    gone, _ = Integer("i", 1, 10, missing=True).parse(raw, "missing")
    assert gone.isna().tolist() == [False, True, True, True, True, True]
    with pytest.raises(DataError, match=r"column 'i'.*'-3'"):
        Integer("i", 1, 10).parse(raw, "error")


def test_policies_for_categories():
    raw = pd.Series(["a", "zebra", None], dtype=object)
    assert Category("c", ("a",), other="rest").parse(raw, "error")[0].tolist() == ["a", "rest", "rest"]
    assert Category("c", ("a",), missing=True).parse(raw)[0].isna().tolist() == [False, True, True]
    with pytest.raises(DataError, match=r"column 'c'.*'zebra'.*other"):
        Category("c", ("a",)).parse(raw)


def test_declared_categories_win_over_texts_for_missing():
    column = Category("c", ("None", "?", "NA"), missing=True)
    assert column.parse(pd.Series(["None", "?", "NA", "null"]))[0].isna().tolist() == [
        False,
        False,
        False,
        True,
    ]


def test_category_texts_do_not_depend_on_the_type_in_the_file():
    column = Category("c", ("0", "1", "17"))
    for series in (pd.Series([0, 1, 17]), pd.Series([0.0, 1.0, 17.0]), pd.Series(["0", " 1", "17 "])):
        assert column.parse(series)[0].tolist() == ["0", "1", "17"]


def test_dates_in_the_users_format():
    column = Date("d", dt.date(2000, 1, 1), dt.date(2030, 1, 1), missing=True, format="%d/%m/%Y")
    parsed, changed = column.parse(pd.Series(["31/12/2020", "", "12/31/2020"]))
    assert column.text(parsed).fillna("").tolist() == ["31/12/2020", "", ""]
    assert changed == 1


def test_values_decimals_stand_for_are_exact():
    column = Number("x", -10.0, 10.0, decimals=3)
    texts = [f"{k / 1000:.3f}" for k in range(-10_000, 10_001, 7)]
    parsed, changed = column.parse(pd.Series(texts))
    assert changed == 0
    assert parsed.tolist() == [float(text) for text in texts]
    ticks = column.tick(parsed.to_numpy())
    assert (np.diff(ticks) == 7).all()
    assert (column.value(ticks) == parsed.to_numpy()).all()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Integer("i", 5, 5), "below"),
        (lambda: Integer("i", 9, 1), "below"),
        (lambda: Integer("i", 0, None), "both bounds"),
        (lambda: Integer("i", 0, 2**60), "2\\^53"),
        (lambda: Integer("i", 0, 1.5), "not an integer"),
        (lambda: Integer("i", 0, 1, point_masses=(0, 1)), "every value is a point mass"),
        (lambda: Integer("i", 0, 9, scale="root"), "linear or log"),
        (lambda: Number("x", 0.0, float("inf")), "finite"),
        (lambda: Number("x", 0.0, 1.0, scale="log"), "above 0"),
        (lambda: Number("x", 0.0, 1.23, decimals=1), "decimals"),
        (lambda: Number("x", 0.0, 1e6, decimals=9), "2\\^45"),
        (lambda: Category("c", ()), "list its categories"),
        (lambda: Category("c", ("a", "a")), "twice"),
        (lambda: Category("c", ("a", " ")), "empty"),
        (
            lambda: Datetime("t", dt.datetime(2000, 1, 1), dt.datetime(2000, 1, 1, 0, 1), resolution=7),
            "resolutions",
        ),
        (
            lambda: Datetime(
                "t",
                dt.datetime(2000, 1, 1),
                dt.datetime(2000, 1, 2),
                point_masses=(dt.datetime(2000, 1, 1, 0, 0, 30),),
                resolution=60,
            ),
            "one of its values",
        ),
        (lambda: Integer("", 0, 1), "non-empty"),
    ],
)
def test_contradictions_are_refused(make, says):
    with pytest.raises(SchemaError, match=says):
        make()


def test_private_columns_are_undeclared_until_completed():
    column = Integer("i")
    assert column.undeclared
    assert column.parse(pd.Series(["7", "x"]))[0].isna().tolist() == [False, True]
    assert not column.replace(low=0, high=9).undeclared
    assert Category("c").undeclared
    assert Category("c").parse(pd.Series(["u ", "?"]))[0].isna().tolist() == [False, True]
