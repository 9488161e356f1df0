"""CSV files in the dialects of people: what is said is read to the letter; what would lose a value is refused."""

import bz2
import gzip
import lzma
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data import Domain, Table
from dpsynth.data.table.csv_files import CsvDialect, csv_frames, read_csv
from dpsynth.errors import ConfigError, DataError

SCHEMA = Domain.from_yaml(
    "columns:\n  age: {kind: integer, bounds: [0, 99]}\n  sex: {kind: category, categories: [F, M]}\n"
    "  pay: {kind: number, bounds: [0, 9999], decimals: 2, decimal: ',', thousands: '.', symbols: [EUR]}\n"
)
ROWS = [["30", "F", "1.234,50"], ["41", "M", "7 EUR"], ["52", "F", "88,1"]]


@pytest.fixture
def written(tmp_path):
    def write(text, encoding="utf-8", name="a.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def body(delimiter=";", rows=ROWS, end="\n"):
    return "".join(delimiter.join(row) + end for row in rows)


HEAD = "age;sex;pay\n"


@pytest.mark.parametrize(
    ("text", "encoding", "options"),
    [
        (HEAD + body(), "utf-8", {"delimiter": ";"}),
        ("\ufeff" + HEAD.replace("\n", "\r\n") + body(end="\r\n"), "utf-8", {"delimiter": ";"}),
        (HEAD + body(), "cp1252", {"delimiter": ";", "encoding": "cp1252"}),
        (HEAD + body(), "utf-16", {"delimiter": ";", "encoding": "utf-16"}),
        (HEAD.replace(";", "\t") + body("\t"), "utf-8", {"delimiter": "tab"}),
        ("sep=;\n" + HEAD + body(), "utf-8", {"delimiter": ";"}),
        ("Report\nof today\n\n" + HEAD + body(), "utf-8", {"delimiter": ";", "skip_rows": 3}),
        ("# made by hand\n" + HEAD + "# so\n" + body(), "utf-8", {"delimiter": ";", "comment": "#"}),
        (body(), "utf-8", {"delimiter": ";", "header": False}),
        (";age;sex;pay\n" + body(rows=[[str(k), *row] for k, row in enumerate(ROWS)]), "utf-8",
         {"delimiter": ";", "ignore": ["column 1"]}),
        ("age;sex;pay;n\n" + body(rows=[[*row, "x"] for row in ROWS]), "utf-8", {"delimiter": ";", "ignore": "n"}),
        ("age;sex;pay;\n" + body(end=";\n"), "utf-8", {"delimiter": ";"}),
        (HEAD + body(end=";\n"), "utf-8", {"delimiter": ";"}),
        ("'age';'sex';'pay'\n" + body(rows=[[f"'{cell}'" for cell in row] for row in ROWS]), "utf-8",
         {"delimiter": ";", "quote": "'"}),
    ],
)  # fmt: skip
def test_every_dialect_gives_the_same_table(written, text, encoding, options):
    table = Table.read(written(text, encoding), SCHEMA, **options)
    assert table.frame["age"].tolist() == [30, 41, 52]
    assert table.frame["sex"].tolist() == ["F", "M", "F"]
    assert table.frame["pay"].tolist() == [1234.5, 7.0, 88.1]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("30,F,1\n41,M,7\n", {}, "first line looks like a row of data; .* set data.header=false"),
        ("age,sex,pay\n30,F\n41,M,7\n52,F\n", {}, r"2 rows do not have the 3 fields of the header, .*row 1 with 2"),
        ("age,sex,pay\n30,F,1\n41,M,7,x\n", {}, r"1 rows do not have the 3 fields of the header, .*row 2 with 4"),
        ('age,sex,pay\n30,F,1\n41,"M,7\n52,F,1\n', {}, "row 2 .* a quotation mark is never closed"),
        ("sep=;\nage;sex;pay\n30;F;1\n", {}, "first line says sep=;; set data.delimiter=';'"),
        ("Report\nof today\n\nage,sex,pay\n30,F,1\n41,M,1\n", {}, "line 4 and others after it 3; set data.skip_rows=3"),
        (",age,sex,pay\n0,30,F,1\n1,40,M,1\n", {}, r"column 1 has values .*but no name; .*data.ignore='\[column 1\]'"),
        ("age,sex,pay\n30,F,\xe9\n".encode("latin-1"), {}, "is not utf-8 text; set data.encoding"),
        ("age,sex,sex\n30,F,1\n", {}, "several columns named 'sex'"),
        ("age;sex;pay\n30;F;1\n", {}, "try the delimiter ';'"),
        ("age,sex,pay\n", {}, "a header but no rows"),
        ("", {}, "is empty"),
    ],
)  # fmt: skip
def test_what_would_lose_or_shift_a_value_is_refused(tmp_path, text, options, message):
    (tmp_path / "a.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message) as caught:
        Table.read(tmp_path / "a.csv", SCHEMA, **options)
    assert "\n" not in str(caught.value)


def test_no_value_of_a_file_without_a_header_is_stated(written):
    with pytest.raises(DataError) as caught:
        Table.read(written("30,Smith,1\n41,Jones,7\n"), SCHEMA)
    assert "Smith" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"delimiter": "::"}, {"encoding": "klingon"}, {"quote": "''"}, {"skip_rows": -1}, {"header": "no"}]
)
def test_dialects_that_make_no_sense(wrong):
    with pytest.raises(ConfigError):
        CsvDialect(**wrong)
    with pytest.raises(ConfigError, match="no option 'sep'"):
        Table.read("a.csv", SCHEMA, sep=";")


def test_compressed_files(tmp_path):
    content = b"a,b\n1,2\n"
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content))
    (tmp_path / "a.csv.bz2").write_bytes(bz2.compress(content))
    (tmp_path / "a.csv.xz").write_bytes(lzma.compress(content))
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w") as archive:
        archive.writestr("a.csv", content)
    for file in tmp_path.iterdir():
        assert read_csv(file, CsvDialect()).to_dict("list") == {"a": ["1"], "b": ["2"]}


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=6)


@given(
    rows=st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=8), delimiter=st.sampled_from(",;|\t")
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_written_is_read_back_to_the_letter(tmp_path_factory, rows, delimiter):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    quoted = [delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    path.write_text("\n".join([f"first{delimiter}second", *quoted]) + "\n", encoding="utf-8", newline="")
    frame = read_csv(path, CsvDialect(delimiter))
    assert frame.to_numpy().tolist() == rows
    assert sum(map(len, csv_frames(path, CsvDialect(delimiter)))) == len(rows)
