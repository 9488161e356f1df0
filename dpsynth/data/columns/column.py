"""What every kind of column shares: a name, a role, and a total reading of raw values.

A column is a public fact. `read` maps any pandas Series whatever to legal values of the column and never
raises on a value; it tells three things apart: *missing* (nothing, or a text that stands for nothing), *outside* (a
value of the kind that is not in the domain) and *unreadable* (no value of the kind at all). `parse` adds the policy for
values outside and returns a Series of the kind's pandas dtype. `Table` refuses what is unreadable before that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import pandas as pd

from dpsynth.data.columns.raw import first
from dpsynth.errors import DataError, SchemaError

Policy = Literal["clamp", "missing", "error"]
POLICIES: tuple[Policy, ...] = ("clamp", "missing", "error")
MISSING_VALUES = ("", "NA", "NaN", "null", "None", "?")  # texts read as "no value", compared without case


class Reading(NamedTuple):
    """Raw values made legal.

    values      (n,) float64 on the column's value axis (numeric kinds) or int64 positions in `column.values`
    missing     (n,) bool, what is written as missing: only where the column allows missing values
    outside     (n,) bool, values of the kind that are not in the domain and were changed
    unreadable  (n,) bool, no values of the kind
    unwanted    (n,) bool, missing although the column allows no missing values
    """

    values: np.ndarray
    missing: np.ndarray
    outside: np.ndarray
    unreadable: np.ndarray
    unwanted: np.ndarray

    @property
    def invalid(self) -> np.ndarray:
        """(n,) bool: whatever had to be changed; a plain permitted missing value had not."""
        return self.outside | self.unreadable | self.unwanted


@dataclass(frozen=True)
class Column:
    """The declared, public description of one column. Subclasses are the kinds.

    missing         whether a row may have no value
    label           the column to be predicted
    missing_values  texts that stand for no value in this column, instead of those of the schema; None: the schema's
    type            in which type it stands in Parquet files, see `stored_types`; None: that of its kind
    """

    name: str
    missing: bool = field(default=False, kw_only=True)
    label: bool = field(default=False, kw_only=True)
    missing_values: tuple[str, ...] | None = field(default=None, kw_only=True)
    type: str | None = field(default=None, kw_only=True)

    kind: ClassVar[str] = ""
    numeric: ClassVar[bool] = False  # True for the kinds with a value axis: integer, number, date, datetime

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise SchemaError(f"a column name must be a non-empty text, got {self.name!r}")
        if self.missing_values is not None:
            object.__setattr__(self, "missing_values", tuple(str(text) for text in self.missing_values))

    @property
    def undeclared(self) -> bool:
        """True while the bounds or categories are still to be estimated privately (`private`)."""
        return False

    def replace(self, **changes: Any) -> Self:
        """A copy with other fields, for example the bounds that privacy/discovery estimated."""
        return replace(self, **changes)

    def read(self, series: pd.Series, missing_values: Iterable[str] = MISSING_VALUES) -> Reading:
        """Legal values for any raw series. Total: raises on no value."""
        raise SchemaError(f"column '{self.name}': {type(self).__name__} is not one of the kinds of column")

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        """The series, in the pandas dtype of this kind, of the `values` and `missing` of a `Reading`."""
        raise SchemaError(f"column '{self.name}': {type(self).__name__} is not one of the kinds of column")

    def text(self, series: pd.Series) -> pd.Series:
        """The series as it should stand in a CSV file."""
        return series

    def parse(
        self, series: pd.Series, invalid: Policy = "clamp", missing_values: Iterable[str] = MISSING_VALUES
    ) -> tuple[pd.Series, int]:
        """(series of legal values, how many were illegal and changed) under the policy for values outside.

        clamp    numbers and dates go to the nearest bound; a category becomes `other` if declared, else missing if
                 allowed, else `DataError`.
        missing  values outside become missing where that is allowed; otherwise as clamp.
        error    `DataError` naming the first illegal value. A category that `other` takes in is legal.

        What is no value of the kind becomes missing where that is allowed, and else the lower bound; `Table` refuses
        it.
        """
        reading = self.read(series, missing_values)
        return self.settled(series, reading, invalid, missing_values), int(reading.invalid.sum())

    def settled(
        self, series: pd.Series, reading: Reading, invalid: Policy, missing_values: Iterable[str] = MISSING_VALUES
    ) -> pd.Series:
        """The series of legal values of a `reading` of `series`, under the policy of `parse`."""
        return self.write(reading.values, self.settled_missing(series, reading, invalid))

    def settled_missing(self, series: pd.Series, reading: Reading, invalid: Policy) -> np.ndarray:
        """(n,) bool: what is missing under the policy; `DataError` for what the policy refuses."""
        self._refuse(series, reading, invalid)
        if invalid == "missing" and self.missing and not self._takes_all:
            return reading.missing | reading.invalid
        return reading.missing

    def tokens(self, missing_values: Iterable[str]) -> tuple[str, ...]:
        """The texts that stand for no value here: the empty one, and those of the column, else of the schema."""
        return ("", *(missing_values if self.missing_values is None else self.missing_values))

    def settling(self, invalid: Policy) -> str:
        """What becomes of values outside under the policy, in words."""
        gone = self.missing and not self._takes_all
        if invalid == "missing" and gone:
            return "made missing"
        return self._nearest

    @property
    def _nearest(self) -> str:
        """Where `clamp` puts values outside."""
        return "moved to the nearest bound"

    @property
    def _takes_all(self) -> bool:
        """True when every value whatever is legal (a category with `other`)."""
        return False

    def _refuse(self, series: pd.Series, reading: Reading, invalid: Policy) -> None:
        if invalid == "error" and not self._takes_all and reading.invalid.any():
            raise DataError(
                f"column '{self.name}': {int(reading.invalid.sum())} values outside its domain, the first is "
                f"{first(series, reading.invalid)}; correct it, or set invalid=clamp or missing"
            )
