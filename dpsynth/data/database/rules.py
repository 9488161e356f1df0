"""Constraints that reach beyond a row: `date >= patients.birth`, and `next.start >= end` for the row that follows.

A rule compares a column of a table with a column of a table above it (named `table.column`), or a column of the next
row of the same parent (named `next.column`) with one of this row. Rows are made from the top down and one after the
other, so a broken rule is kept by moving the value that is made later: that of the row itself, or of the next one. Such
a value must exist whatever the other side is, which is checked when the rule is declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category, Column, NumericColumn
from dpsynth.data.columns.raw import series_of
from dpsynth.data.table.constraints import Constraint
from dpsynth.data.table.domain import Domain
from dpsynth.errors import SchemaError

NEXT = "next."


@dataclass(frozen=True)
class LinkedRule:
    """A constraint between rows.

    Attributes:
        constraint: Over columns that are named as in the rule, `next.start` or `patients.birth` among them.
        moved: The name in the rule of the column that is moved where the rule is broken.
        reach: Whether the other row is one above, or the next.
    """

    constraint: Constraint
    moved: str
    reach: Literal["above", "next"]

    def __str__(self) -> str:
        return str(self.constraint)

    @property
    def own(self) -> str:
        """The name in its table of the column that is moved."""
        return self.moved.removeprefix(NEXT) if self.reach == "next" else self.moved

    @property
    def above(self) -> str:
        """The name of the table above that the rule speaks of; empty for a rule between successive rows."""
        (other,) = self.constraint.names - {self.moved}
        return other.partition(".")[0] if self.reach == "above" else ""

    @classmethod
    def parse(cls, text: str, table: str, own: Domain, above: Mapping[str, Domain]) -> LinkedRule | None:
        """The rule of a table, or None when it speaks of columns of one row only.

        above: the domains of the tables above it, by name. Raises `SchemaError` for a rule that cannot be checked, or
        that no value could keep.
        """
        named = [column.replace(name=f"{name}.{column.name}") for name, d in above.items() for column in d]
        after = [column.replace(name=NEXT + column.name) for column in own]
        constraint = Constraint.parse(text, [*own, *after, *named])
        names = constraint.names
        following = sorted(names & {column.name for column in after} - set(own.names))
        higher = sorted(names & {column.name for column in named} - set(own.names))
        if not following and not higher:
            return None
        mine = sorted(names & set(own.names))
        if len(following) + len(higher) != 1 or len(mine) != 1:
            raise SchemaError(
                f"table '{table}', constraint '{text}': compare one column of '{table}' with one of a table above it "
                "(table.column) or of the next row (next.column)"
            )
        rule = cls(constraint, following[0], "next") if following else cls(constraint, mine[0], "above")
        rule._check(table)
        return rule

    def satisfied(self, rows: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
        """(n,) bool. others: for every row the one above it, or the one after it, with columns as in their tables."""
        return self.constraint.satisfied(self._joined(rows, others))

    def adjusted(self, rows: pd.DataFrame, others: pd.DataFrame) -> pd.Series:
        """The column `own` of `rows` (above) or of `others` (next), moved to the nearest value that keeps the rule."""
        return self.constraint.adjusted(self._joined(rows, others), self.moved).rename(self.own)

    def _joined(self, rows: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
        """One frame with the two columns of the rule, named as in it."""
        found: dict[str, pd.Series] = {}
        for name in self.constraint.names:
            other = name.partition(".")[2]
            series = series_of(rows, name) if name in rows.columns else series_of(others, other)
            found[name] = series.reset_index(drop=True)
        return pd.DataFrame(found)

    def _check(self, table: str) -> None:
        """`SchemaError` unless some value keeps the rule, whatever the other side is."""
        left, right = self.constraint.left, self.constraint.right
        assert isinstance(left, Column)
        assert isinstance(right, Column)
        moved, fixed = (left, right) if left.name == self.moved else (right, left)
        if isinstance(fixed, NumericColumn):
            values = np.array([fixed.start, fixed.stop])
        else:
            assert isinstance(fixed, Category)
            values = np.arange(len(fixed.values))
        none = np.zeros(len(values), dtype=bool)
        start = np.full(len(values), moved.start) if isinstance(moved, NumericColumn) else np.zeros(len(values), int)
        frame = pd.DataFrame({fixed.name: fixed.write(values, none), moved.name: moved.write(start, none)})
        frame[moved.name] = self.constraint.adjusted(frame, moved.name)
        if not self.constraint.satisfied(frame).all():
            raise SchemaError(
                f"table '{table}', constraint '{self}': no value of '{moved.name}' keeps it for every value of "
                f"'{fixed.name}'; widen the bounds of '{moved.name}' or narrow those of '{fixed.name}'"
            )
