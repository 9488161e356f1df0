"""dpsynth schema FILE: draft the schema of a table or a database, with every guess marked for its steward to check."""

import argparse
import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dpsynth.data.database import draft as database_draft
from dpsynth.data.table.csv_dialect import CsvDialect, by_mark
from dpsynth.data.table.csv_sniffer import ignorable, sniff
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
    files = options.files if len(options.files) > 1 else options.files[0]
    database = options.database or options.metadata is not None
    dialect = CsvDialect(**_said(options)) if database else _dialect(options)
    text = _database(options, dialect or CsvDialect()) if database else draft(files, dialect)
    command = train_command(files, options.out, "database" if database else "csv", dialect)
    if options.out is None:
        print(f"{text}# then: {command}")
        return
    write_text(options.out, text)
    print(f"{options.out}: check every line marked 'guess', then train with it:\n{command}")


def train_command(files: Any, schema: Path | None, data: str, dialect: CsvDialect | None) -> str:
    """The words of the shell that train on the files, with every option that reading them needs."""
    path = json.dumps([str(file) for file in files], ensure_ascii=False) if isinstance(files, list) else str(files)
    words = [f"data={data}", f"data.path={path}", f"data.schema={schema or 'SCHEMA.yaml'}"]
    for key, value in (dialect.options if dialect is not None else {}).items():
        said = json.dumps(value, ensure_ascii=False) if isinstance(value, (tuple, bool, int)) else value
        words.append(f"data.{key}={'tab' if said == chr(9) else said}")
    return shlex.join(["dpsynth", "train", "model=auto", *words])


def _database(options: argparse.Namespace, dialect: CsvDialect) -> str:
    if len(options.files) > 1:
        raise ConfigError("--database: name one folder or one database file")
    return database_draft.draft(options.files[0], options.metadata, dialect)


def _said(options: argparse.Namespace) -> dict[str, Any]:
    """What was said of CSV files."""
    return {key: getattr(options, key) for key in CsvDialect.__dataclass_fields__ if getattr(options, key) is not None}


def _dialect(options: argparse.Namespace) -> CsvDialect | None:
    """What was said of CSV files, and for the rest what the first of them looks like; None for Parquet."""
    first = find(options.files)[0]
    if kind_of(first) == "parquet":
        return None
    return ignorable(first, by_mark(first, replace(sniff(first), **_said(options))))
