"""Numbers as they stand in files: raw values of any type as float64, each by itself.

A text is a number when it is one in plain decimal notation, with an optional sign, point and exponent, or an infinity;
spaces around it do not count. Long columns of plain texts are cast by Arrow, which rounds correctly as Python does, so
both give the same bits.
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dpsynth.data.columns.raw import as_text, by_value, texts_of

PLAIN = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_PLAIN = re.compile(PLAIN)
_INFINITE = re.compile(r"([+-]?)inf(?:inity)?", re.IGNORECASE)


def to_numbers(series: pd.Series) -> np.ndarray:
    """(n,) float64; NaN for whatever is no number. Never raises."""
    kind = series.dtype
    numeric = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind)
    if numeric and not isinstance(kind, pd.CategoricalDtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    texts = texts_of(series)
    if texts is not None:
        return _of_texts(texts)
    return by_value(series, number_of)


def number_of(value: Any) -> float:
    """One raw value as a number; NaN when it is none."""
    if isinstance(value, (str, bytes)):
        text = as_text(value)
        if _PLAIN.fullmatch(text):
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
