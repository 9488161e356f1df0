"""Numbers, dates and missing values in the notation of the file: read to the letter, written back in it."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from dpsynth.data import Domain, Table
from dpsynth.data.columns import Date
from dpsynth.data.columns.durations import duration_text, seconds_of_durations
from dpsynth.data.columns.notation import Notation
from dpsynth.data.columns.raw import number_of, to_numbers
from dpsynth.errors import DataError, SchemaError


@pytest.mark.parametrize(
    ("notation", "texts"),
    [
        (Notation(",", "."), {"1.234,5": 1234.5, "1234,5": 1234.5, "-1.234.567": -1234567, ",5": 0.5, "1,5e3": 1500}),
        (Notation(".", ",", ("$", "%")), {"$2,310.50": 2310.5, "31%": 31, "-$5": -5, "$-5": -5, "45,210": 45210}),
        (Notation(",", " ", ("EUR",)), {"1 234,50 EUR": 1234.5, "EUR 7": 7, "+3,": 3}),
        (Notation(".", "'"), {"1'234.5": 1234.5}),
        (Notation(".", "lakh"), {"12,34,567.5": 1234567.5, "1,000": 1000, "7": 7}),
        (Notation(negative="trailing"), {"1.50-": -1.5, "-2": -2, "3": 3}),
        (
            Notation(".", ",", ("$", "%"), "parentheses"),
            {"(1,234.50)": -1234.5, "$(5)": -5, "($5.0)": -5, "(7%)": -7, "(7)%": -7, "-3": -3, "4": 4},
        ),
        (Notation(",", "."), {"\u22121.234,5": -1234.5, "\u0661\u0662": 12, "\uff17": 7, "\u0663\uff0c\u0665": 3.5}),
    ],
)
def test_what_keeps_the_notation_is_read(notation, texts):
    assert {text: notation.number_of(text) for text in texts} == texts
    series = pd.Series(list(texts))
    np.testing.assert_array_equal(notation.to_numbers(series), list(texts.values()))
    assert notation.to_numbers(pd.Series([1.5, 2.5])).tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("notation", "texts"),
    [
        (Notation(",", "."), ["12.34", "1.23.456", "1,2,3", ",", "", "--5", "1.2345"]),
        (Notation(".", ","), ["1,23", "1,2345", ",123", "$5"]),
        (Notation(".", None, ("$",)), ["5 EUR", "$", "$$5", "1,000"]),
        (Notation(".", "lakh"), ["1,234,567", "1,23", "12,34"]),
        (Notation(), ["(5)", "5-", "\u20135", "\u00b2"]),
        (Notation(negative="trailing"), ["-5-", "5--", "-", "(5)"]),
        (Notation(negative="parentheses"), ["1(2)", "(1)2", "(-5)", "()", "((5))", "(5", "5)", "(inf)"]),
    ],
)
def test_what_does_not_is_no_number(notation, texts):
    assert [notation.number_of(text) for text in texts if notation.number_of(text) == notation.number_of(text)] == []


def test_notations_that_make_no_sense():
    for wrong in ({"decimal": ";"}, {"thousands": "."}, {"thousands": "x"}, {"symbols": ("1",)}, {"symbols": (" ",)}):
        with pytest.raises(SchemaError):
            Notation(**wrong)  # type: ignore[arg-type]
    # a sign that is taken for a symbol would be lost
    for symbol in ("-", "+", "(", ")", "\u2212", "\uff0d", "\u0663", "\0"):
        with pytest.raises(SchemaError, match="symbols are texts"):
            Notation(symbols=(symbol,))
    with pytest.raises(SchemaError, match="negative must be"):
        Notation(negative="red")  # type: ignore[arg-type]


def test_minus_signs_of_all_kinds_are_read_without_a_notation():
    series = pd.Series(["1.5", "\u22122.5", "\uff0d\uff13"])
    assert to_numbers(series).tolist() == [1.5, -2.5, -3.0]
    assert [number_of(text) for text in series] == [1.5, -2.5, -3.0]


SCHEMA = """\
decimal: ","
thousands: "."
columns:
  pay: {kind: number, bounds: [0, 9999], decimals: 2, symbols: [EUR]}
  n: {kind: integer, bounds: [0, 9999], decimal: ".", thousands: ","}
  day: {kind: date, bounds: [2000-01-01, 2030-12-31], format: '%d.%m.%Y', missing: true, missing_values: ["-"]}
  at: {kind: datetime, bounds: [2000-01-01 00:00:00, 2030-12-31 00:00:00], format: epoch_ms, timezone: Europe/Berlin}
  born: {kind: date, bounds: [1900-01-01, 2030-12-31], missing: true, missing_values: [0000-00-00, 9999-12-31]}
  land: {kind: category, categories: private, missing_values: []}
