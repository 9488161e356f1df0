"""A table of private or synthetic rows that fits its declared domain.

A `Table` is legal by construction: columns in the order of the domain, values inside it, one pandas dtype
per kind (texts, bool, int64, float64, datetime64[s]; nullable where missing values are allowed). What cannot be read
is refused; what lies outside the domain is changed by a policy and counted in `intake`, which is private. Errors of
this file quote data and are meant for the data's own steward.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import pandas as pd
import pyarrow as pa

from dpsynth.data.columns import POLICIES, Category, Column, Policy, Reading
from dpsynth.data.columns.raw import series_of
from dpsynth.data.columns.stored_types import change_of_type, to_arrow
from dpsynth.data.html import rows_html
from dpsynth.data.selection import Neighbours, Selection, check_fraction, check_rows, limit_probability
from dpsynth.data.table import tabular_files
from dpsynth.data.table.csv_dialect import CsvDialect
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.intake import UNREADABLE, ColumnIntake, IntakeError, refusals, refuse_lost, taken_in
from dpsynth.data.table.written_rows import with_identifiers, write_csv, write_parquet, write_rows
from dpsynth.errors import ConfigError, DataError

Policies = Policy | Mapping[str, Policy]
_GROUPS = ("numbers", "categories")


class Table:
    """Rows and their domain.

    frame       a DataFrame with exactly the columns of the domain (and `person`), of any dtypes
    invalid     the policy for values outside the domain (see `Column.parse`): one word, or one for `numbers`
                (and dates) and one for `categories` (and booleans)
    person      a column that says whose row it is; unless the domain declares it, it is set aside, not a
                column of the table
    unreadable  the policy for what is no value of the declared kind at all: "error" (`DataError` with a line for
                each column) or "missing"
    first_row   the number of the first row, for messages

    Raises `IntakeError`, a `DataError`, for values that cannot be read, and for missing ones where none are allowed.

    Two public attributes say how the rows came about; they go along with every selection of rows:
    rows_per_person  the most rows of one person, once `bound_contributions` has seen to it; None before
    coverage         which rows of the data are here and with which probability, for the privacy statement

    changed_types    a line for each column of a Parquet file whose type is not the one that samples are written in
    identifier_seed  of the fresh uuids that are written for identifiers; drawn for every table that no seed made
    """

    suffix: ClassVar[str] = ".csv"  # of the file that samples are written to
    unit: ClassVar[str] = "rows"
    synthetic: bool = False  # set on samples of a model, whose rows may be shown

    def __init__(
        self,
        frame: pd.DataFrame,
        domain: Domain,
        invalid: Policies = "clamp",
        person: str | None = None,
        unreadable: str = "error",
        first_row: int = 1,
    ) -> None:
        words = policies(invalid)
        if unreadable not in UNREADABLE:
            raise ConfigError(f"unreadable={unreadable!r} is not understood; use {' or '.join(UNREADABLE)}")
        tabular_files.match(frame, domain.names, person, temporary=domain.set_aside)
        self.domain = domain
        readings = read_columns(frame, domain, unreadable, first_row)
        self.intake: dict[str, ColumnIntake] = {}
        broken = np.any([reading.invalid for reading in readings.values()], axis=0)
        columns: dict[str, pd.Series] = {}
        for column in domain:
            word = words["categories" if isinstance(column, Category) else "numbers"]
            series, reading = series_of(frame, column.name), readings.pop(column.name)
            settled = column.settled(series, reading, word, domain.missing_values)
            columns[column.name] = settled.reset_index(drop=True)
            self.intake[column.name] = taken_in(column, reading, word)
        self.frame = pd.DataFrame(columns)
        self.broken = broken  # (n,) bool: rows in which a value was changed; private
        self.nameless = 0  # rows that named no person and were dropped
        self.person = person
        self.rows_per_person: int | None = None
        self.coverage: tuple[str, ...] = ()
        self.identifier_seed = fresh_seed()
        self.changed_types: tuple[str, ...] = ()
        self.people: np.ndarray | None = None  # (n,) int64 number of each row's person, -1 for none
        self._names: tuple[str, ...] = ()  # the persons' names, by number
        if person is not None:
            self.people, self._names = _identify(series_of(frame, person), domain.missing_values)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        # without the number of rows, which is private
        return f"Table({len(self.domain)} columns: {', '.join(self.domain.names)})"

    @classmethod
    def read(
        cls,
        path: str | Path | Iterable[str | Path],
        schema: Domain | str | Path,
        *,
        invalid: Policies = "clamp",
        unreadable: str = "error",
        person: str | None = None,
        **dialect: Any,
    ) -> Table:
        """The rows of CSV or Parquet files: one path, several, a folder or a glob.

        dialect: how CSV files are written, the fields of `CsvDialect`: delimiter=";", encoding="cp1252", ...

        Raises `SchemaError` for the schema, `DataError` for files that are missing, empty, unreadable or
        do not have the schema's columns, and for a column without a single value that does not allow
        missing ones.
        """
        domain = schema if isinstance(schema, Domain) else Domain.from_yaml(schema)
        policies(invalid)
        written = dialect_of(dialect)
        frame = tabular_files.read(path, written, domain.in_file)
        where = f"'{path}'" if isinstance(path, (str, Path)) else "the files"
        tabular_files.match(frame, domain.names, person, written.delimiter, where, domain.set_aside)
        if not len(frame):
            raise DataError(f"{where}: a header but no rows")
        for column in domain:
            _refuse_empty(series_of(frame, column.name), column, domain.missing_values)
        table = cls(frame, domain, invalid, person, unreadable)
        refuse_lost(table.intake.values())
        table.changed_types = changed_types(path, domain)
        return table

    @classmethod
    def as_it_stands(cls, frame: pd.DataFrame, domain: Domain) -> Table:
        """A table to be evaluated, not to be learned from: nothing is refused. What has no legal value near it is
        missing here even where the schema does not allow that, and its rows are marked in `broken`.
        """
        readings = {
            c.name: c.replace(missing=True).read(series_of(frame, c.name), domain.missing_values) for c in domain
        }
        table = object.__new__(cls)
        table.domain, table.person, table.people, table._names = domain, None, None, ()
        table.rows_per_person, table.coverage, table.nameless = None, (), 0
        table.identifier_seed, table.changed_types = fresh_seed(), ()
        table.intake = {c.name: taken_in(c, readings[c.name], "clamp") for c in domain}
        wrong = [c.read(series_of(frame, c.name), domain.missing_values).invalid for c in domain]
        table.broken = np.any(wrong, axis=0)
        columns = {}
        for column in domain:
            reading = readings[column.name]
            kind = column.replace(missing=True) if reading.missing.any() else column
            columns[column.name] = kind.write(reading.values, reading.missing)
        table.frame = pd.DataFrame(columns)
        return table

    def write(self, path: str | Path, escape: bool = False) -> Path:
        """Write .csv (also .csv.gz) or .parquet by the name; the file appears whole or not at all.

        escape: of CSV, make cells harmless that a spreadsheet would take for formulas; see `spreadsheet_text`.
        """
        return write_rows(path, [self.frame], self.domain, escape, self.identifier_seed)

    def to_csv(self, path: str | Path, escape: bool = False) -> Path:
        """UTF-8 CSV with a header; dates in the declared format. escape: as of `write`."""
        return write_csv(path, [self.frame], self.domain, escape, self.identifier_seed)

    def to_parquet(self, path: str | Path) -> Path:
        """Parquet, zstd-compressed. Every column has its declared type, or that of its kind: int64, float64, bool,
        string, date32, timestamp[ms].
        """
        return write_parquet(path, [self.frame], self.domain, self.identifier_seed)

    def to_pandas(self) -> pd.DataFrame:
        """A copy of the rows, with fresh identifiers where the schema has some."""
        return self.written.copy()

    def to_arrow(self) -> pa.Table:
        """The rows as an Arrow table, in the types of `to_parquet`."""
        frame = self.written
        columns = [to_arrow(column, series_of(frame, column.name)) for column in self.domain.written]
        return pa.table(columns, names=[column.name for column in self.domain.written])

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The Arrow PyCapsule interface: polars.DataFrame(table), duckdb.sql("from table"), pyarrow.table(table)."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def _repr_html_(self) -> str:
        """Of synthetic rows the first ones; of private ones the columns alone."""
        title = f"{'Synthetic table' if self.synthetic else 'Table'} of {len(self.domain)} columns"
        if self.synthetic:
            shown = self.frame.head(5)
            return rows_html(f"{title}, {len(self):,} rows", list(shown.columns), shown.astype(object).values.tolist())
        return rows_html(title, ["column", "kind"], [(column.name, column.kind) for column in self.domain.written])

    @property
    def written(self) -> pd.DataFrame:
        """The rows as they are written: with fresh identifiers, where the schema has some."""
        return next(with_identifiers([self.frame], self.domain, self.identifier_seed))

    def head(self, rows: int) -> Table:
        """The first rows."""
        return self.take(np.arange(min(rows, len(self))))

    def subset(self, rows: int, key: bytes, neighbours: Neighbours = "add_remove") -> Table:
        """About so many rows, or exactly so many, in their old order. The guarantee then covers a part of the rows.

        Args:
            rows: under add_remove the expected number: every row (or person) is kept with probability
                rows / `domain.rows`, so that one row more in the file never moves another; under replace_one the
                number itself.
            key: 32 secret bytes, from `dpsynth.fresh_key()`; the same key keeps the same rows.
            neighbours: the relation of the budget that the rows will be used with.

        Raises:
            ConfigError: `rows` is no positive whole number; the schema declares no `rows` under add_remove.
        """
        check_rows(rows)
        selection = Selection(key, neighbours)
        if neighbours == "replace_one":
            return self._covered(selection.fixed("n_train", len(self), rows), f"{rows} rows")
        probability = limit_probability(rows, self.domain.rows)
        return self._covered(self._chosen("n_train", selection, probability), self._each(probability))

    def split(self, holdout: float, key: bytes, neighbours: Neighbours = "add_remove") -> tuple[Table, Table]:
        """(train, holdout). Every row, or every person where persons are known, goes to one part as a whole.

        Args:
            holdout: Probability of the holdout under add_remove, its fraction of the rows under replace_one.
            key: As in `subset`. One row (or person) more in the file changes one part by it alone.
            neighbours: As in `subset`.
        """
        check_fraction(holdout)
        held = self._chosen("holdout", Selection(key, neighbours), holdout)
        return self._covered(~held, self._each(1 - holdout, neighbours)), self._covered(
            held, self._each(holdout, neighbours)
        )

    def bound_contributions(self, person: str, max_rows: int, key: bytes) -> Table:
        """At most `max_rows` random rows of each person; rows that name no person are dropped.

        Must come before anything else that looks at the rows: the guarantee counts this many rows for each
        person, and `Synthesizer.fit` takes a budget for persons only with a table that was bounded here.
        key: as in `subset`.
        """
        if isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 1:
            raise ConfigError(f"max_rows_per_person must be a positive whole number, got {max_rows!r}")
        if person == self.person and self.people is not None:
            owner, names = self.people, self._names
        elif person in self.domain:
            owner, names = _identify(series_of(self.frame, person), self.domain.missing_values)
        else:
            raise ConfigError(f"no person column '{person}' in the table; read it with person='{person}'")
        selection = Selection(key)
        contents = selection.digests([series_of(self.frame, name) for name in self.domain.names], len(self))
        kept = selection.kept("of person", owner, selection.digests_of_texts(names), contents, max_rows)
        bounded = self._covered(kept, f"at most {max_rows} row{'s' if max_rows > 1 else ''} of each person")
        bounded.person, bounded.people, bounded._names = person, owner[kept], names
        bounded.rows_per_person = max_rows
        if (owner < 0).any():
            bounded.nameless = int((owner < 0).sum())
        return bounded

    def redeclare(self, domain: Domain, invalid: Policies = "clamp") -> Table:
        """The same rows under another domain of the same columns, for example once its bounds were estimated
        privately."""
        frame, words = {}, policies(invalid)
        for column in domain:
            word = words["categories" if isinstance(column, Category) else "numbers"]
            frame[column.name], _ = column.parse(series_of(self.frame, column.name), word, domain.missing_values)
        table = self.take(np.arange(len(self)))
        table.domain, table.frame = domain, pd.DataFrame(frame)
        return table

    def select(self, names: Iterable[str]) -> Table:
        """The same rows with some of the columns, in the order given."""
        table = self.take(np.arange(len(self)))
        table.domain = self.domain.select(names)
        table.frame = table.frame.loc[:, list(table.domain.names)]
        return table

    @property
    def content_hash(self) -> str:
        """A digest of all values, columns and their order; stays inside `private/`."""
        digest = hashlib.sha256(json.dumps([str(name) for name in self.frame.columns]).encode())
        hashes = pd.util.hash_pandas_object(self.frame, index=False)  # pyright: ignore[reportAttributeAccessIssue]
        digest.update(hashes.to_numpy().tobytes())
        return digest.hexdigest()

    @property
    def invalid(self) -> dict[str, int]:
        """Column -> values that were changed, where any were; private."""
        changed = {name: column.changed for name, column in self.intake.items()}
        return {name: count for name, count in changed.items() if count}

    def _each(self, probability: float, neighbours: Neighbours = "add_remove") -> str:
        if neighbours == "replace_one":
            return f"{probability:.4g} of the rows"
        return f"each {'row' if self.people is None else 'person'} with probability {probability:.4g}"

    def _covered(self, kept: np.ndarray, described: str) -> Table:
        """The rows where `kept`, and a clause on them for the statement."""
        table = self.take(np.flatnonzero(kept))
        table.coverage = (*self.coverage, described)
        return table

    def _chosen(self, purpose: str, selection: Selection, probability: float) -> np.ndarray:
        """(n,) bool: rows selected with `probability`, by person where one is known, else by content."""
        if self.people is not None:
            selection.refuse_persons()
        contents = selection.digests([series_of(self.frame, name) for name in self.domain.names], len(self))
        if self.people is None:
            return selection.chosen(purpose, contents, probability)
        persons = selection.of_persons(purpose, selection.digests_of_texts(self._names), probability)
        alone = self.people < 0
        result = np.append(persons, False)[self.people]
        result[alone] = selection.chosen(purpose, contents[alone], probability)
        return result

    def take(self, rows: np.ndarray) -> Table:
        """The rows at some positions, in that order."""
        table = object.__new__(Table)
        table.domain, table.intake, table.nameless = self.domain, dict(self.intake), self.nameless
        table.frame = self.frame.iloc[rows].reset_index(drop=True)
        table.broken = self.broken[rows]
        table.person = self.person
        table.people, table._names = None if self.people is None else self.people[rows], self._names
        table.rows_per_person, table.coverage = self.rows_per_person, self.coverage
        table.identifier_seed, table.changed_types = self.identifier_seed, self.changed_types
        return table


def changed_types(path: str | Path | Iterable[str | Path], domain: Domain) -> tuple[str, ...]:
    """A line for each column of a Parquet file whose type is not the one that samples are written in."""
    stored = tabular_files.stored_types(tabular_files.find(path)[0])
    found = (change_of_type(column, stored[column.name]) for column in domain.written if column.name in stored)
    return tuple(line for line in found if line)


def fresh_seed() -> int:
    """128 bits from the system; for names of rows, not for noise."""
    return int.from_bytes(np.random.SeedSequence().generate_state(4, np.uint32).tobytes(), "big")


def read_columns(frame: pd.DataFrame, domain: Domain, unreadable: str, first_row: int = 1) -> dict[str, Reading]:
    """Every column of a raw frame, read; `IntakeError` with a line for each column that cannot be taken in."""
    series = {column.name: series_of(frame, column.name) for column in domain}
    readings = {c.name: c.read(series[c.name], domain.missing_values) for c in domain}
    lines = [refusals(c, series[c.name], readings[c.name], unreadable, first_row) for c in domain]
    refused = [line for each in lines for line in each]
    if refused:
        raise IntakeError(refused)
    return readings


def policies(invalid: Any) -> dict[str, Policy]:
    """The policy of each group of columns; `ConfigError` for other words."""
    given = invalid if isinstance(invalid, Mapping) else dict.fromkeys(_GROUPS, invalid)
    chosen: dict[Any, Any] = dict(given)
    for group, word in chosen.items():
        if group not in _GROUPS or word not in get_args(Policy):
            raise ConfigError(
                f"invalid={invalid!r} is not understood; use {', '.join(POLICIES)}, or one each for "
                f"{' and '.join(_GROUPS)}"
            )
    return {group: chosen.get(group, "clamp") for group in _GROUPS}


def dialect_of(options: Mapping[str, Any]) -> CsvDialect:
    """The dialect that options declare; `ConfigError` for an option it does not have."""
    known = tuple(CsvDialect.__dataclass_fields__)
    for name in options:
        if name not in known:
            raise ConfigError(f"no option '{name}' of CSV files; there are {', '.join(known)}")
    return CsvDialect(**options)


def _identify(series: pd.Series, missing_values: Iterable[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """((n,) int64 number of each row's person, -1 where the row names none; their names)."""
    parsed, _ = Category(str(series.name)).parse(series.reset_index(drop=True), "clamp", missing_values)
    codes, names = pd.factorize(parsed)
    return np.asarray(codes, dtype=np.int64), tuple(map(str, names))


def _refuse_empty(series: pd.Series, column: Column, missing_values: Iterable[str]) -> None:
    if column.missing:
        return
    tokens = {token.casefold() for token in missing_values}
    for value in series.dropna().drop_duplicates().head(len(tokens) + 8):
        if not isinstance(value, str) or value.strip().casefold() not in tokens:
            return
    raise DataError(f"column '{column.name}' has no values at all; allow 'missing: true' in the schema, or drop it")
