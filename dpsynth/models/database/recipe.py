"""A database with one guarantee per person: a method over marginals, once for every table, within one budget.

    1  the table of persons with their numbers of rows is learned as any table (`slots.py`)
    2  of every other table the rows with their slots [parent, position, previous row, row], each row weighted so that a
       person counts once (`privacy/mechanisms/weights.py`); the method chooses and measures weighted marginals

Guarantee. The unit is a person with all rows of all tables. In step 1 a person is one row. In step 2 a person adds to a
count table at most one unit of the grid, replace-one moves it by sqrt(2), and a misfit by one or two
(`privacy/mechanisms/weights.py`): exactly what a row does to a plain table, so the derivations of the method hold with
counts in units of the grid. Which rows of a person there are, and in which order, follows from this person alone
(`data/database/linking.py`). All releases are Gaussian, or choices charged as Gaussian; their mu^2 add up, each table
gets a fixed fraction, and the plan proves the total. A person has rows in several tables, so the fractions are of one
budget; nothing composes in parallel.

PrivLava (Cai et al. 2023) and PrivPetal (Cai et al. 2025) synthesize linked tables, too; weights 1 / k in place of a
noise that grows with k, and slots that are tied over positions, follow Pasteur's sequences.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, cast

from dpsynth.data.database.database import Database
from dpsynth.data.database.declaration import DatabaseDomain
from dpsynth.data.table.codec import Codec
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, PrivateRows, Synthesizer
from dpsynth.models.database.fitted import FittedDatabase
from dpsynth.models.database.slots import Parts, Slots, persons_domain, persons_frame
from dpsynth.models.database.weighted import WeightedRows
from dpsynth.models.marginal.aim import AIM
from dpsynth.models.marginal.fitted_graph import FittedGraph
from dpsynth.models.marginal.method import MarginalMethod
from dpsynth.models.marginal.mst import MST
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.adaptive_budget import AdaptiveBudget
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanism import Mechanism
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals
from dpsynth.privacy.mechanisms.weights import GRID
from dpsynth.privacy.noise.exponential import ExponentialMechanism
from dpsynth.training.device import processor_threads

PERSONS_FRACTION = 0.3  # of the budget, for the table of persons; the others share the rest evenly
CELLS = 32  # of a number in a table of rows
SLOT_BYTES = 200  # of a row while its slots are put together


@dataclass(frozen=True, kw_only=True)
class RowsPlan(MethodPlan):
    """What is released of the rows of one table, under names that begin with the table's."""

    codec: Codec
    method: MethodPlan


@dataclass(frozen=True, kw_only=True)
class DatabasePlan(MethodPlan):
    """What is released of persons, and of the rows of every other table, in the order of the domain."""

    persons: MethodPlan
    rows: tuple[RowsPlan, ...]