"""


def test_a_table_in_its_notation_is_read_and_written_back(tmp_path):
    domain = Domain.from_yaml(SCHEMA)
    assert Domain.from_yaml(domain.to_yaml()) == domain
    text = "pay;n;day;at;born;land\n" + "\n".join(
        [
            "1.234,50 EUR;1,234;31.12.2020;1593561600000;0000-00-00;NA",
            "7;5;-;1609459200000;1970-05-05T00:00:00+02:00;null",
            "7,25 EUR;6;01.02.2021;1593561600999;9999-12-31;DE",
        ]
    )
    (tmp_path / "a.csv").write_text(text + "\n")
    table = Table.read(tmp_path / "a.csv", domain, delimiter=";")
    assert table.frame["pay"].tolist() == [1234.5, 7.0, 7.25]
    assert table.frame["n"].tolist() == [1234, 5, 6]
    assert table.frame["day"].isna().tolist() == [False, True, False]
    assert table.frame["at"].iloc[0] == pd.Timestamp("2020-07-01 02:00:00")  # Berlin summer time
    assert table.frame["born"].dropna().dt.date.tolist() == [dt.date(1970, 5, 5)]
    assert table.frame["land"].tolist() == ["NA", "null", "DE"]
    assert table.invalid == {}
    again = Table.read(table.to_csv(tmp_path / "b.csv"), domain)
    pd.testing.assert_frame_equal(again.frame, table.frame)


def test_values_outside_by_sentinels_are_missing_not_clamped():
    domain = Domain.from_yaml(
        "columns:\n  n: {kind: integer, bounds: [0, 9], missing: true, missing_values: ['-9', '']}\n"
    )
    for values in (["-9", "3", ""], [-9, 3, None], [-9.0, 3.0, np.nan]):
        table = Table(pd.DataFrame({"n": values}), domain)
        assert table.frame["n"].isna().tolist() == [True, False, True]
        assert table.invalid == {}


@pytest.mark.parametrize(
    ("kind", "values", "remedy"),
    [
        ("integer, bounds: [0, 99999]", ["45,210", "1,000", "7"], 'declare thousands: ","'),
        ("number, bounds: [0, 99999]", ["1.234,5", "7,5"], 'declare decimal: ",", thousands: "."'),
        ("number, bounds: [0, 99999]", ["$5", "$7.5"], 'declare symbols: \\["\\$"\\]'),
        ("number, bounds: [0, 99999]", ["5.5", "N/A", "-"], 'missing_values: \\["N/A", "-"\\] and missing: true'),
        ("number, bounds: [0, 99999]", ["2020-01-01"], "they are dates"),
        ("number, bounds: [0, 99999]", ["(1,234.50)", "5"], 'thousands: ",", negative: "parentheses"'),
        ("number, bounds: [0, 99999]", ["1.50-", "5"], 'negative: "trailing"'),
        ("number, bounds: [0, 99999]", ["12,34,567.00", "1,50,000.00"], 'thousands: "lakh"'),
        ("number, bounds: [0, 99999]", ["<0.5", "0.7"], "or kind: category"),
        ("number, bounds: [0, 99999]", ["5 cm", "7 kg"], "or kind: category"),
        ("number, bounds: [0, 99999]", ["DE0007", "DE0123"], "or kind: category"),
        ("integer, bounds: [0, 99999]", ["1:02:03", "100:00:00"], "declare format: duration"),
        ("number, bounds: [0, 99999]", ["1:02:03", "100:00:00"], "declare kind: integer, format: duration"),
        ("integer, bounds: [0, 99999]", ["5", "#DIV/0!"], 'missing_values: \\["#DIV/0!"\\] and missing: true'),
        ("date, bounds: [2000-01-01, 2030-12-31]", ["2021-W05-3"], "format: '%G-W%V-%u'"),
        ("datetime, bounds: private", ["00:00", "13:30"], "format: '%H:%M'"),
        ("date, bounds: [2000-01-01, 2030-12-31]", ["31.12.2020"], "format: '%d.%m.%Y'"),
        ("date, bounds: [2000-01-01, 2030-12-31]", ["01/02/2020"], "format: '%d/%m/%Y' \\(or '%m/%d/%Y', which reads"),
        ("date, bounds: [2000-01-01, 2030-12-31]", ["2020-01-01", "0000-00-00"], 'missing_values: \\["0000-00-00"\\]'),
        ("boolean", ["ja", "nein"], r"declare texts: \['nein', 'ja'\]"),
        ("boolean", ["ja", "ne"], "kind: category"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_would_read_it(kind, values, remedy):
    domain = Domain.from_yaml(f"columns:\n  x: {{kind: {kind}}}\n")
    with pytest.raises(DataError, match=remedy):
        Table(pd.DataFrame({"x": values}), domain)


def test_formats_and_time_zones_are_checked_when_they_are_declared():
    for wrong in ("format: '%Q'", "timezone: Mars/Olympus", "format: 5%"):
        with pytest.raises(SchemaError, match="column 'd'"):
            Domain.from_yaml(f"columns:\n  d: {{kind: date, bounds: [2000-01-01, 2001-01-01], {wrong}}}\n")


def test_years_are_written_with_four_figures(tmp_path):
    domain = Domain.from_yaml(
        "columns:\n  d: {kind: date, bounds: [0001-01-01, 9999-12-31]}\n"
        "  e: {kind: date, bounds: [0001-01-01, 9999-12-31], format: '%d.%m.%Y'}\n"
    )
    table = Table(pd.DataFrame({"d": ["0987-01-02", "2020-01-01"], "e": ["02.01.0987", "01.01.2020"]}), domain)
    assert table.to_csv(tmp_path / "a.csv").read_text() == "d,e\n0987-01-02,02.01.0987\n2020-01-01,01.01.2020\n"
    assert Table.read(tmp_path / "a.csv", domain).frame.equals(table.frame)


@pytest.mark.parametrize("form", [None, "%d.%m.%Y", "epoch"])
@pytest.mark.parametrize("rows", [0, 3])
def test_columns_without_a_single_date_are_written(tmp_path, form, rows):
    domain = Domain((Date("d", low=dt.date(2000, 1, 1), high=dt.date(2020, 1, 1), format=form, missing=True),))
    table = Table(pd.DataFrame({"d": pd.Series([None] * rows, dtype=object)}), domain)
    assert table.to_csv(tmp_path / "a.csv").read_text() == "d\n" + '""\n' * rows
    table.to_parquet(tmp_path / "a.parquet")


def test_lengths_of_time():
    texts = ["1:02:03", "-0:00:07", "100:00:00", "4 days 04:02:03", "PT1H2M3S", "P1D", "1:02:03.5", "77"]
    seconds = [3723, -7, 360000, 360123, 3723, 86400, 3723.5, 77]
    assert seconds_of_durations(pd.Series(texts)).tolist() == seconds
    assert np.isnan(seconds_of_durations(pd.Series(["1:02", "1:60:00", "P", "PT", "a", "", "1:2:3"]))).all()
    for unit in ("s", "ms", "us", "ns"):
        typed = pd.Series(np.array([3723, -7], dtype="timedelta64[s]").astype(f"timedelta64[{unit}]"))
        assert seconds_of_durations(typed).tolist() == [3723, -7]
    for whole in (0, 59, -3600, 10**7):
        assert seconds_of_durations(pd.Series([duration_text(whole)])).tolist() == [whole]


def test_a_format_with_an_offset_is_written_with_one(tmp_path):
    for zone, text in ((None, "02.07.2021 10:00 +0000"), ("Europe/Berlin", "02.07.2021 12:00 +0200")):
        clock = "" if zone is None else f", timezone: {zone}"
        domain = Domain.from_yaml(
            "columns:\n  at: {kind: datetime, bounds: ['2020-01-01 00:00:00', '2022-01-01 00:00:00'], "
            f"format: '%d.%m.%Y %H:%M %z'{clock}}}\n"
        )
        table = Table(pd.DataFrame({"at": ["02.07.2021 12:00 +0200"]}), domain)
        assert table.to_csv(tmp_path / "a.csv").read_text() == f"at\n{text}\n"
        assert Table.read(tmp_path / "a.csv", domain).frame.equals(table.frame)
