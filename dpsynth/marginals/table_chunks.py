"""Raw tables of any length in frames of bounded size: CSV and Parquet files, read as `tabular_files` reads them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dpsynth.data import tabular_files
from dpsynth.errors import ConfigError, DataError

ROWS = 131_072
Paths = str | Path | Iterable[str | Path]


def frames(path: Paths, delimiter: str = ",", rows: int = ROWS) -> Iterator[pd.DataFrame]:
    """Frames of at most `rows` rows of one or several files, a folder or a glob, in order.

    The columns of a CSV are texts, those of a Parquet file as stored. `DataError` for files that are missing, empty
    or unreadable; it may come after some frames.
    """
    for file in tabular_files.find(path):
        if tabular_files.kind_of(file) == "parquet":
            yield from _parquet_frames(file, rows)
        else:
            yield from _csv_frames(file, delimiter, rows)


def _parquet_frames(file: Path, rows: int) -> Iterator[pd.DataFrame]:
    try:
        with pq.ParquetFile(file) as opened:
            schema = opened.schema_arrow
            _check_names(file, [str(name) for name in schema.names])
        texts = [
            field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        with pq.ParquetFile(file, read_dictionary=texts) as opened:
            for batch in opened.iter_batches(batch_size=rows):
                yield batch.to_pandas(ignore_metadata=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = "it is empty" if file.stat().st_size == 0 else " ".join(str(error).split())
        raise DataError(f"'{file}' cannot be read as Parquet: {reason}") from None


def _csv_frames(file: Path, delimiter: str, rows: int) -> Iterator[pd.DataFrame]:
    sep = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)
    if not isinstance(sep, str) or len(sep) != 1:
        raise ConfigError(f"delimiter must be one character, or tab, got {delimiter!r}")
    texts: dict[str, Any] = {"sep": sep, "dtype": "str", "keep_default_na": False, "encoding": "utf-8-sig"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header would be cut
            first = pd.read_csv(file, header=None, nrows=1, **texts)
            header = [str(name).strip() for name in first.iloc[0]]
            _check_names(file, header)
            own: dict[str, Any] = {"header": 0, "names": header, "index_col": False, "chunksize": rows}
            own["skip_blank_lines"] = len(header) > 1
            with pd.read_csv(file, **own, **texts) as reader:
                yield from reader
    except pd.errors.EmptyDataError:
        raise DataError(f"'{file}' is empty; it needs a header line and rows") from None
    except UnicodeDecodeError:
        raise DataError(f"'{file}' is not UTF-8 text; save it as UTF-8 CSV or as Parquet") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"'{file}': rows do not fit the header ({reason}); check the delimiter {sep!r}") from None
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"'{file}' cannot be read: {' '.join(str(error).split())}") from None


def _check_names(file: Path, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        listed = ", ".join(map(repr, twice))
        raise DataError(f"'{file}' has several columns named {listed}; give every column its own name")
