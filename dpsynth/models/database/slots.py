"""The tables that are learned of a database: one of persons, and for every other table one of rows with their slots.

    persons         their columns, and how many rows they have in each table below
    rows of T       columns of the tables above; how many rows of T the parent has, and of the other tables below it;
                    the coarse position of the row among them; the columns of the row before it; its own columns, and
                    how many rows each table below T has of it

A table of rows ties all positions to the same slots, previous and own, so it does not grow with the limit on rows. A
row that is the first has no previous one: these columns are missing there. The order column is learned as the value of
the first row and the steps from there to each next row, on a logarithmic axis.

Everything here is public but the frames, which hold private rows, or synthetic ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category, Column, Integer, Number, NumericColumn
from dpsynth.data.columns.raw import series_of
from dpsynth.data.database.database import Database
from dpsynth.data.database.declaration import DatabaseDomain, LinkedTable
from dpsynth.data.database.linking import ranks
from dpsynth.data.table.domain import Domain

_POSITIONS = ("1", "2", "3-4", "5-8", "9-16", "17-32", "33 and more")


def number_of(table: str) -> str:
    """The column that says how many rows of a table there are."""
    return f"rows of {table}"


def persons_domain(domain: DatabaseDomain) -> Domain:
    """The columns of the table of persons."""
    own = domain.persons.domain
    return Domain(
        (*own.columns, *_numbers(domain, domain.root)),
        constraints=own.constraints,
        rows=own.rows,
        missing_values=own.missing_values,
    )


def persons_frame(rows: Parts) -> pd.DataFrame:
    """The table of persons."""
    root = rows.domain.root
    return pd.concat([rows.frames[root], rows.numbers_of(root)], axis=1)


@dataclass
class Parts:
    """The rows of a database, private or synthetic, as far as they are there; each table after its parent.

    Attributes:
        frames: The rows of each table, sorted by their parents.
        owners: For each table but the root, the row of each row's parent.
        numbers: For each table but the root, how many rows of it belong to each row of its parent.
    """

    domain: DatabaseDomain
    frames: dict[str, pd.DataFrame]
    owners: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]

    @classmethod
    def of(cls, database: Database) -> Parts:
        """All of a database."""
        frames = {name: table.frame for name, table in database.tables.items()}
        numbers = {name: database.counts(name) for name in database.owners}
        return cls(database.domain, frames, database.owners, numbers)

    def numbers_of(self, name: str) -> pd.DataFrame:
        """For each table below `name` a column: how many rows of it each row has."""
        columns = {number_of(table.name): self.numbers[table.name] for table in self.domain.children(name)}
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.frames[name])))


@dataclass(frozen=True)
class Slots:
    """The table of rows of one table; `table` is not the root."""

    database: DatabaseDomain
    table: LinkedTable

    @cached_property
    def above(self) -> tuple[Column, ...]:
        """Columns that all rows of a parent share: of the tables above, and numbers of rows of the parent."""
        found: list[Column] = []
        for higher in reversed(self.database.above(self.table.name)):
            found += [column.replace(name=f"{higher.name}.{column.name}") for column in higher.domain]
        assert self.table.parent is not None
        return (*found, *_numbers(self.database, self.table.parent))

    @cached_property
    def position(self) -> Category:
        """Where a row stands among those of its parent, coarsely."""
        assert self.table.most is not None
        last = int(np.searchsorted(_ENDS, self.table.most))
        return Category(f"position in {self.table.name}", _POSITIONS[: last + 1])

    @cached_property
    def carried(self) -> tuple[str, ...]:
        """Names of the own columns that the next row sees as its previous ones: all but the order."""
        return tuple(name for name in self.table.domain.names if name != self.table.order)

    @cached_property
    def previous(self) -> tuple[Column, ...]:
        """The columns of the row before."""
        named = {name: f"previous {self.table.name}.{name}" for name in self.carried}
        return tuple(
            self.table.domain[name].replace(name=new, missing=True, label=False) for name, new in named.items()
        )

    @cached_property
    def own(self) -> tuple[Column, ...]:
        """The columns that are drawn: those of the row, its order in two parts, and numbers of rows below it."""
        found: list[Column] = []
        for column in self.table.domain:
            if column.name != self.table.order:
                found.append(column.replace(label=False))
                continue
            assert isinstance(column, NumericColumn)
            found += [column.replace(name=self.first_name, missing=True, label=False), self.step]
        return (*found, *_numbers(self.database, self.table.name))

    @property
    def first_name(self) -> str:
        """The order column of the first row of a parent."""
        return f"first {self.table.order}"

    @cached_property
    def step(self) -> NumericColumn:
        """The column that holds the way from one value of the order column to the next."""
        assert self.table.order is not None
        column = self.table.domain[self.table.order]
        assert isinstance(column, NumericColumn)
        name = f"step of {self.table.order}"
        if column.step is None:
            return Number(name, low=0.0, high=column.stop - column.start, missing=True)
        return Integer(name, low=0, high=column.count - 1, missing=True, scale="log")

    @cached_property
    def domain(self) -> Domain:
        """All columns, what is given first; at the end those that are drawn."""
        columns = (*self.above, self.position, *self.previous, *self.own)
        return Domain(
            tuple(column.replace(label=False) for column in columns), missing_values=self.table.domain.missing_values
        )

    def frame(self, rows: Parts) -> pd.DataFrame:
        """The rows of the table with all their slots."""
        owners, own = rows.owners[self.table.name], rows.frames[self.table.name]
        rank = ranks(owners)
        shared = self.above_frame(rows)
        found = {str(name): series_of(shared, str(name)).iloc[owners].reset_index(drop=True) for name in shared}
        found[self.position.name] = pd.Series(self.positions(rank))
        first = rank == 0
        for name, column in zip(self.carried, self.previous, strict=True):
            found[column.name] = series_of(own, name).shift(1).astype(object).mask(first, None)
        for column in self.table.domain:
            if column.name != self.table.order:
                found[column.name] = series_of(own, column.name)
                continue
            found[self.first_name] = series_of(own, column.name).astype(object).where(first, None)
            reading = column.read(series_of(own, column.name))
            found[self.step.name] = pd.Series(self._steps(reading.values, first)).mask(first)
        return pd.concat([pd.DataFrame(found, index=own.index), rows.numbers_of(self.table.name)], axis=1)

    def above_frame(self, rows: Parts) -> pd.DataFrame:
        """For every row of the parent what its rows share: columns of the tables above, and numbers of rows."""
        assert self.table.parent is not None
        counted = rows.numbers_of(self.table.parent)
        found = {str(name): series_of(counted, str(name)) for name in counted.columns}
        places = np.arange(len(rows.frames[self.table.parent]))
        for higher in self.database.above(self.table.name):
            frame = rows.frames[higher.name]
            for column in higher.domain:
                series = series_of(frame, column.name).iloc[places].reset_index(drop=True)
                found[f"{higher.name}.{column.name}"] = series
            if higher.parent is not None:
                places = rows.owners[higher.name][places]
        return pd.DataFrame({column.name: found[column.name] for column in self.above})

    def positions(self, rank: np.ndarray) -> np.ndarray:
        """(n,) texts for the numbers of rows before each row."""
        return np.array(_POSITIONS, dtype=object)[np.searchsorted(_ENDS, rank + 1)]

    def ordered(self, first: np.ndarray, steps: np.ndarray, rank: np.ndarray) -> np.ndarray:
        """(n,) values on the axis of the order column, from the first value and the steps of each parent's rows.

        first, steps: (n,) float64; `first` counts where rank is 0, `steps` elsewhere.
        """
        assert self.table.order is not None
        column = self.table.domain[self.table.order]
        assert isinstance(column, NumericColumn)
        unit = column.step or 1.0
        moved = np.cumsum(np.where(rank == 0, 0.0, steps))
        starts = np.flatnonzero(rank == 0)
        groups = np.cumsum(rank == 0) - 1
        values = first[starts][groups] + unit * (moved - moved[starts][groups])
        return np.clip(values, column.start, column.stop)

    def _steps(self, values: np.ndarray, first: np.ndarray) -> np.ndarray:
        """(n,) float64 steps from the row before, in steps of the lattice where there is one."""
        assert self.table.order is not None
        column = self.table.domain[self.table.order]
        assert isinstance(column, NumericColumn)
        apart = np.diff(values, prepend=values[:1])
        return np.where(first, 0.0, apart if column.step is None else np.rint(apart / column.step))


_ENDS = np.array([1, 2, 4, 8, 16, 32])  # the last rank of each coarse position but the last


def _numbers(domain: DatabaseDomain, name: str) -> tuple[Integer, ...]:
    """A column for each table below `name`: how many rows it has of a row."""
    return tuple(Integer(number_of(table.name), low=0, high=table.most) for table in domain.children(name))
