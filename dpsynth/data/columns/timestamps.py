"""Dates and times as they stand in files: raw values of any type as seconds since 1970, each by itself.

Without a format a text is a moment when it is ISO 8601: a date, and perhaps a time and an offset from UTC. Fractions of
a second are cut off. Texts with an offset are converted to UTC; without one they are taken as they stand. Years run
from 1 to 9999, whatever else is in the column.
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import calendar
import datetime as dt
import math
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dpsynth.data.columns.raw import absent, as_text, by_value, distinct, texts_of

_DAY = r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})|([0-9]{4})([0-9]{2})([0-9]{2})"
_TIME = r"[T ]([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,][0-9]+)?)?)?"
_ZONE = r" ?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
_ISO = re.compile(f"(?:{_DAY})(?:{_TIME})?(?:{_ZONE})?", re.IGNORECASE)


def to_seconds(series: pd.Series, form: str | None = None) -> np.ndarray:
    """(n,) float64 seconds since 1970, NaN for whatever is no moment. Never raises.

    form: a format of `strptime`; None for ISO 8601.
    """
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "M":
        seconds = series.to_numpy().astype("datetime64[s]").astype(np.int64).astype(np.float64)
        return np.where(absent(series), np.nan, seconds)
    if form is not None:
        return _in_format(series, form)
    texts = texts_of(series)
    if texts is not None:
        try:
            moments = pc.cast(texts, pa.timestamp("us"))
            days = np.floor_divide(moments.to_numpy().astype("datetime64[us]").astype(np.int64), 1_000_000)
            return np.where(np.asarray(pc.is_null(moments)), np.nan, days.astype(np.float64))
        except pa.ArrowInvalid:
            pass
    return by_value(series, second_of)


def second_of(value: Any) -> float:
    """One raw value, not in a format of its own, as seconds since 1970; NaN when it is no moment."""
    if isinstance(value, (dt.date, np.datetime64)):
        return _of_moment(value)
    text = _as_digits(value)
    match = None if text is None else _ISO.fullmatch(text)
    if match is None:
        return math.nan
    year, month, day = (int(match[i] or match[i + 3]) for i in (1, 2, 3))
    hour, minute, second = (int(match[i] or 0) for i in (7, 8, 9))
    try:
        moment = dt.datetime(year, month, day, hour, minute, second)
    except ValueError:
        return math.nan
    return calendar.timegm(moment.timetuple()) - _offset(match[10])


def _offset(zone: str | None) -> float:
    """Seconds east of UTC."""
    if zone is None or zone in "Zz":
        return 0.0
    digits = zone[1:].replace(":", "")
    return (-1 if zone[0] == "-" else 1) * (int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60)


def _of_moment(value: dt.date | np.datetime64) -> float:
    try:
        if isinstance(value, np.datetime64):
            return math.nan if np.isnat(value) else float(value.astype("datetime64[s]").astype(np.int64))
        if isinstance(value, dt.datetime):
            return float(calendar.timegm(value.utctimetuple()))
        return float(calendar.timegm(value.timetuple()))
    except (OverflowError, ValueError):  # an offset that leads out of the years 1 .. 9999
        return math.nan


def _as_digits(value: Any) -> str | None:
    """A number such as 20240131 as the text it stands for; other values as their text."""
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, (float, np.floating)) and not float(value).is_integer():
        return None
    return as_text(value)


def _in_format(series: pd.Series, form: str) -> np.ndarray:
    """As `_one_in_format` of every value; pandas reads most of them faster."""
    codes, values = distinct(series)
    found = np.full(len(values) + 1, np.nan)
    texts = [None if isinstance(value, dt.date) else _as_digits(value) for value in values]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moments = pd.to_datetime(pd.Series(texts, dtype=object), format=form, errors="coerce", utc=True)
    seconds = to_seconds(moments)
    for i, value in enumerate(values):
        # pandas chooses one unit for all, in which far dates may not fit: whatever it left out is read by itself
        found[i] = _of_moment(value) if isinstance(value, dt.date) else seconds[i]
        if math.isnan(found[i]) and texts[i] is not None:
            found[i] = _one_in_format(texts[i], form)
    return found[codes]


def _one_in_format(text: str | None, form: str) -> float:
    try:
        return _of_moment(dt.datetime.strptime(text or "", form))
    except (ValueError, OverflowError):
        return math.nan
