"""A first schema.yaml for somebody's file, in which every guess is marked as one.

What the draft says was read from the data, so it is NOT public until a person has checked it line by line.
Bounds are rounded outward, never the data's own extremes; long lists of texts are proposed as `categories:
private`. A draft loads again and reads its file; where a column cannot be declared without loss, it takes the kind that
loses nothing, and says so.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from dpsynth.data.columns import MISSING_VALUES
from dpsynth.data.columns.datetime_column import WRITTEN, to_seconds
from dpsynth.data.columns.durations import DURATION, seconds_of_durations
from dpsynth.data.columns.raw import as_text, blank, distinct, series_of, to_numbers
from dpsynth.data.columns.stored_types import fits, plain_type, type_name
from dpsynth.data.columns.writing_styles import (
    LOOKED_AT,
    ambiguous,
    date_format,
    durations,
    number_style,
    other_reading,
)
from dpsynth.data.table import tabular_files
from dpsynth.data.table.csv_files import CsvDialect, first_rows
from dpsynth.data.table.csv_sniffer import ignorable, sniff
from dpsynth.data.table.schema import PRIVATE, column_from, dump_yaml
from dpsynth.errors import DataError

_LONGEST_LIST = 60  # distinct texts that are still listed
_FEW_NUMBERS = 10  # distinct whole numbers that look like codes of a category
_POINT_MASS_FRACTION = 0.3  # fraction of zeros among more than a few values that looks like a point mass
_ROWS_OF_IDS = 20  # fewer rows say nothing about identifiers
_EXACT = 2**53
_WIDEST = 2**45  # the most values of an integer column
_FAR = 9000  # years from here on stand for "no date"
_HEADER = """\
# A draft read from {name}. NOT PUBLIC YET: every line below is a guess from the data itself.
# The guarantee holds only for what is public. Replace each guess by what a code book or common sense says,
# then remove its comment. What is not public can be estimated privately: 'bounds: private' for numbers
# and dates, 'categories: private' for texts.
"""
Guess = tuple[dict[str, Any], list[str]]


def draft(path: str | Path | Iterable[str | Path], dialect: CsvDialect | None = None) -> str:
    """Schema text for the columns of CSV or Parquet files, every line says what was guessed.

    dialect: how CSV files are written; None looks at the first file. What must be said to read the file again stands in
    the head of the draft.
    """
    first = tabular_files.find(path)[0]
    notes = ""
    if tabular_files.kind_of(first) != "parquet":
        dialect = dialect or sniff(first)
        dialect = ignorable(first, dialect)
        if dialect.options:
            described = " ".join(f"data.{key}={_on_command_line(value)}" for key, value in dialect.options.items())
            notes += f"# Read the file with: {described}\n"
        notes += _doubts(first, dialect)
    named = first_rows(first, dialect, 1)[0] if dialect is not None and dialect.header else []
    frame = tabular_files.read(path, dialect or CsvDialect(), named[0] if named else None)
    if not len(frame.columns):
        raise DataError(f"'{first}': no column has a name; name them in the header, or set data.header=false")
    name = Path(path).name if isinstance(path, (str, Path)) else "several files"
    return _draft_of(frame, name, notes, tabular_files.stored_types(first))


def draft_frame(frame: pd.DataFrame, name: str = "a table in memory") -> str:
    """As `draft`, for a table in memory. What it says was read from the data: check it before it is used."""
    if not len(frame.columns):
        raise DataError("the table has no columns")
    return _draft_of(frame, name, "", {})


def _draft_of(frame: pd.DataFrame, name: str, notes: str, stored: Mapping[str, pa.DataType]) -> str:
    """The text of a draft. notes: comment lines on how files are read. stored: types of columns of a Parquet file."""
    lines = [_HEADER.format(name=name.replace("\n", " ")) + notes + "columns:"]
    guesses = {column: guess(series_of(frame, column)) for column in frame.columns}
    if all(spec["kind"] == "identifier" for spec, _ in guesses.values()):  # then nothing would be left to learn
        guesses = {
            column: ({"kind": "category", "categories": PRIVATE}, notes) for column, (_, notes) in guesses.items()
        }
    for column, (spec, remarks) in guesses.items():
        if column in stored:
            _typed(str(column), spec, remarks, stored[column])
        lines.append(f"{entry(str(column), spec)}  # guess: {'; '.join(remarks)}; check that it is public")
    lines += [
        "# constraints: ['start <= end']   rules between columns that always hold",
        "# rows: 10000                     a public rough number of rows",
    ]
    return "\n".join(lines) + "\n"


def _typed(name: str, spec: dict[str, Any], remarks: list[str], stored: pa.DataType) -> None:
    """Propose the type of a Parquet column, or say what is written instead."""
    column, found = column_from(name, spec), type_name(stored)
    if found == plain_type(column) or (found == "large_string" and plain_type(column) == "string"):
        return
    if found is not None and fits(column, found):
        spec["type"] = found
    else:
        remarks.append(f"{stored} in the file, written as {plain_type(column)}")


def _doubts(file: Path, dialect: CsvDialect) -> str:
    """Remarks on what the beginning of the file leaves open."""
    rows, _ = first_rows(file, dialect)
    found = []
    if dialect.ignore:
        found.append(f"Left out, because they have no name: {', '.join(dialect.ignore)}.")
    if not dialect.header:
        found.append("The first line looks like a row of data. If it names the columns, draft again with --header.")
    strange = [cell for row in rows for cell in row if not cell.isascii()]
    if strange and not dialect.encoding.startswith("utf"):
        found.append(f"The encoding is a guess: check that {_printable(strange[0])} reads right, else say --encoding.")
    if rows and max(map(len, rows)) == 1 and re.search(r"\S[\s;,|:^~]+\S", rows[0][0]):
        found.append("Only one column was found; when there are more, draft again with --delimiter.")
    return "".join(f"# {line}\n" for line in found)


def _printable(text: str) -> str:
    return ascii(text[:40]) if not text.isprintable() else repr(text[:40])


def entry(name: str, spec: dict[str, Any]) -> str:
    """A line under `columns:`."""
    return dump_yaml({"columns": {name: spec}}).split("\n")[1]


def _on_command_line(value: Any) -> str:
    """An option's value as the shell and Hydra take it."""
    if isinstance(value, tuple):
        return "'[" + ",".join(value) + "]'"
    text = {"\t": "tab"}.get(value, value)
    if value == "'":
        return f'"{value}"'
    return (
        str(text).lower() if isinstance(text, (bool, int)) or str(text).replace("-", "").isalnum() else f"\"'{text}'\""
    )


