"""Drafts mark every guess, round outward, and can be used once checked."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpsynth.data import Boolean, Category, Date, Datetime, Domain, Integer, Number, Table
from dpsynth.data.columns import Identifier
from dpsynth.data.table.column_draft import outward
from dpsynth.data.table.csv_dialect import CsvDialect
from dpsynth.data.table.csv_sniffer import ignorable, sniff
from dpsynth.data.table.draft import draft
from dpsynth.errors import DataError


@pytest.fixture
def file(tmp_path):
    n = 200
    frame = pd.DataFrame(
        {
            "age": 17 + np.arange(n) % 74,
            "gain": np.where(np.arange(n) % 2, 0, 3 + np.arange(n)),
            "code": np.arange(n) % 3,
            "price": [f"{i % 77 / 100:.2f}" for i in range(n)],
            "when": pd.date_range("2020-02-03", periods=n).strftime("%Y-%m-%d"),
            "at": pd.date_range("2020-02-03 01:00", periods=n, freq="h").strftime("%Y-%m-%d %H:%M:%S"),
            "flag": np.where(np.arange(n) % 2, "true", "false"),
            "word": np.where(np.arange(n) % 5, "yes", ""),
            "name": [f"person {i}" for i in range(n)],
            "nothing": "",
        }
    )
    frame.to_csv(tmp_path / "people.csv", index=False)
    return tmp_path / "people.csv"


def test_every_guess_is_marked(file):
    lines = draft(file).splitlines()
    entries = [line for line in lines if line.startswith("  ")]
    assert len(entries) == 10
    assert all("# guess: " in line and "check that it is public" in line for line in entries)
    assert "NOT PUBLIC" in lines[0]


def test_the_draft_is_a_schema_that_fits(file):
    domain = Domain.from_yaml(draft(file))
    assert domain["age"] == Integer("age", 10, 90)
    assert domain["gain"] == Integer("gain", 0, 250, point_masses=(0,))
    assert domain["code"] == Category("code", ("0", "1", "2"))
    assert domain["price"] == Number("price", 0.0, 0.8, decimals=2)
    assert isinstance(domain["when"], Date)
    assert isinstance(domain["at"], Datetime)
    assert isinstance(domain["flag"], Boolean)
    assert domain["word"] == Category("word", ("yes",), missing=True)
    assert domain.identifiers == ((8, Identifier("name", "person {n}")),)
    assert "nothing" not in domain.names
    assert not domain.undeclared
    assert Table.read(file, domain).invalid == {}


@given(low=st.floats(allow_nan=False, allow_infinity=False), high=st.floats(allow_nan=False, allow_infinity=False))
@example(low=1.6e308, high=1.6e308)
@example(low=-1.7e308, high=-1.7e308)
@example(low=5e-324, high=5e-324)
@example(low=-3.5e-211, high=9.9e237)
@example(low=0.0, high=0.30000000000000004)
def test_outward_encloses_any_floats(low, high):
    low, high = min(low, high), max(low, high)
    a, b = outward(low, high)
    assert -np.inf < a <= low
    assert high <= b < np.inf
    assert a < b


@given(low=st.floats(-1e9, 1e9), width=st.floats(0, 1e9))
def test_outward_encloses(low, width):
    a, b = outward(low, low + width)
    slack = 1e-9 * max(1.0, abs(low), abs(width))
    assert a <= low + slack
    assert b >= low + width - slack
    assert a < b


N = 40


def drafted(path, text, encoding="utf-8"):
    """(domain of the draft, table read by it, draft) of a file of this text."""
    path.write_bytes(text.encode(encoding))
    found = draft(path)
    domain = Domain.from_yaml(found)
    return domain, Table.read(path, domain, **ignorable(path, sniff(path)).options), found


def lines(values, name="x"):
    return "\n".join([name, *(f'"{value}"' for value in values)]) + "\n"


@pytest.mark.parametrize(
    ("values", "spec"),
    [
        (["02139", "19104"] * N, "kind: category, categories: [02139, '19104']"),
        (["3E5", "4E7"] * N, "kind: category, categories: [3E5, 4E7]"),
        ([f"0{k}" for k in range(10, 10 + N)], "kind: identifier"),
        ([2**60 + k for k in range(N)], "kind: identifier"),
        (range(7, 7 + N), "kind: identifier"),
        ([f"a{k}@example.org" for k in range(N)], "kind: identifier"),
        ([*(str(k % 30 + 0.5) for k in range(N)), "N/A", "N/A"], "'?', N/A]"),
        ([f"{k % 28 + 1:02}/03/2021" for k in range(N)], "format: '%d/%m/%Y'"),
        ([f"202306{k % 28 + 1:02}" for k in range(N)], "'2023-12-31'], format: '%Y%m%d'"),
        ([f"2021-01-{k % 28 + 1:02}T00:00:00+02:00" for k in range(N)], "kind: date"),
        (["0987-01-01", "1003-05-05"] * N, "bounds: ['0987-01-01', '1003-12-31']"),
        (["2020-01-01", "2021-05-05", "9999-12-31"] * N, "'9999-12-31'], missing: true"),
        (["1.5", "inf", "2.25"] * N, "infinite values, which are moved to the bounds"),
        ([f"{k % 30},5" for k in range(N)], "decimals: 1, decimal: ','"),
        ([f"${k % 30},100.50" for k in range(1, N)], "decimals: 2, thousands: ',', symbols: [$]"),
        ([f"({k % 9},100.50)" if k % 3 else f"{k % 9},200.50" for k in range(1, N)], "negative: parentheses"),
        ([f"{k % 30}.5-" if k % 3 else f"{k % 30}.5" for k in range(1, N)], "negative: trailing"),
        ([f"\u2212{k % 30}.5" for k in range(N)], "bounds: [-30.0, 0.0], decimals: 1}"),
        ([chr(0x660 + k % 10) + "\u066b" + chr(0x661) for k in range(N)], "kind: number, bounds: [0.0, 10.0]"),
        ([f"{k % 9} {'kg' if k % 2 else 'cm'}" for k in range(N)], "kind: category, categories: [0 cm"),
        ([f"<{k % 9}" for k in range(N)], "kind: category"),
        ([f"DE{k % 9:06}" for k in range(N)], "kind: category"),
        ([f"P{100 + k % 9}" for k in range(N)], "kind: category, categories: [P100"),
        ([f"{k % 24:02}:{k % 60:02}" for k in range(N)], "resolution: 60, format: '%H:%M'"),
        ([f"{k}:02:03" for k in range(N)], "kind: integer, bounds: [0, 160000], format: duration"),
        ([f"2021-W{k % 50 + 1:02}-3" for k in range(N)], "bounds: ['2021-01-01', '2021-12-31'], format: '%G"),
        ([2**60 + k % 9 for k in range(N)], "kind: category, categories: ['1152921504606846976'"),
        ([f"{2**60 + k % 9}.0" for k in range(N)], "kind: category, categories: ['1152921504606846976.0'"),
        ([10**13 * k % 97 for k in range(N)], "kind: category"),
        ([3 * 10**14 * (k % 17) for k in range(N)], "kind: number"),
    ],
)  # fmt: skip
def test_a_column_is_declared_without_loss(tmp_path, values, spec):
    _, table, found = drafted(tmp_path / "a.csv", lines(values).replace("x\n", "x,y\n", 1).replace('"\n', '",1\n'))
    assert spec.removesuffix(", missing: true") in found
    assert "guess: " in found
    assert set(table.invalid) <= ({"x"} if "inf" in values else set())


@pytest.mark.parametrize(
    "name", ["x\ny", "null", "yes", "a: b", "# no", "{q}", "- z", "\u2028", "'", '"', "😀", "1", "&a"]
)
def test_any_name_and_any_category_can_be_drafted(tmp_path, name):
    quoted = '"' + name.replace('"', '""') + '"'
    rows = "".join(f"{quoted},{k % 9}\n" for k in range(N))
    domain, table, _ = drafted(tmp_path / "a.csv", f"{quoted},n\n{rows}")
    column = name.strip() or "column 1"
    if column in domain.names and name not in ("null", "1"):
        assert set(table.frame[column]) == {name.strip()}


def test_columns_without_a_name_are_left_out_and_named(tmp_path):
    _, table, found = drafted(tmp_path / "a.csv", ",age,\n" + "".join(f"{k},{20 + k % 5},\n" for k in range(N)))
    assert "# Read the file with: data.ignore='[column 1]'" in found
    assert table.domain.names == ("age",)


@pytest.mark.parametrize(
    ("text", "encoding", "described"),
    [
        ("a;b\n1,5;x\n2,5;y\n", "utf-8", "data.delimiter=\"';'\""),
        ("a\tb\n1\tx\n", "utf-16", "data.delimiter=tab data.encoding=utf-16"),
        ("a,b\né,x\n", "cp1252", "data.encoding=cp1252"),
        ("Report\n\na,b\n1,x\n2,y\n", "utf-8", "data.skip_rows=1"),
        ("1,x\n2,y\n", "utf-8", "data.header=false"),
        ("sep=;\na;b\n1;x\n", "utf-8", "data.delimiter=\"';'\""),
        ("# made by hand\na,b\n1,x\n2,y\n", "utf-8", "data.comment="),
        ("a,b\n1,x\n2,y\n", "utf-16-le", "data.encoding=utf-16-le"),
        ("a,b\n'1,5',x\n'2',y\n", "utf-8", 'data.quote="\'"'),
    ],
)
def test_the_dialect_of_a_file_is_proposed(tmp_path, text, encoding, described):
    _, table, found = drafted(tmp_path / "a.csv", text, encoding)
    assert f"# Read the file with: {described}" in found
    assert len(table.domain) == 2


def test_a_quotation_mark_that_is_never_closed_is_no_other_quotation_mark(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,x\n\"2,y\n3,it's\n4,z\n")
    assert sniff(tmp_path / "a.csv").quote == '"'
    with pytest.raises(DataError, match="never closed"):
        draft(tmp_path / "a.csv")


def test_what_the_beginning_leaves_open_is_said(tmp_path):
    for text, encoding, said in (
        ("2019,2020\n1,5\n2,6\n", "utf-8", "draft again with --header"),
        ("a,b\nM\u00fcller,1\n", "cp1252", "check that 'M\u00fcller' reads right"),
        ("a    b\n1    x\n2    y\n", "utf-8", "Only one column was found"),
    ):
        (tmp_path / "a.csv").write_bytes(text.encode(encoding))
        assert said in draft(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("2019,2020\n1,5\n2,6\n")
    assert Domain.from_yaml(draft(tmp_path / "a.csv", CsvDialect())).names == ("2019", "2020")
    (tmp_path / "a.csv").write_text(",\n1,2\n")
    with pytest.raises(DataError, match="no column has a name"):
        draft(tmp_path / "a.csv")


def test_signs_that_nobody_sees_are_escaped(tmp_path):
    _, table, found = drafted(tmp_path / "a.csv", "x,y\n\u202eabc,1\u00a0234\n\u200bd,5\u00a0678\n" * 9)
    assert "\\u202e" in found
    assert not {"\u202e", "\u00a0", "\u200b"} & set(found)
    assert table.frame["y"].tolist()[:1] == [1234]


VALUES = st.one_of(
    st.lists(st.integers(-(10**6), 10**6).map(str), min_size=1, max_size=30),
    st.lists(st.integers().map(str), min_size=1, max_size=30),
    st.lists(st.floats(allow_nan=False, allow_infinity=False).map(repr), min_size=1, max_size=30),
    st.lists(st.dates().map(str), min_size=1, max_size=30),
    st.lists(st.datetimes().map(lambda instant: str(instant.replace(microsecond=0))), min_size=1, max_size=30),
    st.lists(st.dates().map(lambda day: day.strftime("%d.%m.") + f"{day.year:04}"), min_size=1, max_size=30),
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=6), min_size=1, max_size=30),
    st.lists(st.sampled_from(["1", "2.50", "", "N/A", "-3"]), min_size=1, max_size=30),
    st.lists(st.sampled_from(["True", "false", "?"]), min_size=1, max_size=30),
    st.lists(st.integers(0, 10**6).map(lambda n: f"{n:,}.50"), min_size=1, max_size=30),
    st.lists(
        st.integers(-(10**6), 10**6).map(lambda n: f"({-n:,}.50)" if n < 0 else f"{n:,}"), min_size=1, max_size=30
    ),
    st.lists(st.integers(-(10**4), 10**4).map(lambda n: f"{abs(n)}{'-' * (n < 0)}"), min_size=1, max_size=30),
    st.lists(st.times().map(lambda time: str(time)[:8]), min_size=1, max_size=30),
    st.lists(st.timedeltas().map(lambda span: str(span).split(".")[0]), min_size=1, max_size=30),
    st.lists(st.dates().map(lambda day: f"{day:%G}-W{day:%V-%u}"), min_size=1, max_size=30),
    st.lists(st.text("0123456789\u0663\uff13.,-+()$%\u20ac\u2212 ", max_size=8), min_size=1, max_size=30),
)


@given(first=VALUES, second=VALUES)
@example(first=["0"], second=["1.6e+308"])
@example(first=["0", "0"], second=["1", "N/A"])
@example(first=["0"], second=["0:0"])
@settings(max_examples=80, deadline=None)
def test_every_draft_loads_and_reads_its_file_and_what_it_writes(tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("draft")
    n = min(len(first), len(second))
    rows = [
        "first,second",
        *('"' + a.replace('"', '""') + '","' + b.replace('"', '""') + '"' for a, b in zip(first, second, strict=False)),
    ]
    (folder / "a.csv").write_text("\n".join(rows) + "\n", encoding="utf-8", newline="")
    dialect = CsvDialect()  # these files are plain; what they look like is another test
    domain = Domain.from_yaml(draft(folder / "a.csv", dialect))
    table = Table.read(folder / "a.csv", domain)
    assert len(table) == n
    assert table.invalid == {}, (first, second)
    again = Table.read(table.to_csv(folder / "b.csv"), domain)
    pd.testing.assert_frame_equal(again.frame, table.frame)


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["120.146", "20.001", "249.999"], "declare thousands: '.' and decimal: ','"),
        (["25,164", "1,002", "99,120"], "declare decimal: ','"),
    ],
)
def test_numbers_that_can_be_read_in_two_ways_are_named(tmp_path, cells, says):
    """Three figures behind one mark: thousands here, thousandths there."""
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f'"{cell}",a\n' for cell in cells * 50))
    [line] = [line for line in draft(tmp_path / "a.csv").splitlines() if line.startswith("  x:")]
    assert f"{cells[0]!r} is read as" in line
    assert says in line


def test_a_number_with_other_decimals_beside_it_has_one_reading(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n" + "120.146,a\n20.5,b\n" * 50)
    assert "is read as" not in draft(tmp_path / "a.csv")


@pytest.mark.parametrize("cells", [["008.45", "031.10"], ["03.50", "12.70"], ["0012", "9"]])
def test_codes_that_begin_with_zeros_stay_texts(tmp_path, cells):
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{cell},a\n" for cell in cells * 50))
    table = Table.read(tmp_path / "a.csv", Domain.from_yaml(draft(tmp_path / "a.csv")))
    assert set(table.frame["x"]) == set(cells)


def drafted_line(path, values, name="x", beside=None):
    """The draft's line of a column of these texts, beside a column of whole numbers."""
    others = beside or [str(k % 7) for k in range(len(values))]
    (path / "a.csv").write_text(
        f"{name},y\n" + "".join(f'"{value}","{other}"\n' for value, other in zip(values, others, strict=True)),
        encoding="utf-8",
    )
    found = draft(path / "a.csv")
    table = Table.read(
        path / "a.csv", Domain.from_yaml(found), **ignorable(path / "a.csv", sniff(path / "a.csv")).options
    )
    [line] = [line for line in found.splitlines() if line.startswith(f"  {name}:")]
    return line, table


