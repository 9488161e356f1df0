"""How a file writes its numbers: decimal mark, mark between thousands, and symbols such as $ or % beside them.

Public, declared for a column or for all columns of a schema. A text is read when it keeps the notation to the letter:
thousands in groups of three, symbols at either end, a sign before or after a leading symbol. Anything else is no
number; nothing is guessed. Symbols do not scale: "31%" is 31.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.columns.raw import as_text, by_value, number_of, to_numbers
from dpsynth.errors import SchemaError

_MARKS = (".", ",", " ", "'", "_", "\u00a0", "\u202f", "\u2019")


@dataclass(frozen=True)
class Notation:
    """decimal: the decimal mark. thousands: the mark between thousands, or None. symbols: texts beside numbers.

    >>> Notation(",", ".", ("EUR",)).number_of("1.234,5 EUR")
    1234.5
    """

    decimal: str = "."
    thousands: str | None = None
    symbols: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(self.symbols))
        if self.decimal not in (".", ","):
            raise SchemaError(f"decimal must be '.' or ',', got {self.decimal!r}")
        if self.thousands is not None and (self.thousands not in _MARKS or self.thousands == self.decimal):
            marks = " ".join(repr(mark) for mark in _MARKS[:5] if mark != self.decimal)
            raise SchemaError(f"thousands must be one of {marks} and not the decimal mark, got {self.thousands!r}")
        for symbol in self.symbols:
            if not symbol.strip() or re.search(r"[0-9+\-]", symbol):
                raise SchemaError(f"symbols are texts such as $ or % without digits or signs, got {symbol!r}")

    @property
    def plain(self) -> bool:
        """True for the notation of programming languages: a point, and nothing else."""
        return self == Notation()

    def to_numbers(self, series: pd.Series) -> np.ndarray:
        """(n,) float64; NaN for whatever is no number in this notation. Never raises."""
        if self.plain or pd.api.types.is_numeric_dtype(series.dtype):
            return to_numbers(series)
        return by_value(series, self.number_of)

    def number_of(self, value: Any) -> float:
        """One raw value as a number; texts in this notation, other types as they are."""
        if self.plain or not isinstance(value, str):
            return number_of(value)
        text = as_text(value)
        match = self._pattern.fullmatch(text)
        if match is None or not (match["whole"] or match["fraction"]):
            infinite = number_of(text)
            return infinite if math.isinf(infinite) else math.nan
        sign, whole = match["sign"] or match["inner"] or "", match["whole"] or "0"
        if self.thousands is not None:
            whole = whole.replace(self.thousands, "")
        return float(f"{sign}{whole}.{match['fraction'] or '0'}{match['exp'] or ''}")

    def plain_text(self, text: str) -> str:
        """The figures of a text in this notation, as a program would write them: without symbols and thousands."""
        for symbol in self.symbols:
            text = text.replace(symbol, "")
        return text.replace(self.thousands or "\0", "").replace(self.decimal, ".").strip()

    def write(self, text: str) -> str:
        """A plain numeral in this notation, without marks between thousands or symbols."""
        return text if self.decimal == "." else text.replace(".", self.decimal)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        point = re.escape(self.decimal)
        whole = r"[0-9]+"
        if self.thousands is not None:
            whole = rf"[0-9]{{1,3}}(?:{re.escape(self.thousands)}[0-9]{{3}})+|[0-9]+"
        beside = "|".join(re.escape(symbol.strip()) for symbol in sorted(self.symbols, key=len, reverse=True))
        before = rf"(?:(?:{beside})\s*)?" if beside else ""
        after = rf"(?:\s*(?:{beside}))?" if beside else ""
        exponent = r"(?P<exp>[eE][+-]?[0-9]+)?"
        number = rf"(?=[0-9{point}])(?P<whole>{whole})?(?:{point}(?P<fraction>[0-9]*))?"
        return re.compile(rf"(?P<sign>[+-])?{before}(?P<inner>(?<![+-])[+-])?{number}{exponent}{after}")


PLAIN = Notation()