def guess(series: pd.Series) -> Guess:
    """(the entry of a column under `columns:`, remarks on it), read from its raw values."""
    none = blank(series, np.ones(len(series), dtype=bool), MISSING_VALUES)
    known = series.loc[~none].reset_index(drop=True)
    if len(known) and isinstance(known.iloc[0], dt.time):
        known = known.astype(str)
    spec, notes = _kind(known)
    if none.any() and spec["kind"] != "identifier":
        spec["missing"] = True
        words = sorted({as_text(value) for value in distinct(series.loc[none])[1]} - {""})
        named = (
            f" ({', '.join(map(repr, words[:4]))}: if one of them is a value, list it under categories)"
            if words
            else ""
        )
        notes.append(f"some values are missing{named}")
    return spec, notes


def _kind(known: pd.Series) -> Guess:
    if not len(known):
        return {"kind": "category", "categories": PRIVATE}, ["the column has no values"]
    values = distinct(known)[1]
    texts = list(dict.fromkeys(as_text(value) for value in values))
    if {text.casefold() for text in texts} <= {"true", "false"}:
        return {"kind": "boolean"}, ["read from the data"]
    different = len(texts) == len(known) >= _ROWS_OF_IDS
    if any(
        re.fullmatch(r"[+-]?0[0-9]+([.,][0-9]*)?|[0-9]+[eE][0-9]+", text)
        for text in texts
        if isinstance(values[0], str)
    ):
        compact = _compact_dates(texts)
        return compact or _texts(texts, different, "codes with leading zeros or an E, which a number would lose")
    found = _compact_dates(texts) or _as_number(known, texts, different) or _as_moment(known, texts)
    found = found or _as_duration(known, texts)
    return found or _texts(texts, different)