@pytest.mark.parametrize(
    ("odd", "first", "share"),
    [
        (["<5", ">100"], "not '>100' and '<5'", "80.0%"),
        (["5-9", "10-19"], "not '10-19' and '5-9'", "80.0%"),
        (["1,5*", "ca. 7"], "not 'ca. 7' and '1,5*'", "80.0%"),
    ],
)
def test_a_column_of_numbers_and_some_texts_says_what_reads(tmp_path, odd, first, share):
    """Texts, since a number would lose some; never an identifier, which would lose all."""
    values = [odd[k % 2] if k % 5 == 4 else str(100 + k) for k in range(200) if k % 10 != 4] + [odd[0]] * 20
    line, table = drafted_line(tmp_path, values)
    assert "kind: category" in line
    assert f"{share} of the values read as numbers" in line
    assert first in line
    assert "missing_values" in line
    assert table.invalid == {}


def test_a_column_of_units_says_which_one_reads(tmp_path):
    values = [f"{k} kg" if k % 4 else f"{k} cm" for k in range(200)]
    line, _ = drafted_line(tmp_path, values)
    assert "75.0% of the values read as numbers" in line
    assert "symbols: [kg]" in line


@pytest.mark.parametrize(
    ("unit", "same"),
    [("{} BC", False), ("{}k", False), ("{}%", False), ("{} kg", False), ("${}", True), ("USD {}", True)],
)
def test_a_unit_that_some_values_lack_may_say_something(tmp_path, unit, same):
    """394 BC is no 394, but $394 is; zero is zero in every unit."""
    values = [unit.format(2 * k + 1) if k % 3 else str(2 * k + 1) for k in range(200)]
    line, _ = drafted_line(tmp_path, values)
    assert ("kind: integer" in line) == same
    if not same:
        assert "kind: category" in line
        assert f"if {values[1]!r} and '1' are of one unit, declare kind: number, symbols: [" in line
        symbols = line.partition("symbols: ")[2].partition("]")[0] + "]"
        schema = "columns:\n  y: {{ignore: true}}\n  x: {{kind: number, bounds: [0, 500]{}}}"
        domain = Domain.from_yaml(schema.format(f", symbols: {symbols}"))
        assert Table.read(tmp_path / "a.csv", domain).frame["x"].tolist() == list(range(1, 401, 2))
        with pytest.raises(DataError, match=f"if '{unit.format(3)}' and '1' are of one unit, declare symbols"):
            Table.read(tmp_path / "a.csv", Domain.from_yaml(schema.format("")))
    zeros = [unit.format(2 * k + 1) if k % 3 else "0" for k in range(200)]
    assert "kind: integer" in drafted_line(tmp_path, zeros)[0]


