"""Tables on disk: raw frames from CSV and Parquet files, and files that appear whole or not at all.

Nothing is guessed: texts of a CSV stay texts until the declared column reads them, and the dialect is what was said.
"""

from __future__ import annotations

import contextlib
import glob
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dpsynth.data.columns.raw import series_of
from dpsynth.data.table.csv_dialect import DELIMITERS, CsvDialect
from dpsynth.data.table.csv_files import check_header, csv_frames, read_csv
from dpsynth.errors import DataError

PLAIN = CsvDialect()
_WILD = "*?["
# Whole numbers and booleans stay what they are beside missing values; pandas would make them floats and objects.
_NULLABLE: dict[pa.DataType, Any] = {
    pa.bool_(): pd.BooleanDtype(),
    **{pa.from_numpy_dtype(f"{sign}int{bits}"): pd.array([], dtype=f"{sign.upper()}Int{bits}").dtype
       for sign in ("", "u") for bits in (8, 16, 32, 64)},
}  # fmt: skip


def find(path: str | Path | Iterable[str | Path]) -> list[Path]:
    """The files that a path, a glob, a folder or a list of these names; `DataError` if one names none."""
    if not isinstance(path, (str, Path)):
        found = [file for one in path for file in find(one)]
        if not found:
            raise DataError("an empty list of files; name at least one")
        return found
    plain = Path(path).expanduser()
    if plain.is_file():
        return [plain]
    if plain.is_dir():
        files = sorted(file for file in plain.iterdir() if kind_of(file) and not file.name.startswith("."))
    elif any(sign in str(path) for sign in _WILD):
        files = sorted(file for file in map(Path, glob.glob(str(plain), recursive=True)) if file.is_file())
    else:
        raise DataError(f"no file '{path}' (looked in {plain.parent.absolute()}); check the path")
    if not files:
        raise DataError(f"'{path}' names no CSV or Parquet file; check the path or the pattern")
    return files


def kind_of(path: Path) -> str | None:
    """'csv' or 'parquet' by the name of the file, also when compressed; None for other names."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in (".gz", ".bz2", ".xz", ".zst", ".zip"):
        suffixes.pop()
    last = suffixes[-1] if suffixes else ""
    if last in (".parquet", ".pq"):
        return "parquet"
    return "csv" if last in (".csv", ".tsv", ".txt", ".data", ".test") else None


def read(
    path: str | Path | Iterable[str | Path], dialect: CsvDialect = PLAIN, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """The raw frame of one or several files with the same columns; `DataError` for whatever is wrong.

    names: columns of the schema, for CSV files without a header.
    """
    frames: list[pd.DataFrame] = []
    for file in find(path):
        frame = read_parquet(file) if kind_of(file) == "parquet" else read_csv(file, dialect, names)
        if frames:
            frame = _alike(file, frame, frames[0])
        frames.append(frame)
    return frames[0] if len(frames) == 1 else joined(frames)


def _alike(file: Path, frame: pd.DataFrame, first: pd.DataFrame) -> pd.DataFrame:
    """The frame with its columns in the order of the first one; `DataError` when it has others."""
    if list(frame.columns) == list(first.columns):
        return frame
    if set(frame.columns) != set(first.columns):
        odd = ", ".join(sorted(set(frame.columns) ^ set(first.columns)))
        raise DataError(f"'{file}' has other columns than the first file; they differ in: {odd}")
    return frame.reindex(columns=first.columns)


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One frame below the other, every value as it was: columns of different types are not brought to one type."""
    columns: dict[str, pd.Series] = {}
    for name in frames[0].columns:
        parts = [series_of(frame, name) for frame in frames]
        if any(part.dtype != parts[0].dtype for part in parts):
            parts = [part.astype(object) for part in parts]
        columns[name] = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(columns)


def frames(
    path: str | Path | Iterable[str | Path],
    rows: int,
    dialect: CsvDialect = PLAIN,
    names: Sequence[str] | None = None,
) -> Iterator[pd.DataFrame]:
    """Frames of at most `rows` rows of one or several files, in order, so that files of any length can be read.

    `DataError` for files that are missing, empty or unreadable; it may come after some frames.
    """
    for file in find(path):
        if kind_of(file) == "parquet":
            yield from parquet_frames(file, rows)
            continue
        for frame in csv_frames(file, dialect, names):
            for start in range(0, max(len(frame), 1), rows):
                yield frame.iloc[start : start + rows].reset_index(drop=True)


