"""Which public options would read the texts of a column: for drafts, and for messages about what cannot be read.

What is found here was read from the data, so it is a proposal to the data's own steward and decides nothing by itself.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dpsynth.data.columns import Boolean, Category, Column, Date, Datetime, Integer, Number
from dpsynth.data.columns.datetime_column import to_seconds
from dpsynth.data.columns.durations import seconds_of_durations
from dpsynth.data.columns.notation import LAKH, Negative, Notation
from dpsynth.data.columns.raw import plain_digits

LOOKED_AT = 5_000  # distinct texts
_TOKENS = 12  # distinct words that may stand for no value
_WORD = re.compile(
    r"[^0-9]*|#[A-Z]+/?0?[!?]?"
)  # a text that is no number: without digits, or an error of a spreadsheet
# Letters before a number are a currency; otherwise they make it a code, such as P100. Those after it are a unit.
_CURRENCIES = {
    *("AED", "AUD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EGP", "EUR", "GBP", "HKD", "HUF", "IDR"),
    *("ILS", "INR", "JPY", "KES", "KR", "KRW", "KZT", "LEI", "MAD", "MXN", "MYR", "NGN", "NOK", "NZD", "PEN", "PHP"),
    *("PKR", "PLN", "RM", "RMB", "RON", "RP", "RS", "RUB", "SAR", "SEK", "SFR", "SGD", "THB", "TRY", "TWD", "UAH"),
    *("USD", "VND", "ZAR", "R$", "US$", "A$", "C$", "HK$", "S$", "NT$"),
}
_DATES = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d %b %Y")
_DATES += ("%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%y")
_DATES += ("%d-%m-%y", "%m-%d-%y", "%y-%m-%d", "%y/%m/%d", "%d %b %y")
_DATES += ("%G-W%V-%u", "%Y-%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%y")
_WHOLE = ("%a, %d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %Y", "%d/%b/%Y:%H:%M:%S %z")  # of mails, programs, web servers
TIMES_OF_DAY = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
_TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p")
_TRUTH = {
    ("false", "true"),
    ("no", "yes"),
    ("n", "y"),
    ("f", "t"),
    ("off", "on"),
    ("0", "1"),
    ("nein", "ja"),
    ("n", "j"),
}
_TRUTH |= {
    ("falsch", "wahr"),
    ("non", "oui"),
    ("n", "o"),
    ("faux", "vrai"),
    ("no", "s\u00ed"),
    ("no", "si"),
    ("n", "s"),
}
_TRUTH |= {("no", "s\u00ec"), ("falso", "verdadero"), ("falso", "vero"), ("falso", "verdadeiro"), ("n\u00e3o", "sim")}
_TRUTH |= {("nee", "ja"), ("nej", "ja"), ("nei", "ja"), ("falskt", "sant"), ("nie", "tak"), ("ne", "ano"), ("ne", "da")}
_TRUTH |= {("nem", "igen"), ("ei", "kyll\u00e4"), ("hay\u0131r", "evet"), ("\u043d\u0435\u0442", "\u0434\u0430")}
_TRUTH |= {("\u3044\u3044\u3048", "\u306f\u3044"), ("\u5426", "\u662f"), ("\uc544\ub2c8\uc694", "\uc608")}
_DATED = re.compile(r"[0-9]{1,4}[-./ ]+\w{1,9}[-./, ]+[0-9]{1,4}|[A-Za-z]{3,9}[ -][0-9]{2,4}")
_MARKS = ((".", None), (".", ","), (",", None), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
_MARKS += ((",", "\u00a0"), (",", "\u202f"), (".", "\u2019"), (".", LAKH))


@dataclass(frozen=True)
class NumberStyle:
    """notation, and the words that stand for no value.

    unit_or_none: a text with the unit and one without it, where it may change what the number says: 394 BC and 394.
    """

    notation: Notation
    tokens: tuple[str, ...] = ()
    unit_or_none: tuple[str, str] | None = None

    def spec(self) -> dict[str, object]:
        """The keys of the schema that declare it."""
        found: dict[str, object] = {}
        if self.notation.decimal != ".":
            found["decimal"] = self.notation.decimal
        if self.notation.thousands is not None:
            found["thousands"] = self.notation.thousands
        if self.notation.symbols:
            found["symbols"] = list(self.notation.symbols)
        if self.notation.negative != "leading":
            found["negative"] = self.notation.negative
        return found


def number_style(texts: Sequence[str], decimal: str | None = None) -> NumberStyle | None:
    """The simplest notation in which all texts but a few words are numbers; None when there is none, or when numbers
    would lose what the texts say: leading zeros, or symbols that differ from value to value.

    decimal: the decimal mark that other columns of the file have, which decides where the texts leave it open.
    """
    words = [text for text in texts if _WORD.fullmatch(plain_digits(text))]
    rest = [text for text in map(plain_digits, texts) if not _WORD.fullmatch(text)]
    if not rest or len(words) > min(_TOKENS, 5 + len(rest) // 10):
        return None
    negative, bare = _negative(rest)
    beside = {_beside(text) for text in bare}
    if None in beside or len({frozenset(symbols) for symbols in beside if symbols}) > 1:
        return None
    symbols = tuple(sorted({symbol for each in beside for symbol in each or ()}))
    figures = [_without(text, symbols) for text in bare]
    if symbols and any(re.match(r"0[0-9]", text) for text in figures):
        return None
    notation = _reading_all(rest, symbols, negative)
    if notation is not None and decimal not in (None, notation.decimal) and open_to_two_readings(rest, notation):
        notation = _reading_all(rest, symbols, negative, decimal) or notation
    return None if notation is None else NumberStyle(notation, tuple(words), _unit_or_none(rest, symbols))


def _unit_or_none(texts: Sequence[str], symbols: tuple[str, ...]) -> tuple[str, str] | None:
    """The first text with a unit and the first without, if the unit is no currency; zero is zero in every unit."""
    if not symbols or all(_is_money(symbol) for symbol in symbols):
        return None
    bare = next((t for t in texts if not any(s in t for s in symbols) and re.search(r"[1-9]", t)), None)
    return None if bare is None else (next(t for t in texts if any(s in t for s in symbols)), bare)


def _is_money(symbol: str) -> bool:
    return symbol.upper().rstrip(".") in _CURRENCIES or all(unicodedata.category(sign) == "Sc" for sign in symbol)


def _reading_all(
    texts: Sequence[str], symbols: tuple[str, ...], negative: Negative, decimal: str | None = None
) -> Notation | None:
    """The first notation, of those with the decimal mark, in which all texts are numbers."""
    for mark, thousands in _MARKS:
        if decimal in (None, mark):
            notation = Notation(mark, thousands, symbols, negative)
            if all(math.isfinite(notation.number_of(text)) for text in texts):
                return notation
    return None


def open_to_two_readings(texts: Sequence[str], notation: Notation) -> bool:
    """Whether each mark in these numbers may stand between thousands or before three decimals: 120.146, 25,164."""
    plain = [_without(text, notation.symbols) for text in map(plain_digits, texts)]
    fit = all(re.fullmatch(r"[1-9][0-9]{0,2}[.,][0-9]{3}|0|[1-9][0-9]{0,2}", text) for text in plain)
    return fit and len({mark for text in plain for mark in re.findall(r"[.,]", text)}) == 1


def decimal_mark(texts: Sequence[str]) -> str | None:
    """The decimal mark of a column of numbers, where it can only be one; None where nothing tells."""
    style = number_style(texts)
    if style is None:
        return None
    rest = [text for text in map(plain_digits, texts) if not _WORD.fullmatch(text)]
    marks = {mark for text in rest for mark in _without(text, style.notation.symbols) if mark in ".,"}
    if not marks or open_to_two_readings(rest, style.notation):
        return None
    between = "," if style.notation.thousands == LAKH else style.notation.thousands
    return style.notation.decimal if marks & {style.notation.decimal, between} else None


def other_reading(texts: Sequence[str], notation: Notation) -> str | None:
    """What else all of these numbers could be, in words: 120.146 and 25,164 may have thousands or three decimals."""
    if not texts or not open_to_two_readings(texts, notation):
        return None
    plain = [_without(text, notation.symbols) for text in map(plain_digits, texts)]
    place = next(k for k, text in enumerate(plain) if not text.isdigit())
    mark = re.sub(r"[0-9]", "", plain[place])
    whole, thousandths = plain[place].replace(mark, ""), plain[place].replace(mark, ".")
    if notation.decimal == mark:
        return f"{texts[place]!r} is read as {thousandths}; if it means {whole}, declare thousands: {mark!r}" + (
            " and decimal: ','" if mark == "." else ""
        )
    return f"{texts[place]!r} is read as {whole}; if it means {thousandths}, declare decimal: {mark!r}"


@dataclass(frozen=True)
class PartialReading:
    """Some of a column's values that read as one kind.

    share: of the values. spec: what declares them, with their kind; rest: distinct texts that do not read so.
    """

    share: float
    spec: dict[str, object]
    rest: tuple[str, ...]


def numbers_among(texts: Sequence[str], counts: Sequence[int]) -> PartialReading | None:
    """The most values that are numbers in one notation and unit. counts: of the values of each distinct text."""
    beside = [_beside(plain_digits(text)) if re.search(r"[0-9]", plain_digits(text)) else None for text in texts]
    if any(re.match(r"0[0-9]", text) for text in texts):
        return None  # codes
    units: dict[frozenset[str], int] = {}
    for symbols, count in zip(beside, counts, strict=True):
        if symbols:
            units[frozenset(symbols)] = units.get(frozenset(symbols), 0) + count
    best: PartialReading | None = None
    for symbols in {(), tuple(sorted(max(units, key=lambda each: units[each]))) if units else ()}:
        for mark, thousands in _MARKS:
            notation = Notation(mark, thousands, symbols)
            read = [math.isfinite(notation.number_of(text)) for text in texts]
            share = sum(count for count, known in zip(counts, read, strict=True) if known) / sum(counts)
            if share > (best.share if best else 0):
                rest = tuple(text for text, known in zip(texts, read, strict=True) if not known)
                best = PartialReading(share, {"kind": "number", **NumberStyle(notation).spec()}, rest)
    return best


def dates_among(texts: Sequence[str], counts: Sequence[int]) -> PartialReading | None:
    """The most values that are dates in one format."""
    if sum(_DATED.search(text) is not None for text in texts) < len(texts) / 50:
        return None
    series = pd.Series(list(texts), dtype=object)
    few, weights = series.head(200), np.array(counts, dtype=float)
    forms = [None, *(f"{day}{time}" for day in _DATES for time in ("", " %H:%M:%S", " %H:%M"))]
    best = max(forms, key=lambda form: np.isfinite(to_seconds(few, form)).sum())
    read = np.isfinite(to_seconds(series, best))
    if not read.any() or not any(re.search(r"[^0-9]", text) for text, known in zip(texts, read, strict=True) if known):
        return None
    rest = tuple(text for text, known in zip(texts, read, strict=True) if not known)
    spec: dict[str, object] = {"kind": "date", **({"format": best} if best else {})}
    return PartialReading(float(weights[read].sum() / weights.sum()), spec, rest)


def _negative(texts: Sequence[str]) -> tuple[Negative, list[str]]:
    """(how the texts write numbers below zero, the texts without that)."""
    if any(re.search(r"\([^()]*[0-9][^()]*\)", text) for text in texts):
        return "parentheses", [re.sub(r"[()]", "", text) for text in texts]
    if any(re.search(r"[0-9]\s*[^0-9+-]*-$", text.strip()) for text in texts):
        return "trailing", [text.strip().removesuffix("-").strip() for text in texts]
    return "leading", list(texts)


def _beside(text: str) -> tuple[str, ...] | None:
    """What stands before and after the figures of a text, where that can be a currency or a unit; else None."""
    match = re.fullmatch(
        r"[+-]?\s*([^0-9.,]*?)(\s*)[+-]?([0-9.,][0-9.,'\s\u2019]*?(?:[eE][+-]?[0-9]+)?)\s*([^0-9]*)", text.strip()
    )
    if match is None:
        return None
    before, blank, after = match[1].strip(), match[2], match[4].strip()
    if before and not (_is_money(before) or (blank and before.isalpha())):
        return None
    symbols = tuple(part for part in (before, after) if part)
    fit = all(len(symbol) <= 4 and all(_of_unit(sign) for sign in symbol) for symbol in symbols)
    return symbols if fit else None


def _of_unit(sign: str) -> bool:
    """Whether a sign can be part of a currency or a unit: not one that changes what the number says (< ~ +)."""
    return unicodedata.category(sign) in ("Lu", "Ll", "Lo", "Lm", "Sc") or sign in "%\u2030\u00b0/.\u00b2\u00b3'\""


def _without(text: str, symbols: Iterable[str]) -> str:
    for symbol in symbols:
        text = text.replace(symbol, "")
    return text.strip().lstrip("+-").strip()


def day_first(texts: Sequence[str]) -> bool | None:
    """Whether a column of dates writes the day before the month, where one order fits; None where nothing tells."""
    found = date_format(texts)
    rest = [text for text in texts if re.search(r"[1-9]", text)]
    if found is None or _swapped(found[0]) == found[0] or ambiguous(found[0], rest) is not None:
        return None
    return found[0].index("%d") < found[0].index("%m")


def date_format(texts: Sequence[str]) -> tuple[str, bool, tuple[str, ...]] | None:
    """(format, whether it has a time of day, words for no value) that reads all texts but a few; None if none does.

    Day first is proposed before month first where both read everything; the message or the draft says so.
    """
    words = [text for text in texts if not re.search(r"[1-9]", text)]
    rest = pd.Series([text for text in texts if re.search(r"[1-9]", text)], dtype=object)
    if not len(rest) or len(words) > _TOKENS:
        return None
    forms = [(f"{day}{time}", bool(time)) for day in _DATES for time in ("", *(f" {time}" for time in _TIMES))]
    for form, with_time in (*forms, *((form, True) for form in (*_WHOLE, *TIMES_OF_DAY))):
        if np.isfinite(to_seconds(rest.head(20), form)).all() and np.isfinite(to_seconds(rest, form)).all():
            read = np.isfinite(to_seconds(pd.Series(words, dtype=object), form))  # midnight, written as 00:00
            return form, with_time, tuple(word for word, known in zip(words, read, strict=True) if not known)
    return None


def truth_pair(texts: Sequence[str]) -> tuple[str, str] | None:
    """(the text for false, the text for true) of two texts that say no and yes in some language."""
    if len(texts) != 2:
        return None
    for one, other in (texts, texts[::-1]):
        if (one.casefold(), other.casefold()) in _TRUTH:
            return one, other
    return None


def durations(texts: Sequence[str]) -> bool:
    """Whether all texts are lengths of time in whole seconds, written as such."""
    seconds = seconds_of_durations(pd.Series(list(texts), dtype=object))
    written = any(":" in text or "P" in text for text in texts)
    return written and bool(np.isfinite(seconds).all() and (seconds == np.rint(seconds)).all())


def ambiguous(form: str, texts: Iterable[str]) -> str | None:
    """Another format that reads all the texts too: month first or day first, or years of two digits first."""
    others = [_swapped(form), *(["%y-%m-%d"] if form in ("%d-%m-%y", "%m-%d-%y") else [])]
    rest = pd.Series(list(texts), dtype=object)
    return next((other for other in others if other != form and np.isfinite(to_seconds(rest, other)).all()), None)


def _swapped(form: str) -> str:
    """The format with day and month in the other order; the same where there is no other."""
    if not {"%d", "%m"} <= set(re.findall(r"%.", form)) or form.startswith("%Y"):
        return form
    return form.replace("%d", "%?").replace("%m", "%d").replace("%?", "%m")


def remedy(column: Column, unreadable: Sequence[str], others: Sequence[str]) -> str:
    """What to declare so that the texts can be read, in words. others: texts of the column that are read already."""
    texts = [*unreadable, *others][:LOOKED_AT]
    if isinstance(column, (Integer, Number)):
        style = number_style(texts)
        if style is not None:
            described = _described(style.spec())
            if style.tokens:
                described += (", " if described else "") + _tokens_stated(style.tokens, column)
            if described and style.unit_or_none:
                one, bare = style.unit_or_none
                return f"if {one!r} and {bare!r} are of one unit, declare {described} for the column"
            if described:
                return f"declare {described} for the column"
        if durations(texts) and isinstance(column, Integer):
            return "declare format: duration for the column, which makes them seconds"
        if durations(texts):
            return "declare kind: integer, format: duration for the column, which makes them seconds"
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
        pair = truth_pair([*unreadable, *others])
        if pair is not None:
            return f"declare texts: [{', '.join(map(repr, pair))}] for the column"
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