def test_pairs_of_coordinates_are_named(tmp_path):
    line, _ = drafted_line(tmp_path, [f"{k / 7:.4f},-{k / 9:.4f}" for k in range(1, 201)])
    assert "two numbers in one text ('0.1429,-0.1111')" in line
    assert "kind: category" in line


def test_times_with_the_name_of_a_zone_are_named(tmp_path):
    line, _ = drafted_line(tmp_path, [f"2020-01-{k % 28 + 1:02} 10:{k % 60:02}:00 CET" for k in range(400)])
    assert "times with the name of a zone ('2020-01-01 10:00:00 CET')" in line


@pytest.mark.parametrize("length", [130, 999, 1000, 1001, 3000])
def test_names_too_long_for_a_schema_are_refused(tmp_path, length):
    (tmp_path / "a.csv").write_text("x" * length + ",y\n1.5,2\n2.5,3\n")
    if length <= 1000:
        Domain.from_yaml(draft(tmp_path / "a.csv"))
        return
    with pytest.raises(DataError, match=rf"the name of column 1 has {length:,} characters"):
        draft(tmp_path / "a.csv")


@pytest.mark.parametrize("rows", [["red,F", "blue,M"] * 50, ["red,F", "blue,M", "red,M"] * 50])
def test_texts_without_a_header_are_no_names(tmp_path, rows):
    """Values of a person would become public names of columns; names that are none of the values are a header."""
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    assert not sniff(tmp_path / "a.csv").header
    with pytest.raises(DataError, match="first line looks like a row of data"):
        Table.read(tmp_path / "a.csv", Domain.from_yaml("columns:\n  colour: {kind: category, categories: [red]}"))
    for header in ("colour,sex", "red,sex", "name,F"):
        (tmp_path / "a.csv").write_text("\n".join([header, *rows]) + "\n")
        assert sniff(tmp_path / "a.csv").header


