"""Neighbouring data sets that a declared domain makes easiest to tell apart: all rows alike, but for one.

The one row differs in every column, and nothing else in the table stands where it stands: its cell of every marginal is
empty without it. Nothing of any file is looked at; the domain says which values there are. Of images, all are black and
of the first class, but for one of noise and bright stripes of the last class.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category, Column, Date, Datetime, NumericColumn
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.privacy.accounting.budget import Neighbours


@dataclass(frozen=True)
class NeighbourPair:
    """Two neighbouring data sets and the row in doubt, as a data set of its own.

    without, with_record: under add_remove `with_record` has one row more, the last; under replace_one as many rows, and
    its last differs.
    """

    without: Table | Images
    with_record: Table | Images
    record: Table | Images

    @property
    def data(self) -> tuple[Any, Any]:
        return self.without, self.with_record

    @property
    def domain(self) -> Domain | ImageDomain:
        return self.without.domain


def neighbours_in(domain: Domain | ImageDomain, rows: int, relation: Neighbours = "add_remove") -> NeighbourPair:
    """The pair in this domain, with `rows` rows besides the one in doubt; their number is declared."""
    sides = (rows, 0), (rows, 1)
    if relation == "replace_one":
        sides = (rows + 1, 0), (rows, 1)
    public = replace(domain, rows=rows + 1 if relation == "replace_one" else max(1, rows))

    def made(ordinary_rows: int, odd_rows: int) -> Table | Images:
        if isinstance(public, ImageDomain):
            return _images(public, ordinary_rows, odd_rows)
        return _table(public, ordinary_rows, odd_rows)

    (without, with_record), record = (made(*side) for side in sides), made(0, 1)
    return NeighbourPair(without, with_record, record)


def ordinary(column: Column) -> Any:
    """The value of all rows but one."""
    return extremes(column)[0]


def odd(column: Column) -> Any:
    """The value of the one row."""
    return extremes(column)[1]


def extremes(column: Column) -> tuple[Any, Any]:
    """Two different legal values, as far apart as the column declares; where it declares nothing, any two."""
    if isinstance(column, Category):
        values = column.values or ("common", "rare")
        return _unspoken(column, values)
    if isinstance(column, Date):
        return column.low or dt.date(2000, 1, 1), column.high or dt.date(2020, 12, 31)
    if isinstance(column, Datetime):
        return column.low or dt.datetime(2000, 1, 1), column.high or dt.datetime(2020, 12, 31)
    assert isinstance(column, NumericColumn), "there are no other kinds"
    low: Any = column.low
    return (0, 1000) if low is None else (low, column.high)


def frame_of(domain: Domain, ordinary_rows: int, odd_rows: int) -> pd.DataFrame:
    """So many rows of either kind, the odd ones last."""
    content = {c.name: [ordinary(c)] * ordinary_rows + [odd(c)] * odd_rows for c in domain}
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in content.items()})


def picture(domain: ImageDomain, is_odd: bool) -> np.ndarray:
    """(channels, height, width) uint8 of the one image, or of the others."""
    if not is_odd:
        return np.zeros(domain.shape, dtype=np.uint8)
    pixels = np.random.default_rng(0).integers(128, 256, domain.shape, dtype=np.uint8)
    pixels[:, ::2] //= 4
    return pixels


def _unspoken(column: Category, values: Sequence[str]) -> tuple[Any, Any]:
    if len(values) > 1:
        return values[0], values[-1]
    return values[0], None if column.missing else values[0]


def _table(domain: Domain, ordinary_rows: int, odd_rows: int) -> Table:
    return Table(frame_of(domain, ordinary_rows, odd_rows), domain)


def _images(domain: ImageDomain, ordinary_rows: int, odd_rows: int) -> Images:
    kinds = [False] * ordinary_rows + [True] * odd_rows
    pixels = np.stack([picture(domain, kind) for kind in kinds]) if kinds else np.zeros((0, *domain.shape), np.uint8)
    last = max(0, len(domain.classes) - 1)
    labels = np.array([last * kind for kind in kinds], dtype=np.int64) if domain.classes else None
    return Images(pixels, labels, domain)
