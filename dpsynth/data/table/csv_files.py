"""CSV files as people write them: frames of texts, under a dialect that is said and never guessed.

Arrow parses the file; this module finds the header, and refuses whatever would lose or shift a value: rows of another
length than the header, a first line of data where a header is expected, columns without a name, bytes of another
encoding. Errors quote the file and are meant for the data's own steward.
"""

# pyright: reportAttributeAccessIssue=false, reportMissingTypeStubs=false

from __future__ import annotations

import csv
import lzma
import math
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from dpsynth.data.columns.raw import number_of
from dpsynth.data.table.csv_dialect import BLOCK, PEEK, CsvDialect, by_mark, called, first_rows, opened
from dpsynth.data.table.csv_faults import (
    not_text,
    other_delimiter,
    other_length,
    refuse_misplaced,
    refuse_other_formats,
    refuse_swallowed,
    unreadable,
    zeros,
)
from dpsynth.errors import DataError


@dataclass(frozen=True)
class _Top:
    """What the beginning of a file says: names of all columns, lines before the first row, places without a name."""

    names: tuple[str, ...]
    lines: int
    unnamed: tuple[int, ...]


def read_csv(file: Path, dialect: CsvDialect, names: Sequence[str] | None = None) -> pd.DataFrame:
    """All columns as texts. names: of the schema, for a file without a header."""
    frames = list(csv_frames(file, dialect, names))
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def csv_frames(file: Path, dialect: CsvDialect, names: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    """The file as frames of some 8 MiB of text, all columns as texts; at least one frame.

    Raises `DataError` for whatever is wrong with the file; it may come after some frames.
    """
    try:
        dialect = by_mark(file, dialect)
        top = _top(file, dialect, names)
        yielded, rows = False, 0
        for table in _tables(file, dialect, top):
            yielded = True
            refuse_swallowed(file, table, dialect, top.names, rows)
            rows += len(table)
            yield _named(file, table, dialect, top)
        if not yielded:
            yield _named(file, None, dialect, top)
    except (UnicodeError, csv.Error) as error:
        raise not_text(file, dialect, error) from None
    except pa.ArrowInvalid as error:
        raise (not_text(file, dialect, error) if "UTF8" in str(error) else unreadable(file, error)) from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, lzma.LZMAError) as error:
        raise unreadable(file, error) from None


def _top(file: Path, dialect: CsvDialect, names: Sequence[str] | None) -> _Top:
    refuse_other_formats(file)
    rows, lines = first_rows(file, dialect)
    if not rows:
        raise DataError(f"'{file}' is empty; it needs a header line and rows")
    if any("\0" in cell for row in rows for cell in row):
        raise zeros(file, dialect, next(k for k, row in enumerate(rows) if "\0" in "".join(row)))
    refuse_misplaced(file, dialect, PEEK)
    said = re.fullmatch(r"sep=(.)?", dialect.delimiter.join(rows[0]))
    before = 0
    if said is not None and not dialect.skip_rows:  # a line for spreadsheet programs
        sign = said[1] or dialect.delimiter
        if sign != dialect.delimiter:
            raise DataError(f"'{file}': its first line says sep={sign}; set data.delimiter={called(sign)}")
        before, rows, lines = lines[0], rows[1:], lines[1:]
    if not rows:
        raise DataError(f"'{file}' is empty; it needs a header line and rows")
    if not dialect.header:
        if names is None:
            names = [f"column {k + 1}" for k in range(len(rows[0]))]
        return _Top(tuple(names), dialect.skip_rows + before, ())
    header = [column_name(cell) for cell in rows[0]]
    if (names is None or not any(name in names for name in header)) and looks_like_data(header, rows[1:]):
        raise DataError(
            f"'{file}': its first line looks like a row of data; when the file has no header, set data.header=false, "
            "which takes the columns of the schema in its order"
        )
    widths = [len(row) for row in rows[1:]]
    if widths and all(len(row) == len(header) + 1 and row[-1] == "" for row in rows[1:]):
        header.append("")  # a delimiter at the end of every row
    elif len(header) == 1 and widths and min(widths[1:] or widths) > 1:
        place = next(k for k, row in enumerate(rows) if len(row) > 1)
        if (sign := other_delimiter(file, dialect)) is not None:
            raise DataError(
                f"'{file}': the first line has 1 field by {called(dialect.delimiter)}, but all lines have as many by "
                f"{called(sign)}; set data.delimiter={called(sign)}"
            )
        raise DataError(
            f"'{file}': the first line has 1 field, line {lines[place]} and others after it {len(rows[place])}; set "
            f"data.skip_rows={dialect.skip_rows + lines[place] - 1} when the lines before are no header"
        )
    unnamed = tuple(k for k, name in enumerate(header) if not name)
    named = tuple(name or f"column {k + 1}" for k, name in enumerate(header))
    check_header(file, named)
    return _Top(named, dialect.skip_rows + lines[0], unnamed)