def test_missing_values_of_a_dictionary_are_no_words(tmp_path):
    column = pa.array(["f", None, "m"] * 20).dictionary_encode()
    pq.write_table(pa.table({"sex": column, "y": list(range(5)) * 12}), tmp_path / "a.parquet")
    assert "some values are missing; check" in draft(tmp_path / "a.parquet")


def test_a_column_without_values_is_left_out(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f",{k % 9}\n" for k in range(50)))
    found = draft(tmp_path / "a.csv")
    assert "the column has no values, and is left out" in found
    table = Table.read(tmp_path / "a.csv", Domain.from_yaml(found))
    assert table.domain.names == ("y",)
    assert not table.domain.undeclared


@pytest.mark.parametrize(
    ("form", "other", "said"),
    [("%d.%m.%Y", "%Y-%m-%d", "format: '%d.%m.%Y'"), ("%m/%d/%Y", "%B", "format: '%m/%d/%Y'")],
)
def test_a_column_of_dates_and_others_says_what_reads(tmp_path, form, other, said):
    days = pd.date_range("2020-01-20", periods=200)
    values = [day.strftime(form if k % 3 else other) for k, day in enumerate(days)]
    line, _ = drafted_line(tmp_path, values)
    assert "kind: category" in line
    assert "of the values read as dates" in line
    assert said in line


