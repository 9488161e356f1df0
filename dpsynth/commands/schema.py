"""dpsynth schema FILE: draft the schema of a table, with every guess marked for its steward to check."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dpsynth.data.table.csv_files import CsvDialect
from dpsynth.data.table.csv_sniffer import sniff
from dpsynth.data.table.draft import draft
from dpsynth.data.table.tabular_files import find, kind_of, write_whole
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
    options = parser.parse_args(arguments)
    if options.out is not None and options.out.exists():
        raise ConfigError(f"--out {options.out}: exists already; choose another name or remove it first")
    text = draft(options.files if len(options.files) > 1 else options.files[0], _dialect(options))
    if options.out is None:
        print(text, end="")
        return
    write_whole(options.out, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    print(f"{options.out}: check every line marked 'guess', then use it with data.schema={options.out}")


def _dialect(options: argparse.Namespace) -> CsvDialect | None:
    """What was said of CSV files, and for the rest what the first of them looks like."""
    said = {key: getattr(options, key) for key in CsvDialect.__dataclass_fields__ if getattr(options, key) is not None}
    first = find(options.files)[0]
    return replace(sniff(first), **said) if said and kind_of(first) != "parquet" else None
