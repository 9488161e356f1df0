"""The kinds of column. A column is a public description; it never holds data."""

from dpsynth.data.columns.category import Boolean, Category
from dpsynth.data.columns.column import MISSING_VALUES, POLICIES, Column, Policy, Reading
from dpsynth.data.columns.datetime_column import Date, Datetime
from dpsynth.data.columns.identifier import Identifier
from dpsynth.data.columns.numeric_column import Integer, Number, NumericColumn

KINDS: dict[str, type[Column]] = {
    kind.kind: kind for kind in (Category, Boolean, Integer, Number, Date, Datetime, Identifier)
}

__all__ = [
    "KINDS",
    "MISSING_VALUES",
    "POLICIES",
    "Boolean",
    "Category",
    "Column",
    "Date",
    "Datetime",
    "Identifier",
    "Integer",
    "Number",
    "NumericColumn",
    "Policy",
    "Reading",
]