def read_parquet(file: Path) -> pd.DataFrame:
    """The columns as stored; names must be distinct."""
    return next(parquet_frames(file))


def parquet_frames(file: Path, rows: int | None = None) -> Iterator[pd.DataFrame]:
    """The file as frames of at most `rows` rows, columns as stored; one frame when `rows` is None.

    Texts of frames come as categories, which spares most of the memory.
    """
    try:
        with pq.ParquetFile(file) as stored:
            schema = stored.schema_arrow
            check_header(file, [str(name) for name in schema.names])
            if rows is None:
                yield from_arrow(stored.read())
                return
        texts = [each.name for each in schema if pa.types.is_string(each.type) or pa.types.is_large_string(each.type)]
        with pq.ParquetFile(file, read_dictionary=texts) as stored:
            for batch in stored.iter_batches(batch_size=rows):
                yield from_arrow(pa.Table.from_batches([batch]))
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = "it is empty" if file.stat().st_size == 0 else " ".join(str(error).split())
        raise DataError(f"'{file}' cannot be read as Parquet: {reason}") from None


def stored_types(file: Path) -> dict[str, pa.DataType]:
    """Column -> type of a Parquet file; nothing for a CSV file, in which all is text."""
    if kind_of(file) != "parquet":
        return {}
    try:
        schema = pq.read_schema(file)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"'{file}' cannot be read as Parquet: {' '.join(str(error).split())}") from None
    return {str(field.name): field.type for field in schema}


def from_arrow(table: pa.Table) -> pd.DataFrame:
    """The columns of an Arrow table as they are stored: whole numbers stay so beside missing values.

    Times of day come as texts where Python's, of microseconds, would lose some.
    """
    for place, field in enumerate(table.schema):
        if field.type == pa.time64("ns"):
            try:
                told = table.column(place).cast(pa.time64("us"))
            except pa.ArrowInvalid:
                told = table.column(place).cast(pa.string())
            table = table.set_column(place, field.name, told)
    return table.to_pandas(ignore_metadata=True, types_mapper=_NULLABLE.get)


def match(
    frame: pd.DataFrame,
    names: Sequence[str],
    person: str | None = None,
    delimiter: str = ",",
    where: str = "table",
    temporary: Sequence[str] = (),
) -> None:
    """`DataError` unless the frame has exactly the declared columns (and the person column).

    temporary: columns that it may have, too: identifiers.
    """
    absent = [name for name in (*names, *((person,) if person else ())) if name not in frame.columns]
    extra = [str(name) for name in frame.columns if name not in names and name != person and name not in temporary]
    if absent:
        hint = ""
        if len(frame.columns) == 1:
            only = str(frame.columns[0])
            seen = [said for sign, said in DELIMITERS.items() if sign in only and sign != delimiter]
            if seen:
                hint = f"; the header is a single column, set data.delimiter={' or '.join(seen)}"
        raise DataError(f"{where}: column{_names(absent)} of the schema not found{hint or _found(extra)}")
    if extra:
        raise DataError(
            f"{where}: column{_names(extra)} not in the schema; declare it there, drop it from the file, "
            "or name it as the person column"
        )


def _names(names: Sequence[str]) -> str:
    listed = ", ".join(f"'{name}'" for name in names[:8]) + (", ..." if len(names) > 8 else "")
    return f" {listed}" if len(names) == 1 else f"s {listed}"


def _found(extra: Sequence[str]) -> str:
    return f"; found column{_names(extra)} instead" if extra else "; check the file or the schema"


def spreadsheet_text(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that begins with = + - @, a tab or a line break gets an
    apostrophe before it, unless it is a number (CWE-1236). Read back, it is another text than the one in the domain."""
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return cell
    try:
        float(cell)
    except ValueError:
        return "'" + cell
    return cell


def write_whole(path: str | Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a file beside `path`, then move it there in one step. Nothing half-written stays."""
    target = Path(path).expanduser()
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        temporary.replace(target)
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DataError(f"cannot write '{target}': {reason}; choose another folder or free some space") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return target


def write_text(path: str | Path, text: str) -> Path:
    """A text file in UTF-8 with line feeds, whatever the locale and the system; whole or not at all."""
    return write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))
