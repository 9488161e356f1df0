"""What every method does before its own work: count the rows and buy the bounds and categories nobody
declared.

Both are planned without data, at fixed shares of the budget, and made through `dpsynth.privacy`.  What comes
out is public: a complete domain and a number of rows that may be said aloud.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from dpsynth.data.columns import Category, Column, Date, Integer, Number
from dpsynth.data.domain import Domain
from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.images import Images
from dpsynth.data.table import Table
from dpsynth.errors import ConfigError
from dpsynth.marginals.encoded_files import EncodedFiles
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.categories import PrivateCategories
from dpsynth.privacy.counts import NAME as ROWS
from dpsynth.privacy.counts import count_charge, noisy_rows
from dpsynth.privacy.discovery import complete, discovery_charges
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.random import Streams

Rows = TypeVar("Rows", Table, EncodedFiles, Images)
FAR = 2.0**40  # bounds wider than any that can be bought


@dataclass(frozen=True)
class Shares:
    """Parts of the budget that are spent before the method gets the rest.

    count: of the budget, for counting the rows when `domain.rows` does not declare them.
    discovery: of the budget, for all undeclared bounds and categories together; unused when there are none.
    """

    count: float = 0.01
    discovery: float = 0.1

    def __post_init__(self):
        for name, share in (("count", self.count), ("discovery", self.discovery)):
            if not 0 < share < 1:
                raise ConfigError(f"privacy.{name}_share={share:g}: must lie between 0 and 1")
        if self.count + self.discovery >= 1:
            raise ConfigError("privacy.count_share and privacy.discovery_share leave nothing for the model")


@dataclass(frozen=True)
class Preparation:
    """The releases made before the method's own, as they stand in a plan.

    settings: what `prepare` needs to know later; it travels in `Plan.settings`.
    """

    charges: tuple[Charge, ...]
    settings: Mapping[str, Any]

    @classmethod
    def planned(cls, domain: Domain | ImageDomain, budget: Budget, shares: Shares) -> "Preparation":
        """Needs no data.  Counting is free when the rows are declared, or public by `replace_one`."""
        count = None if domain.rows is not None else count_charge(budget, shares.count)
        open_columns = isinstance(domain, Domain)  # of images everything is declared
        discovery = discovery_charges(domain, budget, shares.discovery) if open_columns else ()
        settings = {"rows": domain.rows, "discovery_share": shares.discovery if discovery else None}
        return cls(((count,) if count else ()) + discovery, settings)


def stand_in(domain: Domain | ImageDomain) -> Domain | ImageDomain:
    """`domain` with the largest thing that could be bought wherever something is still to be bought.

    Lets a method plan its noise and memory before the data are opened.
    """
    if isinstance(domain, ImageDomain) or not domain.undeclared:
        return domain
    return Domain(tuple(map(_largest, domain.columns)), rows=domain.rows, missing_values=domain.missing_values)


def prepare(table: Rows, ledger: Ledger, streams: Streams) -> tuple[Rows, int]:
    """(rows under a complete domain, declared or noisy number of rows), spending what was planned."""
    plan = ledger.plan
    rows = counted_rows(len(table), ledger, streams)
    share = plan.settings["discovery_share"]
    if share is None or not isinstance(table, Table):  # the domains of the others are complete from the start
        return table, rows
    domain = complete(table.domain, table.frame, plan.budget, share, ledger, streams)
    return table.redeclare(domain), rows


def counted_rows(exact: int, ledger: Ledger, streams: Streams) -> int:
    """The declared number of rows, or the exact one with noise, spending what was planned."""
    plan = ledger.plan
    if plan.settings["rows"] is not None:
        return plan.settings["rows"]
    charge = next((charge for charge in plan.charges if charge.name == ROWS), None)
    return noisy_rows(exact, charge, ledger, streams.privacy)


def _largest(column: Column) -> Column:
    if not column.undeclared:
        return column
    if isinstance(column, Category):
        return column.replace(categories=tuple(f"{k}" for k in range(PrivateCategories.limit)), other="other")
    if isinstance(column, Integer):
        return column.replace(low=-int(FAR), high=int(FAR))
    if isinstance(column, Number):
        edge = FAR / 10 ** (column.decimals or 0) // 1
        return column.replace(low=-edge if column.scale == "linear" else 1.0, high=edge)
    low, high = dt.date(1850, 1, 1), dt.date(2150, 1, 1)
    if isinstance(column, Date):
        return column.replace(low=low, high=high)
    return column.replace(low=dt.datetime(1850, 1, 1), high=dt.datetime(2150, 1, 1))
