"""Which method suits a table, from public facts alone: rows, columns, codes of each column, and the budget.

    noise in the table of a pair above `PAIR_LIMIT`     independent
    else, above `CHOICE_LIMIT`                          mst
    else, all triples weighed within `MINUTES`          aim
    else, all pairs weighed within `MINUTES`            aim, workload=2
    else                                                mst

The first lines look at the table of a typical pair of columns. A method that measures about two pairs for every column
adds noise of standard deviation s to each of its cells, and E|N(0, s)| = s sqrt(2 / pi), so the noise misplaces about

    cells s sqrt(2 / pi) / (2 rows)

of the rows: a total variation distance, `Signal.pair`, with at most `COARSE` codes of a column. Two columns that
depend on each other as columns of public tables do are about as far from independence; where noise is larger, measuring
a pair makes it worse. The limits were set by measurement on made-up tables (docs/choosing_a_method.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from dpsynth.data.table.codec import Codec
from dpsynth.data.table.domain import Domain
from dpsynth.models.contract.preparation import UNKNOWN_ROWS, stand_in
from dpsynth.models.marginal.aim import ROUNDS, hours
from dpsynth.models.marginal.method import coarse_sizes
from dpsynth.models.shared.domain_compression import STANDS_OUT
from dpsynth.models.shared.value_cells import most_cells
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import fraction_noise

PAIR_LIMIT = 0.08  # most noise in a pair's table, in total variation, at which dependence is learned
CHOICE_LIMIT = 0.06  # the same, up to which marginals are worth choosing in rounds
COARSE = 8  # codes of a column in such a table: enough to see that columns depend, if they do
COLUMN_LIMIT = 0.15  # the same in a single column's, at which it is said that even columns will be wrong
MINUTES = 10.0  # most time that choosing marginals may take
SPENT = 0.9  # of the budget, for counts; the rest goes to the cells of numbers and to choices
EPSILONS = (0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
MOST_ROWS = 10**9  # with which no dependence drowns: what is left to decide is what can be computed


@dataclass(frozen=True)
class Signal:
    """How the noise stands to the rows of a table. Everything here is public.

    Attributes:
        rows: The declared number, or one that stands for it.
        domain: With every bound and category; where they are private, with a stand-in.
        budget: Of the whole run.
    """

    rows: int
    domain: Domain
    budget: Budget

    @classmethod
    def of(cls, domain: Domain, budget: Budget, rows: int | None = None) -> Signal:
        """rows: the number of rows if it is known better than the domain has it."""
        complete = stand_in(domain)
        assert isinstance(complete, Domain), "of a table"
        return cls(rows or domain.rows or UNKNOWN_ROWS, complete, budget)

    @property
    def columns(self) -> int:
        return len(self.domain)

    def sigma(self, marginals: int, fraction: float = SPENT) -> float:
        """Noise of each count, in rows, when a fraction of the budget is spent on so many marginals."""
        return fraction_noise(self.budget, fraction, marginals * self.budget.cells_changed)

    @cached_property
    def column_sigma(self) -> float:
        """Noise of a count when columns are measured by themselves."""
        return self.sigma(self.columns)

    @cached_property
    def pair_sigma(self) -> float:
        """Noise of a count when two pairs are measured for every column."""
        return self.sigma(ROUNDS * self.columns)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Codes of every column as methods work with them: rare ones are merged, as the noise drowns them."""
        coarse = coarse_sizes(Codec(self.domain, 1), most_cells(self.rows, self.columns, self.budget))
        visible = 2 + int(self.rows / max(STANDS_OUT * self.column_sigma, 1.0))
        return tuple(min(size, visible) for size in coarse)

    @property
    def column(self) -> float:
        """Total variation that noise puts into a typical column, when columns are measured by themselves."""
        return _misplaced(float(np.median(self.sizes)), self.column_sigma, self.rows)

    @property
    def pair(self) -> float:
        """Total variation that noise puts into the table of a typical pair, in at most `COARSE` codes a column."""
        if self.columns < 2:
            return 0.0
        return _misplaced(self._pair_cells, self.pair_sigma, self.rows)

    @cached_property
    def _pair_cells(self) -> float:
        sizes = [min(size, COARSE) for size in coarse_sizes(Codec(self.domain, 1), COARSE)]
        return float(np.mean(sizes)) ** 2

    def rows_for(self, limit: float) -> int:
        """The number of rows from which `pair` is at most `limit`, whatever the rows of this signal."""
        if self.columns < 2:
            return 1
        return max(1, math.ceil(self._pair_cells * self.pair_sigma * math.sqrt(2 / math.pi) / (2 * limit)))

    def with_epsilon(self, epsilon: float) -> Signal:
        return replace(self, budget=replace(self.budget, epsilon=epsilon))

    def with_rows(self, rows: int) -> Signal:
        return replace(self, rows=rows)


