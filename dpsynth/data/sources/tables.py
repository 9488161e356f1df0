"""Anyone's table: CSV or Parquet files with a schema."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dpsynth.data.selection import Selection
from dpsynth.data.sources.lookup import provenance
from dpsynth.data.sources.source import Source, bounded, declared, finish, held_fraction
from dpsynth.data.table import tabular_files
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Policies, Table
from dpsynth.errors import ConfigError

Paths = str | Path | Iterable[str | Path]


def csv(
    path: Paths | None = None,
    schema: str | Path | Domain | None = None,
    invalid: Policies = "clamp",
    unreadable: str = "error",
    holdout: Any = 0.2,
    n_train: int | None = None,
    person: str | None = None,
    max_rows_per_person: int | None = None,
    delimiter: str = ",",
    encoding: str = "utf-8",
    quote: str = '"',
    header: bool = True,
    comment: str | None = None,
    skip_rows: int = 0,
    ignore: Iterable[str] | None = None,
    selection: Selection | None = None,
) -> Source:
    """One or several CSV files, a folder or a glob; the holdout is a fraction of the rows or another file.

    delimiter .. ignore: how the files are written, see `CsvDialect`.

    Raises `ConfigError` when path or schema are not given, `SchemaError` and `DataError` as `Table.read`.
    """
    if path is None:
        raise ConfigError("data.path is not set: name your file, several files or a glob")
    if schema is None:
        raise ConfigError("data.schema is not set: name a schema file; draft one with: dpsynth schema FILE.csv")
    domain = declared(schema, "")
    how: dict[str, Any] = {"invalid": invalid, "unreadable": unreadable, "person": person, "delimiter": delimiter}
    how |= {"encoding": encoding, "quote": quote, "header": header, "comment": comment, "skip_rows": skip_rows}
    how["ignore"] = () if ignore is None else (ignore,) if isinstance(ignore, str) else tuple(ignore)
    table = Table.read(path, domain, **how)
    table = bounded(table, person, max_rows_per_person, selection)
    text = "; ".join(provenance(file) for file in tabular_files.find(path))
    fraction = held_fraction(holdout)
    if holdout is None or fraction is not None:
        return finish(table, fraction, n_train, selection, text)
    held = Table.read(holdout, domain, **how)
    held = bounded(held, person, max_rows_per_person, selection)
    text += "; holdout " + "; ".join(provenance(file) for file in tabular_files.find(holdout))
    return finish(table, held, n_train, selection, text)


def parquet(
    path: Paths | None = None,
    schema: str | Path | Domain | None = None,
    invalid: Policies = "clamp",
    unreadable: str = "error",
    holdout: Any = 0.2,
    n_train: int | None = None,
    person: str | None = None,
    max_rows_per_person: int | None = None,
    selection: Selection | None = None,
) -> Source:
    """As `csv`, for Parquet files."""
    return csv(path, schema, invalid, unreadable, holdout, n_train, person, max_rows_per_person, selection=selection)
