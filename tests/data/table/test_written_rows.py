"""dpsynth/data/table/written_rows.py: a file follows from its rows, in whatever blocks they come."""

import datetime as dt
import gzip
import itertools

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.columns import Boolean, Category, Date, Identifier, Integer, Number
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.data.table.written_rows import csv_bytes, write_rows
from dpsynth.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def rows():
    domain = Domain(
        (
            Identifier("id", pattern="P{n:05d}"),
            Integer("age", low=0, high=99, missing=True),
            Number("height", low=0.0, high=3.0, decimals=2),
            Category("city", categories=("=SUM(A1)", "a, b", 'c "d"', "Ü\nx"), missing=True),
            Date("born", low=dt.date(1950, 1, 1), high=dt.date(2020, 12, 31), missing=True),
            Boolean("sure", missing=True),
        )
    )
    generator = np.random.default_rng(0)
    n = 60
    frame = pd.DataFrame(
        {
            "age": generator.integers(0, 100, n).astype(object),
            "height": generator.random(n).round(2),
            "city": generator.choice(["=SUM(A1)", "a, b", 'c "d"', "Ü\nx"], n).astype(object),
            "born": pd.to_datetime("1990-05-05") + pd.to_timedelta(generator.integers(0, 9999, n), unit="D"),
            "sure": generator.choice(["true", "false"], n).astype(object),
        }
    )
    frame.loc[:29, ["age", "city", "sure"]] = None  # whole blocks without a value
    frame.loc[:29, "born"] = pd.NaT
    return Table(frame, domain)


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet"])
@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=5))
def test_blocks_make_the_same_file_as_all_rows_at_once(tmp_path_factory, rows, name, cuts):
    folder = tmp_path_factory.mktemp("rows")
    ends = [0, *sorted(cuts), len(rows)]
    blocks = (rows.frame.iloc[a:b].reset_index(drop=True) for a, b in itertools.pairwise(ends))
    whole = rows.write(folder / f"whole-{name}")
    made = write_rows(folder / f"made-{name}", blocks, rows.domain, False, rows.identifier_seed)
    if name.endswith(".parquet"):
        assert pq.read_table(made).equals(pq.read_table(whole))
        assert pq.read_schema(made).equals(pq.read_schema(whole))
    else:
        assert made.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == sorted([whole.name, made.name])


def test_identifiers_count_on_over_blocks(tmp_path, rows):
    made = write_rows(tmp_path / "a.csv", [rows.frame.iloc[:25], rows.frame.iloc[25:]], rows.domain, False, 0)
    assert pd.read_csv(made)["id"].tolist() == [f"P{number:05d}" for number in range(1, 61)]


def test_compressed_files_hold_the_plain_text(tmp_path, rows):
    plain, packed = rows.write(tmp_path / "a.csv"), rows.write(tmp_path / "a.csv.gz")
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()


def test_the_bytes_of_rows_are_known_before(tmp_path, rows):
    plain = rows.write(tmp_path / "a.csv")
    assert csv_bytes(rows.frame, rows.domain) == plain.stat().st_size - plain.read_bytes().index(b"\n") - 1


def test_nothing_half_written_stays(tmp_path, rows):
    def failing():
        yield rows.frame
        raise OSError(28, "No space left on device")

    for name in ("a.csv", "a.parquet"):
        with pytest.raises(DataError, match="No space left"):
            write_rows(tmp_path / name, failing(), rows.domain, False, 0)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match=r"\.csv or \.parquet"):
        write_rows(tmp_path / "a.xlsx", [rows.frame], rows.domain, False, 0)