def _texts(texts: list[str], different: bool, note: str | None = None) -> Guess:
    """Categories, a long list of them to be estimated privately, or keys."""
    notes = [note] if note else []
    if different:
        return _identifier([*notes, "every value differs"])
    if len(texts) > _LONGEST_LIST:
        return {"kind": "category", "categories": PRIVATE}, [*notes, f"more than {_LONGEST_LIST} different texts"]
    return {"kind": "category", "categories": sorted(texts)}, [*notes, "categories read from the data"]


def _identifier(notes: list[str]) -> Guess:
    return {"kind": "identifier", "pattern": "{n}"}, [*notes, "identifier: leave it out, or make new ones as here"]


def _as_number(known: pd.Series, texts: list[str], different: bool) -> Guess | None:
    infinite = [text for text in texts if np.isinf(to_numbers(pd.Series([text])))[0]]
    finite = [text for text in texts if text not in infinite]
    style = number_style(finite) if isinstance(known.iloc[0], str) else None
    if isinstance(known.iloc[0], str):
        if style is None or (style.tokens and _fraction(known, style.tokens) > 0.5):
            return None
        spec, tokens, notation = style.spec(), style.tokens, style.notation
    else:
        numbers = to_numbers(known)
        if np.isnan(numbers).any():
            return None
        spec, tokens, notation = {}, (), None
    raw = to_numbers(known) if notation is None else notation.to_numbers(known)
    numbers = raw[np.isfinite(raw)]
    if not len(numbers):
        return None
    figures = [text for text in finite if text not in tokens]
    plain = figures if notation is None else [notation.plain_text(text) for text in figures]
    if notation is None or notation.plain:
        beyond = all(re.fullmatch(r"[+-]?[0-9]+(\.0*)?", text) for text in plain) and np.abs(numbers).max() >= _EXACT
        if beyond and len(texts) < len(known):
            return _texts(texts, False, "whole numbers beyond 2^53, which a number would round")
    guessed, notes = _number(numbers, plain, different and not tokens and not infinite)
    if guessed["kind"] == "category" and (spec or tokens):
        guessed, notes = {"kind": "integer", "bounds": _whole_bounds(numbers)}, ["bounds rounded outward from the data"]
    if guessed["kind"] not in ("integer", "number"):
        return guessed, notes
    if spec:
        notes.append(f"the file writes {figures[0]!r}")
        bare = (
            [text for text in figures if not any(symbol in text for symbol in style.notation.symbols)] if style else []
        )
        if bare and style and style.notation.symbols:
            notes.append(f"some values are without {' '.join(style.notation.symbols)}, such as {bare[0]!r}")
    if style is not None and (doubt := other_reading(figures, style.notation)):
        notes.append(doubt)
    if tokens:
        spec |= {"missing": True, "missing_values": [*MISSING_VALUES, *tokens]}
        notes.append(f"{', '.join(map(repr, tokens))} taken for missing")
    if infinite:
        notes.append("infinite values, which are moved to the bounds")
    return guessed | spec, notes


def _fraction(known: pd.Series, tokens: Iterable[str]) -> float:
    return float(np.isin(np.array([as_text(value) for value in known], dtype=object), list(tokens)).mean())


def _whole_bounds(numbers: np.ndarray) -> list[int]:
    low, high = outward(float(numbers.min()), float(numbers.max()))
    low, high = math.floor(low), math.ceil(high)
    return [low, max(high, low + 1)]


