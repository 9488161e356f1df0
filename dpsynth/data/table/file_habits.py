"""How a file writes numbers and dates, learned from the columns that leave no doubt, for those that do.

120.146 may be a number with three decimals or a whole one with a mark between thousands, and 01/02/2020 a day of
January or of February: another column of the file tells. For drafts only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from dpsynth.data.columns.raw import as_text, distinct, series_of
from dpsynth.data.columns.writing_styles import LOOKED_AT, day_first, decimal_mark


@dataclass(frozen=True)
class Habits:
    """How a file writes its numbers and dates, as far as some columns leave no doubt.

    decimal, day_first: None where no column tells, or two disagree. told_by: (column, text) that tells each of them.
    """

    decimal: str | None = None
    day_first: bool | None = None
    decimal_told_by: tuple[str, str] = ("", "")
    day_told_by: tuple[str, str] = ("", "")


def habits_of(frame: pd.DataFrame) -> Habits:
    """The habits of a raw frame."""
    decimals: dict[str, tuple[str, str]] = {}
    orders: dict[bool, tuple[str, str]] = {}
    for name in frame.columns:
        values = distinct(series_of(frame, name))[1][:LOOKED_AT]
        texts = [as_text(value) for value in values if isinstance(value, str) and value.strip()]
        marked = [text for text in texts if re.search(r"[0-9][.,]|[.,][0-9]", text)]
        if marked and len(marked) > len(texts) / 20 and (mark := decimal_mark(texts)) is not None:
            decimals.setdefault(mark, (str(name), next((text for text in marked if mark in text), marked[0])))
        dated = [text for text in texts if re.match(r"[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2}", text)]
        if len(dated) > len(texts) / 2 and (order := day_first(texts)) is not None:
            place = 0 if order else 1
            beyond = (text for text in dated if int(re.findall("[0-9]+", text)[place]) > 12)
            orders.setdefault(order, (str(name), next(beyond, dated[0])))
    [[decimal, first]] = decimals.items() if len(decimals) == 1 else [(None, ("", ""))]
    [[order, second]] = orders.items() if len(orders) == 1 else [(None, ("", ""))]
    return Habits(decimal, order, first, second)


NO_HABITS = Habits()
