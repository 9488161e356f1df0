"""Lengths of time as they stand in files, in seconds: 100:02:03, 4 days 04:02:03, PT100H2M3S, or typed durations."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.columns.raw import absent, as_text, by_value, number_of

DURATION = "duration"  # the format of an integer column that is written so
_CLOCK = re.compile(r"([+-])?(?:([0-9]+) days?,? \+?)?([0-9]+):([0-5][0-9]):([0-5][0-9](?:\.[0-9]+)?)")
_ISO = re.compile(r"([+-])?P(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:\.[0-9]+)?)S)?)?")
_DAY = 86_400


def seconds_of_durations(series: pd.Series) -> np.ndarray:
    """(n,) float64; NaN for whatever is no duration. A plain number is one of seconds. Never raises."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "m":
        unit = np.datetime_data(series.dtype)[0]
        counted = series.to_numpy().astype(np.int64) / {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[unit]
        return np.where(absent(series), np.nan, counted)
    return by_value(series, _seconds)


def _seconds(value: Any) -> float:
    if isinstance(value, (dt.timedelta, np.timedelta64)):
        return pd.Series([value], dtype="timedelta64[ns]").dt.total_seconds().iloc[0]
    if not isinstance(value, (str, bytes)):
        return number_of(value)
    text = as_text(value)
    match = _CLOCK.fullmatch(text) or _ISO.fullmatch(text)
    if match is None or not any(match.groups()[1:]):
        return number_of(text)
    days, hours, minutes = (int(part or 0) for part in match.groups()[1:4])
    if days > 10**9 or hours > 10**12 or minutes > 10**14:
        return math.nan
    seconds = days * _DAY + hours * 3600 + minutes * 60 + float(match[5] or 0)
    return -seconds if match[1] == "-" else seconds


def duration_text(seconds: int) -> str:
    """Whole seconds as hours, minutes and seconds.

    >>> duration_text(360123), duration_text(-7)
    ('100:02:03', '-0:00:07')
    """
    minutes, rest = divmod(abs(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{'-' if seconds < 0 else ''}{hours}:{minutes:02}:{rest:02}"
