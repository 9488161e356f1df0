"""Raw values of any type as texts, numbers and moments. Nothing here raises on a value."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import pandas as pd


def series_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """One column of a frame whose column names are distinct."""
    return cast(pd.Series, frame[name])


def absent(series: pd.Series) -> np.ndarray:
    """(n,) bool: None, NaN, NaT, NA."""
    return np.array(series.isna(), dtype=bool)


def as_text(value: object) -> str:
    """One raw value as the text it would have in a file: whole floats lose '.0', outer spaces go."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value).strip()


def blank(series: pd.Series, where: np.ndarray, missing_values: Iterable[str]) -> np.ndarray:
    """(n,) bool: absent values, and texts that stand for no value, looked for only among the rows `where`."""
    result = absent(series)
    look = where & ~result
    if look.any():
        tokens = {token.casefold() for token in missing_values}
        texts = series[look].astype(object)
        result[look] = [isinstance(text, str) and text.strip().casefold() in tokens for text in texts]
    return result


def first(series: pd.Series, mask: np.ndarray) -> str:
    """The first marked raw value as a short text, for messages to the data's own steward."""
    value = series.iloc[int(np.flatnonzero(mask)[0])]
    return "an empty value" if absent(pd.Series([value], dtype=object))[0] else repr(str(value)[:40])


def factorize(series: pd.Series) -> tuple[np.ndarray, list[object]]:
    """(codes (n,) int64 with -1 for absent values, distinct raw values), hashable or not."""
    try:
        codes, uniques = pd.factorize(series)
    except TypeError:  # lists, dicts
        texts = series.astype(object).map(str).where(~absent(series), None)
        codes, uniques = pd.factorize(texts)
    return np.asarray(codes, dtype=np.int64), list(uniques)


def to_numbers(series: pd.Series) -> np.ndarray:
    """(n,) float64; NaN for whatever is no number. Never raises."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    kind = series.dtype
    if pd.api.types.is_datetime64_any_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind):
        return np.full(len(series), np.nan)  # pandas would hand out nanoseconds
    if pd.api.types.is_complex_dtype(kind):
        return np.full(len(series), np.nan)
    if pd.api.types.is_bool_dtype(kind) or pd.api.types.is_numeric_dtype(kind):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    try:
        numbers: Any = pd.to_numeric(series, errors="coerce")
        if pd.api.types.is_complex_dtype(numbers.dtype):  # one complex value makes them all complex
            numbers = numbers.map(lambda number: number.real if number.imag == 0 else np.nan)
        result = np.array(numbers.to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError, OverflowError):
        result = np.full(len(series), np.nan)
    again = np.isnan(result) & ~absent(series)  # decimals, huge integers, texts among lists
    if again.any():
        texts: Any = series.astype(object)[again].map(str)
        again_numbers: Any = pd.to_numeric(texts, errors="coerce")
        result[again] = again_numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    return result


def to_seconds(series: pd.Series, form: str | None) -> np.ndarray:
    """(n,) float64 seconds since 1970, NaN for whatever is no date. Never raises."""
    if not (isinstance(series.dtype, (np.dtype, pd.DatetimeTZDtype)) and series.dtype.kind == "M"):
        texts = series.astype(object)
        plain = texts.map(lambda value: isinstance(value, (int, float, np.integer, np.floating))).to_numpy(dtype=bool)
        if plain.any():  # 20240131 as a number is a text; pandas would take it for nanoseconds
            texts = texts.where(~plain, texts.map(_digits))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            series = pd.to_datetime(texts, format=form or "ISO8601", errors="coerce", utc=True)
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    seconds = series.to_numpy().astype("datetime64[s]").astype(np.int64).astype(np.float64)
    return np.where(absent(series), np.nan, seconds)


def _digits(value: object) -> str | None:
    if isinstance(value, (float, np.floating)):
        return str(int(value)) if float(value).is_integer() else None
    return str(value)
