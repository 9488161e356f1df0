"""A fitted model of a table: conditions, constraints between columns, and rows that keep both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from dpsynth.data.columns import Category, Column, Quantity
from dpsynth.data.constraints import repair, satisfied
from dpsynth.data.domain import Domain
from dpsynth.data.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.fitted import Fitted, Generators

LAWFUL_ROUNDS = 20


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
        return Table(self._lawful(self._draw(n, generators, given), generators, given), self.domain)

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

    def _lawful(
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
        for _ in range(LAWFUL_ROUNDS):
            lawful = satisfied(frame, constraints)
            if lawful.all():
                return frame
            wanted = int((~lawful).sum())
            fresh = self._exact(draw(wanted) if draw else self._draw(wanted, generators, given), given)
            frame = pd.concat([frame.loc[lawful], fresh], ignore_index=True)
        mended = repair(frame, constraints)
        if given:
            mended = mended.assign(**{name: frame[name] for name in given})
            if not satisfied(mended, constraints).all():
                rules = ", ".join(str(rule) for rule in constraints)
                raise ConfigError(f"where: no rows found that keep the conditions and the constraints ({rules})")
        return mended

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
    if isinstance(column, Quantity):
        return f"{column.low} to {column.high}"
    return column.kind
