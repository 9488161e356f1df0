"""A first schema.yaml for somebody's file, in which every guess is marked as one.

What the draft says was read from the data, so it is NOT public until a person has checked it line by line.
Bounds are rounded outward, never the data's own extremes; long lists of texts are proposed as `categories:
private`. A draft loads again and reads its file; where a column cannot be declared without loss, it takes the kind that
loses nothing, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from dpsynth.data.columns.raw import series_of
from dpsynth.data.columns.stored_types import fits, plain_type, type_name
from dpsynth.data.table import tabular_files
from dpsynth.data.table.column_draft import guess
from dpsynth.data.table.csv_dialect import CsvDialect, by_mark, first_rows
from dpsynth.data.table.csv_faults import refuse_misplaced
from dpsynth.data.table.csv_sniffer import ignorable, sniff
from dpsynth.data.table.file_habits import habits_of
from dpsynth.data.table.schema import PRIVATE, column_from, dump_yaml
from dpsynth.errors import DataError

_CHECKED = 200_000  # rows of which the quotation marks are looked at
_LONGEST_NAME = 1000  # characters of the name of a column that YAML reads back as one
_MOST_CLASSES = 20  # of a column that is proposed as a label
_LABEL = re.compile(
    r"(?i)^(y|label|class|target|outcome|response|income|churn|default|survived|diagnosis|status|result)$|_?(label|class|target|outcome)$"
)
_HEADER = """\
# A draft read from {name}. NOT PUBLIC YET: every line below is a guess from the data itself.
# The guarantee holds only for what is public. Replace each guess by what a code book or common sense says,
# then remove its comment. What is not public can be estimated privately: 'bounds: private' for numbers
# and dates, 'categories: private' for texts.
"""


def draft(path: str | Path | Iterable[str | Path], dialect: CsvDialect | None = None) -> str:
    """Schema text for the columns of CSV or Parquet files, every line says what was guessed.

    dialect: how CSV files are written; None looks at the first file. What must be said to read the file again stands in
    the head of the draft.
    """
    first = tabular_files.find(path)[0]
    notes = ""
    if tabular_files.kind_of(first) != "parquet":
        dialect = by_mark(first, dialect or sniff(first))
        dialect = ignorable(first, dialect)
        refuse_misplaced(first, dialect, _CHECKED)
        if dialect.options:
            described = " ".join(f"data.{key}={_on_command_line(value)}" for key, value in dialect.options.items())
            notes += f"# Read the file with: {described}\n"
        notes += _doubts(first, dialect)
    named = first_rows(first, dialect, 1)[0] if dialect is not None and dialect.header else []
    frame = tabular_files.read(path, dialect or CsvDialect(), named[0] if named else None)
    if not len(frame.columns):
        raise DataError(f"'{first}': no column has a name; name them in the header, or set data.header=false")
    name = Path(path).name if isinstance(path, (str, Path)) else "several files"
    return _draft_of(frame, name, notes, tabular_files.stored_types(first))


def draft_frame(frame: pd.DataFrame, name: str = "a table in memory") -> str:
    """As `draft`, for a table in memory. What it says was read from the data: check it before it is used."""
    if not len(frame.columns):
        raise DataError("the table has no columns")
    return _draft_of(frame, name, "", {})


def _draft_of(frame: pd.DataFrame, name: str, notes: str, stored: Mapping[str, pa.DataType]) -> str:
    """The text of a draft. notes: comment lines on how files are read. stored: types of columns of a Parquet file."""
    for place, column in enumerate(map(str, frame.columns), start=1):
        if len(column) > _LONGEST_NAME:
            raise DataError(
                f"the name of column {place} has {len(column):,} characters ({column[:40]!r}...), more than "
                f"{_LONGEST_NAME}; give it a shorter one"
            )
    lines = [_HEADER.format(name=name.replace("\n", " ")) + notes + "columns:"]
    habits = habits_of(frame)
    guesses = {column: guess(series_of(frame, column), habits) for column in frame.columns}
    if all(spec["kind"] == "identifier" or "ignore" in spec for spec, _ in guesses.values()):
        guesses = {  # else nothing would be left to learn
            column: (
                {"kind": "category", "categories": PRIVATE, **({"missing": True} if "missing" in spec else {})},
                notes,
            )
            for column, (spec, notes) in guesses.items()
        }
    for column, (spec, remarks) in guesses.items():
        if column in stored and "ignore" not in spec:
            _typed(str(column), spec, remarks, stored[column])
        lines.append(f"{entry(str(column), spec)}  # guess: {'; '.join(remarks)}; check that it is public")
    lines += [
        "# constraints: ['start <= end']   rules between columns that always hold",
        "# rows: 10000                     a public rough number of rows",
    ]
    if labels := _label_candidates({str(column): spec for column, (spec, _) in guesses.items()}):
        lines.append(f"# label: true in one column that is to be predicted, perhaps {', '.join(map(repr, labels))}")
    return "\n".join(lines) + "\n"


def _label_candidates(specs: Mapping[str, dict[str, Any]]) -> list[str]:
    """At most three columns of few categories, those first that are called so, then the last column, then of two."""
    sizes: dict[str, int] = {}
    for name, spec in specs.items():
        if "ignore" in spec:
            continue
        if spec["kind"] == "boolean":
            sizes[name] = 2
        elif spec["kind"] == "category" and spec["categories"] != PRIVATE:
            sizes[name] = len(spec["categories"])
    fit = [name for name, size in sizes.items() if 2 <= size <= _MOST_CLASSES]
    last = list(specs)[-1]
    return sorted(fit, key=lambda name: (not _LABEL.search(name), name != last, sizes[name]))[:3]


def _typed(name: str, spec: dict[str, Any], remarks: list[str], stored: pa.DataType) -> None:
    """Propose the type of a Parquet column, or say what is written instead."""
    column, found = column_from(name, spec), type_name(stored)
    if found == plain_type(column) or (found == "large_string" and plain_type(column) == "string"):
        return
    if found is not None and fits(column, found):
        spec["type"] = found
    else:
        remarks.append(f"{stored} in the file, written as {plain_type(column)}")


def _doubts(file: Path, dialect: CsvDialect) -> str:
    """Remarks on what the beginning of the file leaves open."""
    rows, _ = first_rows(file, dialect)
    found = []
    if dialect.ignore:
        found.append(f"Left out, because they have no name: {', '.join(dialect.ignore)}.")
    if not dialect.header:
        found.append("The first line looks like a row of data. If it names the columns, draft again with --header.")
    strange = [cell for row in rows for cell in row if not cell.isascii()]
    if strange and not dialect.encoding.startswith("utf"):
        found.append(f"The encoding is a guess: check that {_printable(strange[0])} reads right, else say --encoding.")
    if rows and max(map(len, rows)) == 1 and re.search(r"\S[\s;,|:^~]+\S", rows[0][0]):
        found.append("Only one column was found; when there are more, draft again with --delimiter.")
    return "".join(f"# {line}\n" for line in found)


def _printable(text: str) -> str:
    return ascii(text[:40]) if not text.isprintable() else repr(text[:40])


def entry(name: str, spec: dict[str, Any]) -> str:
    """A line under `columns:`."""
    return dump_yaml({"columns": {name: spec}}).split("\n")[1]


def _on_command_line(value: Any) -> str:
    """An option's value as the shell and Hydra take it."""
    if isinstance(value, tuple):
        return "'[" + ",".join(value) + "]'"
    text = {"\t": "tab"}.get(value, value)
    if value == "'":
        return f'"{value}"'
    return (
        str(text).lower() if isinstance(text, (bool, int)) or str(text).replace("-", "").isalnum() else f"\"'{text}'\""
    )
