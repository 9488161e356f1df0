"""How a CSV file is written, and its first rows, split by that. Nothing is guessed here."""

# pyright: reportAttributeAccessIssue=false, reportMissingTypeStubs=false

from __future__ import annotations

import csv
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from dpsynth.data.table import text_encoding
from dpsynth.errors import ConfigError, DataError

LARGEST_CELL = 1 << 30  # characters; Python's own limit refuses long texts
csv.field_size_limit(max(csv.field_size_limit(), LARGEST_CELL))
PEEK = 100  # rows looked at to find the header
BLOCK = 1 << 23  # bytes parsed at a time
DELIMITERS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}


def called(delimiter: str) -> str:
    """A delimiter as messages and options call it."""
    return DELIMITERS.get(delimiter, repr(delimiter))


@dataclass(frozen=True)
class CsvDialect:
    r"""How a file is written.

    delimiter   one character, or tab
    encoding    of the text, as Python names it: utf-8, latin-1, cp1252, utf-16. A byte order mark of UTF-16 or UTF-32
                says it by itself
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


def by_mark(file: Path, dialect: CsvDialect) -> CsvDialect:
    """The dialect with the encoding that a byte order mark names; a plain one says UTF-8 only by default."""
    with uncompressed(file) as stream:
        marked = text_encoding.by_mark(stream.read(4))
    return replace(dialect, encoding=marked) if marked and text_encoding.is_utf8(dialect.encoding) else dialect


def first_rows(file: Path, dialect: CsvDialect, count: int = PEEK) -> tuple[list[list[str]], list[int]]:
    """(the first rows that are not empty, the number of lines read with each), split by the dialect."""
    with opened(file, dialect) as stream:
        encoding = "utf-8-sig" if text_encoding.is_utf8(dialect.encoding) else dialect.encoding
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


@contextmanager
def opened(file: Path, dialect: CsvDialect) -> Iterator[IO[bytes]]:
    """The bytes of the file, uncompressed and without comment lines."""
    with uncompressed(file) as stream:
        if dialect.comment is None:
            yield stream
        elif dialect.encoding.lower().startswith(("utf-16", "utf-32", "utf_16", "utf_32")):
            raise DataError(f"'{file}': comment lines are found in {dialect.encoding} only once it is saved as UTF-8")
        else:
            yield io.BufferedReader(_WithoutComments(stream, dialect.comment.encode(dialect.encoding)), BLOCK)


@contextmanager
def uncompressed(file: Path) -> Iterator[Any]:
    """The bytes of a file, whatever it is compressed by; `DataError` also when it turns out to be damaged later on."""
    suffix = file.suffix.lower()
    try:
        if suffix == ".xz":
            with lzma.open(file) as stream:
                yield stream
        elif suffix == ".zip":
            with zipfile.ZipFile(file) as archive, archive.open(_only_member(file, archive.namelist())) as stream:
                yield stream
        else:
            with pa.input_stream(str(file), compression="detect") as stream:
                yield stream
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"'{file}' cannot be read: {' '.join(str(error).split())}") from None


def _only_member(file: Path, names: list[str]) -> str:
    """The file of a ZIP archive, beside folders and the notes that macOS adds."""
    files = [name for name in names if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(files) != 1:
        named = f" ({', '.join(map(repr, files[:3]))}{', ...' if len(files) > 3 else ''})" if files else ""
        raise DataError(f"'{file}' holds {len(files)} files{named}, and must hold one; unpack it and name what to read")
    return files[0]


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
