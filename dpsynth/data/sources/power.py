"""Individual household electric power consumption (UCI 235): two million minutes of one household.

All rows come from one household, so row-level privacy on this table is a benchmark of methods, not a
promise to a person.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pandas as pd

from dpsynth.data.columns.raw import to_numbers
from dpsynth.data.selection import Selection
from dpsynth.data.sources.lookup import Official, find, provenance
from dpsynth.data.sources.source import Source, declared, finish, held_fraction
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Policies, Table
from dpsynth.errors import ConfigError, DataError

ROWS = 2_075_259  # of the official file, and of the imputed copy
MEMBER = "household_power_consumption.txt"
IMPUTED = "household_power_imputed.csv.gz"
POWER = Official(
    "Household power consumption",
    "household_power_consumption.zip",
    (
        "https://archive.ics.uci.edu/ml/machine-learning-databases/00235/household_power_consumption.zip",
        "https://archive.ics.uci.edu/static/public/235/individual+household+electric+power+consumption.zip",
    ),
)


def power(
    path: str | Path | None = None,
    schema: str | Path | Domain | None = None,
    invalid: Policies = "clamp",
    unreadable: str = "error",
    holdout: float | None = 0.1,
    n_train: int | None = None,
    selection: Selection | None = None,
) -> Source:
    """The UCI zip or its text file, or the imputed copy; `minute` of the day replaces the time."""
    domain = declared(schema, "power")
    if holdout is not None and held_fraction(holdout) is None:
        raise ConfigError(f"data.holdout={holdout!r}: use a fraction between 0 and 1, or 0 for none")
    file = find(POWER, path, (MEMBER, IMPUTED))
    frame = _read(file)
    if path is None and len(frame) != ROWS:
        raise DataError(f"'{file}' has {len(frame):,} rows, not {ROWS:,}; delete it or set data.path")
    note = "imputed copy: missing minutes were filled in" if "date_time" in frame else "official form"
    table = Table(_with_minute(frame, file), domain, invalid, unreadable=unreadable)
    return finish(table, held_fraction(holdout), n_train, selection, f"Power: {provenance(file, note)}")


def _read(file: Path) -> pd.DataFrame:
    """The raw frame, numbers as float64 and '?' as missing; both known forms of the file."""
    try:
        if file.suffix == ".zip":
            with zipfile.ZipFile(file) as archive, archive.open(MEMBER) as stream:
                return _parse(stream, ";", None)
        compression = "gzip" if file.suffix == ".gz" else None
        return _parse(file, ";" if ".txt" in file.suffixes else ",", compression)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"'{file}' is not a household power file: {' '.join(str(error).split())}") from None


def _parse(source: Any, delimiter: str, compression: Any) -> pd.DataFrame:
    """All columns as texts: each number is then read by itself, whatever else is in its column."""
    return pd.read_csv(source, sep=delimiter, na_values=["?"], dtype="str", compression=compression, index_col=False)


def _with_minute(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """Put `minute` (0 .. 1439 of the day) first and drop date and time."""
    if "Time" in frame:
        times = frame["Time"]
    elif "date_time" in frame:
        times = frame["date_time"].str[-8:]
    else:
        raise DataError(f"'{file}' has neither a Time nor a date_time column; is it the household power file?")
    hours, minutes = to_numbers(times.str[:2]), to_numbers(times.str[3:5])
    rest = frame.drop(columns=[name for name in ("Date", "Time", "date_time") if name in frame])
    rest.insert(0, "minute", hours * 60 + minutes)
    return rest