def _number(numbers: np.ndarray, texts: list[str], different: bool) -> Guess:
    whole = bool((numbers == np.rint(numbers)).all())
    digits = all(re.fullmatch(r"[+-]?[0-9]+", text) for text in texts)
    if all(re.fullmatch(r"[+-]?[0-9]+(\.0*)?", text) for text in texts) and np.abs(numbers).max() >= _EXACT:
        return _identifier(["whole numbers beyond 2^53, which a number would round"])
    low, high = outward(float(numbers.min()), float(numbers.max()))
    integer = whole and np.abs(numbers).max() < _EXACT / 4 and high - low < _WIDEST
    if integer and digits and different and numbers.max() - numbers.min() == len(numbers) - 1:
        return _identifier(["every value differs and none is left out"])
    if integer and len(texts) <= _FEW_NUMBERS:
        ordered = sorted(dict.fromkeys(texts), key=float)
        notes = ["few whole numbers, taken for codes; categories read from the data"]
        return {"kind": "category", "categories": ordered}, notes
    notes = ["bounds rounded outward from the data"]
    if integer:
        spec: dict[str, Any] = {"kind": "integer", "bounds": _whole_bounds(numbers)}
        if different:
            notes.append("every value differs: an identifier?")
        if 1e12 < numbers.min() <= numbers.max() < 2e12:
            notes.append("milliseconds since 1970? then kind: datetime, format: epoch_ms")
    else:
        spec = {"kind": "number", "bounds": [low, high]}
        if whole and digits:
            notes.append("whole numbers over so wide a range that they are declared as numbers")
        places = max((len(text.partition(".")[2]) for text in texts), default=0)
        plain = all(re.fullmatch(r"[+-]?[0-9]*\.?[0-9]*", text) for text in texts)
        grid = 10**places
        if places <= 6 and plain and (high - low) * grid < _WIDEST and max(abs(low), abs(high)) * grid < _EXACT:
            spec["bounds"] = [math.floor(low * grid) / grid, math.ceil(high * grid) / grid]
            spec["decimals"] = places
            notes.append("decimals as in the data")
    if numbers.min() in (-9, -99, -999, -9999, -99999) and (numbers >= 0).sum() > (numbers < 0).sum():
        notes.append(f"if {numbers.min():.0f} stands for no value, list it under missing_values")
    if (numbers == 0).mean() >= _POINT_MASS_FRACTION:
        spec["point_masses"] = 0
        notes.append("many zeros")
    return spec, notes


def _compact_dates(texts: list[str]) -> Guess | None:
    """Days written as 20230623."""
    if not all(re.fullmatch(r"(19|20)[0-9]{6}", text) for text in texts):
        return None
    seconds = to_seconds(pd.Series(texts, dtype=object), "%Y%m%d")
    if not np.isfinite(seconds).all():
        return None
    spec, notes = _instant(seconds, with_time=False)
    return spec | {"format": "%Y%m%d"}, notes


def _as_moment(known: pd.Series, texts: list[str]) -> Guess | None:
    written = pd.Series(texts, dtype=object) if isinstance(known.iloc[0], str) else known
    seconds = to_seconds(written, None, WRITTEN)
    form, words, notes = None, tuple[str, ...](), list[str]()
    if isinstance(known.iloc[0], str) and not np.isfinite(seconds).all():
        words = tuple(text for text in texts if not re.search(r"[1-9]", text))
        rest = [text for text in texts if text not in words]
        if not rest or len(words) > 5:
            return None
        seconds = to_seconds(pd.Series(rest, dtype=object), None, WRITTEN)
        if not np.isfinite(seconds).all():
            found = date_format(texts[:LOOKED_AT])
            if found is None:
                return None
            form, _, words = found
            rest = [text for text in texts if text not in words]
            seconds = to_seconds(pd.Series(rest, dtype=object), form, WRITTEN)
            other = ambiguous(form, rest)
            notes += [f"format {other!r} would read them too"] if other else []
        texts = rest
    if not np.isfinite(seconds).all():
        return None
    far = [text for text, second in zip(texts, seconds, strict=False) if pd.Timestamp(second, unit="s").year >= _FAR]
    if far and len(far) <= 3 and isinstance(known.iloc[0], str) and len(far) < len(texts):
        words = (*words, *far)
        seconds = np.array([s for s in seconds if pd.Timestamp(s, unit="s").year < _FAR])
    if form in ("%H:%M", "%H:%M:%S"):
        spec, more = _times_of_day(form, texts)
    else:
        spec, more = _instant(seconds, with_time=bool((seconds % 86_400 != 0).any()))
    if spec["kind"] == "datetime" and any(re.search(r"(Z|[+-][0-9]{2}:?[0-9]{2})$", text) for text in texts):
        more.append("offsets from UTC are converted to UTC; say 'timezone:' for another clock")
    if spec["kind"] == "datetime" and any(re.search(r"[.,][0-9]*[1-9]", text) for text in texts):
        more.append("fractions of a second are cut off")
    if words:
        spec |= {"missing": True, "missing_values": [*MISSING_VALUES, *words]}
        more.append(f"{', '.join(map(repr, words))} taken for missing")
    return spec | ({"format": form} if form else {}), [*notes, *more]