def _misplaced(cells: float, sigma: float, rows: int) -> float:
    return min(1.0, cells * sigma * math.sqrt(2 / math.pi) / (2 * rows))


@dataclass(frozen=True)
class Choice:
    """A method, and why.

    Attributes:
        method: As `model=` calls it.
        workload: Of `aim`: marginals of so many columns; 0 for other methods.
        reason: In words.
    """

    method: str
    workload: int
    reason: str


def chosen(signal: Signal) -> Choice:
    """The method for a table: the rule at the top of this file."""
    columns = signal.columns
    if columns == 1:
        return Choice("independent", 0, "there is a single column")
    if signal.pair > PAIR_LIMIT:
        reason = f"noise would misplace {signal.pair:.2g} of the rows in the table of a typical pair of columns"
        return Choice("independent", 0, reason)
    reason = f"noise misplaces {signal.pair:.2g} of the rows in the table of a typical pair of columns"
    if signal.pair > CHOICE_LIMIT:
        return Choice("mst", 0, f"{reason}, too much to choose marginals in many rounds")
    for workload in (3, 2):
        candidates = sum(math.comb(columns, k) for k in range(1, min(workload, columns) + 1))
        if 60 * hours(ROUNDS * columns, candidates, columns) <= MINUTES:
            return Choice("aim", workload, reason)
    return Choice("mst", 0, f"{columns} columns have more pairs than can be weighed in {MINUTES:g} minutes")


def branches(signal: Signal) -> str:
    """From how many rows each method is taken, in words, where their number is still to be counted with noise.

    Columns whose bounds or categories are still to be estimated are taken as large here, so that methods that learn
    dependence may be taken from somewhat fewer rows.
    """
    tree, rounds = signal.rows_for(PAIR_LIMIT), signal.rows_for(CHOICE_LIMIT)
    if signal.columns == 1:
        return chosen(signal).reason
    if chosen(signal.with_rows(MOST_ROWS)).method == "aim":
        return f"independent below {tree:,} rows, mst below {rounds:,}, aim from there on"
    return f"independent below {tree:,} rows, mst from there on"


# -------------------- Warnings ---------------------------------------------------------------


def warnings(signal: Signal, method: str | None = None) -> list[str]:
    """What to expect where noise exceeds signal, in words, and what to do about it; nothing where it does not.

    method: the one that will be used, as `model=` calls it, or None.
    """
    budget = signal.budget
    if not budget.private or signal.columns < 2:
        return []
    said: list[str] = []
    here = f"with {signal.rows:,} rows of {signal.columns} columns and epsilon {budget.epsilon:g}"
    if signal.column > COLUMN_LIMIT:
        cure = _cure(signal, lambda other: other.column <= COLUMN_LIMIT)
        said.append(f"{here}, expect even single columns to be wrong by about {signal.column:.0%} of the rows{cure}")
    if signal.pair > PAIR_LIMIT:
        cure = _cure(signal, lambda other: other.pair <= PAIR_LIMIT)
        said.append(f"{here}, expect no dependence between columns{cure}")
        if method not in (None, "independent", "auto"):
            said.append(
                f"model={method} will spend its budget on dependence that noise hides: columns by themselves will be "
                "nearer the truth; take model=auto or model=independent"
            )
    return said


def _cure(signal: Signal, good: Callable[[Signal], bool]) -> str:
    """The least epsilon, and the least number of rows, with which it would be good."""
    more = next((e for e in EPSILONS if e > signal.budget.epsilon and good(signal.with_epsilon(e))), None)
    rows = next((n for n in _round_numbers(signal.rows) if good(signal.with_rows(n))), None)
    ways = [f"epsilon {more:g}"] if more else []
    ways += ["fewer columns"]
    ways += [f"{rows:,} rows"] if rows else []
    return f"; take {', '.join(ways[:-1])}{' or ' if len(ways) > 1 else ''}{ways[-1]}"


def _round_numbers(above: int) -> list[int]:
    """1, 2, 5, 10, ... thousands above a number."""
    numbers = [lead * 10**power for power in range(2, 10) for lead in (1, 2, 5)]
    return [number for number in numbers if above < number <= MOST_ROWS]
