"""A first schema.yaml for somebody's file, in which every guess is marked as one.

What the draft says was read from the data, so it is NOT public until a person has checked it line by line.
Bounds are rounded outward, never the data's own extremes; long lists of texts are proposed as `categories:
private`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data import tabular_files
from dpsynth.data.columns import MISSING_VALUES
from dpsynth.data.columns.numerals import to_numbers
from dpsynth.data.columns.raw import as_text, blank, distinct, series_of
from dpsynth.data.columns.timestamps import to_seconds
from dpsynth.data.schema import PRIVATE, dump_yaml

_LONGEST_LIST = 60  # distinct texts that are still listed
_FEW_NUMBERS = 10  # distinct whole numbers that look like codes of a category
_SPIKE_SHARE = 0.3  # share of zeros among more than a few values that looks like a spike
_HEADER = """\
# A draft read from {name}. NOT PUBLIC YET: every line below is a guess from the data itself.
# The guarantee holds only for what is public. Replace each guess by what a code book or common sense says,
# then remove its comment. What is not public can be bought from the budget: 'bounds: private' for numbers
# and dates, 'categories: private' for texts.
"""


def draft(path: str | Path | Iterable[str | Path], delimiter: str = ",") -> str:
    """Schema text for the columns of CSV or Parquet files, every line says what was guessed."""
    frame = tabular_files.read(path, delimiter)
    name = Path(path).name if isinstance(path, (str, Path)) else "several files"
    lines = [_HEADER.format(name=name) + "columns:"]
    for column in frame.columns:
        spec, notes = _guess(series_of(frame, column))
        entry = dump_yaml({"columns": {str(column): spec}}).splitlines()[1]
        lines.append(f"{entry}  # guess: {'; '.join(notes)}; check that it is public")
    lines += [
        "# constraints: ['start <= end']   rules between columns that always hold",
        "# rows: 10000                     a public rough number of rows",
    ]
    return "\n".join(lines) + "\n"


def _guess(series: pd.Series) -> tuple[dict[str, Any], list[str]]:
    none = blank(series, np.ones(len(series), dtype=bool), MISSING_VALUES)
    known = series.loc[~none]
    spec, notes = _kind(known)
    if none.any():
        spec["missing"] = True
        notes.append("some values are missing")
    return spec, notes


def _kind(known: pd.Series) -> tuple[dict[str, Any], list[str]]:
    if not len(known):
        return {"kind": "category", "categories": PRIVATE}, ["the column has no values"]
    texts = sorted({as_text(value) for value in distinct(known)[1]})
    if {text.casefold() for text in texts} <= {"true", "false"}:
        return {"kind": "boolean"}, ["read from the data"]
    numbers = to_numbers(known)
    if np.isfinite(numbers).all():
        return _number(numbers, texts)
    seconds = to_seconds(known, None)
    if np.isfinite(seconds).all():
        return _moment(seconds)
    if len(texts) > _LONGEST_LIST:
        notes = [f"more than {_LONGEST_LIST} different texts"]
        return {"kind": "category", "categories": PRIVATE}, notes
    return {"kind": "category", "categories": texts}, ["categories read from the data"]


def _number(numbers: np.ndarray, texts: list[str]) -> tuple[dict[str, Any], list[str]]:
    integer = bool((numbers == np.rint(numbers)).all())
    if integer and len(texts) <= _FEW_NUMBERS:
        ordered = sorted(texts, key=float)
        notes = ["few whole numbers, taken for codes; categories read from the data"]
        return {"kind": "category", "categories": ordered}, notes
    low, high = outward(float(numbers.min()), float(numbers.max()))
    notes = ["bounds rounded outward from the data"]
    if integer:
        spec: dict[str, Any] = {"kind": "integer", "bounds": [int(low), int(high)]}
    else:
        spec = {"kind": "number", "bounds": [low, high]}
        places = max((len(text.partition(".")[2]) for text in texts), default=0)
        if places <= 6 and all(text.lstrip("+-").replace(".", "", 1).isdigit() for text in texts):
            grid = 10**places
            spec["bounds"] = [math.floor(low * grid) / grid, math.ceil(high * grid) / grid]
            spec["decimals"] = places
            notes.append("decimals as in the data")
    if (numbers == 0).mean() >= _SPIKE_SHARE:
        spec["spike"] = 0
        notes.append("many zeros")
    return spec, notes


def _moment(seconds: np.ndarray) -> tuple[dict[str, Any], list[str]]:
    first, last = pd.Timestamp(seconds.min(), unit="s"), pd.Timestamp(seconds.max(), unit="s")
    notes = ["bounds widened to whole years"]
    if (seconds % 86_400 == 0).all():
        return {"kind": "date", "bounds": [f"{first.year}-01-01", f"{last.year}-12-31"]}, notes
    bounds = [f"{first.year}-01-01 00:00:00", f"{last.year}-12-31 23:59:59"]
    return {"kind": "datetime", "bounds": bounds}, notes


def outward(low: float, high: float) -> tuple[float, float]:
    """Round bounds that enclose [low, high], to 1, 2 or 5 times a power of ten near a tenth of the width.

    >>> outward(17, 90)
    (10.0, 90.0)
    >>> outward(12285, 1484705)
    (0.0, 1600000.0)
    """
    width = high - low
    if width < 1e-9 * max(1.0, abs(high)):
        width = max(1.0, abs(high))
    power = 10.0 ** math.floor(math.log10(width / 10))
    grid = next(step * power for step in (1, 2, 5, 10) if step * power >= width / 10)
    rounded_low, rounded_high = math.floor(low / grid) * grid, math.ceil(high / grid) * grid
    if rounded_low == rounded_high:
        rounded_high += grid
    digits = max(0, -math.floor(math.log10(grid)) + 1)
    return round(rounded_low, digits) + 0.0, round(rounded_high, digits) + 0.0
