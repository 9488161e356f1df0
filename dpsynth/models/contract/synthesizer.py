"""The contract of every method: a recipe that plans without data, and fits within its plan.

    recipe = dpsynth.models.MAF()                    # public configuration only
    plan = recipe.plan(domain, budget)               # no data: every release, its noise, the proven epsilon
    fitted = recipe.fit(table, plan)                 # spends what the plan says, never more
    fitted.sample(10_000).to_csv("synthetic.csv")    # post-processing, free

A method is a frozen dataclass with `_plan` and `_fit`, and a frozen `MethodPlan` that the first hands to the second:
the mechanisms it will release, and the public settings it derived. What all methods share is done here once: the
ledger, private estimates of undeclared bounds and categories, the noisy number of rows, the checkpoint and the privacy
statement.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, cast

from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.encoded_files import EncodedFiles
from dpsynth.models.contract.fitted import Fitted, Generators
from dpsynth.models.contract.machine_limits import refuse_beyond_memory
from dpsynth.models.contract.option_groups import changed
from dpsynth.models.contract.preparation import BudgetFractions, Preparation, stand_in
from dpsynth.models.contract.registry import shipped
from dpsynth.privacy.accounted_run import AccountedRun
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.adaptive_budget import AdaptiveBudget
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.distributed import shared
from dpsynth.privacy.ledger import Ledger, Plan, Planned
from dpsynth.privacy.mechanism import Mechanism
from dpsynth.privacy.mechanisms.discovery import reached
from dpsynth.privacy.noise.random import RandomGenerators, SeededGenerators
from dpsynth.training import Checkpoint, Listener, TrainerSettings

__all__ = ["BudgetFractions", "FitRun", "Fitted", "Generators", "MethodPlan", "SynthesisPlan", "Synthesizer"]


PrivateRows = Table | EncodedFiles | Images | Database  # private rows in a domain: in memory, or encoded on disk
KINDS = {Table: "a table", EncodedFiles: "encoded files", Images: "images", Database: "a database"}


@dataclass(frozen=True, kw_only=True)
class MethodPlan:
    """What `_plan` hands to `_fit`; a method extends it by its mechanisms and settings.

    Mechanisms, adaptive budgets, tuples of them and plans of other methods may be fields; None stands for a release
    that the recipe leaves out. Everything is public.

    Attributes:
        memory_bytes: An estimate of what `_fit` needs at its peak.
    """

    memory_bytes: int

    @property
    def charges(self) -> tuple[Planned, ...]:
        """All mechanisms and adaptive budgets of the fields, in their order."""
        return tuple(_planned(getattr(self, each.name) for each in fields(self)))

    @property
    def settings(self) -> dict[str, Any]:
        """Public numbers and words among the fields, for people."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, MethodPlan):
                found |= value.settings
            elif isinstance(value, int | float | str) and each.name != "memory_bytes":
                found[each.name] = value
        return found


@dataclass(frozen=True, kw_only=True)
class SynthesisPlan(Plan):
    """The plan of one fit.

    Attributes:
        preparation: The releases that all methods share.
        method: Those of the method, and its settings.
        model: Name of the recipe's class.
    """

    preparation: Preparation
    method: MethodPlan
    model: str

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"model": self.model, "rows": self.preparation.rows, **self.method.settings}


