"""Dates and times as they stand in files: raw values of any type as seconds since 1970, each by itself.

Without a format a text is a moment when it is ISO 8601: a date, and perhaps a time and an offset from UTC; with one,
when `strptime` reads it, or as a number of seconds (`epoch_s`) or milliseconds (`epoch_ms`) since 1970. Fractions of a
second are cut off. What has an offset is converted to the clock of the column: UTC, a time zone, or the clock that it
was written by; without an offset it is taken as it stands. Years run from 1 to 9999, whatever else is in the column.
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import calendar
import datetime as dt
import math
import re
import warnings
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dpsynth.data.columns.numerals import to_numbers
from dpsynth.data.columns.raw import absent, as_text, by_value, distinct, texts_of

EPOCHS = {"epoch_s": 1, "epoch_ms": 1000}  # formats by number: units in a second
WRITTEN = "as written"  # the clock of a value's own offset, which is then ignored
_DAY = r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})|([0-9]{4})([0-9]{2})([0-9]{2})"
_TIME = r"[T ]([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,][0-9]+)?)?)?"
_ZONE = r" ?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
_FIRST, _LAST = (float(calendar.timegm(day)) for day in ((1, 1, 1, 0, 0, 0), (9999, 12, 31, 23, 59, 59)))
_ISO = re.compile(f"(?:{_DAY})(?:{_TIME})?(?:{_ZONE})?", re.IGNORECASE)


def to_seconds(series: pd.Series, form: str | None = None, clock: str = "UTC") -> np.ndarray:
    """(n,) float64 seconds since 1970 by the clock, NaN for whatever is no moment. Never raises.

    form: a format of `strptime`, one of `EPOCHS`, or None for ISO 8601. clock: a time zone, or `WRITTEN`.
    """
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        local = series if clock == WRITTEN else series.dt.tz_convert(clock)
        series = local.dt.tz_localize(None)
    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "M":
        seconds = series.to_numpy().astype("datetime64[s]").astype(np.int64).astype(np.float64)
        return _of_known_years(np.where(absent(series), np.nan, seconds))
    if form in EPOCHS:
        return _of_epochs(to_numbers(series), EPOCHS[form], clock)
    if form is not None:
        return _in_format(series, form, clock)
    texts = texts_of(series)
    if texts is not None:
        try:
            moments = pc.cast(texts, pa.timestamp("us"))
            days = np.floor_divide(moments.to_numpy().astype("datetime64[us]").astype(np.int64), 1_000_000)
            return _of_known_years(np.where(np.asarray(pc.is_null(moments)), np.nan, days.astype(np.float64)))
        except pa.ArrowInvalid:
            pass
    return by_value(series, lambda value: second_of(value, clock))


def second_of(value: Any, clock: str = "UTC") -> float:
    """One raw value, not in a format of its own, as seconds since 1970; NaN when it is no moment."""
    if isinstance(value, (dt.date, np.datetime64)):
        return _of_moment(value, clock)
    text = _as_digits(value)
    match = None if text is None else _ISO.fullmatch(text)
    if match is None:
        return math.nan
    year, month, day = (int(match[i] or match[i + 3]) for i in (1, 2, 3))
    hour, minute, second = (int(match[i] or 0) for i in (7, 8, 9))
    try:
        zone = None if match[10] is None else dt.timezone(dt.timedelta(seconds=_offset(match[10])))
        return _of_moment(dt.datetime(year, month, day, hour, minute, second, tzinfo=zone), clock)
    except ValueError:
        return math.nan


def _of_epochs(numbers: np.ndarray, units: int, clock: str) -> np.ndarray:
    """(n,) float64 seconds of numbers of 1/units seconds since 1970 UTC."""
    with np.errstate(invalid="ignore"):
        seconds = np.floor(numbers / units)
        low, high = (float(calendar.timegm((year, 1, 1, 0, 0, 0))) for year in (1, 9999))
        seconds = np.where((seconds >= low) & (seconds < high), seconds, np.nan)
    if clock in ("UTC", WRITTEN):
        return seconds
    moments = pd.Series(np.where(np.isnan(seconds), 0, seconds).astype(np.int64).astype("datetime64[s]"))
    local = to_seconds(moments.dt.tz_localize("UTC"), None, clock)
    return np.where(np.isnan(seconds), np.nan, local)


def _of_known_years(seconds: np.ndarray) -> np.ndarray:
    """`seconds`, NaN outside the years 1 to 9999: what reads whole columns knows a year 0, `datetime` does not."""
    return np.where((seconds >= _FIRST) & (seconds <= _LAST), seconds, np.nan)


def _offset(zone: str | None) -> float:
    """Seconds east of UTC."""
    if zone is None or zone in "Zz":
        return 0.0
    digits = zone[1:].replace(":", "")
    return (-1 if zone[0] == "-" else 1) * (int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60)


def _of_moment(value: dt.date | np.datetime64, clock: str) -> float:
    try:
        if isinstance(value, np.datetime64):
            if np.isnat(value):
                return math.nan
            return float(_of_known_years(np.array(float(value.astype("datetime64[s]").astype(np.int64)))))
        if isinstance(value, dt.datetime) and value.tzinfo is not None and clock != WRITTEN:
            return float(calendar.timegm(value.astimezone(ZoneInfo(clock)).timetuple()))
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


def _in_format(series: pd.Series, form: str, clock: str) -> np.ndarray:
    """As `_one_in_format` of every value; pandas reads most of them faster."""
    codes, values = distinct(series)
    found = np.full(len(values) + 1, np.nan)
    texts = [None if isinstance(value, dt.date) else _as_digits(value) for value in values]
    seconds = np.full(len(values), np.nan)
    if "%z" not in form and "%Z" not in form:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seconds = to_seconds(pd.to_datetime(pd.Series(texts, dtype=object), format=form, errors="coerce"))
    for i, value in enumerate(values):
        # pandas chooses one unit for all, in which far dates may not fit: whatever it left out is read by itself
        found[i] = _of_moment(value, clock) if isinstance(value, dt.date) else seconds[i]
        if math.isnan(found[i]) and texts[i] is not None:
            found[i] = _one_in_format(texts[i], form, clock)
    return found[codes]


def _one_in_format(text: str | None, form: str, clock: str) -> float:
    try:
        return _of_moment(dt.datetime.strptime(text or "", form), clock)
    except (ValueError, OverflowError):
        return math.nan


def written(seconds: np.ndarray, form: str | None, days: bool, clock: str = "UTC") -> np.ndarray:
    """(n,) texts of seconds since 1970 by the clock, in the format; None: ISO 8601, of the day alone where `days`."""
    if form in EPOCHS:
        moments = pd.Series(seconds.astype(np.int64).astype("datetime64[s]"))
        if clock not in ("UTC", WRITTEN):
            zoned = moments.dt.tz_localize(
                clock, ambiguous=np.ones(len(moments), dtype=bool), nonexistent="shift_forward"
            )
            moments = zoned.dt.tz_convert("UTC").dt.tz_localize(None)
        return (moments.to_numpy().astype("datetime64[s]").astype(np.int64) * EPOCHS[form]).astype(str).astype(object)
    values = seconds.astype(np.int64).astype("datetime64[s]")
    if form is None:
        texts = np.datetime_as_string(values, unit="D" if days else "s")
        return np.char.replace(texts, "T", " ").astype(object)
    moments = pd.Series(values)
    if not (moments.dt.year < 1000).any():
        return moments.dt.strftime(form).to_numpy(dtype=object)
    padded = [form.replace("%Y", f"{moment.year:04}") for moment in moments]  # strftime does not fill up years
    return np.array([moment.strftime(own) for moment, own in zip(moments, padded, strict=True)], dtype=object)
