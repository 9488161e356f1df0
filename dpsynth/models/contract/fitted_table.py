"""Fitted models of tables: conditions, constraints between columns, and whole sets of rows from posterior draws.

`sample` makes one table that is as good as it can be. `sets` makes several, each from a posterior draw of its own,
which carry what is not known about the distribution from set to set: what Rubin's rules need
(`dpsynth.inference.combine`).
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.data.columns import Category, Column, NumericColumn
from dpsynth.data.table.constraints import repair, satisfied
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.frames import to_pandas
from dpsynth.data.table.table import Table
from dpsynth.data.table.written_rows import write_rows
from dpsynth.errors import ConfigError
from dpsynth.models.contract.conditions import Open, split
from dpsynth.models.contract.fitted import Fitted, Generators, is_count

LEGAL_ROUNDS = 20
MOST_ROWS, FEWEST_ROWS = 2**18, 2**14  # of a block
CELLS = 2**24  # of a block, about
MOST_DRAWN = 200_000  # rows that are drawn for sets and ranges before a condition is called too rare
AT_ONCE = 50_000
Progress = Callable[[int, int, int], object]


class FittedTable(Fitted[Table]):
    """A model whose samples are rows of a table; a method adds `_draw`."""

    domain: Domain

    @abstractmethod
    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        """n rows inside the domain that meet the conditions `where`, canonical and legal values by column.

        It may meet them up to the bin: the exact values are written afterwards. Cross-column constraints are not its
        business either. Raises `ConfigError` when a condition is too rare for it.
        """

    @property
    def block_rows(self) -> int:
        """Rows that are drawn at a time: 262,144, fewer of tables with more than 64 columns."""
        return min(MOST_ROWS, max(FEWEST_ROWS, CELLS // len(self.domain.columns)))

    def sample(
        self,
        n: int | None = None,
        seed: int | None = None,
        where: Mapping[str, Any] | None = None,
        *,
        given: Any = None,
        progress: Progress | None = None,
    ) -> Table:
        """n synthetic rows, all inside the domain; `rows` of them when n is not given.

        Args:
            n: Number of rows.
            seed: The same seed gives the same rows; None gives fresh ones.
            where: Conditions by column: a value, a set, a range, or a bound such as ">50"; see `conditions.py`.
            given: A frame of partial rows (pandas, polars, ...) with some of the columns: each is completed, in order;
                a missing value leaves its column open. n is then their number.
            progress: Called with (rows found, rows wanted, rows drawn) while sets and ranges are met.

        Raises:
            ConfigError: An unknown column, a value outside the domain, or a condition so rare that it was met too
                seldom in `MOST_DRAWN` rows, or 200 for every row asked for.
        """
        if given is None:
            return self._sample(self.checked_rows(n, seed), seed, where or {}, progress)
        if n is not None:
            raise ConfigError("given= names the rows to complete, so n= is not needed")
        self.checked_rows(0, seed)
        entropy: Any = np.random.SeedSequence(seed).entropy  # fresh where there is no seed
        frame = self._completed(to_pandas(given), Generators.seeded(entropy), where or {}, progress)
        return self._table(frame, entropy)

    def _sample(self, n: int, seed: int | None, where: Mapping[str, Any], progress: Progress | None = None) -> Table:
        first, *others = self.blocks(n, seed, where, progress)
        if not others:
            return first
        frame = pd.concat([first.frame, *(block.frame for block in others)], ignore_index=True)
        whole = Table(frame, self.domain)
        whole.synthetic, whole.identifier_seed = True, first.identifier_seed
        return whole

    def blocks(
        self,
        n: int | None = None,
        seed: int | None = None,
        where: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Table]:
        """The rows of `sample` in blocks of `block_rows`, at least one, so that any number of rows can be written.

        Each block is drawn for itself, with generators that follow from the seed and its number. Arguments and
        errors are those of `sample`; all but a condition that is too rare are raised at once.
        """
        n, conditions = self.checked_rows(n, seed), self._conditions(where or {})
        entropy: Any = np.random.SeedSequence(seed).entropy  # fresh where there is no seed
        return (
            self._table(
                self._rows_under(
                    min(self.block_rows, n - start), Generators.seeded(entropy, number), conditions, progress
                ),
                entropy,
            )
            for number, start in enumerate(range(0, max(n, 1), self.block_rows))
        )

    def write(
        self,
        path: str | Path,
        n: int | None = None,
        seed: int | None = None,
        where: Mapping[str, Any] | None = None,
        escape: bool = False,
        progress: Progress | None = None,
    ) -> Path:
        """Write the rows of `sample` as `Table.write` does, a block at a time."""
        blocks = self.blocks(n, seed, where, progress)
        first = next(blocks)
        frames = (block.frame for block in chain([first], blocks))
        return write_rows(path, frames, self.domain, escape, first.identifier_seed)

    def _conditions(self, where: Mapping[str, Any]) -> tuple[dict[str, Any], Sequence[Open]]:
        """Single values, checked, and the sets and ranges that drawn rows are tried against."""
        single, several = split(self.domain, where)
        return self._legal(single), several

    def _rows_under(
        self,
        n: int,
        generators: Generators,
        conditions: tuple[dict[str, Any], Sequence[Open]],
        progress: Progress | None,
    ) -> pd.DataFrame:
        """n rows that meet the conditions."""
        given, several = conditions

        def draw(count: int) -> pd.DataFrame:
            return self._within_constraints(self._draw(count, generators, given), generators, given)

        if not several:
            return draw(n)
        kept: list[pd.DataFrame] = []
        have, drawn, most = 0, 0, max(MOST_DRAWN, 200 * n)
        while have < n or not kept:
            share = max(have, 1) / drawn if drawn else 0.5
            count = int(min(max((n - have) / share * 1.1, 1_000), AT_ONCE, most - drawn)) if n else 0
            if n and count < 1:
                raise ConfigError(
                    f"where: only {have:,} of {drawn:,} rows drawn met the conditions, too few for {n:,}; ask for "
                    "fewer rows, or for less"
                )
            frame = draw(count)
            met: NDArray[np.bool_] = np.ones(len(frame), dtype=bool)
            for condition in several:
                met &= condition.holds(frame)
            kept.append(cast(pd.DataFrame, frame.loc[met]))
            have, drawn = have + int(np.count_nonzero(met)), drawn + count
            if progress is not None:
                progress(min(have, n), n, drawn)
        return pd.concat(kept, ignore_index=True).head(n)

    def _completed(
        self, partial: pd.DataFrame, generators: Generators, where: Mapping[str, Any], progress: Progress | None
    ) -> pd.DataFrame:
        """A row for each of `partial`, equal to it where that has a value."""
        if unknown := [name for name in partial.columns if name not in self.domain.names]:
            raise ConfigError(f"given: no column {unknown[0]!r}; the columns are {', '.join(self.domain.names)}")
        if twice := [name for name in partial.columns if name in where]:
            raise ConfigError(f"column {twice[0]!r}: stands in where and in given; say it once")
        rows = [
            tuple((name, value) for name, value in zip(partial.columns, row, strict=True) if not _open_value(value))
            for row in partial.itertuples(index=False, name=None)
        ]
        groups: dict[tuple[tuple[str, Any], ...], list[int]] = {}
        for place, row in enumerate(rows):
            groups.setdefault(row, []).append(place)
        parts, places = [self._rows_under(0, generators, self._conditions(where), None)], list[int]()
        for row, group in groups.items():
            parts.append(self._rows_under(len(group), generators, self._conditions({**where, **dict(row)}), None))
            places += group
            if progress is not None:
                progress(len(places), len(rows), len(places))
        frame = pd.concat(parts[1:] or parts, ignore_index=True)
        return cast(pd.DataFrame, frame.iloc[np.argsort(places, kind="stable")].reset_index(drop=True))

    def _table(self, frame: pd.DataFrame, entropy: Any) -> Table:
        """The rows as a table whose identifiers follow from the seed of the sample."""
        table = Table(frame, self.domain)
        words = np.random.SeedSequence(entropy, spawn_key=(3,)).generate_state(4)
        table.synthetic, table.identifier_seed = True, int.from_bytes(words.tobytes(), "big")
        return table

    def _legal(self, where: Mapping[str, Any]) -> dict[str, Any]:
        """The conditions as canonical values of their columns."""
        given: dict[str, Any] = {}
        for name, value in where.items():
            if name not in self.domain.names:
                raise ConfigError(f"where: no column {name!r}; the columns are {', '.join(self.domain.names)}")
            column = self.domain[name]
            reading = column.read(pd.Series([value], dtype=object), self.domain.missing_values)
            if reading.invalid[0]:
                raise ConfigError(f"where: {value!r} is outside the domain of column {name!r} ({_range(column)})")
            given[name] = None if reading.missing[0] else column.write(*reading[:2]).iloc[0]
        return given

    def _within_constraints(
        self,
        frame: pd.DataFrame,
        generators: Generators,
        given: Mapping[str, Any],
        draw: Callable[[int], pd.DataFrame] | None = None,
    ) -> pd.DataFrame:
        """The rows with their conditions met to the value: those that keep the constraints, more draws for the others,
        and repair for what is left after that.

        draw: gives so many more rows, by default `_draw`. Conditions win over repair: raises `ConfigError` when they
        and the constraints cannot hold together.
        """
        constraints = self.domain.constraints
        frame = self._exact(frame, given)
        for _ in range(LEGAL_ROUNDS):
            legal = satisfied(frame, constraints)
            if legal.all():
                return frame
            wanted = int((~legal).sum())
            fresh = self._exact(draw(wanted) if draw else self._draw(wanted, generators, given), given)
            frame = pd.concat([cast(pd.DataFrame, frame.loc[legal]), fresh], ignore_index=True)
        repaired = repair(frame, constraints)
        if given:
            repaired = repaired.assign(**{name: frame[name] for name in given})
            if not satisfied(repaired, constraints).all():
                rules = ", ".join(str(rule) for rule in constraints)
                raise ConfigError(f"where: no rows found that keep the conditions and the constraints ({rules})")
        return repaired

    def _exact(self, frame: pd.DataFrame, given: Mapping[str, Any]) -> pd.DataFrame:
        """The rows with each column of `given` set to its value."""
        n = len(frame)
        same = {name: self.domain[name].parse(pd.Series([value] * n, dtype=object))[0] for name, value in given.items()}
        return frame.assign(**same)


def _open_value(value: Any) -> bool:
    """Whether a cell of a partial row says nothing."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def _range(column: Column) -> str:
    """The legal values of a column in a few words."""
    if isinstance(column, Category):
        listed = ", ".join(column.values[:12])
        return listed + (", ..." if len(column.values) > 12 else "")
    if isinstance(column, NumericColumn):
        return f"{column.low} to {column.high}"
    return column.kind


