"""Raw values of any type as texts and as numbers, each by itself. Nothing here raises on a value.

Reading a value depends on this value alone, never on its company in a column: a row more in the table must not change
how another row is read (the sensitivity of every mechanism counts on it). So values are told apart by type and text
(`True`, `1` and `1.0` are equal to Python), each distinct one is read by itself, and vectorised paths are taken only
where they give the very same result for each value.

A text is a number when it is one in plain decimal notation, with an optional sign, point and exponent, or an infinity;
spaces around it do not count, and digits and signs may be those of any script. Long columns of plain texts are cast by
Arrow, which rounds correctly as Python does, so both give the same bits.
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_PLAIN = (str, int, bool, dt.date)  # types whose equal values have equal texts


def series_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """One column of a frame whose column names are distinct."""
    return cast(pd.Series, frame[name])


def absent(series: pd.Series) -> np.ndarray:
    """(n,) bool: None, NaN, NaT, NA."""
    try:
        return np.array(series.isna(), dtype=bool)
    except ArithmeticError:  # a signalling NaN of decimal
        return np.array(
            [(isinstance(value, Decimal) and value.is_nan()) or _gone(value) for value in series], dtype=bool
        )


def _gone(value: object) -> bool:
    if isinstance(value, Decimal):
        return value.is_nan()
    found = pd.isna(cast(Any, value))
    return isinstance(found, bool) and found  # lists are values


def as_text(value: object) -> str:
    """One raw value as the text it would have in a file: whole floats lose '.0', outer spaces go."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace").strip()
    text = str(value).strip()
    # half of a surrogate pair cannot stand in a file
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def blank(series: pd.Series, where: np.ndarray, missing_values: Iterable[str]) -> np.ndarray:
    """(n,) bool: absent values, and texts that stand for no value, looked for only among the rows `where`."""
    result = absent(series)
    look = where & ~result
    if look.any():
        tokens = {token.casefold() for token in missing_values}

        def is_token(value: object) -> float:
            return float(as_text(value).casefold() in tokens)

        result[look] = by_value(cast(pd.Series, series[look]), is_token, 0.0) > 0
    return result


def first(series: pd.Series, mask: np.ndarray) -> str:
    """The first marked raw value as a short text, for messages to the data's own steward."""
    value = series.iloc[int(np.flatnonzero(mask)[0])]
    return "an empty value" if absent(pd.Series([value], dtype=object))[0] else repr(str(value)[:40])


def distinct(series: pd.Series) -> tuple[np.ndarray, list[object]]:
    """(codes (n,) int64 with -1 for absent values, distinct raw values), of any types, hashable or not.

    Values are the same only if type and text are.
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.cat.codes.to_numpy(np.int64), list(series.cat.categories)
    if series.dtype != object or pd.api.types.infer_dtype(series, skipna=True) == "string":
        codes, uniques = pd.factorize(series)
        return np.asarray(codes, dtype=np.int64), list(uniques)
    gone = absent(series)
    codes, values, seen = np.full(len(series), -1, dtype=np.int64), list[object](), dict[Any, int]()
    for i, value in enumerate(series):
        if not gone[i]:
            kind = type(value)
            key = (kind, value if kind in _PLAIN else str(value))
            codes[i] = seen.setdefault(key, len(values))
            if codes[i] == len(values):
                values.append(value)
    return codes, values


def by_value(series: pd.Series, read: Callable[[Any], float], gone: float = np.nan) -> np.ndarray:
    """(n,) float64: `read` of every distinct value, `gone` where it is absent."""
    codes, values = distinct(series)
    table = np.array([*map(read, values), gone], dtype=np.float64)  # code -1 reads the last entry
    return table[codes]


def texts_of(series: pd.Series) -> pa.ChunkedArray | None:
    """The series as Arrow texts, null where absent; None unless it holds texts only."""
    if not isinstance(series.dtype, pd.StringDtype) and (
        series.dtype != object or pd.api.types.infer_dtype(series, skipna=True) != "string"
    ):
        return None
    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowException, UnicodeError, TypeError, ValueError):
        return None  # half of a surrogate pair
    array = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    return array if pa.types.is_string(array.type) or pa.types.is_large_string(array.type) else None


# -------------------- Numerals --------------------------------------------------------------

PLAIN = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_PLAIN_NUMBER = re.compile(PLAIN)
# Minus signs, full-width signs, and the marks of Arabic numerals
_SIGNS = {"\u2212": "-", "\uff0d": "-", "\uff0b": "+", "\uff0e": ".", "\uff0c": ",", "\u066b": ".", "\u066c": ","}
_INFINITE = re.compile(r"([+-]?)inf(?:inity)?", re.IGNORECASE)


def to_numbers(series: pd.Series) -> np.ndarray:
    """(n,) float64; NaN for whatever is no number. Never raises."""
    kind = series.dtype
    numeric = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind)
    if numeric and kind in (np.float32, np.float16):
        # as the decimal that the value is written as: 0.1, not the nearest float32 to it
        texts = pc.cast(pa.array(series.to_numpy(np.float32), from_pandas=True), pa.string())
        return np.array(pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    if numeric and not isinstance(kind, pd.CategoricalDtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    texts = texts_of(series)
    if texts is not None:
        return _of_texts(texts)
    return by_value(series, number_of)


def number_of(value: Any) -> float:
    """One raw value as a number; NaN when it is none."""
    if isinstance(value, (str, bytes)):
        text = plain_digits(as_text(value))
        if _PLAIN_NUMBER.fullmatch(text):
            return float(text)
        infinite = _INFINITE.fullmatch(text)
        return math.nan if infinite is None else -math.inf if infinite[1] == "-" else math.inf
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return math.nan
    if isinstance(value, complex):
        return value.real if value.imag == 0 else math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except Exception:  # whatever an object's own conversion may raise, it is no number
        return math.nan


def plain_digits(text: str) -> str:
    """The text with the digits of every script, full-width points and signs, and the minus sign as ASCII has them.

    >>> plain_digits("−١٢")
    '-12'
    """
    if text.isascii():
        return text
    return "".join(_SIGNS.get(sign) or str(unicodedata.decimal(sign, sign)) for sign in text)


def _of_texts(texts: pa.ChunkedArray) -> np.ndarray:
    """As `number_of` of every text, NaN where there is none."""
    try:
        return _floats(pc.cast(texts, pa.float64()))
    except pa.ArrowInvalid:
        pass
    plain = pc.fill_null(pc.match_substring_regex(texts, f"^{PLAIN}$"), False)
    numbers = _floats(pc.cast(pc.if_else(plain, texts, pa.scalar(None, texts.type)), pa.float64()))
    others = ~np.asarray(plain)
    numbers[others] = by_value(texts.filter(pc.invert(plain)).to_pandas().astype(object), number_of)
    return numbers


def _floats(numbers: pa.ChunkedArray) -> np.ndarray:
    return np.array(numbers.to_numpy(), dtype=np.float64)
