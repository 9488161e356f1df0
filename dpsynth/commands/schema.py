"""dpsynth schema FILE: draft the schema of a table or a database, with every guess marked for its steward to check."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dpsynth.data.database import draft as database_draft
from dpsynth.data.table.csv_files import CsvDialect
from dpsynth.data.table.csv_sniffer import sniff
from dpsynth.data.table.draft import draft
from dpsynth.data.table.tabular_files import find, kind_of, write_text
from dpsynth.errors import ConfigError


def schema(arguments: Sequence[str]) -> None:
    """Print the draft, or write it to --out (never over an existing file)."""
    parser = argparse.ArgumentParser(
        prog="dpsynth schema",
        description="Draft a schema.yaml from a CSV or Parquet file. It is read from the data: check "
        "every line marked 'guess' before the schema is used or shown to anyone.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="CSV or Parquet file(s) of one table")
    parser.add_argument("--out", type=Path, help="write here instead of to the screen")
    parser.add_argument("--delimiter", help="of CSV files; this and the next ones are looked for when left out")
    parser.add_argument("--encoding", help="of CSV files, for example cp1252")
    parser.add_argument("--quote", help="quotation mark of CSV files, or '' for none")
    parser.add_argument(
        "--header", action=argparse.BooleanOptionalAction, default=None, help="whether the first line names the columns"
    )
    parser.add_argument("--comment", help="lines that begin with it are left out")
    parser.add_argument("--skip-rows", type=int, help="lines before the header to leave out")
    parser.add_argument("--ignore", nargs="*", help="columns of the file to leave out")
    parser.add_argument(
        "--database", action="store_true", help="FILE is a folder with a file for each table, an SQLite or DuckDB file"
    )
    parser.add_argument("--metadata", type=Path, help="SDV's metadata (V1, JSON) of the tables of a database")
    options = parser.parse_args(arguments)
    if options.out is not None and options.out.exists():
        raise ConfigError(f"--out {options.out}: exists already; choose another name or remove it first")
    text = _database(options) if options.database or options.metadata else _table(options)
    if options.out is None:
        print(text, end="")
        return
    write_text(options.out, text)
    print(f"{options.out}: check every line marked 'guess', then use it with data.schema={options.out}")


def _table(options: argparse.Namespace) -> str:
    return draft(options.files if len(options.files) > 1 else options.files[0], _dialect(options))


def _database(options: argparse.Namespace) -> str:
    if len(options.files) > 1:
        raise ConfigError("--database: name one folder or one database file")
    return database_draft.draft(options.files[0], options.metadata, CsvDialect(**_said(options)))


def _said(options: argparse.Namespace) -> dict[str, Any]:
    """What was said of CSV files."""
    return {key: getattr(options, key) for key in CsvDialect.__dataclass_fields__ if getattr(options, key) is not None}


def _dialect(options: argparse.Namespace) -> CsvDialect | None:
    """What was said of CSV files, and for the rest what the first of them looks like."""
    said = _said(options)
    first = find(options.files)[0]
    return replace(sniff(first), **said) if said and kind_of(first) != "parquet" else None
