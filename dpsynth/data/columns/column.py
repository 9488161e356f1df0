"""What every kind of column shares: a name, a role, and a total reading of raw values.

A column is a public fact. `read` maps any pandas Series whatever to legal values of the column and never
raises on a value; `parse` adds the policy for illegal values and returns a Series of the kind's pandas dtype.
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

    values  (n,) float64 on the column's value axis (numeric kinds) or int64 positions in `column.values`
    (categories) missing (n,) bool, true only where the column allows missing values
    invalid (n,) bool, where the raw value was illegal and had to be changed; a plain permitted missing
    value is not
    """

    values: np.ndarray
    missing: np.ndarray
    invalid: np.ndarray


@dataclass(frozen=True)
class Column:
    """The declared, public description of one column. Subclasses are the kinds."""

    name: str
    missing: bool = field(default=False, kw_only=True)
    label: bool = field(default=False, kw_only=True)

    kind: ClassVar[str] = ""
    numeric: ClassVar[bool] = False  # True for the kinds with a value axis: integer, number, date, datetime

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise SchemaError(f"a column name must be a non-empty text, got {self.name!r}")

    @property
    def undeclared(self) -> bool:
        """True while the bounds or categories are still to be bought from the budget (`private`)."""
        return False

    def replace(self, **changes: Any) -> Self:
        """A copy with other fields, for example the bounds that privacy/discovery bought."""
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
        """(series of legal values, how many were illegal and changed) under the policy for illegal values.

        clamp    numbers and dates go to the nearest bound; what has no nearest bound (text, NaN, infinity)
                 becomes missing where that is allowed and else the lower bound. A category becomes `other`
                 if declared, else missing if allowed, else `DataError`.
        missing  every illegal value becomes missing where that is allowed; otherwise as clamp.
        error    `DataError` naming the first illegal value. A category that `other` takes in is legal.
        """
        reading = self.read(series, missing_values)
        self._refuse(series, reading, invalid)
        missing = reading.missing
        if invalid == "missing" and self.missing and not self._takes_all:
            missing = missing | reading.invalid
        return self.write(reading.values, missing), int(reading.invalid.sum())

    @property
    def _takes_all(self) -> bool:
        """True when every value whatever is legal (a category with `other`)."""
        return False

    def _refuse(self, series: pd.Series, reading: Reading, invalid: Policy) -> None:
        if invalid == "error" and not self._takes_all and reading.invalid.any():
            raise DataError(
                f"column '{self.name}': {int(reading.invalid.sum())} values outside its domain, the first is "
                f"{first(series, reading.invalid)}; mend it, or set invalid=clamp or missing"
            )
