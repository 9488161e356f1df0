"""Anyone's database: a folder of CSV or Parquet files, an SQLite or a DuckDB file, with a schema; and toy databases."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.database import sources as tables_of
from dpsynth.data.database.toy import DISTRIBUTIONS
from dpsynth.data.selection import Selection, needed
from dpsynth.data.sources.lookup import provenance
from dpsynth.data.sources.source import Source, finish, held_fraction
from dpsynth.data.table.table import Policies
from dpsynth.errors import ConfigError


def database(
    path: str | Path | None = None,
    schema: str | Path | DatabaseDomain | None = None,
    invalid: Policies = "clamp",
    unreadable: str = "error",
    holdout: Any = 0.2,
    n_train: int | None = None,
    delimiter: str = ",",
    encoding: str = "utf-8",
    quote: str = '"',
    header: bool = True,
    comment: str | None = None,
    skip_rows: int = 0,
    ignore: Iterable[str] | None = None,
    selection: Selection | None = None,
) -> Source:
    """The persons of a database; the holdout is a fraction of them, or another database of the same tables.

    delimiter .. ignore: how CSV files are written, see `CsvDialect`.

    Raises `ConfigError` when path or schema are not given, `SchemaError` and `DataError` as `Database.read`.
    """
    if path is None:
        raise ConfigError("data.path is not set: name a folder with a file for each table, an SQLite or a DuckDB file")
    domain = declared_database(schema)
    how: dict[str, Any] = {"invalid": invalid, "unreadable": unreadable, "delimiter": delimiter, "encoding": encoding}
    how |= {"quote": quote, "header": header, "comment": comment, "skip_rows": skip_rows}
    how["ignore"] = () if ignore is None else (ignore,) if isinstance(ignore, str) else tuple(ignore)
    key = needed(selection, "data=database").key
    rows = Database.read(path, domain, key, **how)
    text = _provenance(path, domain)
    fraction = held_fraction(holdout)
    if holdout is None or fraction is not None:
        return finish(rows, fraction, n_train, selection, text)
    held = Database.read(holdout, domain, key, **how)
    return finish(rows, held, n_train, selection, f"{text}; holdout {_provenance(holdout, domain)}")


def database_toy(
    distribution: str = "clinic", rows: int = 10_000, holdout: float | None = 0.2, seed: int = 0
) -> Source:
    """`rows` persons to train on and a further fraction of as many to evaluate with, drawn independently."""
    if distribution not in DISTRIBUTIONS:
        raise ConfigError(f"data.distribution={distribution!r} is not one of {', '.join(DISTRIBUTIONS)}")
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        raise ConfigError(f"data.rows must be a positive whole number, got {rows!r}")
    drawn = DISTRIBUTIONS[distribution]()
    held = drawn.sample(max(1, round(rows * holdout)), [seed, 1]) if holdout else None
    text = f"toy database '{distribution}', {rows:,} persons drawn with seed {seed}"
    return Source(drawn.sample(rows, [seed, 0]), held, text)


def declared_database(schema: str | Path | DatabaseDomain | None) -> DatabaseDomain:
    """The domain that a schema declares."""
    if schema is None:
        raise ConfigError(
            "data.schema is not set: name a schema file; draft one with: dpsynth schema FOLDER --database"
        )
    return schema if isinstance(schema, DatabaseDomain) else DatabaseDomain.from_yaml(schema)


def _provenance(path: str | Path, domain: DatabaseDomain) -> str:
    return "; ".join(provenance(file) for file in tables_of.files_of(Path(path).expanduser(), domain))
