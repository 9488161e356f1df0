"""Tables and images: what is public about them (Domain, ImageDomain), the rows (Table, Images), their encodings."""

from dpsynth.data.columns import Boolean, Category, Column, Date, Datetime, Integer, Number, NumericColumn
from dpsynth.data.image.domain import ImageDomain, ImageView
from dpsynth.data.image.images import Images
from dpsynth.data.table.codec import Codec, ColumnCodes, Encoded
from dpsynth.data.table.constraints import Constraint
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.draft import draft
from dpsynth.data.table.table import Table

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
    "ImageDomain",
    "ImageView",
    "Images",
    "Integer",
    "Number",
    "NumericColumn",
    "Table",
    "draft",
]