@pytest.mark.parametrize("form", ["%d-%m-%y", "%m/%d/%y", "%y-%m-%d", "%I:%M %p", "%d-%m-%y %H:%M"])
def test_more_formats_of_dates_are_known(tmp_path, form):
    instants = pd.date_range("2013-01-20 11:00", periods=200, freq="25h")
    line, table = drafted_line(tmp_path, [instant.strftime(form) for instant in instants])
    assert f"format: '{form}'" in line
    assert not table.invalid


@pytest.mark.parametrize(
    ("word", "values"), [("alive", ["2020-03-05", "2021-04-06"]), ("gone", ["1.5", "2.25"]), ("-", ["05/13/2020"])]
)
def test_words_beside_values_are_missing_only_where_they_are_few(tmp_path, word, values):
    line, _ = drafted_line(tmp_path, (values * 40)[:40] + [word] * 20)
    assert "33.3% of the values" in line
    assert f"{word!r} taken for missing" in line
    line, table = drafted_line(tmp_path, (values * 40)[:40] + [word] * 60)
    assert "taken for missing" not in line
    assert word in set(table.frame["x"])


def test_days_of_no_date_that_are_many_are_kept(tmp_path):
    days = [str(day.date()) for day in pd.date_range("2020-01-01", periods=60)]
    line, table = drafted_line(tmp_path, [*days, *["9999-12-31"] * 90])
    assert "point_masses: ['9999-12-31']" in line
    assert (table.frame["x"].astype(str).str[:10] == "9999-12-31").sum() == 90


