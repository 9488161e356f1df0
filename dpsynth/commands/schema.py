"""dpsynth schema FILE: draft the schema of a table, with every guess marked for its steward to check."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from dpsynth.data.draft import draft
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
    parser.add_argument("--delimiter", default=",", help="of CSV files (default: a comma)")
    options = parser.parse_args(arguments)
    if options.out is not None and options.out.exists():
        raise ConfigError(f"--out {options.out}: exists already; choose another name or remove it first")
    text = draft(options.files if len(options.files) > 1 else options.files[0], options.delimiter)
    if options.out is None:
        print(text, end="")
        return
    options.out.write_text(text)
    print(f"{options.out}: check every line marked 'guess', then use it with data.schema={options.out}")
