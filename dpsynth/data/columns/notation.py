"""How a file writes its numbers: decimal mark, mark between thousands, symbols such as $ or % beside them, minus signs.

Public, declared for a column or for all columns of a schema. A text is read when it keeps the notation to the letter:
thousands in groups of three (or, with `lakh`, as India writes 12,34,567), symbols at either end, a sign before or
after a leading symbol. Anything else is no number; nothing is guessed. Symbols do not scale: "31%" is 31.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from dpsynth.data.columns.raw import as_text, by_value, number_of, plain_digits, to_numbers
from dpsynth.errors import SchemaError

Negative = Literal["leading", "trailing", "parentheses"]
LAKH = "lakh"  # commas after three figures, then after every two
_MARKS = (".", ",", " ", "'", "_", "\u00a0", "\u202f", "\u2019")


@dataclass(frozen=True)
class Notation:
    """decimal: the decimal mark. thousands: the mark between thousands, "lakh", or None. symbols: texts beside numbers.

    negative: what a number below zero may have instead of a leading minus sign: one at its end (1.50-) or
    parentheses around it, as in accounts: (1.50).

    >>> Notation(",", ".", ("EUR",)).number_of("1.234,5 EUR")
    1234.5
    >>> Notation(thousands=",", symbols=("$",), negative="parentheses").number_of("$(1,234.50)")
    -1234.5
    """

    decimal: str = "."
    thousands: str | None = None
    symbols: tuple[str, ...] = ()
    negative: Negative = "leading"

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(self.symbols))
        if self.decimal not in (".", ","):
            raise SchemaError(f"decimal must be '.' or ',', got {self.decimal!r}")
        if self.thousands is not None and (self.thousands not in (*_MARKS, LAKH) or self._mark == self.decimal):
            marks = " ".join(repr(mark) for mark in _MARKS[:5] if mark != self.decimal)
            raise SchemaError(f"thousands must be one of {marks} and not the decimal mark, got {self.thousands!r}")
        if self.negative not in get_args(Negative):
            raise SchemaError(f"negative must be {', '.join(get_args(Negative))}, got {self.negative!r}")
        for symbol in self.symbols:
            if not symbol.strip() or not symbol.isprintable() or re.search(r"[\d+()\-]", plain_digits(symbol)):
                raise SchemaError(
                    f"symbols are texts such as $ or % without digits, signs or parentheses, got {symbol!r}; of "
                    "numbers below zero see negative: trailing or parentheses"
                )

    @property
    def _mark(self) -> str:
        """The mark between thousands; empty where there is none."""
        return "," if self.thousands == LAKH else self.thousands or ""

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
        text = plain_digits(as_text(value))
        bare = self._below_zero(text)
        if bare is not None:
            return -self._signed(bare, "")
        return self._signed(text, r"[+-]")

    def _below_zero(self, text: str) -> str | None:
        """What a text says without the mark that makes it negative; None where it has no such mark."""
        if self.negative == "trailing":
            return text[:-1].rstrip() if text.endswith("-") else None
        if self.negative == "parentheses":
            match = self._in_parentheses.fullmatch(text)
            return None if match is None else f"{match[1]}{match[2].strip()}{match[3]}"
        return None

    def _signed(self, text: str, signs: str) -> float:
        """The number in a text, which may begin with one of `signs`."""
        match = self._pattern.fullmatch(text)
        if match is None or not (match["whole"] or match["fraction"]):
            infinite = number_of(text)
            return infinite if math.isinf(infinite) and signs else math.nan
        if not signs and (match["sign"] or match["inner"]):
            return math.nan
        sign, whole = match["sign"] or match["inner"] or "", match["whole"] or "0"
        if self.thousands is not None:
            whole = whole.replace(self._mark, "")
        return float(f"{sign}{whole}.{match['fraction'] or '0'}{match['exp'] or ''}")

    def plain_text(self, text: str) -> str:
        """The figures of a text in this notation, as a program would write them: without symbols and thousands."""
        text = plain_digits(text)
        for symbol in self.symbols:
            text = text.replace(symbol, "")
        text = text.replace(self._mark or "\0", "").replace(self.decimal, ".").strip()
        bare = self._below_zero(text)
        return text if bare is None else f"-{bare}"

    def write(self, text: str) -> str:
        """A plain numeral in this notation, without marks between thousands or symbols."""
        return text if self.decimal == "." else text.replace(".", self.decimal)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        point = re.escape(self.decimal)
        whole = r"[0-9]+"
        if self.thousands is not None:
            mark = re.escape(self._mark)
            whole = rf"[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+|[0-9]+"
        if self.thousands == LAKH:
            whole = r"[0-9]{1,2}(?:,[0-9]{2})*,[0-9]{3}|[0-9]+"
        beside = self._beside
        before = rf"(?:(?:{beside})\s*)?" if beside else ""
        after = rf"(?:\s*(?:{beside}))?" if beside else ""
        exponent = r"(?P<exp>[eE][+-]?[0-9]+)?"
        number = rf"(?=[0-9{point}])(?P<whole>{whole})?(?:{point}(?P<fraction>[0-9]*))?"
        return re.compile(rf"(?P<sign>[+-])?{before}(?P<inner>(?<![+-])[+-])?{number}{exponent}{after}")

    @property
    def _beside(self) -> str:
        """The symbols as alternatives of a regular expression."""
        return "|".join(re.escape(symbol.strip()) for symbol in sorted(self.symbols, key=len, reverse=True))

    @cached_property
    def _in_parentheses(self) -> re.Pattern[str]:
        beside = self._beside
        outside = rf"((?:{beside})?)" if beside else "()"
        return re.compile(rf"{outside}\s*\(([^()]*)\)\s*{outside}")


PLAIN = Notation()