@pytest.mark.parametrize(
    ("codes", "low", "high"),
    [
        ((-9, -8), 18, 80),
        ((-1,), 18, 80),
        ((999, 9999), 18, 80),
        ((-999, 99, 999, 9999), 18, 60),
        ((-99999,), 100, 500),
        ((88, 99), 1, 40),
    ],
)
def test_codes_for_no_value_are_kept_and_named(tmp_path, codes, low, high):
    values = [low + k % (high - low + 1) for k in range(600)] + [code for code in codes for _ in range(30)]
    line, table = drafted_line(tmp_path, values)
    assert all(str(code) in line.split("may stand for no value")[0].split("guess")[1] for code in codes)
    assert table.domain["x"].low >= min(0, low - 10)
    assert table.domain["x"].high <= high * 1.3
    assert set(table.frame["x"]) == set(values)


@pytest.mark.parametrize("values", [range(-9, 30), range(100), range(-30, 30), [k * k for k in range(-5, 40)]])
def test_values_that_are_no_codes_are_not_taken_for_some(tmp_path, values):
    line, _ = drafted_line(tmp_path, [*values] * 10)
    assert "may stand for no value" not in line
    assert "point_masses" not in line


@pytest.mark.parametrize("day", ["1900-01-01", "1970-01-01", "2999-12-31"])
def test_days_far_from_the_others_are_kept_and_named(tmp_path, day):
    days = [str(each.date()) for each in pd.date_range("2011-01-01", periods=60, freq="9D")]
    line, table = drafted_line(tmp_path, [*days, *[day] * 10])
    assert f"bounds: ['2011-01-01', '2012-12-31'], point_masses: ['{day}']" in line
    assert f"{day} may stand for no value" in line
    assert not table.invalid


