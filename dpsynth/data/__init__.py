"""Tables and images: what is public about them (Domain, ImageDomain), the rows (Table, Images), their encodings."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dpsynth.data.columns import Boolean, Category, Column, Date, Datetime, Integer, Number, NumericColumn
from dpsynth.data.table.codec import Codec, ColumnCodes, Encoded
from dpsynth.data.table.constraints import Constraint
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.draft import draft
from dpsynth.data.table.table import Table

if TYPE_CHECKING:
    from dpsynth.data.image.domain import ImageDomain, ImageView
    from dpsynth.data.image.images import Images

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

# Images need torch, which tables do not: a command that reads a table takes neither the time nor the memory for it.
_PLACES = {
    "ImageDomain": "dpsynth.data.image.domain",
    "ImageView": "dpsynth.data.image.domain",
    "Images": "dpsynth.data.image.images",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'dpsynth.data' has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(_PLACES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
