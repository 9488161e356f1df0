"""Rows of a declared domain written as one CSV or Parquet file, block by block, so that files of any length fit.

A file follows from the rows and the blocks they come in: of CSV from the rows alone, of Parquet each block is a row
group. It appears whole or not at all. Identifiers are written afresh and count on from block to block.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dpsynth.data.columns.raw import series_of
from dpsynth.data.columns.stored_types import to_arrow
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.tabular_files import kind_of, spreadsheet_text, write_whole
from dpsynth.errors import ConfigError

Frames = Iterable[pd.DataFrame]


def write_rows(path: str | Path, frames: Frames, domain: Domain, escape: bool, seed: int) -> Path:
    """Write .csv (also .csv.gz) or .parquet by the name.

    Args:
        path: Of the file, which is replaced if it exists.
        frames: Blocks of rows, at least one, with the columns of `domain` as `Table.frame` holds them; read once.
        domain: Of all blocks.
        seed: Of fresh uuids; see `Identifier.fresh`.
        escape: Of CSV, make cells harmless that a spreadsheet would take for formulas; see `spreadsheet_text`.

    Raises:
        ConfigError: The name ends in nothing that can be written.
        DataError: It cannot be written.
    """
    kind = kind_of(Path(path))
    if kind is None:
        raise ConfigError(f"'{path}': end the name with .csv or .parquet")
    if kind == "parquet":
        return write_parquet(path, frames, domain, seed)
    return write_csv(path, frames, domain, escape, seed)


def write_csv(path: str | Path, frames: Frames, domain: Domain, escape: bool, seed: int) -> Path:
    """UTF-8 CSV with a header; dates in the declared format. The rest is as of `write_rows`."""

    def write(temporary: Path) -> None:
        with _text(temporary, str(path).endswith(".gz")) as stream:
            for number, texts in enumerate(_texts(frames, domain, escape, seed)):
                texts.to_csv(stream, index=False, header=number == 0, na_rep="", lineterminator="\n")

    return write_whole(path, write)


def csv_bytes(frame: pd.DataFrame, domain: Domain) -> int:
    """How many bytes some rows take as CSV, without the header."""
    texts = next(iter(_texts([frame], domain, False, 0)))
    return len(texts.to_csv(index=False, header=False, na_rep="").encode("utf-8"))


def write_parquet(path: str | Path, frames: Frames, domain: Domain, seed: int) -> Path:
    """Parquet, zstd-compressed. Every column has its declared type, or that of its kind: int64, float64, bool,
    string, date32, timestamp[ms].
    """

    def write(temporary: Path) -> None:
        tables = (_arrow(frame, domain) for frame in with_identifiers(frames, domain, seed))
        first = next(tables)
        with pq.ParquetWriter(temporary, first.schema, compression="zstd") as writer:
            for table in chain([first], tables):
                writer.write_table(table.cast(first.schema))

    return write_whole(path, write)


def with_identifiers(frames: Frames, domain: Domain, seed: int) -> Iterator[pd.DataFrame]:
    """The blocks with all columns of the file, in its order."""
    first = 1
    for frame in frames:
        if not domain.identifiers:
            yield frame
            continue
        fresh = {column.name: column.fresh(len(frame), first, seed) for _, column in domain.identifiers}
        names, frame = [column.name for column in domain.written], frame.reset_index(drop=True)
        yield pd.DataFrame({name: fresh[name] if name in fresh else frame[name] for name in names})
        first += len(frame)


def _texts(frames: Frames, domain: Domain, escape: bool, seed: int) -> Iterator[pd.DataFrame]:
    for frame in with_identifiers(frames, domain, seed):
        texts = pd.DataFrame({column.name: column.text(series_of(frame, column.name)) for column in domain.written})
        if escape:
            texts = pd.DataFrame({spreadsheet_text(name): texts[name].map(spreadsheet_text) for name in texts.columns})
        yield texts


def _arrow(frame: pd.DataFrame, domain: Domain) -> pa.Table:
    columns = [to_arrow(column, series_of(frame, column.name)) for column in domain.written]
    return pa.table(columns, names=[column.name for column in domain.written])


@contextmanager
def _text(path: Path, compressed: bool) -> Iterator[IO[str]]:
    """A text file to write; a compressed one holds no time, so equal rows give equal bytes."""
    with path.open("wb") as file:
        stream: Any = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) if compressed else file
        with io.TextIOWrapper(stream, encoding="utf-8", newline="") as text:
            yield text