def test_two_digits_of_a_year_stand_for_the_hundred_years_that_are_likelier(tmp_path):
    births = [f"05.03.{year % 100:02}" for year in range(1931, 2003)]
    line, table = drafted_line(tmp_path, births)
    assert "years of two digits: '05.03.31' is read as 1931; without first_year it would be 2031" in line
    assert "first_year: 19" in line
    assert sorted(table.frame["x"].dt.year) == list(range(1931, 2003))
    assert [text[-2:] for text in table.domain["x"].text(table.frame["x"])] == [text[-2:] for text in births]
    ends = [f"05/13/{year % 100:02}" for year in range(2024, 2045)]
    line, table = drafted_line(tmp_path, ends)
    assert "first_year: 1" in line.split("guess")[1]  # named, and not taken
    assert "first_year" not in line.split("guess")[0]
    assert table.frame["x"].dt.year.max() == 2044


@pytest.mark.parametrize(
    ("texts", "spec"),
    [
        (["no", "yes"], "{kind: boolean, texts: ['no', 'yes']}"),
        (["1", "0"], "{kind: boolean, texts: ['0', '1']}"),
        (["FALSE", "TRUE"], "{kind: boolean, texts: ['FALSE', 'TRUE']}"),
        (["Nein", "Ja"], "{kind: boolean, texts: [Nein, Ja]}"),
        (["t", "f"], "{kind: boolean, texts: [f, t]}"),
        (["Yes", "no", "NO"], "{kind: boolean}"),
        (["male", "female"], "{kind: category, categories: [female, male]}"),
        (["1", "2"], "{kind: category, categories: ['1', '2']}"),
    ],
)
def test_yes_and_no_are_booleans_that_are_written_as_they_came(tmp_path, texts, spec):
    line, table = drafted_line(tmp_path, texts * 30)
    assert spec in line
    written = table.to_csv(tmp_path / "b.csv").read_text().splitlines()[1:]
    if "texts" in spec or "category" in spec:
        assert [row.split(",")[0] for row in written] == texts * 30


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ([f"GM{k:05}" for k in range(90, 190)], "GM{n:05}"),
        ([f"GM-{k}" for k in range(1, 120)], "GM-{n}"),
        ([f"{k:06}" for k in range(90, 190)], "{n:06}"),
        ([f"a{k}@example.org" for k in range(40)], "a{n}@example.org"),
        ([f"12345678-0000-4000-8000-{k:012x}" for k in range(40)], "uuid"),
        ([chr(97 + k % 26) + str(k) for k in range(40)], "{n}"),
        ([f"{{x}}{k:02}" for k in range(40)], "{{x}}{n:02}"),
    ],
)
def test_keys_get_a_pattern_of_their_own_look(tmp_path, values, pattern):
    _, table = drafted_line(tmp_path, values)
    assert table.domain.identifiers[0][1].pattern == pattern


