"""Rules between columns: `start <= end`, `loss < 4500`, `home != work`, `education == "Doctorate"`, and their repair.

The legal values of one side of a rule, and the nearest of them above and below a value; for repairs.

A rule is public, compares two columns or a column and a constant, and can be checked row by row. A rule
with a missing value on either side is kept. `repair` needs no data besides the rows it repairs, so repairing
synthetic rows costs no privacy.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd

from dpsynth.data.columns import Boolean, Category, Column, Date, Datetime, NumericColumn
from dpsynth.data.columns.raw import series_of
from dpsynth.data.table.schema import READERS
from dpsynth.errors import SchemaError


class AxisValues:
    """The legal values of a declared numeric column."""

    def __init__(self, column: NumericColumn):
        self.column, self.low, self.high = column, column.start, column.stop
        self.size = float("inf") if column.step is None else float(column.count)

    def contains(self, values: np.ndarray) -> np.ndarray:
        return self.column.contains(values)

    def values(self, low: float, high: float) -> np.ndarray:
        """The first legal values from low to high: enough to find one that another lattice shares."""
        if self.column.step is None:
            return np.array([low] if low <= high else [])
        start = int(self.column.tick(np.clip(self.at_least(np.array([low])), self.low, self.high))[0])
        ticks = np.arange(start, min(start + 100_000, self.column.count))
        values = self.column.value(ticks)
        return values[(values >= low) & (values <= high)]

    def at_least(self, values: np.ndarray) -> np.ndarray:
        near = self._near(values)
        return np.where(near >= values, near, self._shift(near, 1))

    def at_most(self, values: np.ndarray) -> np.ndarray:
        near = self._near(values)
        return np.where(near <= values, near, self._shift(near, -1))

    def above(self, values: np.ndarray) -> np.ndarray:
        near = self._near(values)
        return np.where(near > values, near, self._shift(near, 1))

    def below(self, values: np.ndarray) -> np.ndarray:
        near = self._near(values)
        return np.where(near < values, near, self._shift(near, -1))

    def _near(self, values: np.ndarray) -> np.ndarray:
        return np.clip(self.column.snap(np.clip(values, self.low, self.high)), self.low, self.high)

    def _shift(self, values: np.ndarray, by: int) -> np.ndarray:
        if self.column.step is None:
            return np.clip(np.nextafter(values, by * np.inf), self.low, self.high)
        return self.column.value(np.clip(self.column.tick(values) + by, 0, self.column.count - 1))


class ListedValues:
    """A few legal values, ascending: categories on the common axis, or one constant."""

    def __init__(self, values: np.ndarray):
        self.listed, self.low, self.high, self.size = (
            values,
            float(values[0]),
            float(values[-1]),
            float(len(values)),
        )

    def contains(self, values: np.ndarray) -> np.ndarray:
        return np.isin(values, self.listed)

    def values(self, low: float, high: float) -> np.ndarray:
        return self.listed[(self.listed >= low) & (self.listed <= high)]

    def at_least(self, values: np.ndarray) -> np.ndarray:
        return self._pick(np.searchsorted(self.listed, values, side="left"))

    def at_most(self, values: np.ndarray) -> np.ndarray:
        return self._pick(np.searchsorted(self.listed, values, side="right") - 1)

    def above(self, values: np.ndarray) -> np.ndarray:
        return self._pick(np.searchsorted(self.listed, values, side="right"))

    def below(self, values: np.ndarray) -> np.ndarray:
        return self._pick(np.searchsorted(self.listed, values, side="left") - 1)

    def _pick(self, positions: np.ndarray) -> np.ndarray:
        return self.listed[np.clip(positions, 0, len(self.listed) - 1)]


LegalValues = AxisValues | ListedValues


# -------------------- Constraints -----------------------------------------------------------

_OPERATOR = re.compile(r"<=|>=|==|!=|<|>")
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
_TRIED = 64  # made-up rows from which one is sought that keeps all rules
_MIRRORED = {">=": "<=", ">": "<"}


@dataclass(frozen=True)
class Constraint:
    """`left op right`; each side is a column or a constant in the text form of the other side's column."""

    text: str
    left: Column | str
    op: str
    right: Column | str

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, rule: Constraint | str, columns: Sequence[Column]) -> Constraint:
        """Read a rule against the columns of a domain; `SchemaError` when it cannot be checked or kept."""
        text = str(rule).strip()
        named = {column.name: column for column in columns}
        unknown = ""
        for found in _OPERATOR.finditer(text):
            sides = [_unquote(text[: found.start()]), _unquote(text[found.end() :])]
            left, right = (named.get(side, side) for side in sides)
            if isinstance(left, str) and isinstance(right, str):
                unknown = unknown or f"neither '{left}' nor '{right}' is a column"
                continue
            op = found.group()
            if op in _MIRRORED:
                left, op, right = right, _MIRRORED[op], left
            constraint = cls(text, left, op, right)
            constraint._check()
            return constraint
        raise SchemaError(f"constraint '{text}': {unknown or 'write it as a <= b, a < b, a == b or a != b'}")

    @property
    def names(self) -> frozenset[str]:
        """Names of the columns the rule speaks of."""
        return frozenset(side.name for side in (self.left, self.right) if isinstance(side, Column))

    def satisfied(self, frame: pd.DataFrame) -> np.ndarray:
        """(n,) bool."""
        left, left_missing = self._values(self.left, frame)
        right, right_missing = self._values(self.right, frame)
        return _COMPARE[self.op](left, right) | left_missing | right_missing

    def repair(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Repair the rows that break this rule by a small legal change, at worst by a fixed pair."""
        bad = ~self.satisfied(frame)
        if not bad.any():
            return frame
        broken = cast(pd.DataFrame, frame[bad])
        (left, _), (right, _) = self._values(self.left, broken), self._values(self.right, broken)
        new_left, new_right, open_ = left.copy(), right.copy(), np.ones(len(left), dtype=bool)
        for try_left, try_right in self._candidates(left, right):
            legal = self._left_side.contains(try_left) & self._right_side.contains(try_right)
            take = open_ & legal & _COMPARE[self.op](try_left, try_right)
            new_left, new_right = np.where(take, try_left, new_left), np.where(take, try_right, new_right)
            open_ &= ~take
        frame = frame.copy()
        for side, values in ((self.left, new_left), (self.right, new_right)):
            if isinstance(side, Column):
                reading = side.read(series_of(frame, side.name))
                reading.values[bad] = self._to_column(side, values)
                frame[side.name] = side.write(reading.values, reading.missing).set_axis(frame.index)
        return frame

    def adjusted(self, frame: pd.DataFrame, name: str) -> pd.Series:
        """The column `name` of the frame, moved to the nearest value that keeps the rule where it is broken.

        Unlike `repair` it leaves the other side as it is. Rows that no legal value can bring to keep it stay.
        """
        left_moves = isinstance(self.left, Column) and self.left.name == name
        side, legal = (self.left, self._left_side) if left_moves else (self.right, self._right_side)
        assert isinstance(side, Column)
        bad = ~self.satisfied(frame)
        (left, _), (right, _) = self._values(self.left, frame), self._values(self.right, frame)
        own, fixed = (left, right) if left_moves else (right, left)
        tries = {
            "<=": [legal.at_most if left_moves else legal.at_least],
            "<": [legal.below if left_moves else legal.above],
            "==": [lambda values: values],
            "!=": [legal.above, legal.below],
        }[self.op]
        moved = own.copy()
        for nearest in tries:
            found = nearest(fixed)
            pair = (found, right) if left_moves else (left, found)
            take = bad & legal.contains(found) & _COMPARE[self.op](*pair)
            moved, bad = np.where(take, found, moved), bad & ~take
        reading = side.read(series_of(frame, name))
        values = np.where(reading.missing, reading.values, self._to_column(side, moved))
        return side.write(values.astype(reading.values.dtype), reading.missing).set_axis(frame.index)

    def _candidates(self, a: np.ndarray, b: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Pairs to try in turn, from the smallest change to one that is always legal when any pair is."""
        left, right = self._left_side, self._right_side
        last = (np.full_like(a, self._example[0]), np.full_like(b, self._example[1]))
        if self.op == "<=":
            return [(b, a), (a, right.at_least(a)), (left.at_most(b), b), last]
        if self.op == "<":
            return [(b, a), (a, right.above(a)), (left.below(b), b), last]
        if self.op == "==":
            return [(a, a), (b, b), last]
        return [(a, right.above(b)), (a, right.below(b)), (left.above(a), b), (left.below(a), b), last]

    def _check(self) -> None:
        for column in (self.left, self.right):
            if isinstance(column, Category) and column.undeclared:
                raise SchemaError(f"constraint '{self}': list the categories of '{column.name}', they are private")
        for one, other in ((self.left, self.right), (self.right, self.left)):
            if isinstance(one, Column) and not self._comparable(one, other):
                what = f"'{other.name}' ({other.kind})" if isinstance(other, Column) else f"'{other}'"
                raise SchemaError(f"constraint '{self}': '{one.name}' ({one.kind}) has no {self.op} with {what}")
        if not any(isinstance(side, Column) and side.undeclared for side in (self.left, self.right)):
            _ = self._example

    def _comparable(self, one: Column, other: Column | str) -> bool:
        if isinstance(other, str):
            self._constant(other, one)
            return isinstance(one, NumericColumn) or one_ordered(one) or self.op in ("==", "!=")
        if isinstance(one, NumericColumn):
            instants = isinstance(one, (Date, Datetime)), isinstance(other, (Date, Datetime))
            return isinstance(other, NumericColumn) and instants[0] == instants[1]
        if isinstance(one, Boolean) or isinstance(other, Boolean):
            return one.kind == other.kind and self.op in ("==", "!=")
        if not (isinstance(one, Category) and isinstance(other, Category)):
            return False
        same_order = one.ordered and other.ordered and one.values == other.values
        return self.op in ("==", "!=") or same_order

    def _constant(self, text: str, column: Column) -> float:
        """A constant on the value axis of the column it is compared with."""
        if isinstance(column, NumericColumn):
            return column.axis(READERS[column.kind](text, f"constraint '{self}'"))
        assert isinstance(column, Category)
        reading = column.read(pd.Series([text], dtype=object), ())
        if reading.invalid[0] or reading.missing[0]:
            raise SchemaError(f"constraint '{self}': '{text}' is no category of '{column.name}', nor a column")
        return float(reading.values[0])

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        """The common axis of two categories: all their values, once."""
        lists = (side.values for side in (self.left, self.right) if isinstance(side, Category))
        return tuple(dict.fromkeys(value for values in lists for value in values))

    def _values(self, side: Column | str, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """((n,) float64 on the common axis, (n,) bool missing)."""
        if isinstance(side, str):
            column = self.right if side is self.left else self.left
            assert isinstance(column, Column)
            return np.full(len(frame), self._constant(side, column)), np.zeros(len(frame), dtype=bool)
        reading = side.read(series_of(frame, side.name))
        if not isinstance(side, Category):
            return reading.values, reading.missing
        table = np.array([self._texts.index(value) for value in side.values], dtype=np.float64)
        return table[reading.values], reading.missing

    def _to_column(self, side: Column, values: np.ndarray) -> np.ndarray:
        if not isinstance(side, Category):
            return values
        return np.array([side.values.index(self._texts[int(value)]) for value in values], dtype=np.int64)

    def _side(self, side: Column | str, other: Column | str) -> LegalValues:
        if isinstance(side, NumericColumn):
            return AxisValues(side)
        if isinstance(side, Category):
            return ListedValues(np.array(sorted(self._texts.index(value) for value in side.values), dtype=np.float64))
        assert isinstance(side, str)
        assert isinstance(other, Column)
        return ListedValues(np.array([self._constant(side, other)]))

    @cached_property
    def _left_side(self) -> LegalValues:
        return self._side(self.left, self.right)

    @cached_property
    def _right_side(self) -> LegalValues:
        return self._side(self.right, self.left)

    @cached_property
    def _example(self) -> tuple[float, float]:
        """A fixed legal pair that keeps the rule; `SchemaError` when the domain has none."""
        left, right = self._left_side, self._right_side
        if self.op == "==":
            first, second = (left, right) if left.size <= right.size else (right, left)
            shared = first.values(max(left.low, right.low), min(left.high, right.high))
            pairs = [(value, value) for value in shared[second.contains(shared)][:1]]
        else:
            pairs = [(left.low, right.high), (left.high, right.low)]
        for a, b in pairs:
            if _COMPARE[self.op](a, b):
                return float(a), float(b)
        raise SchemaError(f"constraint '{self}': no values in the declared domain can keep it")


def one_ordered(column: Column) -> bool:
    """True for a category whose order has a meaning."""
    return isinstance(column, Category) and column.ordered


def satisfied(frame: pd.DataFrame, constraints: Iterable[Constraint]) -> np.ndarray:
    """(n,) bool: rows that keep every constraint."""
    result = np.ones(len(frame), dtype=bool)
    for constraint in constraints:
        result &= constraint.satisfied(frame)
    return result


def repair(frame: pd.DataFrame, constraints: Sequence[Constraint]) -> pd.DataFrame:
    """Rows that keep every rule: each rule is repaired in turn by a small legal change.

    Where that does not settle within some rounds, because several rules pull at the same columns, the constrained
    columns of the row take the values of a fixed legal row that keeps all rules.
    """
    for _ in range(2 * len(constraints) + 1):
        if satisfied(frame, constraints).all():
            return frame
        for constraint in constraints:
            frame = constraint.repair(frame)
    bad = ~satisfied(frame, constraints)
    fixed = _witness(tuple(constraints))
    if not bad.any() or fixed is None:
        return frame
    frame = frame.copy()
    for name, values in fixed.items():
        column = pd.Series(frame[name])
        column[bad] = values.iloc[0]
        frame[name] = column
    return frame


def check_together(constraints: Sequence[Constraint]) -> None:
    """`SchemaError` when no row of the declared domain keeps all the rules, as far as trying can tell."""
    if len(constraints) < 2 or any(column.undeclared for rule in constraints for column in _columns_of(rule)):
        return
    if _witness(tuple(constraints)) is None:
        listed = " and ".join(f"'{constraint}'" for constraint in constraints)
        raise SchemaError(f"constraints {listed} cannot all hold in the declared domain; drop or repair one")


@functools.lru_cache(maxsize=64)
def _witness(constraints: tuple[Constraint, ...]) -> dict[str, pd.Series] | None:
    """Values of the constrained columns with which every rule holds, found by repairing made-up rows; None if none
    is."""
    columns = {column.name: column for rule in constraints for column in _columns_of(rule)}
    draw = np.random.default_rng(0)
    made = {}
    for name, column in columns.items():
        if isinstance(column, Category):
            values = draw.integers(len(column.values), size=_TRIED)
        else:
            assert isinstance(column, NumericColumn)
            ends = np.array([column.start, column.stop])
            values = column.start + draw.random(_TRIED) * (column.stop - column.start)
            values[: _TRIED // 2] = ends[draw.integers(2, size=_TRIED // 2)]
            values = np.clip(column.snap(values), *ends)
            if column.step is not None:
                values = column.value(column.tick(values))
        made[name] = column.write(values, np.zeros(_TRIED, dtype=bool))
    frame = pd.DataFrame(made)
    for _ in range(4 * len(constraints) + 1):
        kept = np.flatnonzero(satisfied(frame, constraints))
        if len(kept):
            return {name: pd.Series(frame[name].iloc[kept[:1]]) for name in columns}
        for constraint in constraints:
            frame = constraint.repair(frame)
    return None


def _columns_of(rule: Constraint) -> list[Column]:
    return [side for side in (rule.left, rule.right) if isinstance(side, Column)]


def _unquote(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'`" else text