@dataclass(frozen=True)
class DatabaseSynthesizer(Synthesizer):
    """The recipe.

    Attributes:
        method: A method over marginals that gives a graphical model: `MST` or `AIM`. Of tables other than that of
            persons, numbers are always binned evenly on their axis.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"database"})
    learns_from: ClassVar[tuple[type[PrivateRows], ...]] = (Database,)

    method: MarginalMethod

    def __post_init__(self) -> None:
        if not isinstance(self.method, AIM | MST):
            raise ConfigError(f"a database is learned by model=aim or model=mst, not by {type(self.method).__name__}")
        if isinstance(self.method, AIM) and not isinstance(self.method.workload, int):
            raise ConfigError("model.workload: of a database say how many columns a marginal has, such as 3")

    def _plan(self, domain: DatabaseDomain, budget: Budget, before: Sequence[Charge]) -> DatabasePlan:
        mu = AdaptiveBudget.remaining("all tables", budget, before).mu
        below = [table for table in domain if table.parent is not None]
        part = (1 - PERSONS_FRACTION) / max(len(below), 1)
        charges = list(before)

        def spent(later: int) -> tuple[Charge, ...]:
            """What the other tables take: those planned so far, and a fraction for each of the later ones."""
            if not later:
                return tuple(charges)
            rest = AdaptiveBudget(name="later tables", neighbours=budget.neighbours, mu=mu * math.sqrt(part * later))
            return (*charges, rest)

        persons = self.method.plan_part(persons_domain(domain), budget, spent(len(below)))
        charges += persons.charges
        rows: list[RowsPlan] = []
        for place, table in enumerate(below, 1):
            slots = Slots(domain, table)
            codec = public_cells(slots.domain)
            earlier = spent(len(below) - place)
            own = self._method_for(slots)._releases(slots.domain, codec.sizes, budget, earlier)
            charges += own.charges
            number = (domain.rows or UNKNOWN_ROWS) * min(domain.most_rows[table.name], 10)
            rows.append(
                RowsPlan(
                    codec=codec,
                    method=_for_table(own, table.name, GRID),
                    memory_bytes=own.memory_bytes + number * (SLOT_BYTES + 2 * len(codec.sizes)),
                )
            )
        most = max((each.memory_bytes for each in rows), default=0)
        return DatabasePlan(
            persons=_for_table(persons, domain.root, 1), rows=tuple(rows), memory_bytes=max(persons.memory_bytes, most)
        )

    def _fit(self, table: Database, rows: int, plan: DatabasePlan, ledger: Ledger, run: FitRun) -> FittedDatabase:
        domain, parts = table.domain, Parts.of(table)
        persons = Table(persons_frame(parts), persons_domain(domain))
        fitted = {domain.root: cast(FittedGraph, self.method.fit_part(persons, rows, plan.persons, ledger, run))}
        below = [each for each in domain if each.parent is not None]
        for linked, own in zip(below, plan.rows, strict=True):
            slots = Slots(domain, linked)
            frame = Table(slots.frame(parts), slots.domain)
            weighted = WeightedRows.weighted(
                own.codec, frame, table.persons_of(linked.name), len(table), self.method.counting.made
            )
            with processor_threads(run.settings.threads or 1):
                learned = self._method_for(slots)._learn(weighted, rows, own.method, ledger, run)
            fitted[linked.name] = cast(FittedGraph, learned)
        return FittedDatabase(domain, fitted)

    def _method_for(self, slots: Slots) -> MarginalMethod:
        """The method for a table of rows: of its workload, the marginals with a column that is drawn."""
        if not isinstance(self.method, AIM):
            return self.method
        assert isinstance(self.method.workload, int)
        own = {column.name for column in slots.own}
        names = slots.domain.names
        degree = min(self.method.workload, len(names))
        targets = [list(each) for each in itertools.combinations(names, degree) if own & set(each)]
        return replace(self.method, workload=targets)


def public_cells(domain: Domain) -> Codec:
    """The codec of a table of rows: numbers in cells that are even on their axis."""
    even = Codec(domain, CELLS)
    return Codec(domain, 1, {column.name: column.cut_places.tolist() for column in even.columns if column.on_axis})


def recipe_for(recipe: Synthesizer, domain: object) -> Synthesizer:
    """The recipe that learns data of `domain` by the method of `recipe`: a database table by table."""
    if not isinstance(domain, DatabaseDomain) or "database" in recipe.modalities:
        return recipe
    if not isinstance(recipe, MarginalMethod):
        raise ConfigError(f"a database is learned by model=aim or model=mst, not by {type(recipe).__name__}")
    return DatabaseSynthesizer(method=recipe)


def _for_table(plan: Any, table: str, unit: int) -> Any:
    """A plan with releases that are named after their table, and whose counts are in units of a person's weight."""
    changes: dict[str, Any] = {}
    for each in fields(plan):
        value = getattr(plan, each.name)
        if isinstance(value, MethodPlan):
            changes[each.name] = _for_table(value, table, unit)
        elif isinstance(value, Mechanism | AdaptiveBudget):
            changes[each.name] = replace(value, name=f"{table}: {value.name}", **_in_units(value, unit))
    return replace(plan, **changes)


def _in_units(release: Mechanism | AdaptiveBudget, unit: int) -> dict[str, Any]:
    """The fields of a release that change with the unit of its counts."""
    if unit == 1:
        return {}
    if isinstance(release, NoisyMarginals):
        return {"sigma": release.sigma * unit, "unit": unit}
    if isinstance(release, ExponentialMechanism):
        return {"bound": release.bound * unit}
    if isinstance(release, AdaptiveBudget):
        return {"unit": unit}
    raise ConfigError(f"{release.name!r} has no form for weighted rows")
