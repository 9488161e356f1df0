"""A database of private or synthetic rows that fits its declared domain, every row under the person it belongs to.

A `Database` is legal by construction: each table holds legal values of its columns; each row belongs to one row of the
table above it, at most `most` to each, in their order. Keys are gone: whose row is whose is held as positions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from dpsynth.data.columns.raw import series_of
from dpsynth.data.database import files, linking, sources
from dpsynth.data.database.declaration import DatabaseDomain, LinkedTable
from dpsynth.data.selection import Neighbours, Selection, check_fraction, check_rows, limit_probability
from dpsynth.data.table.intake import IntakeError
from dpsynth.data.table.table import Policies, Table, dialect_of
from dpsynth.errors import ConfigError, DataError


class Database:
    """Tables of persons' rows.

    Attributes:
        domain: What is public about it.
        tables: The rows of each table, by name, sorted by their parents.
        owners: For each table but the root (n,) int64, ascending: the row of each row's parent in the table above.
        coverage: Which persons of the data are here, for the privacy statement.
        left_out: By table, how many rows belonged to nobody and how many were too many for their parent; private.
    """

    suffix: ClassVar[str] = ""  # samples are written to a folder
    unit: ClassVar[str] = "persons"
    rows_per_person: ClassVar[None] = None  # a person is one unit, with all rows

    def __init__(self, domain: DatabaseDomain, tables: Mapping[str, Table], owners: Mapping[str, np.ndarray]) -> None:
        self.domain = domain
        self.tables = dict(tables)
        self.owners = {name: np.asarray(rows, dtype=np.int64) for name, rows in owners.items()}
        self.coverage: tuple[str, ...] = ()
        self.left_out: dict[str, dict[str, int]] = {}
        self._names: np.ndarray | None = None  # (persons,) texts of the root's keys, where it has some
        for table in domain:
            _check_rows(table, self.tables, self.owners)

    def __len__(self) -> int:
        """The number of persons."""
        return len(self.tables[self.domain.root])

    def __getitem__(self, name: str) -> Table:
        return self.tables[self.domain[name].name]

    def __repr__(self) -> str:
        # without numbers of rows, which are private
        return f"Database({len(self.domain)} tables: {', '.join(self.domain.tables)})"

    @property
    def persons(self) -> Table:
        """The rows of the root."""
        return self.tables[self.domain.root]

    @classmethod
    def read(
        cls,
        path: str | Path,
        schema: DatabaseDomain | str | Path,
        key: bytes,
        *,
        invalid: Policies = "clamp",
        unreadable: str = "error",
        **dialect: Any,
    ) -> Database:
        """The rows of a folder of CSV or Parquet files, an SQLite or a DuckDB file.

        key: 32 secret bytes, from `dpsynth.fresh_key()`, by which rows beyond the limits are left out.
        dialect: how CSV files are written, the fields of `CsvDialect`.

        Raises `SchemaError` for the schema, `DataError` for what cannot be read and for keys that name two rows.
        """
        domain = schema if isinstance(schema, DatabaseDomain) else DatabaseDomain.from_yaml(schema)
        raw = sources.read_all(Path(path).expanduser(), domain, dialect_of(dialect))
        return cls.linked(domain, {table.name: frame for table, frame in raw}, key, invalid, unreadable)

    @classmethod
    def linked(
        cls,
        domain: DatabaseDomain,
        frames: Mapping[str, pd.DataFrame],
        key: bytes,
        invalid: Policies = "clamp",
        unreadable: str = "error",
    ) -> Database:
        """From raw frames with key columns; see `read`."""
        selection = Selection(key)
        tables: dict[str, Table] = {}
        owners: dict[str, np.ndarray] = {}
        keys: dict[str, linking.Keys] = {}
        left_out: dict[str, dict[str, int]] = {}
        for table in domain:
            frame, leaf = frames[table.name], not domain.children(table.name)
            rows = _legal(table, frame, invalid, unreadable)
            own = linking.Keys.of(frame, table.key) if table.key else None
            if own is not None:
                own.refuse_twice(table.name, table.key, missing=table.parent is not None)
            if table.parent is None:
                tables[table.name] = rows
                if own is not None:
                    keys[table.name] = own
                continue
            above = keys[table.parent]
            owner = linking.Keys.of(frame, table.foreign_key).positions_in(above)
            contents = _contents(selection, rows, own)
            names = selection.digests_of_texts([str(text) for text in above.texts])
            assert table.most is not None
            used = np.flatnonzero(linking.thinned(selection, owner, names, contents, table.most))
            values = None if table.order is None else _axis(rows, table.order)[used]
            used = used[linking.ordered(selection, owner[used], names, contents[used], values)]
            tables[table.name], owners[table.name] = rows.take(used), owner[used]
            left_out[table.name] = {
                "rows": len(owner),
                "belong to nobody": int((owner < 0).sum()),
                "too many for their parent": int((owner >= 0).sum()) - len(used),
            }
            if not leaf and own is not None:
                keys[table.name] = linking.Keys(own.texts[used], own.none[used])
        database = cls(domain, tables, owners)
        database.left_out = left_out
        if domain.root in keys:
            database._names = keys[domain.root].texts
        return database

    @property
    def content_hash(self) -> str:
        """A digest of all rows and of whose they are; as private as these."""
        digest = hashlib.sha256()
        for name, table in self.tables.items():
            digest.update(name.encode())
            digest.update(table.content_hash.encode())
            digest.update(self.owners.get(name, np.zeros(0)).tobytes())
        return digest.hexdigest()

    def counts(self, name: str) -> np.ndarray:
        """(n,) int64: how many rows of table `name` belong to each row of its parent."""
        parent = self.domain[name].parent
        if parent is None:
            raise ConfigError(f"'{name}' is the root: its rows belong to no other")
        return np.bincount(self.owners[name], minlength=len(self.tables[parent])).astype(np.int64)

    def persons_of(self, name: str) -> np.ndarray:
        """(n,) int64: the person, a row of the root, of each row of table `name`."""
        rows = np.arange(len(self.tables[name]))
        table = self.domain[name]
        while table.parent is not None:
            rows = self.owners[table.name][rows]
            table = self.domain[table.parent]
        return rows

    def take(self, persons: np.ndarray) -> Database:
        """The persons at some positions, in that order, each with all rows."""
        places = {self.domain.root: np.asarray(persons, dtype=np.int64)}
        tables = {self.domain.root: self.persons.take(places[self.domain.root])}
        owners: dict[str, np.ndarray] = {}
        for table in self.domain:
            if table.parent is None:
                continue
            counts, above = self.counts(table.name), places[table.parent]
            owner = np.repeat(np.arange(len(above)), counts[above])
            starts = np.cumsum(counts) - counts
            places[table.name] = starts[above][owner] + linking.ranks(owner)
            tables[table.name], owners[table.name] = self.tables[table.name].take(places[table.name]), owner
        part = Database(self.domain, tables, owners)
        part.coverage, part.left_out = self.coverage, self.left_out
        part._names = None if self._names is None else self._names[places[self.domain.root]]
        return part

    def split(self, holdout: float, key: bytes, neighbours: Neighbours = "add_remove") -> tuple[Database, Database]:
        """(train, holdout). Every person goes to one part, with all rows; see `Table.split`."""
        check_fraction(holdout)
        held = self._chosen("holdout", Selection(key, neighbours), holdout)
        return self._covered(~held, _each(1 - holdout, neighbours)), self._covered(held, _each(holdout, neighbours))

    def subset(self, persons: int, key: bytes, neighbours: Neighbours = "add_remove") -> Database:
        """About so many persons, or exactly so many under replace_one; see `Table.subset`."""
        check_rows(persons, "persons")
        selection = Selection(key, neighbours)
        if neighbours == "replace_one":
            return self._covered(selection.fixed("n_train", len(self), persons), f"{persons} persons")
        probability = limit_probability(persons, self.domain.rows)
        return self._covered(self._chosen("n_train", selection, probability), _each(probability, neighbours))

    def redeclare(self, domain: DatabaseDomain) -> Database:
        """The same rows under another domain of the same tables and columns, such as one that declares `rows`."""
        tables = {table.name: self.tables[table.name].redeclare(table.domain) for table in domain}
        part = Database(domain, tables, self.owners)
        part.coverage, part.left_out, part._names = self.coverage, self.left_out, self._names
        return part

    def keyed(self) -> dict[str, pd.DataFrame]:
        """Every table as it is written: with fresh keys, which name existing rows by construction."""
        keys: dict[str, dict[str, pd.Series]] = {}
        frames: dict[str, pd.DataFrame] = {}
        for table in self.domain:
            rows = self.tables[table.name]
            own: dict[str, pd.Series] = {}
            if table.parent is not None:
                owner = self.owners[table.name]
                for name, above in zip(table.foreign_key, self.domain[table.parent].key, strict=True):
                    own[name] = keys[table.parent][above].iloc[owner].reset_index(drop=True)
            for name in table.key:
                if name in own:
                    continue
                if set(table.key) & set(table.foreign_key):  # numbered within the parent
                    own[name] = pd.Series(linking.ranks(self.owners[table.name]) + 1)
                else:
                    pattern = table.pattern_of(name)
                    own[name] = pattern.fresh(len(rows)) if pattern else pd.Series(np.arange(1, len(rows) + 1))
            keys[table.name] = own
            learned = rows.written
            names = [*table.keys, *(name for name in learned.columns if name not in own)]
            frames[table.name] = pd.DataFrame({n: own[n] if n in own else series_of(learned, n) for n in names})
        return frames

    def write(self, folder: str | Path, form: str = "csv", escape: bool = False) -> Path:
        """Write every table and `schema.yaml` into the new folder `folder`; see `files.write`."""
        return files.write(self.domain, self.keyed(), Path(folder).expanduser(), form, escape)

    def _covered(self, kept: np.ndarray, described: str) -> Database:
        part = self.take(np.flatnonzero(kept))
        part.coverage = (*self.coverage, described)
        return part

    def _chosen(self, purpose: str, selection: Selection, probability: float) -> np.ndarray:
        """(persons,) bool: by the person's key, or by position under replace_one."""
        if selection.neighbours == "replace_one":
            return selection.fixed(purpose, len(self), round(len(self) * probability))
        if self._names is None:
            domain = self.domain.persons.domain
            columns = [series_of(self.persons.frame, name) for name in domain.names]
            return selection.chosen(purpose, selection.digests(columns, len(self)), probability)
        names = selection.digests_of_texts([str(text) for text in self._names])
        return selection.of_persons(purpose, names, probability)


