"""What reading a column did to its values: how many are missing, outside the domain, or unreadable, and the remedy.

Counts and examples are private: they go to `private/intake.json`, into errors that refuse a file, and to the terminal
of the data's own steward when asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from dpsynth.data.columns import Boolean, Column, Policy, Reading
from dpsynth.data.columns.raw import absent, as_text, distinct
from dpsynth.data.columns.writing_styles import LOOKED_AT, remedy
from dpsynth.errors import DataError

UNREADABLE = ("error", "missing")  # policies for what is no value of the declared kind
_KINDS = {
    "integer": "no whole numbers",
    "number": "no numbers",
    "date": "no dates",
    "datetime": "no points in time",
    "boolean": "neither true nor false",
}


@dataclass(frozen=True)
class ColumnIntake:
    """Counts of one column; `done` says in words what became of the values outside.

    kept: values that were read and lie in the domain.
    """

    name: str
    rows: int
    missing: int
    outside: int
    unreadable: int
    kept: int
    done: str

    def __add__(self, other: ColumnIntake) -> ColumnIntake:
        names = ("rows", "missing", "outside", "unreadable", "kept")
        counts = {key: getattr(self, key) + getattr(other, key) for key in names}
        return ColumnIntake(self.name, **counts, done=self.done)

    @property
    def changed(self) -> int:
        return self.outside + self.unreadable

    def to_dict(self) -> dict[str, Any]:
        """As json holds it."""
        return asdict(self)

    def line(self) -> str | None:
        """What was changed, in a sentence with counts; None when nothing was."""
        described = []
        if self.outside:
            fraction = self.outside / max(self.rows, 1)
            described.append(
                f"{self.outside:,} of {self.rows:,} values ({fraction:.1%}) lie outside its domain and were {self.done}"
            )
        if self.unreadable:
            described.append(f"{self.unreadable:,} of {self.rows:,} values could not be read and were made missing")
        return f"column '{self.name}': {'; '.join(described)}" if described else None


def refuse_lost(intake: Iterable[ColumnIntake]) -> None:
    """`IntakeError` for columns of which no value at all was kept: they would be learned as constants."""
    lost = [column for column in intake if column.changed and not column.kept]
    if lost:
        raise IntakeError(
            [
                f"column '{c.name}': not one of {c.rows:,} values lies in its domain ({c.outside:,} outside, "
                f"{c.unreadable:,} unreadable); correct its bounds, categories or notation in the schema"
                for c in lost
            ]
        )


class IntakeError(DataError):
    """Values that cannot be read; one line for each column."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def taken_in(column: Column, reading: Reading, invalid: Policy) -> ColumnIntake:
    """The counts of one column."""
    return ColumnIntake(
        column.name,
        len(reading.values),
        int(reading.missing.sum()),
        int(reading.outside.sum()),
        int(reading.unreadable.sum()),
        int((~(reading.invalid | reading.missing)).sum()),
        column.settling(invalid),
    )


def refusals(column: Column, series: pd.Series, reading: Reading, unreadable: str, first_row: int = 1) -> list[str]:
    """Why the column cannot be taken in, [] when it can; quotes values. first_row: the number of its first row."""
    where = f"column '{column.name}'"
    rows, found = len(series), list[str]()
    if reading.unreadable.any() and not (unreadable == "missing" and column.missing):
        count = int(reading.unreadable.sum())
        what = _KINDS.get(column.kind, "not readable")
        line = f"{where}: {count:,} of {rows:,} values are {what}, {_examples(series, reading.unreadable, first_row)}"
        bad, good = (_texts(series, mask) for mask in (reading.unreadable, ~reading.unreadable & ~reading.missing))
        line += f"; {remedy(column, bad, good)}"
        if unreadable == "missing":
            line += ", or allow missing: true, which data.unreadable=missing needs"
        elif not isinstance(column, Boolean):
            line += ", or set data.unreadable=missing"
        found.append(line)
    if reading.unwanted.any():
        count = int(reading.unwanted.sum())
        found.append(
            f"{where}: {count:,} of {rows:,} values are missing, {_examples(series, reading.unwanted, first_row)}; "
            "allow 'missing: true' in the schema"
        )
    return found


def _examples(series: pd.Series, mask: np.ndarray, first_row: int) -> str:
    """The first two marked values with their row."""
    described = []
    for position in np.flatnonzero(mask)[:2]:
        value = series.iloc[int(position)]
        gone = absent(pd.Series([value], dtype=object))[0] or as_text(value) == ""
        described.append(f"{'an empty one' if gone else repr(str(value)[:40])} (row {position + first_row:,})")
    return f"first {' and '.join(described)}"


def _texts(series: pd.Series, mask: np.ndarray) -> list[str]:
    """Distinct marked values as texts, some thousand at most."""
    _, values = distinct(cast(pd.Series, series.reset_index(drop=True)[mask]))
    return [as_text(value) for value in values[:LOOKED_AT]]
