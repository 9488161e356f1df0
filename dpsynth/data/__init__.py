"""Tables: what is public about them (Domain), the rows themselves (Table), and their encodings (Codec)."""

from dpsynth.data.codec import Codec, Encoded
from dpsynth.data.column_codes import ColumnCodes
from dpsynth.data.columns import Boolean, Category, Column, Date, Datetime, Integer, Number, Quantity
from dpsynth.data.constraints import Constraint
from dpsynth.data.domain import Domain
from dpsynth.data.draft import draft
from dpsynth.data.table import Table

__all__ = [
    "Boolean",
    "Category",
    "Codec",
    "Column",
    "ColumnCodes",
    "Constraint",
    "Date",
    "Datetime",
    "Domain",
    "Encoded",
    "Integer",
    "Number",
    "Quantity",
    "Table",
    "draft",
]
