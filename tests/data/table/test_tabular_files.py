"""Files as they come: each fault has one line that says what and where, and nothing half-written stays."""

import datetime as dt
import gzip
import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.data.table import tabular_files
from dpsynth.data.table.csv_dialect import CsvDialect
from dpsynth.errors import ConfigError, DataError


def refused(path, says, **options):
    with pytest.raises(DataError, match=says) as caught:
        tabular_files.read(path, **options)
    assert "\n" not in str(caught.value)


def test_texts_stay_texts(tmp_path):
    (tmp_path / "a.csv").write_bytes("\ufeffid, n ,NA\n007,1e3,NA\n,x y,\n".encode())
    frame = tabular_files.read(tmp_path / "a.csv")
    assert list(frame.columns) == ["id", "n", "NA"]
    assert frame.iloc[0].tolist() == ["007", "1e3", "NA"]
    assert frame.iloc[1].tolist() == ["", "x y", ""]


def test_faulty_files(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    refused(tmp_path / "empty.csv", "empty")
    (tmp_path / "twice.csv").write_text("a,b,a\n1,2,3\n")
    refused(tmp_path / "twice.csv", "several columns named 'a'")
    (tmp_path / "long.csv").write_text("a,b\n1,2,3\n")
    refused(tmp_path / "long.csv", "rows do not have the 2 fields of the header")
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n1,2,3,4\n")
    refused(tmp_path / "ragged.csv", "rows do not have the 2 fields of the header")
    (tmp_path / "latin.csv").write_bytes("a,b\né,2\n".encode("latin-1"))
    refused(tmp_path / "latin.csv", "is not utf-8 text; set data.encoding")
    (tmp_path / "bad.parquet").write_text("no parquet")
    refused(tmp_path / "bad.parquet", "Parquet")
    (tmp_path / "none.parquet").write_text("")
    refused(tmp_path / "none.parquet", "empty")
    (tmp_path / "bad.csv.gz").write_text("no gzip")
    refused(tmp_path / "bad.csv.gz", "cannot be read")
    refused(tmp_path / "absent.csv", "no file")
    refused(str(tmp_path / "absent*.csv"), "names no CSV")
    refused([], "empty list")
    with pytest.raises(ConfigError, match="delimiter"):
        CsvDialect("::")


def test_several_files_a_folder_a_glob_and_gzip(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    with gzip.open(tmp_path / "2.csv.gz", "wt") as stream:
        stream.write("b,a\n4,3\n")
    for path in (tmp_path, str(tmp_path / "*.csv*"), [tmp_path / "1.csv", tmp_path / "2.csv.gz"]):
        assert tabular_files.read(path)["a"].tolist() == ["1", "3"]
    (tmp_path / "3.csv").write_text("a,c\n1,2\n")
    refused(tmp_path, "other columns than the first file; they differ in: b, c")


def test_tabs(tmp_path):
    (tmp_path / "a.tsv").write_text("a\tb\n1\t2\n")
    for delimiter in ("\t", "\\t", "tab"):
        assert tabular_files.read(tmp_path / "a.tsv", CsvDialect(delimiter))["b"].tolist() == ["2"]


def test_one_column_keeps_its_blank_rows(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n\n3\n")
    assert tabular_files.read(tmp_path / "a.csv")["a"].tolist() == ["1", "", "3"]


def test_missing_columns_hint_at_the_delimiter():
    with pytest.raises(DataError, match=r"'a', 'b' of the schema not found.*set data.delimiter=';'"):
        tabular_files.match(pd.DataFrame({"a;b": ["1;2"]}), ("a", "b"))
    with pytest.raises(DataError, match=r"column 'b' of the schema not found; found column 'c' instead"):
        tabular_files.match(pd.DataFrame({"a": [1], "c": [1]}), ("a", "b"))
    with pytest.raises(DataError, match=r"column 'c' not in the schema"):
        tabular_files.match(pd.DataFrame({"a": [1], "c": [1]}), ("a",))


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")

    def full_disk(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left"):
        tabular_files.write_whole(target, full_disk)

    def interrupted(temporary):
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tabular_files.write_whole(target, interrupted)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        tabular_files.write_whole(tmp_path / "file" / "out.csv", lambda temporary: temporary.write_text("x"))


def test_nanoseconds_of_a_time_of_day_are_kept(tmp_path):
    """They are more than Python's times hold."""
    times = pa.array([3_600_000_000_000, None, 3_600_000_000_001], pa.time64("ns"))
    pq.write_table(pa.table({"whole": times.slice(0, 2), "parts": times.slice(1, 2)}), tmp_path / "a.parquet")
    frame = tabular_files.read_parquet(tmp_path / "a.parquet")
    assert frame["whole"].tolist() == [dt.time(1), None]
    assert frame["parts"].dropna().tolist() == ["01:00:00.000000001"]
    [part] = tabular_files.parquet_frames(tmp_path / "a.parquet", rows=5)
    assert part["parts"].dropna().tolist() == ["01:00:00.000000001"]
