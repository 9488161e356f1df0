"""What may be spent: epsilon, delta, the neighbour relation they speak of, and the unit they protect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, get_args

from dpsynth.errors import BudgetError

Neighbours = Literal["add_remove", "replace_one"]


def cells_changed(neighbours: Neighbours) -> int:
    """How many cells of a one-hot histogram change (each by one) between neighbours: 1 or 2."""
    return 1 if neighbours == "add_remove" else 2


def count_sensitivity(neighbours: Neighbours) -> float:
    """L2 sensitivity of a histogram in which every row counts once: 1, or sqrt(2) when a row changes cells.

    The same bound holds for sums of vectors without negative entries and of norm at most 1: |u - v|^2 <= |u|^2 + |v|^2.
    """
    return math.sqrt(cells_changed(neighbours))


def sum_sensitivity(neighbours: Neighbours, bound: float) -> float:
    """L2 sensitivity of a sum of vectors of norm at most `bound`, one per row: C, or 2 C when a row is replaced."""
    return bound * cells_changed(neighbours)


@dataclass(frozen=True)
class Budget:
    """An (epsilon, delta) target, in nats, for one relation between neighbouring tables.

    `add_remove`: tables differ by one row more or less; the number of rows is private. `replace_one`: tables
    have equally many rows and differ in one; the number of rows is public. `rows_per_person` None protects one row;
    m >= 1 protects a person with at most m rows, and `Synthesizer.fit` then takes only a table that was bounded to m
    rows of each person; the mechanisms run under the stricter `row_level` budget. `entity` says in words what one
    unit is where it is neither, such as a person with all rows of a database; the mechanisms then count such a unit as
    they count a row, and what is said of rows here holds for it. `epsilon` may be infinite: no noise, no privacy.
    """

    epsilon: float
    delta: float
    neighbours: Neighbours = "add_remove"
    rows_per_person: int | None = None
    entity: str | None = None

    def __post_init__(self) -> None:
        try:
            epsilon, delta = float(self.epsilon), float(self.delta)
        except (TypeError, ValueError):
            raise BudgetError(f"epsilon and delta must be numbers, not {self.epsilon!r} and {self.delta!r}") from None
        if not epsilon > 0:
            raise BudgetError(f"epsilon must be above 0, not {epsilon:g}: set privacy.epsilon, for example to 1")
        if not 0 < delta < 1:
            raise BudgetError(
                f"delta must lie strictly between 0 and 1, not {delta:g}: "
                "set privacy.delta well below 1 / (number of rows)"
            )
        if self.neighbours not in get_args(Neighbours):
            raise BudgetError(f"neighbours must be add_remove or replace_one, not {self.neighbours!r}")
        rows = self.rows_per_person
        if rows is not None and (isinstance(rows, bool) or not isinstance(rows, Integral) or rows < 1):
            raise BudgetError(f"rows_per_person must be a whole number of at least 1, not {rows!r}")
        if self.entity is not None and rows is not None:
            raise BudgetError(f"rows_per_person={rows}: the unit is {self.entity} already; leave it out")
        object.__setattr__(self, "epsilon", epsilon)
        object.__setattr__(self, "delta", delta)
        object.__setattr__(self, "rows_per_person", None if rows is None else int(rows))

    @property
    def private(self) -> bool:
        """False when epsilon is infinite: the same code then runs without noise and without clipping."""
        return math.isfinite(self.epsilon)

    @property
    def unit(self) -> str:
        """What one unit of protection is, in words."""
        rows = self.rows_per_person
        if self.entity is not None:
            return self.entity
        return "one row" if rows is None else f"one person (at most {rows} row{'s' if rows > 1 else ''})"

    @property
    def row_level(self) -> Budget:
        """The budget for one row that gives this budget for a person with m rows.

        Group privacy: let M be (e, d)-DP for one row, and D = D_0, D_1, ..., D_m = D' a chain of neighbours.
        Then P[M(D_0) in S] <= exp(e) P[M(D_1) in S] + d <= ... <= exp(m e) P[M(D_m) in S] + d (1 + exp(e) +
        ... + exp((m-1) e)), and the geometric sum is (exp(m e) - 1) / (exp(e) - 1). So M is (m e, d (exp(m e)
        - 1) / (exp(e) - 1))-DP for a person. Solved for e and d: e = epsilon / m, d = delta (exp(e) - 1) /
        (exp(epsilon) - 1). Under `replace_one` the chain replaces the person's rows one by one.
        """
        if self.rows_per_person is None:
            return self
        if self.rows_per_person == 1:
            return Budget(self.epsilon, self.delta, self.neighbours)
        if not self.private:
            return Budget(self.epsilon, self.delta, self.neighbours)
        epsilon = self.epsilon / self.rows_per_person
        delta = self.delta * math.exp(_log_expm1(epsilon) - _log_expm1(self.epsilon))
        if delta < 1e-300:
            raise BudgetError(
                f"no row-level delta is left for rows_per_person={self.rows_per_person} "
                f"at epsilon={self.epsilon:g}: lower epsilon or rows_per_person"
            )
        return Budget(epsilon, delta, self.neighbours)

    def person_level(self, epsilon: float, delta: float) -> tuple[float, float]:
        """The person-level (epsilon, delta) that a row-level one gives; the inverse of `row_level`."""
        if self.rows_per_person is None or self.rows_per_person == 1 or not math.isfinite(epsilon):
            return epsilon, delta
        total = self.rows_per_person * epsilon
        if epsilon == 0:
            return 0.0, min(1.0, delta * self.rows_per_person)
        logarithm = math.log(delta) + _log_expm1(total) - _log_expm1(epsilon)
        return total, math.exp(min(0.0, logarithm))

    @property
    def cells_changed(self) -> int:
        """How many cells of a one-hot histogram change (each by one) between neighbours: 1 or 2."""
        return cells_changed(self.neighbours)

    def warn_delta(self, rows: int | None) -> str | None:
        """A warning when delta >= 1 / rows, for a PUBLIC (rough) number of rows; None when all is well.

        With delta = 1 / rows, publishing one random row whole would satisfy the definition.
        """
        if rows is None or rows < 1 or self.delta < 1.0 / rows:
            return None
        return (
            f"delta {self.delta:g} is not below 1 / {rows} rows, so the guarantee would allow "
            f"publishing a row; use {10.0 ** math.floor(math.log10(0.1 / rows)):g} or less"
        )

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that json can hold; an infinite epsilon is written as "inf"."""
        return {
            "epsilon": self.epsilon if self.private else "inf",
            "delta": self.delta,
            "neighbours": self.neighbours,
            "rows_per_person": self.rows_per_person,
            "entity": self.entity,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Budget:
        """The inverse of `to_dict`."""
        return cls(
            float(state["epsilon"]),
            float(state["delta"]),
            state.get("neighbours", "add_remove"),
            state.get("rows_per_person"),
            state.get("entity"),
        )


def _log_expm1(x: float) -> float:
    """log(exp(x) - 1) for x > 0, without overflow."""
    return x + math.log1p(-math.exp(-x)) if x > 30 else math.log(math.expm1(x))
