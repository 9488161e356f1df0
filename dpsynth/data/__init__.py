"""Tables and images: what is public about them (Domain, ImageDomain), the rows (Table, Images), their encodings."""

from dpsynth.data.codec import Codec, Encoded
from dpsynth.data.column_codes import ColumnCodes
from dpsynth.data.columns import Boolean, Category, Column, Date, Datetime, Integer, Number, Quantity
from dpsynth.data.constraints import Constraint
from dpsynth.data.domain import Domain
from dpsynth.data.draft import draft
from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.image_view import ImageView
from dpsynth.data.images import Images
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
    "ImageDomain",
    "ImageView",
    "Images",
    "Integer",
    "Number",
    "Quantity",
    "Table",
    "draft",
]
