"""CSV files as people write them: frames of texts, under a dialect that is said and never guessed.

Arrow parses the file; this module finds the header, and refuses whatever would lose or shift a value: rows of another
length than the header, a first line of data where a header is expected, columns without a name, bytes of another
encoding. Errors quote the file and are meant for the data's own steward.
"""

# pyright: reportAttributeAccessIssue=false, reportMissingTypeStubs=false

from __future__ import annotations

import csv
import io
import lzma
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from dpsynth.data.columns.raw import number_of
from dpsynth.errors import ConfigError, DataError

LARGEST_CELL = 1 << 30  # characters; Python's own limit refuses long texts
csv.field_size_limit(max(csv.field_size_limit(), LARGEST_CELL))
PEEK = 100  # rows looked at to find the header
BLOCK = 1 << 23  # bytes parsed at a time
DELIMITERS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}


@dataclass(frozen=True)
class CsvDialect:
    r"""How a file is written.

    delimiter   one character, or tab
    encoding    of the text, as Python names it: utf-8, latin-1, cp1252, utf-16
    quote       the quotation mark, or "" for none
    header      whether the first line names the columns; without, they are those of the schema, in its order
    comment     lines that begin with it are left out; None: there are none
    skip_rows   lines before the header (or the first row) to leave out
    ignore      columns of the file to leave out; one without a name is called "column 3" by its place
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    quote: str = '"'
    header: bool = True
    comment: str | None = None
    skip_rows: int = 0
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        said = {"\\t": "\t", "tab": "\t"}.get(self.delimiter, self.delimiter)
        if not isinstance(said, str) or len(said) != 1 or said in "\r\n":
            raise ConfigError(f"delimiter must be one character, or tab, got {self.delimiter!r}")
        object.__setattr__(self, "delimiter", said)
        object.__setattr__(self, "quote", self.quote or "")
        ignored = (self.ignore,) if isinstance(self.ignore, str) else self.ignore or ()
        object.__setattr__(self, "ignore", tuple(str(name) for name in ignored))
        if len(self.quote) > 1:
            raise ConfigError(f"quote must be one character or nothing, got {self.quote!r}")
        if not isinstance(self.header, bool):
            raise ConfigError(f"header must be true or false, got {self.header!r}")
        if isinstance(self.skip_rows, bool) or not isinstance(self.skip_rows, int) or self.skip_rows < 0:
            raise ConfigError(f"skip_rows must be a whole number of lines, got {self.skip_rows!r}")
        try:
            "".encode(self.encoding)
        except (LookupError, TypeError):
            raise ConfigError(
                f"encoding {self.encoding!r} is not known; name one such as utf-8, latin-1 or cp1252"
            ) from None

    @property
    def options(self) -> dict[str, Any]:
        """The options that differ from the defaults."""
        plain = CsvDialect.__dataclass_fields__
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value != plain[name].default}


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
        top = _top(file, dialect, names)
        yielded = False
        for table in _tables(file, dialect, top):
            yielded = True
            yield _named(file, table, dialect, top)
        if not yielded:
            yield _named(file, None, dialect, top)
    except (UnicodeError, csv.Error) as error:
        raise _not_text(file, dialect, error) from None
    except pa.ArrowInvalid as error:
        raise (_not_text(file, dialect, error) if "UTF8" in str(error) else _unreadable(file, error)) from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, lzma.LZMAError) as error:
        raise _unreadable(file, error) from None


def first_rows(file: Path, dialect: CsvDialect, count: int = PEEK) -> tuple[list[list[str]], list[int]]:
    """(the first rows that are not empty, the number of lines read with each), split by the dialect."""
    with _opened(file, dialect) as stream:
        encoding = "utf-8-sig" if dialect.encoding.replace("_", "-").lower() in ("utf-8", "utf8") else dialect.encoding
        text = io.TextIOWrapper(stream, encoding=encoding, newline="")
        for _ in range(dialect.skip_rows):
            text.readline()
        quoting: Any = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
        reader = csv.reader(text, delimiter=dialect.delimiter, quotechar=dialect.quote or None, quoting=quoting)
        rows, lines = list[list[str]](), list[int]()
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
            if len(rows) == count:
                break
        return rows, lines


def _top(file: Path, dialect: CsvDialect, names: Sequence[str] | None) -> _Top:
    refuse_other_formats(file)
    rows, lines = first_rows(file, dialect)
    if not rows:
        raise DataError(f"'{file}' is empty; it needs a header line and rows")
    if any("\0" in name for name in rows[0]):
        raise DataError(
            f"'{file}' is not {dialect.encoding} text: its header has zero bytes; set data.encoding=utf-16-le or "
            "utf-16-be, or save it as UTF-8"
        )
    said = re.fullmatch(r"sep=(.)?", dialect.delimiter.join(rows[0]))
    before = 0
    if said is not None and not dialect.skip_rows:  # a line for spreadsheet programs
        sign = said[1] or dialect.delimiter
        if sign != dialect.delimiter:
            raise DataError(
                f"'{file}': its first line says sep={sign}; set data.delimiter={DELIMITERS.get(sign, sign)}"
            )
        before, rows, lines = lines[0], rows[1:], lines[1:]
    if not rows:
        raise DataError(f"'{file}' is empty; it needs a header line and rows")
    if not dialect.header:
        if names is None:
            names = [f"column {k + 1}" for k in range(len(rows[0]))]
        return _Top(tuple(names), dialect.skip_rows + before, ())
    header = [name.strip() for name in rows[0]]
    _refuse_data(file, header, rows[1:], names)
    widths = [len(row) for row in rows[1:]]
    if widths and all(len(row) == len(header) + 1 and row[-1] == "" for row in rows[1:]):
        header.append("")  # a delimiter at the end of every row
    elif len(header) == 1 and widths and min(widths[1:] or widths) > 1:
        place = next(k for k, row in enumerate(rows) if len(row) > 1)
        raise DataError(
            f"'{file}': the first line has 1 field, line {lines[place]} and others after it {len(rows[place])}; set "
            f"data.skip_rows={dialect.skip_rows + lines[place] - 1} when the lines before are no header"
        )
    unnamed = tuple(k for k, name in enumerate(header) if not name)
    named = tuple(name or f"column {k + 1}" for k, name in enumerate(header))
    check_header(file, named)
    return _Top(named, dialect.skip_rows + lines[0], unnamed)


def _refuse_data(file: Path, header: Sequence[str], rows: Sequence[Sequence[str]], names: Sequence[str] | None) -> None:
    """A first line of values would make them the public names of columns."""
    if names is not None and any(name in names for name in header):
        return
    numeric = [k for k, cell in enumerate(header) if number_of(cell) == number_of(cell)]
    alike = [
        k for k in numeric if rows and all(k < len(row) and number_of(row[k]) == number_of(row[k]) for row in rows)
    ]
    if alike:
        raise DataError(
            f"'{file}': its first line looks like a row of data; when the file has no header, set data.header=false, "
            "which takes the columns of the schema in its order"
        )


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
    with _opened(file, dialect) as stream:
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
        raise _other_length(file, dialect, top)


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


def _other_length(file: Path, dialect: CsvDialect, top: _Top) -> DataError:
    """What is wrong with rows of another length; the file is read once more to name the first and count them."""
    width, count, first = len(top.names), 0, None
    rows, lines = first_rows(file, dialect, 1 << 62)
    for number, row in enumerate((row for row, line in zip(rows, lines, strict=True) if line > top.lines), start=1):
        if len(row) != width:
            count += 1
            first = first or (number, row)
    if first is None:
        return DataError(f"'{file}': rows do not fit the header; check the delimiter and the quotation marks")
    number, row = first
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
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<table")):
        raise DataError(f"'{file}' is a page or XML, not CSV; export the table as CSV in UTF-8")
    if text.startswith((b"{", b"[{", b"[[")) and re.match(rb'[\[{\s]+("[^"]*"\s*:|\[|\{)', text):
        raise DataError(f"'{file}' is JSON, not CSV; convert it to CSV or Parquet")


def check_header(file: Path, header: Sequence[str]) -> None:
    """Refuse a file with two columns of one name."""
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        names = ", ".join(repr(name) for name in twice)
        raise DataError(f"'{file}' has several columns named {names}; give every column its own name")


@contextmanager
def _opened(file: Path, dialect: CsvDialect) -> Iterator[IO[bytes]]:
    """The bytes of the file, uncompressed and without comment lines."""
    with uncompressed(file) as stream:
        if dialect.comment is None:
            yield stream
        else:
            yield io.BufferedReader(_WithoutComments(stream, dialect.comment.encode(dialect.encoding)), BLOCK)


@contextmanager
def uncompressed(file: Path) -> Iterator[Any]:
    suffix = file.suffix.lower()
    if suffix == ".xz":
        with lzma.open(file) as stream:
            yield stream
    elif suffix == ".zip":
        with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as stream:
            yield stream
    else:
        with pa.input_stream(str(file), compression="detect") as stream:
            yield stream


class _WithoutComments(io.RawIOBase):
    """Bytes of the lines that do not begin with a mark."""

    def __init__(self, stream: Any, mark: bytes) -> None:
        self._lines, self._mark, self._rest = io.BufferedReader(stream, BLOCK), mark, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            line = self._lines.readline()
            if not line:
                return 0
            self._rest = b"" if line.startswith(self._mark) else line
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _not_text(file: Path, dialect: CsvDialect, error: Exception) -> DataError:
    if isinstance(error, csv.Error):
        return DataError(f"'{file}' cannot be read as CSV: {' '.join(str(error).split())}")
    return DataError(
        f"'{file}' is not {dialect.encoding} text; set data.encoding, such as cp1252 or latin-1, or save it as UTF-8"
    )


def _unreadable(file: Path, error: Exception) -> DataError:
    return DataError(f"'{file}' cannot be read: {' '.join(str(error).split())}")
