"""What is wrong with a CSV file, in one sentence with the place and the option that would read it.

Whatever would lose or shift a value: rows of another length than the header, quotation marks out of place, bytes of
another encoding, files that are no text. Errors quote the file and are meant for the data's own steward.
"""

# pyright: reportAttributeAccessIssue=false, reportMissingTypeStubs=false

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from dpsynth.data.table import quotation, text_encoding
from dpsynth.data.table.csv_dialect import DELIMITERS, CsvDialect, called, first_rows, opened, uncompressed
from dpsynth.errors import DataError

_ZERO = re.compile(b"\0")
_OTHER_FORMATS = {
    b"ARROW1": "a Feather or Arrow file",
    b"FEA1": "a Feather file",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"SQLite format 3": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"<stata_dta>": "a Stata file",
    b"$FL2": "an SPSS file",
    b"\x93NUMPY": "a NumPy file",
    b"%PDF": "a PDF",
}


def other_delimiter(file: Path, dialect: CsvDialect) -> str | None:
    """The delimiter, if it is another one, that splits the first rows into the most fields, and all into as many."""
    widths: dict[str, int] = {}
    for sign in DELIMITERS:
        if sign != dialect.delimiter:
            with contextlib.suppress(csv.Error):
                found = {len(row) for row in first_rows(file, replace(dialect, delimiter=sign))[0]}
                if len(found) == 1:
                    widths[sign] = found.pop()
    best = max(widths, key=lambda sign: widths[sign], default=None)
    return best if best is not None and widths[best] > 1 else None


def other_length(file: Path, dialect: CsvDialect, width: int, before: int) -> DataError:
    """What is wrong with rows of another length; the file is read once more to name the first and count them.

    width: of the header. before: lines before the first row.
    """
    count, first = 0, None
    rows, lines = first_rows(file, dialect, 1 << 62)
    for number, row in enumerate((row for row, line in zip(rows, lines, strict=True) if line > before), start=1):
        if len(row) != width:
            count += 1
            first = first or (number, row)
    if first is None:
        return DataError(f"'{file}': rows do not fit the header; check the delimiter and the quotation marks")
    number, row = first
    if (sign := other_delimiter(file, dialect)) is not None:
        return DataError(
            f"'{file}': {count:,} rows do not have the {width} fields of the header by "
            f"{called(dialect.delimiter)}, but the first lines have as many by {called(sign)}; set "
            f"data.delimiter={called(sign)}"
        )
    place = f"the first is row {number:,} with {len(row)} ({dialect.delimiter.join(row).splitlines()[0][:60]!r})"
    if any("\n" in cell and len(cell) > 200 for cell in row) or (len(rows[-1]) != width and "\n" in "".join(rows[-1])):
        hint = "a quotation mark is never closed: repair it, or set data.quote='' when the file has no quotation marks"
    elif width == 1:
        hint = "check the delimiter"
    elif any(cell.strip().startswith("'") for cell in row) and any(cell.strip().endswith("'") for cell in row):
        hint = "when its quotation mark is ', set data.quote=\"'\""
    elif dialect.quote and any(cell != cell.lstrip() and cell.lstrip().startswith(dialect.quote) for cell in row):
        hint = f"remove the blanks between {dialect.delimiter!r} and the quotation mark after it"
    elif number == len(rows) - 1 or (len(row) == 1 and count <= 5):
        hint = "when these are remarks below the table, remove them"
    else:
        hint = f"repair them, or check the delimiter {dialect.delimiter!r} and the quotation mark"
    return DataError(f"'{file}': {count:,} rows do not have the {width} fields of the header, {place}; {hint}")