# -------------------- Fitted posterior ------------------------------------------------------


class FittedPosterior(FittedTable):
    """A method adds `_posterior_draws` and `_draw_from` to what `FittedTable` asks for."""

    @abstractmethod
    def _posterior_draws(self, numbers: Sequence[int], generators: Generators) -> Any:
        """Posterior draws, one for each of `numbers`: fresh ones, or those of a list that is kept."""

    @abstractmethod
    def _draw_from(
        self, draws: Any, rows: Sequence[int], generators: Generators, where: Mapping[str, Any]
    ) -> pd.DataFrame:
        """rows[l] records from the l-th of `draws`, in order."""

    def sets(
        self, m: int, n: int | None = None, seed: int | None = None, where: Mapping[str, Any] | None = None
    ) -> list[Table]:
        """m synthetic tables of n rows, each from a posterior draw of its own, for analyses that are combined.

        n, seed, where: as in `sample`. The privacy cost is that of the model, however many sets are drawn.
        """
        n = self.rows if n is None else n
        if not is_count(m) or m < 1:
            raise ConfigError(f"sets={m!r}: the number of sets must be a whole number, 1 or more")
        if n is None or not is_count(n):
            raise ConfigError(f"n={n!r}: the number of rows must be a whole number, 0 or more")
        generators, given = Generators.seeded(seed), self._legal(where or {})
        return [self._set(k, n, generators, given) for k in range(m)]

    def _set(self, k: int, n: int, generators: Generators, given: Mapping[str, Any]) -> Table:
        """n rows from posterior draw k, those that have to be drawn again for a constraint included."""
        points = self._posterior_draws([k], generators)

        def draw(count: int) -> pd.DataFrame:
            return self._draw_from(points, [count], generators, given)

        return self._table(
            self._within_constraints(draw(n), generators, given, draw), int(generators.numpy.integers(2**63))
        )
