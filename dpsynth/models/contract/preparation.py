"""What every method does before its own work: count the rows, and estimate the bounds and categories nobody
declared.

Both are planned without data, at fixed fractions of the budget, and made through `dpsynth.privacy`.  What comes
out is public: a complete domain and a number of rows that may be said aloud.
"""

import datetime as dt
from dataclasses import dataclass
from typing import TypeVar

from dpsynth.data.columns import Category, Column, Date, Integer, Number
from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.encoded_files import EncodedFiles
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanism import Mechanism
from dpsynth.privacy.mechanisms.discovery import (
    Mechanisms,
    PrivateCategories,
    RowCount,
    complete,
    discovery,
    refuse_unnamed,
)

UNKNOWN_ROWS = 30_000  # stands for the number of rows where the domain declares none
PreparedRows = TypeVar("PreparedRows", Table, EncodedFiles, Images, Database)
FAR = 2.0**44  # bounds wider than any that can be estimated


@dataclass(frozen=True)
class BudgetFractions:
    """Parts of the budget that are spent before the method gets the rest.

    count: of the budget, for counting the rows when `domain.rows` does not declare them.
    discovery: of the budget, for all undeclared bounds and categories together; unused when there are none.
    """

    count: float = 0.01
    discovery: float = 0.1

    def __post_init__(self):
        for name, fraction in (("count", self.count), ("discovery", self.discovery)):
            if not 0 < fraction < 1:
                raise ConfigError(f"privacy.{name}_fraction={fraction:g}: must lie between 0 and 1")
        if self.count + self.discovery >= 1:
            raise ConfigError("privacy.count_fraction and privacy.discovery_fraction leave nothing for the model")


@dataclass(frozen=True)
class Preparation:
    """The releases made before the method's own, as they stand in a plan.

    Attributes:
        rows: The declared number of rows, None when it is counted with noise.
        count: The noisy number of rows; None where it is declared, or public by `replace_one`.
        discovery: One mechanism for each column whose bounds or categories are private.
    """

    rows: int | None
    count: RowCount | None
    discovery: Mechanisms

    @classmethod
    def planned(
        cls, domain: Domain | ImageDomain | DatabaseDomain, budget: Budget, fractions: BudgetFractions
    ) -> "Preparation":
        """Needs no data."""
        count = None if domain.rows is not None else RowCount.planned(budget, fractions.count)
        open_columns = isinstance(domain, Domain)  # of images and databases everything is declared
        return cls(domain.rows, count, discovery(domain, budget, fractions.discovery) if open_columns else ())

    @property
    def charges(self) -> tuple[Mechanism, ...]:
        """All mechanisms, in the order in which they are released."""
        return ((self.count,) if self.count else ()) + self.discovery

    def carry_out(self, table: PreparedRows, ledger: Ledger) -> tuple[PreparedRows, int]:
        """(rows under a complete domain, declared or noisy number of rows).

        Raises `BudgetError` as `refuse_unnamed`.
        """
        rows = self.count.measure(len(table), ledger) if self.count else self.rows
        if rows is None:  # replace_one: public by definition
            rows = max(1, len(table))
        if not self.discovery or not isinstance(table, Table):  # the domains of the others are complete from the start
            return table, rows
        domain = complete(table.domain, table.frame, self.discovery, ledger)
        refuse_unnamed(domain, self.discovery)
        return table.redeclare(domain), rows


def stand_in(domain: Domain | ImageDomain | DatabaseDomain) -> Domain | ImageDomain | DatabaseDomain:
    """`domain` with the largest thing that could be found wherever something is still to be estimated.

    Lets a method plan its noise and memory before the data are opened.
    """
    if not isinstance(domain, Domain) or not domain.undeclared:
        return domain
    return Domain(tuple(map(_largest, domain.columns)), rows=domain.rows, missing_values=domain.missing_values)


def _largest(column: Column) -> Column:
    if not column.undeclared:
        return column
    if isinstance(column, Category):
        return column.replace(categories=tuple(f"{k}" for k in range(PrivateCategories.limit)), other="other")
    if isinstance(column, Integer):
        return column.replace(low=-int(FAR), high=int(FAR))
    if isinstance(column, Number):
        edge = 2.0**60 if column.decimals is None else FAR / 10**column.decimals // 1
        return column.replace(low=-edge if column.scale == "linear" else 1.0, high=edge)
    low, high = dt.date(1850, 1, 1), dt.date(2150, 1, 1)
    if isinstance(column, Date):
        return column.replace(low=low, high=high)
    return column.replace(low=dt.datetime(1850, 1, 1), high=dt.datetime(2150, 1, 1))