def _check_rows(table: LinkedTable, tables: Mapping[str, Table], owners: Mapping[str, np.ndarray]) -> None:
    """`DataError` unless every row of the table belongs to a row above, in order, and no parent has too many."""
    if table.name not in tables:
        raise DataError(f"no rows of table '{table.name}'")
    if table.parent is None:
        return
    owner, above = owners.get(table.name), len(tables[table.parent])
    if owner is None or owner.shape != (len(tables[table.name]),):
        raise DataError(f"table '{table.name}': needs the row of '{table.parent}' of each of its rows")
    if len(owner) and (owner[0] < 0 or owner[-1] >= above or (np.diff(owner) < 0).any()):
        raise DataError(f"table '{table.name}': its rows must stand in the order of the rows of '{table.parent}'")
    if table.most is not None and len(owner) and np.bincount(owner).max() > table.most:
        raise DataError(f"table '{table.name}': a row of '{table.parent}' has more than the {table.most} declared")


def _legal(table: LinkedTable, frame: pd.DataFrame, invalid: Policies, unreadable: str) -> Table:
    """The learned columns of a raw frame, with the name of the table before errors."""
    where = f"table '{table.name}'"
    try:
        return Table(frame.drop(columns=list(table.keys)), table.domain, invalid, None, unreadable)
    except IntakeError as error:
        raise IntakeError([f"{where}, {line}" for line in error.lines]) from None
    except DataError as error:
        raise DataError(f"{where}, {error}") from None


def _contents(selection: Selection, rows: Table, own: linking.Keys | None) -> np.ndarray:
    """(n, 2) uint64 digests of rows, their keys included."""
    columns = [series_of(rows.frame, name) for name in rows.domain.names]
    if own is not None:
        columns.append(pd.Series(own.texts, dtype=object))
    return selection.digests(columns, len(rows))


def _axis(rows: Table, name: str) -> np.ndarray:
    """(n,) float64 values of a column on its axis."""
    return rows.domain[name].read(series_of(rows.frame, name)).values.astype(np.float64)


def _each(probability: float, neighbours: Neighbours) -> str:
    """Which persons a part holds, in words."""
    if neighbours == "replace_one":
        return f"{probability:.4g} of the persons"
    return f"each person with probability {probability:.4g}"
