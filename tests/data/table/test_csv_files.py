"""CSV files in the dialects of people: what is said is read to the letter; what would lose a value is refused."""

import bz2
import gzip
import lzma
import re
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data import Domain, Table
from dpsynth.data.table.csv_dialect import CsvDialect
from dpsynth.data.table.csv_files import csv_frames, read_csv
from dpsynth.data.table.csv_sniffer import sniff
from dpsynth.data.table.draft import draft
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
        ('age,sex,pay\n30,F,1\n41,"M,7\n52,F,1\n', {}, "in line 3 a quotation mark opens that is never closed"),
        ("sep=;\nage;sex;pay\n30;F;1\n", {}, "first line says sep=;; set data.delimiter=';'"),
        ("Report\nof today\n\nage,sex,pay\n30,F,1\n41,M,1\n", {}, "line 4 and others after it 3; set data.skip_rows=3"),
        (",age,sex,pay\n0,30,F,1\n1,40,M,1\n", {}, r"column 1 has values .*but no name; .*data.ignore='\[column 1\]'"),
        ("age,sex,pay\n30,F,\xe9\n".encode("latin-1"), {}, "is not utf-8 text; set data.encoding"),
        ("age,sex,sex\n30,F,1\n", {}, "several columns named 'sex'"),
        ("age;sex;pay\n30;F;1\n", {}, "set data.delimiter=';'"),
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


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["a.csv", "b.csv"], None),
        ([], None),
        (["folder/"], None),
        (["folder/", "folder/a.csv", "__MACOSX/folder/._a.csv"], {"a": ["1"]}),
    ],
)
def test_an_archive_holds_one_file(tmp_path, names, read):
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "" if name.endswith("/") else "a\n1\n")
    if read is not None:
        assert read_csv(tmp_path / "a.csv.zip", CsvDialect()).to_dict("list") == read
        return
    for reads in (lambda file: read_csv(file, CsvDialect()), draft):
        with pytest.raises(DataError, match=r"a\.csv\.zip' holds . files.*unpack it"):
            reads(tmp_path / "a.csv.zip")


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst", "zip"])
@pytest.mark.parametrize("size", [500, 200_000])  # the damage is where the beginning is looked at, or beyond that
def test_a_damaged_archive_is_named(tmp_path, suffix, size):
    content = ("a,b\n" + "".join(f"{k},{k * k}\n" for k in range(size))).encode()
    compressed = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(suffix, bytes)(content)
    (tmp_path / f"a.csv.{suffix}").write_bytes(compressed[: -len(compressed) // 10])
    for reads in (lambda file: read_csv(file, CsvDialect()), draft):
        with pytest.raises(DataError, match=rf"a\.csv\.{suffix}' cannot be read"):
            reads(tmp_path / f"a.csv.{suffix}")


@pytest.mark.parametrize(
    "mark", [b"ARROW1\0\0", b"ORC\x11", b"Obj\x01\x04", b"SQLite format 3\0", b"\x89HDF\r\n", b"$FL2@"]
)
def test_other_formats_are_named(tmp_path, mark):
    """None is told to remove its zero bytes."""
    (tmp_path / "a.csv").write_bytes(mark + bytes(range(256)) * 4)
    for reads in (lambda file: read_csv(file, CsvDialect()), draft):
        with pytest.raises(DataError, match=r"a\.csv' is an? .*, not CSV; convert it"):
            reads(tmp_path / "a.csv")


def test_arff_is_no_csv(tmp_path):
    (tmp_path / "a.csv").write_text("% a study\n@RELATION x\n\n@ATTRIBUTE age numeric\n@DATA\n1\n2\n")
    with pytest.raises(DataError, match="is an ARFF file, not CSV"):
        draft(tmp_path / "a.csv")


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


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize(
    "rows", ["30{0}1,5{0}7\n41{0}2,5{0}8\n", "30{0}x{0}7\n41{0}y{0}8\n", "1,2{0}1,5{0}7\n3,4{0}2,5{0}8\n"]
)
def test_another_delimiter_is_advised_and_reads(tmp_path, delimiter, rows):
    """Also where decimal commas cut the rows into other numbers of fields."""
    (tmp_path / "a.csv").write_text("age,sex,pay\n".replace(",", delimiter) + rows.format(delimiter))
    with pytest.raises(DataError) as caught:
        read_csv(tmp_path / "a.csv", CsvDialect()) if "," in rows else Table.read(tmp_path / "a.csv", SCHEMA)
    [advice] = re.findall(r"set data\.delimiter='?([^']+?)'?$", str(caught.value))
    assert read_csv(tmp_path / "a.csv", CsvDialect(delimiter=advice)).shape == (2, 3)


@pytest.mark.parametrize(
    ("encoding", "texts"),
    [
        ("cp932", ["東京", "大阪", "名古屋"]),
        ("gbk", ["张三", "李四", "北京市"]),
        ("cp1250", ["Łódź", "Gdańsk", "Małgorzata"]),
        ("cp1251", ["Москва", "Анна", "Казань"]),
        ("euc_kr", ["김철수", "이영희", "서울"]),
        ("latin-1", ["Müller", "Jürgen", "Größe"]),
        ("cp1252", ["10 €", "20 €", "5 €"]),
        ("utf-16-le", ["Müller", "Łódź", "x"]),
        ("utf-16-be", ["Müller", "Łódź", "x"]),
        ("utf-32-le", ["Müller", "Łódź", "x"]),
    ],
)
def test_the_encoding_that_is_advised_reads(tmp_path, encoding, texts):
    (tmp_path / "a.csv").write_bytes(
        ("name,n\n" + "".join(f"{text},{k}\n" for k in range(9) for text in texts)).encode(encoding)
    )
    with pytest.raises(DataError) as caught:
        read_csv(tmp_path / "a.csv", CsvDialect())
    assert str(caught.value).count("\n") == 0
    [advice] = re.findall(r"set data\.encoding=([\w-]+)", str(caught.value))
    assert list(read_csv(tmp_path / "a.csv", CsvDialect(encoding=advice))["name"].unique()) == texts
    assert sniff(tmp_path / "a.csv").encoding == advice


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_says_the_encoding(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes("Größe,n\nMüller,1\nŁódź,2\n".encode(encoding))
    assert read_csv(tmp_path / "a.csv", CsvDialect())["Größe"].tolist() == ["Müller", "Łódź"]
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf\xef\xbb\xbfx,y\n1,2\n")
    assert list(read_csv(tmp_path / "a.csv", CsvDialect())) == ["x", "y"]


def test_bytes_that_are_no_text_are_named_with_their_place(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,b\n" + b"x,1\n" * 200 + b"y\0,2\n")
    with pytest.raises(DataError, match=r"row 201 has a zero byte \(NUL\)"):
        read_csv(tmp_path / "a.csv", CsvDialect())
    (tmp_path / "a.csv").write_bytes(b"a\0,b\nx,1\n")
    with pytest.raises(DataError, match="its header has a zero byte"):
        read_csv(tmp_path / "a.csv", CsvDialect())
    (tmp_path / "a.csv").write_bytes(b"name,n\n" + "Łódź,1\n".encode() * 400_000 + b"M\xfcller,2\n")
    with pytest.raises(DataError, match=r"not utf-8 text throughout: line 400,002 is not \('M\\xfcller,2'\)"):
        read_csv(tmp_path / "a.csv", CsvDialect())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('1,x\n2,"y\n3,z\n4,w"\n', "row 2, column 'b': a quotation mark opens and is closed 2 lines later"),
        ('1,x\n2,"w"q\n', "in line 3 text follows a closing quotation mark"),
        ('1,x\n2,"he said \\"hi\\""\n', "in line 3 text follows a closing quotation mark"),
        ('1,"x\n2,y\n', "in line 2 a quotation mark opens that is never closed"),
    ],
)
def test_quotation_marks_out_of_place_are_named_with_their_row(tmp_path, rows, message):
    (tmp_path / "a.csv").write_text(f"a,b\n{rows}")
    with pytest.raises(DataError, match=message):
        read_csv(tmp_path / "a.csv", CsvDialect())
    assert len(read_csv(tmp_path / "a.csv", CsvDialect(quote=""))) == rows.count("\n")


@pytest.mark.parametrize(
    "cell", ["Main St 5,\nSpringfield", '{""a"": [1,\n2]}', "one\ntwo, three", "x\n\ny", "1. apple\n2. pear"]
)
def test_texts_with_line_breaks_are_no_rows(tmp_path, cell):
    (tmp_path / "a.csv").write_text("a,b\n" + f'1,"{cell}"\n2,y\n' * 30)
    assert read_csv(tmp_path / "a.csv", CsvDialect())["b"].tolist()[:2] == [cell.replace('""', '"'), "y"]
    (tmp_path / "a.csv").write_text('a,b\n1,"x" \n2, y\n')
    assert read_csv(tmp_path / "a.csv", CsvDialect())["b"].str.strip().tolist() == ["x", "y"]
