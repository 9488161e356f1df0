"""Encoding in pieces gives the codes of reading the table whole."""

import numpy as np
import pandas as pd
import pytest

from dpsynth.data import Codec, Table
from dpsynth.errors import ConfigError, DataError, SchemaError
from dpsynth.marginals.counting.raw_rows import encode_files


def codes_of(files):
    return np.concatenate(list(files.blocks()))


@pytest.fixture
def raw(people, domain, tmp_path):
    """The people as CSV and Parquet, with some values outside the domain."""
    frame = people.frame.astype(object)
    frame.loc[[3, 300], "age"] = 7
    frame.loc[5, "sex"] = "unknown"
    table = Table(frame, domain, "clamp")
    texts = pd.read_csv(people.to_csv(tmp_path / "people.csv"), dtype=str, keep_default_na=False)
    texts.loc[[3, 300], "age"] = "7"
    texts.loc[5, "sex"] = "unknown"
    texts.to_csv(tmp_path / "people.csv", index=False)
    frame["age"] = frame["age"].astype(int)
    frame["joined"] = pd.to_datetime(frame["joined"])
    for column in ("gain", "limit"):
        frame[column] = pd.to_numeric(frame[column])
    frame["member"] = frame["member"].astype(bool)
    frame.to_parquet(tmp_path / "people.parquet")
    return table


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
@pytest.mark.parametrize("rows", [9, 97, 400, 10_000])
def test_the_codes_are_those_of_the_whole_table(raw, domain, tmp_path, name, rows):
    encoded, changed = encode_files(tmp_path / name, tmp_path / "out.parquet", domain, bins=16, rows=rows)
    whole = Table.read(tmp_path / name, domain)
    assert np.array_equal(codes_of(encoded), Codec(domain, 16).encode(whole.frame).codes)
    assert (
        {name: column.changed for name, column in changed.items() if column.changed}
        == whole.invalid
        == raw.invalid
        == {"age": 2, "sex": 1}
    )


@pytest.mark.parametrize("invalid", ["missing", {"numbers": "missing", "categories": "clamp"}])
def test_the_policy_for_illegal_values_is_kept(raw, domain, tmp_path, invalid):
    encoded, _ = encode_files(tmp_path / "people.csv", tmp_path / "out.parquet", domain, invalid=invalid, rows=50)
    whole = Table.read(tmp_path / "people.csv", domain, invalid=invalid)
    assert np.array_equal(codes_of(encoded), Codec(domain, encoded.bins).encode(whole.frame).codes)
    with pytest.raises(DataError, match="outside its domain"):
        encode_files(tmp_path / "people.csv", tmp_path / "no.parquet", domain, invalid="error", rows=50)
    assert not (tmp_path / "no.parquet").exists()


def test_several_files_of_both_kinds_and_another_order_of_columns(raw, domain, tmp_path):
    texts = pd.read_csv(tmp_path / "people.csv", dtype=str, keep_default_na=False)
    texts[texts.columns[::-1]].to_csv(tmp_path / "turned.csv", index=False)
    files = [tmp_path / name for name in ("people.csv", "turned.csv", "people.parquet")]
    encoded, _ = encode_files(files, tmp_path / "out.parquet", domain)
    codes = codes_of(encoded)
    assert len(codes) == 1200
    assert np.array_equal(codes[:400], codes[400:800])
    assert np.array_equal(codes[:400], codes[800:])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("age,sex\n1,f\n", "not found"),
        ("{header}\n", "no rows"),
        ("{header}\n" + "Female,30,0,1,2000-01-01,40,>50K\n" * 200 + "a,b,c,d,e,f,g,h,i\n", "rows do not have the"),
        ("{header},age\n", "several columns named 'age'"),
    ],
)
def test_files_that_do_not_fit_leave_nothing_behind(domain, tmp_path, content, message):
    (tmp_path / "raw.csv").write_text(content.replace("{header}", ",".join(domain.names)))
    with pytest.raises(DataError, match=message):
        encode_files(tmp_path / "raw.csv", tmp_path / "out.parquet", domain, rows=100)
    assert [file.name for file in tmp_path.iterdir()] == ["raw.csv"]


def test_damaged_parquet_and_bad_names_are_refused(raw, domain, tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"")
    with pytest.raises(DataError, match="it is empty"):
        encode_files(tmp_path / "bad.parquet", tmp_path / "out.parquet", domain)
    with pytest.raises(ConfigError, match=r"\.parquet"):
        encode_files(tmp_path / "people.csv", tmp_path / "out.csv", domain)
    with pytest.raises(ConfigError, match="one of the files to read"):
        encode_files(tmp_path / "people.parquet", tmp_path / "people.parquet", domain)
    with pytest.raises(SchemaError, match="nowhere"):
        encode_files(tmp_path / "people.csv", tmp_path / "out.parquet", tmp_path / "nowhere.yaml")
