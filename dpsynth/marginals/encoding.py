"""Raw files of any length as one encoded file, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dpsynth.data import tabular_files
from dpsynth.data.codec import Codec
from dpsynth.data.domain import Domain
from dpsynth.data.table import Policies, Table, policies
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
    delimiter: str = ",",
    rows: int = ROWS,
) -> tuple[EncodedFiles, dict[str, int]]:
    """The encoded file `out`, and how many values of each column were illegal and changed (private).

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
    changed: dict[str, int] = {}

    def blocks() -> Iterator[np.ndarray]:
        seen = 0
        for frame in tabular_files.frames(path, delimiter, rows):
            tabular_files.match(frame, domain.names, delimiter=delimiter, where="the files")
            table = Table(frame, domain, invalid)
            for name, count in table.invalid.items():
                changed[name] = changed.get(name, 0) + count
            seen += len(table)
            yield codec.encode(table.frame).codes
        if not seen:
            raise DataError("the files have headers but no rows")

    return write_encoded(out, codec, blocks()), changed
