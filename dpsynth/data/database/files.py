"""A database on disk as it is released: a folder of CSV or Parquet files, or one DuckDB file, and the schema."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dpsynth.data.columns import Column, Date
from dpsynth.data.columns.raw import series_of
from dpsynth.data.database.declaration import DatabaseDomain, LinkedTable
from dpsynth.data.table.tabular_files import spreadsheet_text, write_whole
from dpsynth.errors import ConfigError, DataError

FORMS = ("csv", "parquet", "duckdb")
DUCKDB_FILE, SCHEMA_FILE = "database.duckdb", "schema.yaml"


def write(
    domain: DatabaseDomain, frames: Mapping[str, pd.DataFrame], folder: Path, form: str, escape: bool = False
) -> Path:
    """Write keyed frames and the schema into `folder`, which must be new or empty; each file appears whole.

    form: csv or parquet, one file for each table; duckdb, one file for all.
    escape: of CSV, make cells harmless that a spreadsheet would take for formulas.
    """
    check_form(form)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"'{folder}' exists already and is not empty; choose another folder")
    if form == "duckdb":
        tables = {table.name: _arrow(table, frames[table.name]) for table in domain}
        write_whole(folder / DUCKDB_FILE, lambda temporary: _write_duckdb(temporary, tables))
    for table in domain if form != "duckdb" else ():
        frame, path = frames[table.name], folder / f"{table.name}.{form}"
        if form == "csv":
            _write_csv(table, frame, path, escape)
        else:
            rows = _arrow(table, frame)
            write_whole(path, lambda temporary, rows=rows: pq.write_table(rows, temporary, compression="zstd"))
    write_whole(folder / SCHEMA_FILE, lambda temporary: temporary.write_text(domain.to_yaml(), encoding="utf-8"))
    return folder


def check_form(form: str) -> None:
    """`ConfigError` for a form that a database is not written in, or that needs a package that is not there."""
    if form not in FORMS:
        raise ConfigError(f"a database is written as {', '.join(FORMS)}, not as {form!r}")
    if form == "duckdb":
        _module()


def connect(path: Path, read_only: bool) -> Any:
    """A DuckDB file, opened; `DataError` when it cannot be read."""
    duckdb = _module()
    try:
        return duckdb.connect(str(path), read_only=read_only)
    except duckdb.Error as error:
        raise DataError(f"'{path}' cannot be read as DuckDB: {' '.join(str(error).split())}") from None


def _module() -> Any:
    try:
        import duckdb
    except ImportError:
        raise ConfigError("DuckDB files need the package duckdb: pip install 'dpsynth-torch[duckdb]'") from None
    return duckdb


def _columns(table: LinkedTable) -> dict[str, Column]:
    return {column.name: column for column in table.domain.written}


def _write_csv(table: LinkedTable, frame: pd.DataFrame, path: Path, escape: bool) -> None:
    """UTF-8 with a header; dates in their declared format."""
    columns = _columns(table)
    texts = pd.DataFrame(
        {name: columns[name].text(series_of(frame, name)) if name in columns else frame[name] for name in frame.columns}
    )
    if escape:
        texts = texts.apply(lambda column: column.map(spreadsheet_text))
        texts.columns = [spreadsheet_text(name) for name in texts.columns]
    write_whole(path, lambda temporary: texts.to_csv(temporary, index=False, na_rep=""))


def _arrow(table: LinkedTable, frame: pd.DataFrame) -> pa.Table:
    """As Arrow holds it, dates as date32."""
    columns, rows = _columns(table), pa.Table.from_pandas(frame, preserve_index=False)
    for position, name in enumerate(frame.columns):
        if isinstance(columns.get(name), Date):
            rows = rows.set_column(position, name, rows.column(position).cast(pa.date32()))
        elif pa.types.is_null(rows.schema.field(position).type):  # a column without a value
            rows = rows.set_column(position, name, rows.column(position).cast(pa.string()))
    return rows


def _write_duckdb(path: Path, tables: Mapping[str, pa.Table]) -> None:
    with closing(connect(path, read_only=False)) as connection:
        for name, rows in tables.items():
            connection.register("rows_to_write", rows)
            quoted = name.replace('"', '""')
            connection.execute(f'CREATE TABLE "{quoted}" AS SELECT * FROM rows_to_write')
            connection.unregister("rows_to_write")
