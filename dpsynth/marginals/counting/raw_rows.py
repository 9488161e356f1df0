"""Raw files of any length read block by block, as codes and as rows, and written as one encoded file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category
from dpsynth.data.columns.raw import series_of
from dpsynth.data.table import tabular_files
from dpsynth.data.table.codec import Codec
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.intake import ColumnIntake, refuse_lost, taken_in
from dpsynth.data.table.table import Policies, dialect_of, policies, read_columns
from dpsynth.errors import ConfigError, DataError
from dpsynth.marginals.counting.encoded_files import EncodedFiles, Paths, write_encoded

ROWS = 131_072  # read at a time


@dataclass(frozen=True)
class RawRows:
    """Raw files of one table, read block by block.

    Attributes:
        path: One file, several, a folder or a glob.
        domain: Of all columns of the files.
        invalid, unreadable: As of `Table.read`.
        dialect: How CSV files are written, the fields of `CsvDialect`.
        rows: The most of a block.
        intake: What reading did to the values of each column so far; private.
    """

    path: Paths
    domain: Domain
    invalid: Policies = "clamp"
    unreadable: str = "error"
    dialect: Mapping[str, Any] = field(default_factory=dict[str, Any])
    rows: int = ROWS
    intake: dict[str, ColumnIntake] = field(default_factory=dict[str, ColumnIntake])

    def frames(self) -> Iterator[pd.DataFrame]:
        """The rows as the files hold them. Raises `DataError` where they do not have the columns of `domain`."""
        written, names = dialect_of(self.dialect), self.domain.in_file
        for frame in tabular_files.frames(self.path, self.rows, written, names):
            tabular_files.match(frame, self.domain.names, None, written.delimiter, "the files", self.domain.set_aside)
            yield frame

    def blocks(self, codec: Codec | None = None, frames: bool = True) -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
        """(codes of the columns of `codec`, the rows as a table of `domain` holds them) of every block, at least one.

        frames: False leaves out the second.

        Raises what `Table.read` raises for files and values, at the block where it is found.
        """
        words, seen = policies(self.invalid), 0
        coded = {} if codec is None else {column.name: (j, column) for j, column in enumerate(codec.columns)}
        for frame in self.frames():
            readings = read_columns(frame, self.domain, self.unreadable, seen + 1)
            codes = np.empty((len(frame), len(coded)), dtype=np.uint8 if codec is None else codec.dtype, order="F")
            settled: dict[str, pd.Series] = {}
            for column in self.domain:
                series, reading = series_of(frame, column.name), readings.pop(column.name)
                word = words["categories" if isinstance(column, Category) else "numbers"]
                if column.name in coded:
                    j, layout = coded[column.name]
                    missing = column.settled_missing(series, reading, word)
                    codes[:, j], _ = layout.encode(reading._replace(missing=missing))
                if frames:
                    kept = column.settled(series, reading, word, self.domain.missing_values)
                    settled[column.name] = kept.reset_index(drop=True)
                counts, before = taken_in(column, reading, word), self.intake.get(column.name)
                self.intake[column.name] = counts if before is None else before + counts
            seen += len(frame)
            yield codes, pd.DataFrame(settled)
        if not seen:
            raise DataError("the files have headers but no rows")
        refuse_lost(self.intake.values())


def encode_files(
    path: Paths,
    out: str | Path,
    schema: Domain | str | Path,
    *,
    bins: int = 4096,
    invalid: Policies = "clamp",
    unreadable: str = "error",
    rows: int = ROWS,
    **dialect: Any,
) -> tuple[EncodedFiles, dict[str, ColumnIntake]]:
    """The encoded file `out`, and what reading did to the values of each column (private).

    dialect: how CSV files are written, the fields of `CsvDialect`.

    Codes are those of `Codec(domain, bins)` on `Table.read(path, ...)`, read `rows` rows at a time; `out` appears
    whole or not at all. Raises what `Table.read` and `Codec` raise, and `ConfigError` for a name that cannot be
    written.
    """
    domain = schema if isinstance(schema, Domain) else Domain.from_yaml(schema)
    codec = Codec(domain, bins)
    raw = RawRows(path, domain, invalid, unreadable, dialect, rows)
    policies(invalid)
    dialect_of(dialect)
    if tabular_files.kind_of(Path(out)) != "parquet":
        raise ConfigError(f"'{out}': end the name of the file to write with .parquet")
    if Path(out).expanduser().resolve() in [file.resolve() for file in tabular_files.find(path)]:
        raise ConfigError(f"'{out}' is one of the files to read; write to another name")
    return write_encoded(out, codec, (codes for codes, _ in raw.blocks(codec, frames=False))), raw.intake
