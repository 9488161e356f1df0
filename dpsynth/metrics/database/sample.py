"""Persons of a database with the views that metrics look at: cells and numbers of every table, and whose rows they are.

The database counterpart of `Sample`: a row is a person with all rows. Cells are those of the evaluation's own binning,
from the domain alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dpsynth.data.columns import NumericColumn
from dpsynth.data.database.database import Database
from dpsynth.data.database.declaration import DatabaseDomain, LinkedTable
from dpsynth.data.database.linking import ranks
from dpsynth.metrics.framework.encoding import BinnedView, unit

STEP_CELLS = 16  # of the way from one value of an order column to the next, each twice as wide as the one before


@dataclass(frozen=True, eq=False)
class DatabaseSample:
    """Persons.

    Attributes:
        domain: Of the database.
        codes: For each table (rows, columns) int32 cells.
        units: For each table (rows, columns) float64, numbers on the declared range scaled to [0, 1]; NaN elsewhere.
        owners: For each table but the root the row of each row's parent, ascending.
        bins: Cells of a number.
    """

    domain: DatabaseDomain
    codes: dict[str, np.ndarray]
    units: dict[str, np.ndarray]
    owners: dict[str, np.ndarray]
    bins: int = 32

    @classmethod
    def of(cls, database: Database, bins: int = 32) -> DatabaseSample:
        """All persons of a database."""
        codes, units = {}, {}
        for table in database.domain:
            frame = database[table.name].frame
            view = BinnedView(table.domain, bins)
            codes[table.name] = view.codes(frame) if len(frame) else np.zeros((0, len(table.domain)), dtype=np.int32)
            columns = [
                unit(column, frame) if isinstance(column, NumericColumn) else np.full(len(frame), np.nan)
                for column in table.domain
            ]
            units[table.name] = np.column_stack(columns)
        return cls(database.domain, codes, units, dict(database.owners), bins)

    def __len__(self) -> int:
        return len(self.codes[self.domain.root])

    def rows(self, index: np.ndarray) -> DatabaseSample:
        """The persons at some positions, in that order, with all their rows."""
        places = {self.domain.root: np.asarray(index, dtype=np.int64)}
        owners: dict[str, np.ndarray] = {}
        for table in self.domain:
            if table.parent is not None:
                counts, above = self.counts(table), places[table.parent]
                owner = np.repeat(np.arange(len(above)), counts[above])
                starts = np.cumsum(counts) - counts
                places[table.name], owners[table.name] = starts[above][owner] + ranks(owner), owner
        codes = {name: table[places[name]] for name, table in self.codes.items()}
        units = {name: table[places[name]] for name, table in self.units.items()}
        return DatabaseSample(self.domain, codes, units, owners, self.bins)

    def head(self, rows: int) -> DatabaseSample:
        """The first `rows` persons."""
        return self if rows >= len(self) else self.rows(np.arange(rows))

    @classmethod
    def joined(cls, samples: Sequence[DatabaseSample]) -> DatabaseSample:
        """All persons of some samples, in order."""
        first = samples[0]
        owners: dict[str, np.ndarray] = {}
        for table in first.domain:
            if table.parent is not None:
                lengths = [len(sample.codes[table.parent]) for sample in samples]
                starts = np.cumsum([0, *lengths])
                moved = [sample.owners[table.name] + k for sample, k in zip(samples, starts[:-1], strict=True)]
                owners[table.name] = np.concatenate(moved)
        codes = {name: np.concatenate([sample.codes[name] for sample in samples]) for name in first.codes}
        units = {name: np.concatenate([sample.units[name] for sample in samples]) for name in first.units}
        return cls(first.domain, codes, units, owners, first.bins)

    def uniform(self, rows: int, generator: np.random.Generator) -> DatabaseSample:
        """Persons of whom only the domain is known: every number of rows and every cell alike."""

        def number(table: LinkedTable, parents: int) -> np.ndarray:
            return generator.integers(0, (table.most or 0) + 1, parents)

        return self._composed(rows, number, lambda name, n: self._even(name, n, generator))

    def independent(self, rows: int, generator: np.random.Generator) -> DatabaseSample:
        """Persons with numbers of rows and columns each drawn by itself from these."""

        def number(table: LinkedTable, parents: int) -> np.ndarray:
            known = self.counts(table)
            return generator.choice(known, parents) if len(known) else np.zeros(parents, dtype=np.int64)

        def cells(name: str, n: int) -> tuple[np.ndarray, np.ndarray]:
            codes, units = self.codes[name], self.units[name]
            if not len(codes):
                return self._even(name, n, generator)
            picks, columns = generator.integers(len(codes), size=(n, codes.shape[1])), np.arange(codes.shape[1])
            return codes[picks, columns], units[picks, columns]

        return self._composed(rows, number, cells)

    def counts(self, table: LinkedTable) -> np.ndarray:
        """(parents,) int64: how many rows of a table each row of its parent has."""
        assert table.parent is not None
        return np.bincount(self.owners[table.name], minlength=len(self.codes[table.parent])).astype(np.int64)

    def sizes(self, table: LinkedTable) -> tuple[int, ...]:
        """Cells of every column of a table."""
        return BinnedView(table.domain, self.bins).sizes

    def above(self, table: LinkedTable) -> tuple[list[str], np.ndarray, list[int]]:
        """(names, (rows, columns) cells, sizes) of what the rows of a table share with their parent.

        Columns of the tables above, and numbers of rows of the parent.
        """
        names, columns, sizes = list[str](), list[np.ndarray](), list[int]()
        places = self.owners[table.name]
        for child in self.domain.children(table.parent or ""):
            names.append(f"rows of {child.name}")
            columns.append(self.counts(child)[places])
            sizes.append((child.most or 0) + 1)
        for higher in self.domain.above(table.name):
            names += [f"{higher.name}.{name}" for name in higher.domain.names]
            columns += list(self.codes[higher.name][places].T)
            sizes += self.sizes(higher)
            if higher.parent is not None:
                places = self.owners[higher.name][places]
        return names, np.column_stack(columns), sizes

    def persons_of(self, name: str) -> np.ndarray:
        """(rows,) int64: the person of each row of a table."""
        places, table = np.arange(len(self.codes[name])), self.domain[name]
        while table.parent is not None:
            places, table = self.owners[table.name][places], self.domain[table.parent]
        return places

    def steps(self, table: LinkedTable) -> np.ndarray:
        """(rows that are not the first of their parent,) cells of the way from the row before, in [0, STEP_CELLS)."""
        assert table.order is not None
        values = self.units[table.name][:, table.domain.position(table.order)]
        later = np.flatnonzero(ranks(self.owners[table.name]) > 0)
        apart = np.abs(values[later] - values[later - 1])
        return np.minimum(np.log2(1 + apart * 2**STEP_CELLS).astype(np.int64), STEP_CELLS - 1)

    @property
    def coordinates(self) -> np.ndarray:
        """(persons, width) float64: cells of the root, and numbers of rows, each scaled to [0, 1]."""
        root = self.domain.persons
        own = self.codes[root.name] / np.maximum(np.array(self.sizes(root)) - 1, 1)
        numbers = [self.counts(child) / max(child.most or 1, 1) for child in self.domain.children(root.name)]
        return np.column_stack([own, *numbers])

    @property
    def contents(self) -> list[bytes]:
        """Every person as bytes, equal for persons whose rows have the same cells."""
        words = [[row.tobytes()] for row in np.ascontiguousarray(self.codes[self.domain.root])]
        for table in self.domain:
            if table.parent is not None:
                cells = np.column_stack([ranks(self.owners[table.name]), self.codes[table.name]])
                for person, row in zip(self.persons_of(table.name), np.ascontiguousarray(cells), strict=True):
                    words[person].append(row.tobytes())
        return [b"|".join(each) for each in words]

    def _composed(
        self,
        rows: int,
        number: Callable[[LinkedTable, int], np.ndarray],
        cells: Callable[[str, int], tuple[np.ndarray, np.ndarray]],
    ) -> DatabaseSample:
        """Persons with `number(table, parents)` rows of `cells(table, rows)`, put in their order."""
        codes, units, owners = dict[str, np.ndarray](), dict[str, np.ndarray](), dict[str, np.ndarray]()
        for table in self.domain:
            n = rows
            if table.parent is not None:
                found = number(table, len(codes[table.parent]))
                owners[table.name] = np.repeat(np.arange(len(found)), found)
                n = int(found.sum())
            codes[table.name], units[table.name] = cells(table.name, n)
            if table.order is not None:
                place = table.domain.position(table.order)
                order = np.lexsort((units[table.name][:, place], owners[table.name]))
                for part in (codes, units):
                    part[table.name][:, place] = part[table.name][order, place]
        return DatabaseSample(self.domain, codes, units, owners, self.bins)

    def _even(self, name: str, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Cells of which every one is as likely, and numbers in the middle of them."""
        domain = self.domain[name].domain
        sizes = np.array(BinnedView(domain, self.bins).sizes)
        possible = sizes - np.array([not column.missing for column in domain])
        codes = (generator.random((n, len(sizes))) * possible).astype(np.int32)
        numeric = np.array([isinstance(column, NumericColumn) for column in domain])
        return codes, np.where(numeric & (codes < sizes - 1), (codes + 0.5) / np.maximum(sizes - 1, 1), np.nan)