def refuse_other_formats(file: Path) -> None:
    """`DataError` for a file that is no text with fields, whatever its name says."""
    with uncompressed(file) as stream:
        head = stream.read(512)
    if head.startswith(b"PAR1"):
        raise DataError(f"'{file}' is a Parquet file; give it a name that ends with .parquet")
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise DataError(f"'{file}' is a workbook or an archive, not text; save the sheet as CSV in UTF-8")
    if head.startswith((b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ")):
        raise DataError(f"'{file}' is compressed; give it a name that ends with .gz, .bz2, .zst or .xz")
    for mark, name in _OTHER_FORMATS.items():
        if head.startswith(mark):
            raise DataError(f"'{file}' is {name}, not CSV; convert it to CSV or Parquet")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<table")):
        raise DataError(f"'{file}' is a page or XML, not CSV; export the table as CSV in UTF-8")
    if text.startswith((b"{", b"[{", b"[[")) and re.match(rb'[\[{\s]+("[^"]*"\s*:|\[|\{)', text):
        raise DataError(f"'{file}' is JSON, not CSV; convert it to CSV or Parquet")
    if re.search(rb"(?m)^@(relation|attribute)\b", text):
        raise DataError(f"'{file}' is an ARFF file, not CSV; convert it to CSV or Parquet")


def not_text(file: Path, dialect: CsvDialect, error: Exception) -> DataError:
    if isinstance(error, csv.Error):
        return DataError(f"'{file}' cannot be read as CSV: {' '.join(str(error).split())}")
    head = _head(file)
    found = text_encoding.proposed(head)
    if found == dialect.encoding or (text_encoding.is_utf8(found) and text_encoding.is_utf8(dialect.encoding)):
        with uncompressed(file) as stream:
            place = text_encoding.undecodable(stream, dialect.encoding)
        where = "" if place is None else f": line {place[0]:,} is not ({ascii(place[1][:40])[1:]})"
        return DataError(
            f"'{file}' is not {dialect.encoding} text throughout{where}; repair it, or set data.encoding=cp1252 or "
            "latin-1 when all of it is"
        )
    seen = text_encoding.first_strange(head.decode(found, "ignore"))
    reads = f", as which {seen[:40]!r} reads right or not" if seen and not found.startswith("utf") else ""
    return DataError(
        f"'{file}' is not {dialect.encoding} text; set data.encoding={found}, which it may be{reads}, or "
        "save it as UTF-8"
    )


def _head(file: Path) -> bytes:
    with uncompressed(file) as stream:
        return stream.read(text_encoding.LOOK)


def zeros(file: Path, dialect: CsvDialect, place: int) -> DataError:
    """What to do about zero bytes in a file: they are half of the signs of another encoding, or damage."""
    found = text_encoding.proposed(_head(file))
    if found.startswith(("utf-16", "utf-32")) and found != dialect.encoding:
        return DataError(f"'{file}' is not {dialect.encoding} text; set data.encoding={found}, or save it as UTF-8")
    where = "its header" if not place else f"row {place:,}"
    return DataError(
        f"'{file}': {where} has a zero byte (NUL), which no text has; remove them: tr -d '\\000' < FILE > REPAIRED"
    )


def _refuse_misplaced(file: Path, dialect: CsvDialect, most: int) -> None:
    """`DataError` for text after a closing quotation mark, and for a mark that is never closed, in the first rows."""
    with opened(file, dialect) as stream:
        encoding = "utf-8-sig" if text_encoding.is_utf8(dialect.encoding) else dialect.encoding
        lines = io.TextIOWrapper(stream, encoding=encoding, newline="")
        for _ in range(dialect.skip_rows):
            lines.readline()
        found = quotation.misplaced(lines, dialect.delimiter, dialect.quote, most)
    if found is None:
        return
    line, text, never = found
    where = f"'{file}': in line {line + dialect.skip_rows:,}"
    if never:
        raise DataError(
            f"{where} a quotation mark opens that is never closed; repair it, or set data.quote='' when the file has "
            "no quotation marks"
        )
    raise DataError(
        f"{where} text follows a closing quotation mark ({text[:60]!r}); write marks within a text twice, or set "
        "data.quote='' when they belong to the texts"
    )


def refuse_misplaced(file: Path, dialect: CsvDialect, most: int) -> None:
    """`DataError` for quotation marks in the first `most` rows that are not closed, or have text after them."""
    try:
        _refuse_misplaced(file, dialect, most)
    except UnicodeError as error:
        raise not_text(file, dialect, error) from None


def refuse_swallowed(file: Path, table: pa.RecordBatch, dialect: CsvDialect, names: Sequence[str], rows: int) -> None:
    """`DataError` for a cell that runs over rows, and for zero bytes. rows: those before this batch."""
    for column in table.columns:
        raw = column.buffers()[2]
        if raw is not None and _ZERO.search(memoryview(raw)):
            place = next(k for k, cell in enumerate(column.to_pylist()) if "\0" in (cell or ""))
            raise zeros(file, dialect, rows + place + 1)
    found = quotation.swallowed_rows(table.columns, dialect.delimiter, dialect.quote)
    if found is not None:
        row, place, text = found
        raise DataError(
            f"'{file}': row {rows + row + 1:,}, column '{names[place]}': a quotation mark opens and is closed "
            f"{text.count(chr(10))} lines later, and these look like rows ({text[:60]!r}); close it where the text "
            "ends, or set data.quote='' when the file has no quotation marks"
        )


def unreadable(file: Path, error: Exception) -> DataError:
    return DataError(f"'{file}' cannot be read: {' '.join(str(error).split())}")
