"""The contract of every method: a recipe that plans without data, and fits within its plan.

    recipe = dpsynth.models.MAF()                    # public configuration only
    plan = recipe.plan(domain, budget)               # no data: every release, its noise, the proven epsilon
    fitted = recipe.fit(table, plan)                 # spends what the plan says, never more
    fitted.sample(10_000).to_csv("synthetic.csv")    # post-processing, free

A method is a frozen dataclass with `_plan` and `_fit`.  What all methods share is done here once: the ledger,
buying undeclared bounds and categories, the noisy number of rows, the checkpoint and the privacy statement.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, cast

from dpsynth.data.domain import Domain
from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.images import Images
from dpsynth.data.table import Table
from dpsynth.errors import ConfigError
from dpsynth.marginals.encoded_files import EncodedFiles
from dpsynth.models.fitted import Fitted, Generators
from dpsynth.models.preparation import Preparation, Shares, prepare, stand_in
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.ledger import Charge, Ledger, Plan
from dpsynth.privacy.processes import shared
from dpsynth.privacy.random import Streams
from dpsynth.training import Checkpoint, Listener, TrainerSettings

__all__ = ["Fitted", "Generators", "OwnPlan", "Run", "Shares", "Synthesizer"]


Rows = Table | EncodedFiles | Images  # private rows in a domain: in memory, or encoded on disk
KINDS = {Table: "a table", EncodedFiles: "encoded files", Images: "images"}


class OwnPlan(NamedTuple):
    """What a method adds to the shared part of a plan.

    charges: its releases.  settings: the public numbers its `_fit` will use (noise multiplier, steps, rate,
    ...). memory_bytes: an estimate of what `_fit` needs at its peak.
    """

    charges: tuple[Charge, ...]
    settings: Mapping[str, Any]
    memory_bytes: int


@dataclass(frozen=True)
class Run:
    """How one fit is carried out.  Of all this, the guarantee depends on the noise of `streams` only."""

    streams: Streams
    settings: TrainerSettings
    progress: Listener | None = None
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True)
class Synthesizer(ABC):
    """A recipe: every field is public configuration.

    modalities: what it can make, "table", "image" or both; a domain of the other kind is refused.
    learns_from: kinds of rows that `_fit` takes; `fit` refuses others.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"table"})
    learns_from: ClassVar[tuple[type[Rows], ...]] = (Table,)

    @abstractmethod
    def _plan(self, domain: Any, budget: Budget, before: Sequence[Charge]) -> OwnPlan:
        """The method's own releases, such that together with `before` they stay within `budget`.

        domain: of one of `modalities`, and complete; where bounds or categories are still to be bought, a stand-in of
        the largest size.
        Raises `BudgetError` or `ConfigError` for what cannot be met.
        """

    @abstractmethod
    def _fit(self, table: Any, rows: int, ledger: Ledger, run: Run) -> Fitted:
        """Fit to `table` (one of `learns_from`), whose domain is complete, touching it through privacy mechanisms only.

        rows: the declared or noisy number of rows (exact only where the relation makes it public).
        ledger: `ledger.plan` is the plan; every release is spent here, under the names planned.
        The statement of the result is filled in by `fit`.
        """

    def plan(self, domain: Domain | ImageDomain, budget: Budget, shares: Shares | None = None) -> Plan:
        """All releases of a fit and what they cost together; needs no data.

        Raises `BudgetError` when the method cannot keep within the budget, `ConfigError` when it does not make
        what the domain describes.
        """
        kind = "image" if isinstance(domain, ImageDomain) else "table"
        if kind not in self.modalities:
            hint = "datalens, maf, merf or pe" if kind == "image" else "maf, aim or mst"
            raise ConfigError(f"{type(self).__name__} does not make {kind}s; model={hint} does")
        before = Preparation.planned(domain, budget, shares or Shares())
        own = self._plan(stand_in(domain), budget, before.charges)
        settings = {"model": type(self).__name__, **before.settings, **own.settings}
        return Plan(budget, (*before.charges, *own.charges), settings, own.memory_bytes)

    def plan_for(self, table: Rows, budget: Budget, shares: Shares | None = None) -> Plan:
        """The plan for a table at hand.

        It uses what is public of the table: its domain, and under `replace_one` the exact number of rows.
        """
        domain = table.domain
        if budget.neighbours == "replace_one":
            domain = replace(domain, rows=max(1, len(table)))
        return self.plan(domain, budget, shares)

    def fit(
        self,
        table: Rows,
        budget_or_plan: Budget | Plan,
        streams: Streams | None = None,
        progress: Listener | None = None,
        checkpoint: Checkpoint | None = None,
        settings: TrainerSettings | None = None,
    ) -> Fitted:
        """A new fitted model; the recipe itself is left as it was, and each call spends its own budget.

        streams: sources of randomness, by default seed 0 with secure privacy noise. checkpoint: keeps the
        state of a long fit, and goes on from it when it holds one of the same plan and data.
        """
        if not isinstance(table, self.learns_from):
            known = " or ".join(KINDS[kind] for kind in self.learns_from)
            given = KINDS.get(type(table), type(table).__name__)
            hint = "model=aim or mst" if isinstance(table, EncodedFiles) else "another model"
            raise ConfigError(f"{type(self).__name__} learns from {known}, not from {given}; take {hint}")
        if isinstance(budget_or_plan, Budget):
            plan = self.plan_for(table, budget_or_plan)
        elif isinstance(budget_or_plan, Plan):
            plan = budget_or_plan
        else:
            raise ConfigError("fit needs a dpsynth.Budget(epsilon, delta) or the Plan of this recipe")
        check_unit(table, plan.budget)
        streams = streams or Streams(infinite=not plan.budget.private)
        if checkpoint is not None:
            content = table.frame if isinstance(table, Table) else table.content_hash
            streams = checkpoint.begin(streams, {"recipe": repr(self), **plan.to_dict()}, content)
        streams = shared(streams)  # of several processes, the leader's
        ledger = Ledger(plan)
        complete, rows = prepare(cast(Any, table), ledger, streams)
        run = Run(streams, settings or TrainerSettings(), progress, checkpoint)
        fitted = self._fit(complete, rows, ledger, run)  # type: ignore[arg-type]  # checked above: `learns_from`
        fitted.statement = {**ledger.statement(streams), "rows": rows, "covers": covers(table)}
        return fitted

    def replace(self, **changes: Any) -> "Synthesizer":
        """The same recipe with other fields."""
        return replace(self, **changes)


def check_unit(table: Rows, budget: Budget) -> None:
    """`ConfigError` unless the table was made for the unit that the budget protects.

    A promise to persons holds only for a table whose rows of each person were bounded. In a bounded table one row of
    the file more or less may change two rows (selection.py), so a promise to rows does not hold for it.
    """
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


def covers(table: Rows) -> str:
    """Which rows the statement covers, in words."""
    unit = "image" if isinstance(table, Images) else "row" if table.rows_per_person is None else "person"
    used = f"; used in training: {', then '.join(table.coverage)}" if table.coverage else ", all used in training"
    return f"every {unit} of the data{used}"
