"""The raw tables of a database: a folder of CSV or Parquet files, an SQLite file, or a DuckDB file.

In a folder a table is a file of its name (`visits.csv`, `visits.parquet`), or a folder of its name that holds several.
Values come as they are stored; the declared columns read them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

from dpsynth.data.database import files
from dpsynth.data.database.declaration import DatabaseDomain, LinkedTable
from dpsynth.data.table import tabular_files
from dpsynth.data.table.csv_dialect import CsvDialect
from dpsynth.errors import DataError

_SQLITE, _DUCKDB = b"SQLite format 3\x00", b"DUCK"


def names_in(path: Path) -> list[str]:
    """The names of the tables that a folder or a database file holds, in order."""
    kind = kind_of(path)
    if kind == "folder":
        return sorted({_stem(file) for file in path.iterdir() if _holds_rows(file)})
    if kind == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
        return sorted(str(row[0]) for row in _sqlite(path, query)[1])
    with closing(files.connect(path, read_only=True)) as connection:
        return sorted(str(row[0]) for row in connection.execute("SHOW TABLES").fetchall())


def read_raw(path: Path, name: str, dialect: CsvDialect, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The rows of one table as they are stored.

    columns: names in order, for CSV files without a header.
    """
    kind = kind_of(path)
    if kind == "folder":
        return tabular_files.read(_file_of(path, name), dialect, columns)
    known = names_in(path)
    if name not in known:
        raise DataError(f"'{path}' holds no table '{name}'; it has {', '.join(known) or 'none'}")
    quoted = '"' + name.replace('"', '""') + '"'
    if kind == "sqlite":
        header, rows = _sqlite(path, f"SELECT * FROM {quoted}")
        # One Python object a value: what stands beside a value must not decide its type.
        values = list(zip(*rows, strict=True)) if rows else [() for _ in header]
        return pd.DataFrame({n: pd.Series(list(v), dtype=object) for n, v in zip(header, values, strict=True)})
    with closing(files.connect(path, read_only=True)) as connection:
        return tabular_files.from_arrow(connection.sql(f"SELECT * FROM {quoted}").to_arrow_table())


def read_all(path: Path, domain: DatabaseDomain, dialect: CsvDialect) -> Iterator[tuple[LinkedTable, pd.DataFrame]]:
    """Every table of the domain with its raw rows, checked to have the declared columns, each after its parent."""
    for table in domain:
        written = [*table.keys, *(c.name for c in table.domain.written if c.name not in table.keys)]
        frame = read_raw(path, table.name, dialect, written)
        where = f"table '{table.name}'"
        absent = [name for name in table.keys if name not in frame.columns]
        if absent:
            named = ", ".join(f"'{name}'" for name in absent)
            raise DataError(f"{where}: key column {named} of the schema not found; check the file or the schema")
        tabular_files.match(frame, table.domain.names, None, dialect.delimiter, where, table.set_aside)
        yield table, frame


def files_of(path: Path, domain: DatabaseDomain) -> list[Path]:
    """The files that hold the tables of a domain."""
    if kind_of(path) != "folder":
        return [path]
    return [file for table in domain for file in tabular_files.find(_file_of(path, table.name))]


def kind_of(path: Path) -> str:
    """folder, sqlite or duckdb; `DataError` for anything else."""
    if path.is_dir():
        return "folder"
    if not path.is_file():
        raise DataError(f"no folder or file '{path}'; check data.path")
    with path.open("rb") as file:
        start = file.read(16)
    if start == _SQLITE:
        return "sqlite"
    if start[8:12] == _DUCKDB:
        return "duckdb"
    raise DataError(f"'{path}' is no database: name a folder of CSV or Parquet files, an SQLite or a DuckDB file")


def _file_of(folder: Path, name: str) -> Path:
    found = [file for file in sorted(folder.iterdir()) if _holds_rows(file) and _stem(file) == name]
    if not found:
        known = ", ".join(names_in(folder)) or "no table"
        raise DataError(
            f"'{folder}' holds no file of table '{name}', such as {name}.csv or {name}.parquet; it has {known}"
        )
    if len(found) > 1:
        files = " and ".join(f"'{file.name}'" for file in found)
        raise DataError(f"'{folder}': {files} are both named after table '{name}'; keep one")
    return found[0]


def _holds_rows(file: Path) -> bool:
    if file.name.startswith("."):
        return False
    if file.is_dir():
        return any(tabular_files.kind_of(inner) for inner in file.iterdir())
    return tabular_files.kind_of(file) is not None


def _stem(file: Path) -> str:
    """The name of a file without endings: of visits.csv.gz it is visits."""
    if file.is_dir():
        return file.name
    stem = file.name
    while tabular_files.kind_of(Path(stem)):
        stem = Path(stem).stem
    return stem


def _sqlite(path: Path, query: str) -> tuple[list[str], list[Any]]:
    """(names of the columns, rows); the file is opened for reading only."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            cursor = connection.execute(query)
            return [column[0] for column in cursor.description], cursor.fetchall()
    except sqlite3.Error as error:
        raise DataError(f"'{path}' cannot be read as SQLite: {error}") from None
