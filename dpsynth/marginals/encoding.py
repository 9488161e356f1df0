"""Raw files of any length as one encoded file, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dpsynth.data import tabular_files
from dpsynth.data.codec import Codec
from dpsynth.data.domain import Domain
from dpsynth.data.intake import ColumnIntake
from dpsynth.data.table import Policies, Table, dialect_of, policies
from dpsynth.errors import ConfigError, DataError
from dpsynth.marginals.encoded_files import EncodedFiles, Paths, write_encoded

ROWS = 131_072  # read at a time


def encode_files(
    path: Paths,
    out: str | Path,
    schema: Domain | str | Path,
    *,
    bins: int = 32,
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
    policies(invalid)
    if tabular_files.kind_of(Path(out)) != "parquet":
        raise ConfigError(f"'{out}': end the name of the file to write with .parquet")
    if Path(out).expanduser().resolve() in [file.resolve() for file in tabular_files.find(path)]:
        raise ConfigError(f"'{out}' is one of the files to read; write to another name")
    intake: dict[str, ColumnIntake] = {}
    written = dialect_of(dialect)

    def blocks() -> Iterator[np.ndarray]:
        seen = 0
        names = [column.name for column in domain.written]
        for frame in tabular_files.frames(path, rows, written, names):
            tabular_files.match(
                frame, domain.names, delimiter=written.delimiter, where="the files", aside=domain.set_aside
            )
            table = Table(frame, domain, invalid, unreadable=unreadable, first_row=seen + 1)
            for name, column in table.intake.items():
                intake[name] = intake[name] + column if name in intake else column
            seen += len(table)
            yield codec.encode(table.frame).codes
        if not seen:
            raise DataError("the files have headers but no rows")

    return write_encoded(out, codec, blocks()), intake
