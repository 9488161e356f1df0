"""What one column of somebody's file may be: its entry in a schema, and remarks on what was read and what is open.

Every value of the column is read by the entry, and none is lost: where a number or a date would lose some, the column
stays one of texts, and the remarks say which option would read most of them. What is said here was read from the data.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.columns import MISSING_VALUES
from dpsynth.data.columns.category import FALSE, TRUE
from dpsynth.data.columns.datetime_column import FIRST_YEAR, WRITTEN, to_seconds
from dpsynth.data.columns.durations import DURATION, seconds_of_durations
from dpsynth.data.columns.raw import as_text, blank, distinct, to_numbers
from dpsynth.data.columns.writing_styles import (
    LOOKED_AT,
    TIMES_OF_DAY,
    ambiguous,
    date_format,
    dates_among,
    durations,
    number_style,
    numbers_among,
    other_reading,
    truth_pair,
)
from dpsynth.data.table.file_habits import NO_HABITS, Habits
from dpsynth.data.table.schema import PRIVATE, flow
from dpsynth.data.table.sentinels import sentinel_days, sentinels

_LONGEST_LIST = 60  # distinct texts that are still listed
_FEW_NUMBERS = 10  # distinct whole numbers that look like codes of a category
_POINT_MASS_FRACTION = 0.3  # fraction of zeros among more than a few values that looks like a point mass
_ROWS_OF_IDS = 20  # fewer rows say nothing about identifiers
_EXACT = 2**53
_WIDEST = 2**45  # the most values of an integer column
_FAR = 9000  # years from here on stand for "no date"
_LISTED_REST = 12  # distinct texts that are listed as missing values
_TWO_NUMBERS = re.compile(
    r"\(?[+-]?[0-9]+([.,][0-9]+)?\s*(/|-|\u2013| x | to |,|;)\s*[+-]?[0-9]+([.,][0-9]+)?(\s*\D{0,8})"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TOLD = 0.1  # the smallest part of a column's values that is told to be numbers or dates
Guess = tuple[dict[str, Any], list[str]]


def guess(series: pd.Series, habits: Habits = NO_HABITS) -> Guess:
    """(the entry of a column under `columns:`, remarks on it), read from its raw values.

    habits: of the file, which decide where the column itself leaves it open.
    """
    none = blank(series, np.ones(len(series), dtype=bool), MISSING_VALUES)
    known = series.loc[~none].reset_index(drop=True)
    if len(known) and isinstance(known.iloc[0], dt.time):
        known = known.astype(str)
    spec, notes = _kind(known, habits)
    if none.any() and spec["kind"] != "identifier":
        spec["missing"] = True
        words = sorted({as_text(value) for value in distinct(series.loc[none].astype(object))[1]} - {""})
        named = (
            f" ({', '.join(map(repr, words[:4]))}: if one of them is a value, list it under categories)"
            if words
            else ""
        )
        notes.append(f"some values are missing{named}")
    return spec, notes


def _kind(known: pd.Series, habits: Habits) -> Guess:
    if not len(known):
        left_out = {"kind": "category", "categories": PRIVATE, "ignore": True}
        return left_out, ["the column has no values, and is left out"]
    codes, values = distinct(known)
    texts = list(dict.fromkeys(as_text(value) for value in values))
    found = _as_boolean(known, texts)
    if found is not None:
        return found
    different = len(texts) == len(known) >= _ROWS_OF_IDS
    written = isinstance(values[0], str)
    if written and any(re.fullmatch(r"[+-]?0[0-9]+([.,][0-9]*)?|[0-9]+[eE][0-9]+", text) for text in texts):
        compact = _compact_dates(texts)
        return compact or _texts(texts, different, "codes with leading zeros or an E, which a number would lose")
    if written and all(re.fullmatch(r"\+[0-9 ]{6,}", text) for text in texts):
        return _texts(texts, different, "numbers of telephones, whose + a number would lose")
    found = _compact_dates(texts) or _as_number(known, texts, different, habits) or _as_moment(known, texts, habits)
    found = found or _as_duration(known, texts)
    if found is not None:
        return found
    partly = _in_part(texts, _counts(texts, codes, values)) if written else None
    return _texts(texts, different and partly is None, partly)


def _as_boolean(known: pd.Series, texts: list[str]) -> Guess | None:
    """Two texts that say no and yes; those that are spelled in several ways are only taken for true and false."""
    if known.dtype.kind == "b" or all(isinstance(value, (bool, np.bool_)) for value in known.head(20)):
        return {"kind": "boolean"}, ["read from the data"]
    pair = truth_pair(texts)
    if pair is not None and known.dtype.kind != "f":
        return {"kind": "boolean", "texts": list(pair)}, [f"{pair[0]!r} for false and {pair[1]!r} for true"]
    read = {text.casefold() for text in texts}
    if (read <= {*TRUE, *FALSE} and read & {*TRUE} and read & {*FALSE} and not read <= {"0", "1"}) or read in (
        {"true"},
        {"false"},
    ):
        spelled = ", ".join(map(repr, sorted(texts)[:4]))
        return {"kind": "boolean"}, [f"spelled in several ways ({spelled}), written as True and False"]
    return None


def _counts(texts: Sequence[str], codes: np.ndarray, values: Sequence[object]) -> np.ndarray:
    """(n,) how many values each text has; those that differ in blanks only are one text."""
    place = {text: k for k, text in enumerate(texts)}
    of_value = np.array([place[as_text(value)] for value in values])
    return np.bincount(of_value[codes[codes >= 0]], minlength=len(texts))


def _in_part(texts: list[str], counts: np.ndarray) -> str | None:
    """What most values of a column of texts could be read as, and which not; None where they are texts and no more."""
    texts, counts = texts[:LOOKED_AT], counts[:LOOKED_AT]
    pairs = [bool(_TWO_NUMBERS.fullmatch(text)) for text in texts]
    if len(texts) > _LONGEST_LIST and counts[np.array(pairs)].sum() >= counts.sum() / 2:
        return (
            f"two numbers in one text ({texts[pairs.index(True)]!r}): as two columns of the file they would be learned"
        )
    found = max(
        (each for each in (numbers_among(texts, counts.tolist()), dates_among(texts, counts.tolist())) if each),
        key=lambda each: each.share,
        default=None,
    )
    many = found is not None and len(texts) - len(found.rest) >= max(5, len(texts) / 2)
    style = number_style(texts)
    if style is not None and style.unit_or_none:
        one, bare = style.unit_or_none
        said = ", ".join(f"{key}: {flow(value)}" for key, value in {"kind": "number", **style.spec()}.items())
        tokens = f", missing: true, missing_values: {flow([*MISSING_VALUES, *style.tokens])}" if style.tokens else ""
        return (
            f"numbers with and without {' '.join(style.notation.symbols)}; kept as texts, so that none is lost: "
            f"if {one!r} and {bare!r} are of one unit, declare {said}{tokens}"
        )
    if found is None or not found.rest or not (many or found.share >= _TOLD):
        return _no_dates_yet(texts)
    what = "dates" if found.spec["kind"] == "date" else "numbers"
    listed = ", ".join(f"{key}: {flow(value)}" for key, value in found.spec.items())
    told = f"{_percent(found.share)} of the values read as {what} ({listed}), not {_first_two(found.rest)}"
    if len(found.rest) <= _LISTED_REST:
        tokens = flow([*MISSING_VALUES, *found.rest])
        remedy = f"add missing: true, missing_values: {tokens} to read the rest, and lose these"
    else:
        remedy = "with missing: true and data.unreadable=missing that kind reads the rest, and loses these"
    return f"{told}; kept as texts, so that none is lost: {remedy}"


def _percent(share: float) -> str:
    return f"{math.floor(share * 1000) / 10:.1f}%"  # never 100.0% of a part


def _first_two(texts: Sequence[str]) -> str:
    return " and ".join(repr(text[:40]) for text in texts[:2])


def _no_dates_yet(texts: list[str]) -> str | None:
    if all(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:.]+ ?(?!Z$)[A-Z]{1,5}", text) for text in texts):
        return f"times with the name of a zone ({texts[0]!r}): write its offset, +01:00, to have them read as datetimes"
    if all(re.fullmatch(r"[0-9]{1,2}\.? \D{3,12} [0-9]{4}", text) for text in texts):
        return f"dates whose months are not English ({texts[0]!r}): write them as 2020-01-31 to have them read as dates"
    return None


def _texts(texts: list[str], different: bool, note: str | None = None) -> Guess:
    """Categories, a long list of them to be estimated privately, or keys."""
    notes = [note] if note else []
    if different:
        return _identifier([*notes, "every value differs"], texts)
    if len(texts) > _LONGEST_LIST:
        return {"kind": "category", "categories": PRIVATE}, [*notes, f"more than {_LONGEST_LIST} different texts"]
    return {"kind": "category", "categories": sorted(texts)}, [*notes, "categories read from the data"]


def _identifier(notes: list[str], texts: Sequence[str]) -> Guess:
    spec = {"kind": "identifier", "pattern": _pattern(texts)}
    return spec, [*notes, "identifier: leave it out, or make new ones as here"]


def _pattern(texts: Sequence[str]) -> str:
    """A pattern that makes keys like these: what all begin and end with, and numbers of their width between."""
    if all(_UUID.fullmatch(text) for text in texts):
        return "uuid"
    first, last = min(texts), max(texts)
    shared = next((k for k, sign in enumerate(first) if k >= len(last) or last[k] != sign), len(first))
    start = re.sub(r"[0-9]+$", "", first[:shared])  # figures that all share belong to the number
    ends = [text[::-1] for text in texts]
    first, last = min(ends), max(ends)
    shared = next((k for k, sign in enumerate(first) if k >= len(last) or last[k] != sign), len(first))
    end = re.sub(r"^[0-9]+", "", first[:shared][::-1])
    bodies = [text.removeprefix(start).removesuffix(end) for text in texts]
    if not all(re.fullmatch(r"[0-9]+", body) for body in bodies) or not (start + end).isprintable():
        return "{n}"
    zeros = any(re.match(r"0[0-9]", body) for body in bodies)
    widths = {len(body) for body in bodies}
    number = f"{{n:0{max(widths)}}}" if len(widths) == 1 and (zeros or start or end) else "{n}"
    return start.replace("{", "{{").replace("}", "}}") + number + end.replace("{", "{{").replace("}", "}}")


def _as_number(known: pd.Series, texts: list[str], different: bool, habits: Habits) -> Guess | None:
    infinite = [text for text in texts if np.isinf(to_numbers(pd.Series([text])))[0]]
    finite = [text for text in texts if text not in infinite]
    style = number_style(finite, habits.decimal) if isinstance(known.iloc[0], str) else None
    if isinstance(known.iloc[0], str):
        if style is None or style.unit_or_none or (style.tokens and _fraction(known, style.tokens) > 0.5):
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
    if guessed["kind"] == "category" and (spec or tokens or plain != figures):  # other digits: categories are texts
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
        column, told = habits.decimal_told_by
        sure = style.notation.decimal == habits.decimal
        notes.append(f"{doubt} ({f'column {column!r} writes {told!r}' if sure else 'no other column tells'})")
    if style is not None and (alike := _two_texts_of_one(plain, figures)):
        notes.append(f"{alike[0]!r} and {alike[1]!r} are one number: if they are versions or codes, say kind: category")
    if tokens:
        spec |= {"missing": True, "missing_values": [*MISSING_VALUES, *tokens]}
        notes.append(_taken(known, tokens))
    if infinite:
        notes.append("infinite values, which are moved to the bounds")
    return guessed | spec, notes


def _two_texts_of_one(plain: Sequence[str], figures: Sequence[str]) -> tuple[str, str] | None:
    """Two texts of one number that differ in the zeros at their end, in a column with few decimals: 1.1 and 1.10."""
    if len(plain) > 1000 or not all(re.fullmatch(r"[0-9]{1,3}\.[0-9]{1,2}", text) for text in plain):
        return None
    seen: dict[float, str] = {}
    for text, written in zip(plain, figures, strict=True):
        other = seen.setdefault(float(text), written)
        if other != written:
            return other, written
    return None


def _taken(known: pd.Series, words: Sequence[str]) -> str:
    """The remark on words that were taken for no value, with their share."""
    share = _fraction(known, words)
    described = f"{', '.join(map(repr, words))} taken for missing"
    return f"{described} ({'less than 0.1%' if share < 0.001 else _percent(share)} of the values)"


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
        return _identifier(["whole numbers beyond 2^53, which a number would round"], texts)
    codes = sentinels(numbers)
    rest = numbers[~np.isin(numbers, codes)]
    low, high = outward(float(rest.min()), float(rest.max()))
    integer = whole and np.abs(numbers).max() < _EXACT / 4 and high - low < _WIDEST
    if integer and digits and different and numbers.max() - numbers.min() == len(numbers) - 1:
        return _identifier(["every value differs and none is left out"], texts)
    if integer and len(texts) <= _FEW_NUMBERS:
        ordered = sorted(dict.fromkeys(texts), key=float)
        notes = ["few whole numbers, taken for codes; categories read from the data"]
        odd = [text for text in ordered if float(text) < 0 or re.fullmatch("9{2,}|8{2,}|7{2,}", text)]
        if odd:
            notes.append(f"if {', '.join(odd)} stands for no value, list it under missing_values")
        return {"kind": "category", "categories": ordered}, notes
    notes = ["bounds rounded outward from the data"]
    if integer:
        spec: dict[str, Any] = {"kind": "integer", "bounds": _whole_bounds(rest)}
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
    if (rest == 0).mean() >= _POINT_MASS_FRACTION:
        spec["point_masses"] = 0
        notes.append("many zeros")
    if codes:
        shown = [int(code) if code.is_integer() else code for code in codes]
        spec["point_masses"] = [*([0] if "point_masses" in spec else []), *shown]
        share = float(np.isin(numbers, codes).mean())
        notes.append(
            f"{', '.join(map(str, shown))} ({_percent(share)} of the values) may stand for no value: kept as point "
            "masses, so that none is lost; if they do, list them under missing_values instead, with missing: true"
        )
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


def _as_moment(known: pd.Series, texts: list[str], habits: Habits) -> Guess | None:
    written = pd.Series(texts, dtype=object) if isinstance(known.iloc[0], str) else known
    seconds = to_seconds(written, None, WRITTEN)
    form, words, notes, first_year = None, tuple[str, ...](), list[str](), None
    if isinstance(known.iloc[0], str) and not np.isfinite(seconds).all():
        words = tuple(text for text in texts if not re.search(r"[1-9]", text))
        rest = [text for text in texts if text not in words]
        if not rest or len(words) > 5 or (words and _fraction(known, words) > 0.5):
            return None
        seconds = to_seconds(pd.Series(rest, dtype=object), None, WRITTEN)
        if not np.isfinite(seconds).all():
            found = date_format(texts[:LOOKED_AT])
            if found is None:
                return None
            form, _, words = found
            rest = [text for text in texts if text not in words]
            if words and _fraction(known, words) > 0.5:
                return None
            form, more = _order(form, rest, habits)
            notes += more
            if "%y" in form:
                first_year, more = _century(form, rest)
                notes += more
            seconds = to_seconds(pd.Series(rest, dtype=object), form, WRITTEN, first_year)
        texts = rest
    if not np.isfinite(seconds).all():
        return None
    far = [text for text, second in zip(texts, seconds, strict=False) if pd.Timestamp(second, unit="s").year >= _FAR]
    few = _fraction(known, [*words, *far]) <= 0.5
    if far and few and len(far) <= 3 and isinstance(known.iloc[0], str) and len(far) < len(texts):
        words = (*words, *far)
        seconds = np.array([s for s in seconds if pd.Timestamp(s, unit="s").year < _FAR])
    if form in TIMES_OF_DAY:
        spec, more = _times_of_day(form, texts)
    else:
        spec, more = _instant(seconds, with_time=bool((seconds % 86_400 != 0).any()))
    if spec["kind"] == "datetime" and any(re.search(r"(Z|[+-][0-9]{2}:?[0-9]{2})$", text) for text in texts):
        more.append("offsets from UTC are converted to UTC; say 'timezone:' for another clock")
    if spec["kind"] == "datetime" and any(re.search(r"[.,][0-9]*[1-9]", text) for text in texts):
        more.append("fractions of a second are cut off")
    if words:
        spec |= {"missing": True, "missing_values": [*MISSING_VALUES, *words]}
        more.append(_taken(known, words))
    if first_year is not None:
        spec["first_year"] = first_year
        low, high = spec["bounds"]  # whole years, but no others than two digits stand for
        spec["bounds"] = [f"{min(max(int(day[:4]), first_year), first_year + 99):04}{day[4:]}" for day in (low, high)]
    return spec | ({"format": form} if form else {}), [*notes, *more]


def _order(form: str, texts: list[str], habits: Habits) -> tuple[str, list[str]]:
    """(the format, remarks) where day and month could also be the other way round."""
    other = ambiguous(form, texts)
    if other is None:
        return form, []
    if other == "%y-%m-%d":  # years at the front or at the end: those that lie closer together
        spans = {each: np.ptp(to_seconds(pd.Series(texts, dtype=object), each)) for each in (form, other)}
        form, other = sorted(spans, key=lambda each: spans[each])
    orders = {each.index("%d") < each.index("%m"): each for each in (form, other)}
    if habits.day_first is not None and len(orders) == 2 and {form[:2], other[:2]} == {"%d", "%m"}:
        column, told = habits.day_told_by
        form, other = orders[habits.day_first], orders[not habits.day_first]
        return form, [f"format {other!r} would read them too (column {column!r} writes {told!r})"]
    return form, [f"format {other!r} would read them too; no other column tells"]


def _century(form: str, texts: list[str]) -> tuple[int | None, list[str]]:
    """(the first of the hundred years of two digits, None for 1969, remarks): those that lie closest together, of the
    two that leave no day in the future or follow `strptime`."""
    written = pd.Series(texts, dtype=object)
    past = dt.date.today().year - 99
    usual, last = (to_seconds(written, form, WRITTEN, first) for first in (FIRST_YEAR, past))
    future = np.flatnonzero(usual > (dt.datetime.now() - dt.datetime(1970, 1, 1)).total_seconds())
    if not len(future) or not np.isfinite(last).all():
        example = texts[int(np.argmax(usual))]
        year = pd.Timestamp(usual.max(), unit="s").year
        said = f"years of two digits: {example!r} is read as {year}; first_year: {year - 100} reads it as {year - 100}"
        return None, [said]
    example, place = texts[int(future[0])], int(future[0])
    years = [pd.Timestamp(each[place], unit="s").year for each in (usual, last)]
    if np.ptp(last) < np.ptp(usual):
        return past, [
            f"years of two digits: {example!r} is read as {years[1]}; without first_year it would be {years[0]}"
        ]
    return None, [f"years of two digits: {example!r} is read as {years[0]}; first_year: {past} reads it as {years[1]}"]


def _times_of_day(form: str, texts: list[str]) -> Guess:
    """Times without a day: those of the day that `strptime` gives them."""
    last, more = ("23:59:59", {}) if "%S" in form else ("23:59:00", {"resolution": 60})
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
    apart = sentinel_days(seconds)
    rest = seconds[~np.isin(seconds, apart)]
    first, last = (pd.Timestamp(value, unit="s").year for value in (rest.min(), rest.max()))
    notes, spec = ["bounds widened to whole years"], dict[str, Any]()
    if apart:
        days = [str(pd.Timestamp(second, unit="s").date()) for second in apart]
        spec["point_masses"] = days if not with_time else [f"{day} 00:00:00" for day in days]
        notes.append(
            f"{', '.join(days)} may stand for no value: kept as point masses, so that none is lost; if so, list them "
            "under missing_values instead, with missing: true"
        )
    if last > dt.date.today().year + 200:
        notes.append(f"years up to {last}: of another calendar?")
    if not with_time:
        return {"kind": "date", "bounds": [f"{first:04}-01-01", f"{last:04}-12-31"], **spec}, notes
    return {"kind": "datetime", "bounds": [f"{first:04}-01-01 00:00:00", f"{last:04}-12-31 23:59:59"], **spec}, notes


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