def column_name(cell: str) -> str:
    """A cell of the header as the name of a column: without blanks around it, and without a second byte order mark."""
    return cell.strip().strip("\ufeff").strip()


def looks_like_data(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line is one more row: then values of a person would become the public names of columns.

    It is when all columns of numbers have a number there, and every column of few values one of these. Without columns
    of numbers, one of few values must tell.
    """
    columns = [[row[k].strip() for row in rows if k < len(row) and row[k].strip()] for k in range(len(header))]
    numeric = [bool(cells) and all(map(_is_number, cells)) for cells in columns]
    if not all(_is_number(cell) for cell, known in zip(header, numeric, strict=True) if known):
        return False
    told = any(numeric)
    for cell, cells in zip(header, columns, strict=True):
        few = set(cells)
        if cell and not _is_number(cell) and len(few) <= len(cells) / 10:
            if cell not in few:
                return False
            told = True
    return told


def _is_number(text: str) -> bool:
    return math.isfinite(number_of(text))


def _tables(file: Path, dialect: CsvDialect, top: _Top) -> Iterator[pa.RecordBatch]:
    """Batches of texts, with columns called by their place."""
    places = [str(k) for k in range(len(top.names))]
    bad: list[Any] = []

    def note(row: Any) -> str:
        bad.append(row)
        return "skip"

    read = arrow_csv.ReadOptions(
        column_names=places, skip_rows=top.lines, block_size=BLOCK, encoding=dialect.encoding, use_threads=True
    )
    parse = arrow_csv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote or False,
        newlines_in_values=bool(dialect.quote),
        ignore_empty_lines=len(places) > 1,
        invalid_row_handler=note,
    )
    convert = arrow_csv.ConvertOptions(column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=False)
    with opened(file, dialect) as stream:
        try:
            reader = arrow_csv.open_csv(stream, read, parse, convert)
        except pa.ArrowInvalid as error:
            if any(words in str(error) for words in ("Empty CSV", "no data", "Could not skip initial")):
                return  # a header and nothing after it
            raise
        for batch in reader:
            if bad:
                break
            if len(batch):
                yield batch
    if bad:
        raise other_length(file, dialect, len(top.names), top.lines)


def _named(file: Path, batch: pa.RecordBatch | None, dialect: CsvDialect, top: _Top) -> pd.DataFrame:
    """The frame of a batch without the columns to ignore; one without a name must be empty or ignored."""
    if batch is None:
        kept = [k for k in range(len(top.names)) if k not in top.unnamed and top.names[k] not in dialect.ignore]
        return pd.DataFrame({top.names[k]: pd.Series([], dtype="str") for k in kept})
    columns: dict[str, pd.Series] = {}
    for k, name in enumerate(top.names):
        if name in dialect.ignore:
            continue
        values = batch.column(k)
        if k in top.unnamed:
            found = [value for value in values.slice(0, 1000).to_pylist() if value.strip()][:3]
            found = found or [value for value in values.unique().to_pylist() if value.strip()][:3]
            if found:
                raise DataError(
                    f"'{file}': column {k + 1} has values (first {', '.join(found)}) but no name; name it in the "
                    f"header, or leave it out with data.ignore='[column {k + 1}]'"
                )
            continue
        columns[name] = values.to_pandas()
    return pd.DataFrame(columns)


def check_header(file: Path, header: Sequence[str]) -> None:
    """Refuse a file with two columns of one name."""
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        names = ", ".join(repr(name) for name in twice)
        raise DataError(f"'{file}' has several columns named {names}; give every column its own name")
