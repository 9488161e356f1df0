"""dpsynth encode FILES OUT schema=...: the rows of a table as one file of codes, read once and never whole."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from dpsynth.data.table.csv_dialect import CsvDialect
from dpsynth.data.table.tabular_files import write_text
from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.raw_rows import encode_files

HELP = """usage: dpsynth encode FILES... OUT.parquet schema=FILE.yaml [options]

Encode CSV or Parquet files (several, a folder, or a quoted glob) of one table, of any length, as one Parquet
file of codes. Marginals are counted from it without the raw files. It holds private rows: keep it as safe.

  schema=FILE.yaml   what is public about the table
  bins=4096          the most bins of a number: the finest that a method can see of it
  invalid=clamp      values outside the domain: clamp, missing or error
  unreadable=error   what is no value of the declared kind: error or missing
  delimiter=,        of CSV files; also encoding, quote, header, comment, skip_rows, ignore (as data=csv has them)
  overwrite=false    replace OUT if it exists
  private_console=false   show the number of rows, and of values outside the domain; else OUT.txt alone holds them"""
DIALECT = tuple(CsvDialect.__dataclass_fields__)
_TEXTS = ("delimiter", "encoding", "quote", "comment")
OPTIONS = ("schema", "bins", "invalid", "unreadable", *DIALECT, "overwrite", "private_console")


def encode(arguments: Sequence[str]) -> None:
    """Run the command on its words."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(HELP)
        return
    options = dict(re.findall(r"^(\w+)=(.*)$", word, re.DOTALL)[0] for word in arguments if _is_option(word))
    unknown = [key for key in options if key not in OPTIONS]
    files = [word for word in arguments if not _is_option(word)]
    if unknown:
        raise ConfigError(f"unknown option {unknown[0]}; there are {', '.join(OPTIONS)}")
    if len(files) < 2:
        raise ConfigError("name the files to read and then the file to write: dpsynth encode FILES... OUT.parquet")
    if "schema" not in options:
        raise ConfigError("schema is not set: say schema=FILE.yaml; draft one with: dpsynth schema FILE")
    out = Path(files.pop()).expanduser()
    for switch in ("overwrite", "private_console"):
        if options.get(switch, "false") not in ("true", "false"):
            raise ConfigError(f"{switch}={options[switch]}: say true or false")
    bins = options.get("bins", "4096")
    if not bins.isdecimal():
        raise ConfigError(f"bins={bins}: must be a whole number")
    if out.exists() and options.get("overwrite") != "true":
        raise ConfigError(f"'{out}' exists already; choose another name, or say overwrite=true")
    dialect = {key: yaml.safe_load(options[key]) for key in DIALECT if key in options and key not in _TEXTS}
    dialect |= {key: options[key] for key in _TEXTS if key in options}
    encoded, intake = encode_files(
        files,
        out,
        Path(options["schema"]).expanduser(),
        bins=int(bins),
        invalid=options.get("invalid", "clamp"),
        unreadable=options.get("unreadable", "error"),
        **dialect,
    )
    lines = [line for column in intake.values() if (line := column.line())]
    report = [*lines, f"{len(encoded):,} rows of {len(encoded.sizes)} columns"]
    beside = write_text(f"{out}.txt", "\n".join(report) + "\n")
    if options.get("private_console") == "true":
        print("\n".join(report))
    print(f"{out}: {len(encoded.sizes)} columns; private, as the rows are, and so is {beside}, which counts them")


def _is_option(word: str) -> bool:
    return re.match(r"^\w+=", word) is not None and not Path(word).exists()
