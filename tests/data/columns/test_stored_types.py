"""Parquet columns come back in the type they came in, as far as the schema declares it; none is copied in silence."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.data import Domain, Table
from dpsynth.data.columns.stored_types import KNOWN, arrow_type, type_name
from dpsynth.data.table.draft import draft
from dpsynth.errors import SchemaError
from dpsynth.runs.data_options import intake_of, stated_of

N = 60
K = np.arange(N)
HOURS = [dt.datetime(2020, 1 + k % 12, 1 + k % 28, k % 24, 30) for k in range(N)]
COLUMNS = {
    **{
        name: pa.array(K % 50).cast(getattr(pa, name)())
        for name in ("int8", "int16", "int32", "int64", "uint8", "uint64")
    },
    "halffloat": pa.array((K % 50).astype("float16")),
    "float": pa.array(K / 7).cast(pa.float32()),
    "double": pa.array(K / 7),
    "whole double": pa.array([None if k % 7 == 0 else float(k) for k in range(N)]),
    "int8 with gaps": pa.array([None if k % 5 == 0 else k for k in range(N)], pa.int8()),
    "decimal": pa.array([Decimal(k) / 100 for k in range(N)], pa.decimal128(10, 2)),
    "bool": pa.array([None if k % 3 == 0 else k % 2 == 0 for k in range(N)]),
    "codes": pa.array(K % 3).cast(pa.int8()),
    "string": pa.array(["ab"[k % 2] for k in range(N)]),
    "dictionary": pa.array(["ab"[k % 2] for k in range(N)]).dictionary_encode(),
    "date32": pa.array([dt.date(2020, 1, 1) + dt.timedelta(k) for k in range(N)]),
    "time": pa.array([dt.time(k % 24, k) for k in range(N)], pa.time64("us")),
    **{f"timestamp {unit}": pa.array(HOURS, pa.timestamp(unit)) for unit in ("ms", "us", "ns")},
    "zoned": pa.array(HOURS, pa.timestamp("us", "Europe/Berlin")),
    "duration": pa.array([dt.timedelta(seconds=77 * k) for k in range(N)], pa.duration("ns")),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_drafted_schema_keeps_type_and_values(tmp_path, name):
    file, values = tmp_path / "a.parquet", COLUMNS[name]
    pq.write_table(pa.table({"x": values, "y": COLUMNS["string"]}), file)
    domain = Domain.from_yaml(draft(file))
    assert Domain.from_yaml(domain.to_yaml()) == domain
    table = Table.read(file, domain)
    assert table.invalid == {}
    assert table.changed_types == ()
    written = pq.read_table(table.write(tmp_path / "b.parquet"))
    assert written.schema.field("x").type == values.type
    assert written["x"].to_pylist() == values.to_pylist()


@pytest.mark.parametrize(
    "values",
    [
        pa.array([[k % 3] for k in range(N)]),
        pa.array([{"a": k % 3} for k in range(N)]),
        pa.array([[("a", k % 3)] for k in range(N)], pa.map_(pa.string(), pa.int64())),
        pa.array([b"\xff" + bytes([k % 3]) for k in range(N)]),
        pa.array([Decimal(10) ** 30 + k % 9 for k in range(N)], pa.decimal256(40, 0)),
    ],
)
def test_what_has_no_declared_type_is_written_as_text_and_said(tmp_path, values):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": values}), file)
    found = draft(file)
    assert "in the file, written as string" in found
    table = Table.read(file, Domain.from_yaml(found))
    assert table.frame["x"].nunique() == len(set(map(str, values.to_pylist())))
    assert "column 'x' is" in table.changed_types[0]
    assert table.changed_types[0] in stated_of(intake_of(table))
    again = Table.read(table.write(tmp_path / "b.parquet"), table.domain)
    assert again.frame.equals(table.frame)


def test_an_undeclared_type_is_not_copied(tmp_path):
    """The type of the file may follow from its rows, so without a declaration every file gives the same."""
    domain = Domain.from_yaml("columns:\n  x: {kind: integer, bounds: [0, 100]}\n")
    for kind in (pa.int8(), pa.uint32(), pa.float64()):
        pq.write_table(pa.table({"x": pa.array([1, 2]).cast(kind)}), tmp_path / "a.parquet")
        table = Table.read(tmp_path / "a.parquet", domain)
        assert pq.read_schema(table.write(tmp_path / "b.parquet")).field("x").type == pa.int64()
        assert len(table.changed_types) == 1
        assert f"declare type: {type_name(kind)} to keep it" in table.changed_types[0]


@pytest.mark.parametrize(
    "entry",
    [
        "integer, bounds: [0, 300], type: int8",
        "integer, bounds: [-1, 3], type: uint64",
        "integer, bounds: [0, 5000], type: float16",
        "integer, bounds: private, type: int8",
        "number, bounds: [0, 1], type: 'decimal(5, 2)'",
        "number, bounds: [0, 1], decimals: 3, type: 'decimal(5, 2)'",
        "number, bounds: [0, 1000], decimals: 2, type: 'decimal(5, 2)'",
        "number, bounds: [0, 1], type: int8",
        "category, categories: [a, b], type: int8",
        "category, categories: ['01', '02'], type: int8",
        "category, categories: private, type: int8",
        "date, bounds: [2000-01-01, 2001-01-01], type: int8",
        "datetime, bounds: ['1600-01-01 00:00:00', '2001-01-01 00:00:00'], type: 'timestamp[ns]'",
        "integer, bounds: [0, 1], type: 'duration[s]'",
        "boolean, type: float32",
        "identifier, type: int64",
        "boolean, type: list",
        "datetime, bounds: private, type: 'timestamp[us, Mars/Olympus]'",
    ],
)
def test_a_type_that_cannot_hold_the_column_is_refused(entry):
    with pytest.raises(SchemaError, match="column 'x': type"):
        Domain.from_yaml(f"columns:\n  x: {{kind: {entry}}}\n  y: {{kind: boolean}}\n")


def test_names_of_types_read_back():
    for name in KNOWN:
        stored = arrow_type(name)
        assert stored is not None, name
        assert type_name(stored) == name


def test_numbers_of_single_precision_are_the_decimals_that_they_are_written_as(tmp_path):
    """0.1 is not beyond the bound 0.1, though the nearest float32 is."""
    domain = Domain.from_yaml("columns:\n  x: {kind: number, bounds: [0, 0.1], point_masses: 0.1, type: float32}\n")
    pq.write_table(pa.table({"x": pa.array([0.1, 0.05, None], pa.float32())[:2]}), tmp_path / "a.parquet")
    table = Table.read(tmp_path / "a.parquet", domain)
    assert table.invalid == {}
    assert table.frame["x"].tolist() == [0.1, 0.05]
    assert Table.read(table.write(tmp_path / "b.parquet"), domain).frame.equals(table.frame)


def test_every_kind_can_be_stored_as_text(tmp_path):
    entries = {
        "a": "integer, bounds: [0, 9]",
        "b": "number, bounds: [0, 9], decimals: 1, decimal: ','",
        "c": "date, bounds: [2000-01-01, 2030-01-01], format: '%d.%m.%Y'",
        "d": "integer, bounds: [0, 99999], format: duration",
        "e": "boolean",
        "f": "category, categories: [u, v]",
    }
    text = "".join(f"  {name}: {{kind: {entry}, missing: true, type: string}}\n" for name, entry in entries.items())
    domain = Domain.from_yaml(f"columns:\n{text}")
    rows = {"a": ["1", ""], "b": ["1,5", ""], "c": ["02.01.2020", ""], "d": ["1:02:03", ""], "e": ["True", ""]}
    pq.write_table(pa.table({**rows, "f": ["u", ""]}), tmp_path / "a.parquet")
    table = Table.read(tmp_path / "a.parquet", domain)
    written = pq.read_table(table.write(tmp_path / "b.parquet"))
    assert {field.type for field in written.schema} == {pa.string()}
    assert written.to_pylist()[0] == {"a": "1", "b": "1,5", "c": "02.01.2020", "d": "1:02:03", "e": "True", "f": "u"}
    assert set(written.to_pylist()[1].values()) == {None}
