"""A table of private or synthetic rows that fits its declared domain.

A `Table` is legal by construction: columns in the order of the domain, values inside it, one pandas dtype
per kind (texts, bool, int64, float64, datetime64[s]; nullable where missing values are allowed). What had
to be changed is counted in `invalid`, which is private. Errors of this file quote data and are meant for
the data's own steward.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import pandas as pd

from dpsynth.data import tabular_files
from dpsynth.data.columns import POLICIES, Category, Column, Policy
from dpsynth.data.columns.raw import series_of
from dpsynth.data.domain import Domain
from dpsynth.errors import ConfigError, DataError

Policies = Policy | Mapping[str, Policy]
_GROUPS = ("numbers", "categories")


class Table:
    """Rows and their domain.

    frame   a DataFrame with exactly the columns of the domain (and `person`), of any dtypes
    invalid the policy for values outside the domain (see `Column.parse`): one word, or one for `numbers`
            (and dates) and one for `categories` (and booleans)
    person  a column that says whose row it is; unless the domain declares it, it is set aside, not a
    column of the table
    """

    suffix: ClassVar[str] = ".csv"  # of the file that samples are written to
    unit: ClassVar[str] = "rows"

    def __init__(
        self, frame: pd.DataFrame, domain: Domain, invalid: Policies = "clamp", person: str | None = None
    ) -> None:
        words = policies(invalid)
        tabular_files.match(frame, domain.names, person)
        self.domain = domain
        self.invalid: dict[str, int] = {}
        columns: dict[str, pd.Series] = {}
        for column in domain:
            word = words["categories" if isinstance(column, Category) else "numbers"]
            parsed, changed = column.parse(series_of(frame, column.name), word, domain.missing_values)
            columns[column.name] = parsed.reset_index(drop=True)
            if changed:
                self.invalid[column.name] = changed
        self.frame = pd.DataFrame(columns)
        self.person = person
        self.people = None if person is None else _identify(series_of(frame, person), domain.missing_values)

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
        delimiter: str = ",",
        person: str | None = None,
    ) -> Table:
        """The rows of CSV or Parquet files: one path, several, a folder or a glob.

        Raises `SchemaError` for the schema, `DataError` for files that are missing, empty, unreadable or
        do not have the schema's columns, and for a column without a single value that does not allow
        missing ones.
        """
        domain = schema if isinstance(schema, Domain) else Domain.from_yaml(schema)
        policies(invalid)
        frame = tabular_files.read(path, delimiter)
        where = f"'{path}'" if isinstance(path, (str, Path)) else "the files"
        tabular_files.match(frame, domain.names, person, delimiter, where)
        if not len(frame):
            raise DataError(f"{where}: a header but no rows")
        for column in domain:
            _refuse_empty(series_of(frame, column.name), column, domain.missing_values)
        return cls(frame, domain, invalid, person)

    def write(self, path: str | Path) -> Path:
        """Write .csv (also .csv.gz) or .parquet by the name; the file appears whole or not at all."""
        kind = tabular_files.kind_of(Path(path))
        if kind is None:
            raise ConfigError(f"'{path}': end the name with .csv or .parquet")
        return self.to_parquet(path) if kind == "parquet" else self.to_csv(path)

    def to_csv(self, path: str | Path) -> Path:
        """UTF-8 CSV with a header; dates in the declared format."""
        texts = pd.DataFrame({c.name: c.text(series_of(self.frame, c.name)) for c in self.domain})
        tokens = self.domain.missing_values
        empty = "" if "" in tokens or not tokens else tokens[0]
        compression: Any = "gzip" if str(path).endswith(".gz") else None
        return tabular_files.write_whole(
            path, lambda aside: texts.to_csv(aside, index=False, na_rep=empty, compression=compression)
        )

    def to_parquet(self, path: str | Path) -> Path:
        """Parquet, zstd-compressed."""
        return tabular_files.write_whole(
            path, lambda aside: self.frame.to_parquet(aside, index=False, compression="zstd")
        )

    def head(self, rows: int) -> Table:
        """The first rows."""
        return self._take(np.arange(min(rows, len(self))))

    def subset(self, rows: int, seed: int = 0) -> Table:
        """At most so many rows, chosen evenly by the seed, in their old order. The guarantee then speaks
        of these rows.
        """
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
            raise ConfigError(f"the number of rows to keep must be a positive whole number, got {rows!r}")
        chosen = np.random.default_rng(seed).permutation(len(self))[:rows]
        return self._take(np.sort(chosen))

    def split(self, holdout: float, seed: int = 0) -> tuple[Table, Table]:
        """(train, holdout). Every row, or every person, goes to the holdout by a draw of its own.

        Independent draws keep the guarantee whole: one more row in the file never moves another row across.
        """
        if isinstance(holdout, bool) or not 0 < holdout < 1:
            raise ConfigError(f"holdout must be a share between 0 and 1, got {holdout!r}")
        owner = np.arange(len(self)) if self.people is None else self.people
        draws = np.random.default_rng(seed).random(int(owner.max(initial=-1)) + 1)
        held = draws[owner] < holdout
        return self._take(np.flatnonzero(~held)), self._take(np.flatnonzero(held))

    def bound_contributions(self, person: str, max_rows: int, generator: np.random.Generator) -> Table:
        """At most `max_rows` random rows of each person; rows that name no person are dropped.

        Must come before anything else that looks at the rows: the guarantee counts this many rows for each
        person.
        """
        if isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 1:
            raise ConfigError(f"max_rows_per_person must be a positive whole number, got {max_rows!r}")
        if person == self.person and self.people is not None:
            owner = self.people
        elif person in self.domain:
            owner = _identify(series_of(self.frame, person), self.domain.missing_values)
        else:
            raise ConfigError(f"no person column '{person}' in the table; read it with person='{person}'")
        order = np.lexsort((generator.random(len(self)), owner))
        sorted_owner = owner[order]
        starts = np.flatnonzero(np.r_[True, sorted_owner[1:] != sorted_owner[:-1]]) if len(order) else order
        rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
        kept = np.sort(order[(rank < max_rows) & (sorted_owner >= 0)])
        bounded = self._take(kept)
        bounded.person, bounded.people = person, owner[kept]
        if (owner < 0).any():
            bounded.invalid[person] = int((owner < 0).sum())
        return bounded

    def redeclare(self, domain: Domain, invalid: Policies = "clamp") -> Table:
        """The same rows under another domain of the same columns, for example once its bounds were bought."""
        table = Table(self.frame, domain, invalid)
        table.person, table.people = self.person, self.people
        return table

    def _take(self, rows: np.ndarray) -> Table:
        table = object.__new__(Table)
        table.domain, table.invalid = self.domain, dict(self.invalid)
        table.frame = self.frame.iloc[rows].reset_index(drop=True)
        table.person = self.person
        table.people = None if self.people is None else self.people[rows]
        return table


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


def _identify(series: pd.Series, missing_values: Iterable[str]) -> np.ndarray:
    """(n,) int64 number of each row's person; -1 where the row names none."""
    parsed, _ = Category(str(series.name)).parse(series.reset_index(drop=True), "clamp", missing_values)
    return np.asarray(pd.factorize(parsed)[0], dtype=np.int64)


def _refuse_empty(series: pd.Series, column: Column, missing_values: Iterable[str]) -> None:
    if column.missing:
        return
    tokens = {token.casefold() for token in missing_values}
    for value in series.dropna().drop_duplicates().head(len(tokens) + 8):
        if not isinstance(value, str) or value.strip().casefold() not in tokens:
            return
    raise DataError(f"column '{column.name}' has no values at all; allow 'missing: true' in the schema, or drop it")
