"""How the evaluation cuts each column into cells: printed in the report, so that shares can be checked by hand."""

from __future__ import annotations

from dpsynth.data.columns import Category, Column
from dpsynth.data.domain import Domain

LISTED = 12  # categories named


def cells(domain: Domain, bins: int) -> list[tuple[str, str]]:
    """(column, its cells in words) by the declared domain alone; every column also has a cell for missing values."""
    return [(column.name, _cut(column, bins)) for column in domain.columns]


def _cut(column: Column, bins: int) -> str:
    if isinstance(column, Category):
        names = ", ".join(column.values[:LISTED])
        more = f" and {len(column.values) - LISTED} more" if len(column.values) > LISTED else ""
        return f"{len(column.values)} categories: {names}{more}"
    low, high = getattr(column, "low", None), getattr(column, "high", None)
    return f"{column.kind}, {bins} equal-width bins from {low} to {high}"