def test_a_label_is_proposed(tmp_path):
    (tmp_path / "a.csv").write_text(
        "sex,grade,n,outcome\n" + "".join(f"f,{k % 3},{k},{k % 4}\nm,1,{k},2\n" for k in range(40))
    )
    [line] = [line for line in draft(tmp_path / "a.csv").splitlines() if line.startswith("# label: true")]
    assert "'outcome', 'sex', 'grade'" in line


@pytest.mark.parametrize(
    ("open_text", "sure", "thousands"),
    [("120.146", "1,5", True), ("120.146", "1.5", False), ("25,164", "0.75", True), ("25,164", "0,75", False),
     ("25,164", "1.234.567", False), ("120.146", "1,234,567", False)],
)  # fmt: skip
def test_other_columns_decide_the_decimal_mark(tmp_path, open_text, sure, thousands):
    line, table = drafted_line(
        tmp_path, [open_text, "7.001".replace(".", re.sub(r"[0-9]", "", open_text))] * 30, beside=[sure] * 60
    )
    assert f"(column 'y' writes '{sure}')" in line
    digits = float(re.sub(r"[.,]", "", open_text))
    assert table.frame["x"].max() == (digits if thousands else digits / 1000)


def test_columns_that_disagree_decide_nothing(tmp_path):
    rows = "".join('"120.146","1,5","1.5"\n' for _ in range(60))
    (tmp_path / "a.csv").write_text("x,y,z\n" + rows)
    assert "no other column tells" in draft(tmp_path / "a.csv")


@pytest.mark.parametrize(("sure", "form"), [("25/03/2021", "%d/%m/%Y"), ("03/25/2021", "%m/%d/%Y")])
def test_other_columns_decide_the_order_of_day_and_month(tmp_path, sure, form):
    line, _ = drafted_line(tmp_path, ["01/02/2020", "03/04/2020"] * 30, beside=[sure] * 60)
    assert f"format: '{form}'" in line
    assert f"column 'y' writes '{sure}'" in line


@pytest.mark.parametrize("header", ["y,01,inf", "kind,1,x", "a,2020,b"])
def test_a_name_that_is_a_number_makes_no_row_of_a_header(tmp_path, header):
    (tmp_path / "a.csv").write_text(
        f"{header}\n" + "".join(f"{'pq'[k % 2]},{k % 2},{'uv'[k % 2]}\n" for k in range(60))
    )
    assert sniff(tmp_path / "a.csv").header
    (tmp_path / "a.csv").write_text("".join(f"{'pq'[k % 2]},{k % 2},{'uv'[k % 2]}\n" for k in range(60)))
    assert not sniff(tmp_path / "a.csv").header


@pytest.mark.parametrize("values", [["٣", "٤", "٣"], ["३", "४"], ["３", "４"]])
def test_few_numbers_in_other_digits_are_numbers_that_load_again(tmp_path, values):
    """As categories they would be the texts 3 and 4, which the file does not hold."""
    path = tmp_path / "a.csv"
    path.write_text("n,x\n" + "".join(f"{value},a\n" for value in values), encoding="utf-8")
    table = Table.read(path, Domain.from_yaml(draft(path)))
    assert table.invalid == {}
    assert table.frame["n"].tolist()[:2] == [3, 4]
