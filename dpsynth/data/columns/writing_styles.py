"""Which public options would read the texts of a column: for drafts, and for messages about what cannot be read.

What is found here was read from the data, so it is a proposal to the data's own steward and decides nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dpsynth.data.columns import Boolean, Category, Column, Date, Datetime, Integer, Number
from dpsynth.data.columns.datetime_column import to_seconds
from dpsynth.data.columns.notation import Notation

LOOKED_AT = 5_000  # distinct texts
_TOKENS = 5  # distinct words that may stand for no value
_DATES = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d %b %Y")
_DATES += ("%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%y")
_TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p")
_MARKS = ((".", None), (".", ","), (",", None), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
_MARKS += ((",", "\u00a0"), (",", "\u202f"), (".", "\u2019"))


@dataclass(frozen=True)
class NumberStyle:
    """notation, and the words that stand for no value."""

    notation: Notation
    tokens: tuple[str, ...] = ()

    def spec(self) -> dict[str, object]:
        """The keys of the schema that declare it."""
        found: dict[str, object] = {}
        if self.notation.decimal != ".":
            found["decimal"] = self.notation.decimal
        if self.notation.thousands is not None:
            found["thousands"] = self.notation.thousands
        if self.notation.symbols:
            found["symbols"] = list(self.notation.symbols)
        return found


def number_style(texts: Sequence[str]) -> NumberStyle | None:
    """The simplest notation in which all texts but a few words are numbers; None when there is none."""
    words = [text for text in texts if not re.search(r"[0-9]", text)]
    rest = [text for text in texts if re.search(r"[0-9]", text)]
    if not rest or len(words) > _TOKENS:
        return None
    symbols = tuple(sorted({symbol for text in rest for symbol in _beside(text)}))
    if len(symbols) > 4 or any(len(symbol) > 4 or re.search(r"[0-9+-]", symbol) for symbol in symbols):
        return None
    for decimal, thousands in _MARKS:
        notation = Notation(decimal, thousands, symbols)
        if all(np.isfinite(notation.number_of(text)) for text in rest):
            return NumberStyle(notation, tuple(words))
    return None


def _beside(text: str) -> list[str]:
    """What stands before and after the figures of a text."""
    match = re.fullmatch(
        r"[+-]?\s*(.*?)\s*[+-]?([0-9.,][0-9.,'\s\u2019]*?(?:[eE][+-]?[0-9]+)?)\s*([^0-9]*)", text.strip()
    )
    if match is None:
        return []
    return [part.strip() for part in (match[1], match[3]) if part.strip()]


def date_format(texts: Sequence[str]) -> tuple[str, bool, tuple[str, ...]] | None:
    """(format, whether it has a time of day, words for no value) that reads all texts but a few; None if none does.

    Day first is proposed before month first where both read everything; the message or the draft says so.
    """
    words = tuple(text for text in texts if not re.search(r"[1-9]", text))
    rest = pd.Series([text for text in texts if re.search(r"[1-9]", text)], dtype=object)
    if not len(rest) or len(words) > _TOKENS:
        return None
    for day in _DATES:
        for form in (day, *(f"{day} {time}" for time in _TIMES)):
            if np.isfinite(to_seconds(rest.head(20), form)).all() and np.isfinite(to_seconds(rest, form)).all():
                return form, form != day, words
    return None


def ambiguous(form: str, texts: Iterable[str]) -> str | None:
    """The other format, month first or day first, that reads all the texts too."""
    other = form.replace("%d", "%?").replace("%m", "%d").replace("%?", "%m")
    if other == form or "%b" in form or "%B" in form or form.startswith("%Y"):
        return None
    return other if np.isfinite(to_seconds(pd.Series(list(texts), dtype=object), other)).all() else None


def remedy(column: Column, unreadable: Sequence[str], others: Sequence[str]) -> str:
    """What to declare so that the texts can be read, in words. others: texts of the column that are read already."""
    texts = [*unreadable, *others][:LOOKED_AT]
    if isinstance(column, (Integer, Number)):
        style = number_style(texts)
        if style is not None:
            described = _described(style.spec())
            if style.tokens:
                described += (", " if described else "") + _tokens_stated(style.tokens, column)
            if described:
                return f"declare {described} for the column"
        if date_format(texts) is not None or np.isfinite(to_seconds(pd.Series(texts, dtype=object))).all():
            return "they are dates: declare kind: date or datetime"
        return "declare how the file writes them (decimal, thousands, symbols, missing_values), or kind: category"
    if isinstance(column, (Date, Datetime)):
        found = date_format(texts)
        if found is not None:
            form, _, words = found
            described = "" if form == column.format else f"format: '{form}'"
            other = ambiguous(form, texts)
            described += f" (or '{other}', which reads them too)" if other else ""
            if words:
                described += (", " if described else "") + _tokens_stated(words, column)
            return f"declare {described} for the column"
        words = tuple(text for text in unreadable if not re.search(r"[1-9]", text))
        if len(words) == len(unreadable) <= _TOKENS:
            return f"declare {_tokens_stated(words, column)} for the column"
        return "declare format: (as strptime writes it, or epoch_s, epoch_ms) or missing_values for the column"
    if isinstance(column, Boolean):
        return "declare the column as kind: category with these texts"
    assert isinstance(column, Category), "categories read every text"
    return "declare kind: category"


def _described(spec: dict[str, object]) -> str:
    def plain(value: object) -> str:
        return f"[{', '.join(map(plain, value))}]" if isinstance(value, list) else f'"{value}"'

    return ", ".join(f"{key}: {plain(value)}" for key, value in spec.items())


def _tokens_stated(words: Sequence[str], column: Column) -> str:
    listed = ", ".join(f'"{word}"' for word in words)
    return f"missing_values: [{listed}]" + ("" if column.missing else " and missing: true")