@dataclass(frozen=True)
class FitRun:
    """How one fit is carried out. Nothing here can weaken the guarantee: the privacy noise is the ledger's.

    Attributes:
        randomness: Seeded generators for initial weights and the like.
        settings: Device, threads, logging.
        progress: Follows the training.
        checkpoint: Keeps its state.
    """

    randomness: SeededGenerators
    settings: TrainerSettings
    progress: Listener | None = None
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True)
class Synthesizer(ABC):
    """A recipe: every field is public configuration.

    modalities: what it can make, of "table", "image" and "database"; a domain of another kind is refused.
    learns_from: kinds of rows that `_fit` takes; `fit` refuses others.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"table"})
    learns_from: ClassVar[tuple[type[PrivateRows], ...]] = (Table,)

    @abstractmethod
    def _plan(self, domain: Any, budget: Budget, before: Sequence[Charge]) -> MethodPlan:
        """The method's own releases, such that together with `before` they stay within `budget`.

        domain: of one of `modalities`, and complete; where bounds or categories are still to be estimated, a stand-in
        of the largest size. Raises `BudgetError` or `ConfigError` for what cannot be met.
        """

    @abstractmethod
    def _fit(self, table: Any, rows: int, plan: Any, ledger: Ledger, run: FitRun) -> Fitted[Any]:
        """Fit to `table` (one of `learns_from`), whose domain is complete, touching it through `ledger` only.

        rows: the declared or noisy number of rows (exact only where the relation makes it public).
        plan: what `_plan` returned.
        ledger: the gate; `ledger.release` draws what the plan holds, and nothing else.
        The statement of the result is filled in by `fit`.
        """

    def plan(
        self, domain: Domain | ImageDomain | DatabaseDomain, budget: Budget, fractions: BudgetFractions | None = None
    ) -> SynthesisPlan:
        """All releases of a fit and what they cost together; needs no data.

        Raises `BudgetError` when the method cannot keep within the budget, `ConfigError` when it does not make
        what the domain describes.
        """
        kind = kind_of(domain)
        if kind not in self.modalities:
            able = " | ".join(shipped(kind))  # a database is learned table by table, by a recipe around another
            hint = f"model={able} does" if able else "dpsynth.models.database.DatabaseSynthesizer does"
            raise ConfigError(f"{type(self).__name__} does not make {kind}s; {hint}")
        if isinstance(domain, DatabaseDomain) and budget.entity is None and budget.rows_per_person is None:
            budget = replace(budget, entity=domain.unit)
        check_entity(domain, budget)
        before = Preparation.planned(domain, budget, fractions or BudgetFractions())
        own = self._plan(stand_in(domain), budget, before.charges)
        return SynthesisPlan(
            budget=budget,
            charges=(*before.charges, *own.charges),
            memory_bytes=own.memory_bytes,
            preparation=before,
            method=own,
            model=type(self).__name__,
        )

    def plan_for(self, table: PrivateRows, budget: Budget, fractions: BudgetFractions | None = None) -> SynthesisPlan:
        """The plan for a table at hand.

        It uses what is public of the table: its domain, and under `replace_one` the exact number of rows.
        """
        domain = table.domain
        if budget.neighbours == "replace_one":
            domain = (
                domain.with_rows(len(table))
                if isinstance(domain, DatabaseDomain)
                else replace(domain, rows=max(1, len(table)))
            )
        return self.plan(domain, budget, fractions)

    def fit(
        self,
        table: PrivateRows,
        budget_or_plan: Budget | SynthesisPlan,
        randomness: RandomGenerators | None = None,
        progress: Listener | None = None,
        checkpoint: Checkpoint | None = None,
        settings: TrainerSettings | None = None,
        account: AccountedRun | None = None,
    ) -> Fitted[Any]:
        """A new fitted model; the recipe itself is left as it was, and each call spends its own budget.

        randomness: random generators, by default seed 0 with secure privacy noise. checkpoint: keeps the
        state of a long fit, and goes on from it when it holds one of the same plan and data. account: of the data set,
        to which the plan is charged before any noise is drawn.
        """
        if not isinstance(table, self.learns_from):
            known = " or ".join(KINDS[kind] for kind in self.learns_from)
            given = KINDS.get(type(table), type(table).__name__)
            others = shipped(type(table))
            hint = f"; these do: model={' | '.join(others)}" if others else ""
            raise ConfigError(f"{type(self).__name__} learns from {known}, not from {given}{hint}")
        if isinstance(budget_or_plan, Budget):
            plan = self.plan_for(table, budget_or_plan)
        elif isinstance(cast(object, budget_or_plan), SynthesisPlan):
            plan = budget_or_plan
        else:
            raise ConfigError("fit needs a dpsynth.Budget(epsilon, delta) or the plan of this recipe")
        if plan.model != type(self).__name__:
            raise ConfigError(f"this plan was made by {plan.model}, not by {type(self).__name__}")
        if plan.budget.neighbours == "replace_one" and plan.preparation.rows != max(1, len(table)):
            raise ConfigError(
                "replace_one makes the number of rows public, and the plan counts on it: plan with "
                "recipe.plan_for(table, budget), or declare the exact number of rows"
            )
        check_unit(table, plan.budget)
        refuse_beyond_memory(plan, settings or TrainerSettings())
        randomness = randomness or RandomGenerators()
        new = checkpoint is not None and not checkpoint.exists
        if checkpoint is not None:
            randomness = checkpoint.begin(randomness, {"recipe": repr(self), **plan.to_dict()}, table.content_hash)
        randomness = shared(randomness)  # of several processes, the leader's
        if account is not None:
            try:
                account.charge(plan, randomness)
            except Exception:
                if checkpoint is not None and new:
                    checkpoint.delete()
                raise
        ledger = Ledger(plan, randomness)
        complete, rows = plan.preparation.carry_out(cast(Any, table), ledger)
        run = FitRun(randomness.seeded, settings or TrainerSettings(), progress, checkpoint)
        fitted = self._fit(complete, rows, plan.method, ledger, run)
        named = {key: fitted.statement[key] for key in ("method", "chosen") if key in fitted.statement}  # by auto
        own = {"rows": rows, "covers": covers(table), "method": type(self).__name__}
        fitted.statement = {**own, **named, **ledger.statement()}
        if ends := reached(complete.domain, plan.preparation.discovery):
            fitted.statement["bounds at the end of the public bins"] = f"{', '.join(ends)}: values beyond are clamped"
        return fitted

    def plan_part(self, domain: Any, budget: Budget, before: Sequence[Charge]) -> MethodPlan:
        """The plan of this recipe as a part of another method, within what `before` leaves of the budget."""
        return self._plan(domain, budget, before)

    def fit_part(self, table: Any, rows: int, plan: MethodPlan, ledger: Ledger, run: FitRun) -> Fitted[Any]:
        """Fit as a part of another method, whose plan holds `plan`; the statement is left to that method."""
        return self._fit(table, rows, plan, ledger, run)

    def replace(self, **changes: Any) -> "Synthesizer":
        """The same recipe with other options; a mapping changes only the options of a group that it names, as in
        `recipe.replace(rounds=20, student={"steps": 10})`."""
        return changed(self, changes)


def _planned(values: Any) -> Iterator[Planned]:
    for value in values:
        if isinstance(value, Mechanism | AdaptiveBudget):
            yield value
        elif isinstance(value, MethodPlan):
            yield from value.charges
        elif isinstance(value, tuple):
            yield from _planned(value)


def kind_of(domain: Domain | ImageDomain | DatabaseDomain) -> str:
    """The modality that a domain describes."""
    if isinstance(domain, DatabaseDomain):
        return "database"
    return "image" if isinstance(domain, ImageDomain) else "table"


def check_entity(domain: Domain | ImageDomain | DatabaseDomain, budget: Budget) -> None:
    """`ConfigError` unless the unit of the budget is the one that the domain counts as one."""
    if isinstance(domain, DatabaseDomain):
        if budget.rows_per_person is not None:
            raise ConfigError(
                f"rows_per_person={budget.rows_per_person}: of a database the unit is {domain.unit}; leave it out"
            )
        if budget.entity != domain.unit:
            raise ConfigError(f"the budget is for {budget.unit}, but this database promises it to {domain.unit}")
    elif budget.entity is not None:
        raise ConfigError(f"the budget is for {budget.unit}, a unit of a database; the data are none")


def check_unit(table: PrivateRows, budget: Budget) -> None:
    """`ConfigError` unless the table was made for the unit that the budget protects.

    A promise to persons holds only for a table whose rows of each person were bounded. In a bounded table one row of
    the file more or less may change two rows (selection.py), so a promise to rows does not hold for it.
    """
    check_entity(table.domain, budget)
    most, bound = budget.rows_per_person, table.rows_per_person
    if most is None and bound is not None:
        raise ConfigError(f"the table was bounded to {bound} rows of each person: say Budget(rows_per_person={bound})")
    if most is not None and bound is None:
        raise ConfigError(
            f"Budget(rows_per_person={most}) is a promise to persons, which {KINDS[type(table)]} keeps only once the "
            "rows of each person are bounded: use Table.read(person=COLUMN) and bound_contributions, or data.person"
        )
    if most is not None and bound is not None and bound > most:
        raise ConfigError(f"the table holds up to {bound} rows of a person, more than Budget(rows_per_person={most})")
    if most is not None and budget.neighbours == "replace_one":
        raise ConfigError(
            "rows_per_person needs neighbours='add_remove': once each person's rows are bounded, the number of rows is "
            "not public, which replace_one takes for granted"
        )


def covers(table: PrivateRows) -> str:
    """Which rows the statement covers, in words."""
    persons = isinstance(table, Database) or table.rows_per_person is not None
    unit = "image" if isinstance(table, Images) else "person" if persons else "row"
    used = f"; used in training: {', then '.join(table.coverage)}" if table.coverage else ", all used in training"
    return f"every {unit} of the data{used}"