def _times_of_day(form: str, texts: list[str]) -> Guess:
    """Times without a day: those of the day that `strptime` gives them."""
    last, more = ("23:59:59", {}) if form.endswith("%S") else ("23:59:00", {"resolution": 60})
    notes = ["times of day, which the format puts on 1900-01-01"]
    if durations(texts):
        notes.append("if they are lengths of time: kind: integer, format: duration, bounds in seconds")
    return {"kind": "datetime", "bounds": ["1900-01-01 00:00:00", f"1900-01-01 {last}"], **more}, notes


def _as_duration(known: pd.Series, texts: list[str]) -> Guess | None:
    """Lengths of time, as texts or typed."""
    if not (known.dtype.kind == "m" or (isinstance(known.iloc[0], (str, dt.timedelta)) and durations(texts))):
        return None
    seconds = seconds_of_durations(known)
    if not (np.isfinite(seconds).all() and (seconds == np.rint(seconds)).all()):
        return None
    low, high = _whole_bounds(seconds)
    if high - low >= _WIDEST or max(abs(low), abs(high)) >= _EXACT / 4:
        return None
    spec = {"kind": "integer", "bounds": [low, high], "format": DURATION}
    return spec, ["lengths of time, in seconds", "bounds rounded outward from the data"]


def _instant(seconds: np.ndarray, with_time: bool) -> Guess:
    first, last = (pd.Timestamp(value, unit="s").year for value in (seconds.min(), seconds.max()))
    notes = ["bounds widened to whole years"]
    if not with_time:
        return {"kind": "date", "bounds": [f"{first:04}-01-01", f"{last:04}-12-31"]}, notes
    return {"kind": "datetime", "bounds": [f"{first:04}-01-01 00:00:00", f"{last:04}-12-31 23:59:59"]}, notes


def outward(low: float, high: float) -> tuple[float, float]:
    """Round bounds that enclose [low, high], to 1, 2 or 5 times a power of ten near a tenth of the width.

    >>> outward(17, 90)
    (10.0, 90.0)
    >>> outward(12285, 1484705)
    (0.0, 1600000.0)
    """
    width = high - low
    if not math.isfinite(width):
        return low, high
    if width < 1e-9 * abs(high) or width == 0:
        width = abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(width / 10)) if width / 10 > 1e-300 else 1e-300
    grid = next(step * power for step in (1, 2, 5, 10) if step * power >= width / 10)
    digits = max(0, -math.floor(math.log10(grid)) + 1)
    rounded_low = _to_grid(math.floor(low / grid) * grid, digits)
    rounded_high = _to_grid(math.ceil(high / grid) * grid, digits)
    if rounded_low > low:  # a quotient that underflows, or a float just beyond its decimal
        rounded_low = _to_grid(rounded_low - grid, digits)
    if rounded_high < high or rounded_high == rounded_low:
        rounded_high = _to_grid(rounded_high + grid, digits)
    return rounded_low, rounded_high


def _to_grid(value: float, digits: int) -> float:
    """`value` without float dust behind its decimals, within the range of floats."""
    largest = sys.float_info.max
    return min(max(value, -largest), largest) if abs(value) >= largest else round(value, digits) + 0.0
