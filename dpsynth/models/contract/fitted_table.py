"""Fitted models of tables: conditions, constraints between columns, and whole sets of rows from posterior draws.

A fitted model of a table: conditions, constraints between columns, and rows that keep both.

A fitted table model that holds a posterior, and can show it: whole sets of rows from posterior draws.

`sample` makes one table that is as good as it can be. `sets` makes several, each from a posterior draw of its own,
which carry what is not known about the distribution from set to set: what Rubin's rules need
(`dpsynth.inference.combine`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from dpsynth.data.columns import Category, Column, NumericColumn
from dpsynth.data.table.constraints import repair, satisfied
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import Fitted, Generators

LEGAL_ROUNDS = 20


class FittedTable(Fitted[Table]):
    """A model whose samples are rows of a table; a method adds `_draw`."""

    domain: Domain

    @abstractmethod
    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        """n rows inside the domain that meet the conditions `where`, canonical and legal values by column.

        It may meet them up to the bin: the exact values are written afterwards. Cross-column constraints are not its
        business either. Raises `ConfigError` when a condition is too rare for it.
        """

    def _sample(self, n: int, generators: Generators, where: Mapping[str, Any]) -> Table:
        given = self._legal(where)
        return self._table(self._within_constraints(self._draw(n, generators, given), generators, given), generators)

    def _table(self, frame: pd.DataFrame, generators: Generators) -> Table:
        """The rows as a table whose identifiers follow from the seed of the sample."""
        table = Table(frame, self.domain)
        table.identifier_seed = int.from_bytes(generators.numpy.bytes(16), "big")
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
            frame = pd.concat([frame.loc[legal], fresh], ignore_index=True)
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
        if isinstance(m, bool) or not isinstance(m, int) or m < 1:
            raise ConfigError(f"sets={m!r}: the number of sets must be a whole number, 1 or more")
        if n is None or isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise ConfigError(f"n={n!r}: the number of rows must be a whole number, 0 or more")
        generators, given = Generators.seeded(seed), self._legal(where or {})
        return [self._set(k, n, generators, given) for k in range(m)]

    def _set(self, k: int, n: int, generators: Generators, given: Mapping[str, Any]) -> Table:
        """n rows from posterior draw k, those that have to be drawn again for a constraint included."""
        points = self._posterior_draws([k], generators)

        def draw(count: int) -> pd.DataFrame:
            return self._draw_from(points, [count], generators, given)

        return self._table(self._within_constraints(draw(n), generators, given, draw), generators)
