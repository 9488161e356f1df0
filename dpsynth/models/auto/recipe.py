"""auto: takes independent, aim or mst, as the public facts of a table suggest (`rule.py`).

The choice is made when the plan is made, from the schema, the number of rows and the budget, never from the data. A
table whose schema declares no number of rows is planned for `aim`; once the rows are counted with noise, their number
is public, and where it turns out so small that dependence drowns, all of the budget goes to the columns by themselves.

Guarantee. That of the chosen method, whose plan this is. Columns by themselves under the plan of `aim` are one release
of all one-way marginals within its adaptive budget (`privacy/accounting/adaptive_budget.py`), whose noise and queries
may follow from what was released before; the noisy number of rows was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.marginals.counting.encoded_files import EncodedFiles
from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel
from dpsynth.models.auto.rule import Choice, Signal, chosen
from dpsynth.models.contract.fitted import Fitted
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, PrivateRows, Synthesizer
from dpsynth.models.marginal.aim import AIM, AIMPlan
from dpsynth.models.marginal.fitted_graph import FittedGraph
from dpsynth.models.marginal.independent import Independent
from dpsynth.models.marginal.method import CountingOptions, EncodedRows, MarginalMethod, combined, measurement, one_way
from dpsynth.models.marginal.mst import MST
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals


@dataclass(frozen=True, kw_only=True)
class AutoPlan(MethodPlan):
    """The plan of the chosen method.

    Attributes:
        chosen: As `model=` calls the method.
        workload: Of `aim`: marginals of so many columns; 0 for other methods.
        why: In words.
        method: Its releases.
        counted: Whether the number of rows is still to be counted.
    """

    chosen: str
    workload: int
    why: str
    counted: bool
    method: MethodPlan

    @property
    def settings(self) -> dict[str, Any]:
        return {"chosen": f"{self.chosen} ({self.why})", **self.method.settings}


@dataclass(frozen=True)
class Auto(Synthesizer):
    """The recipe.

    counting: how counts are made, never what they are; handed on to the method.
    """

    learns_from: ClassVar[tuple[type[PrivateRows], ...]] = (Table, EncodedFiles)

    counting: CountingOptions = field(default_factory=CountingOptions)

    def _method(self, choice: Choice, alone: bool = False) -> MarginalMethod:
        """The recipe of a choice; alone: columns by themselves under the plan of aim."""
        if choice.method == "aim":
            kind = _ColumnsAlone if alone else AIM
            return kind(counting=self.counting, workload=choice.workload)
        return {"independent": Independent, "mst": MST}[choice.method](counting=self.counting)

    def _plan(self, domain: Domain, budget: Budget, before: Sequence[Charge]) -> AutoPlan:
        counted = domain.rows is None and budget.neighbours == "add_remove"
        signal = Signal.of(domain, budget)
        choice = chosen(signal.with_rows(MANY) if counted else signal)
        if counted and choice.method == "aim":
            why = "the schema declares no rows; columns by themselves, if they turn out to be few"
            choice = Choice(choice.method, choice.workload, why)
        own = self._method(choice).plan_part(domain, budget, before)
        return AutoPlan(
            chosen=choice.method,
            workload=choice.workload,
            why=choice.reason,
            counted=counted,
            method=own,
            memory_bytes=own.memory_bytes,
        )

    def _fit(self, table: Table | EncodedFiles, rows: int, plan: AutoPlan, ledger: Ledger, run: FitRun) -> Fitted:
        choice = Choice(plan.chosen, plan.workload, plan.why)
        later = chosen(Signal.of(table.domain, ledger.budget, rows)) if plan.counted else choice
        alone = choice.method == "aim" and later.method == "independent"
        fitted = self._method(choice, alone).fit_part(table, rows, plan.method, ledger, run)
        method = "Independent" if alone else type(self._method(choice)).__name__
        reason = later.reason if plan.counted and (alone or later.method == choice.method) else plan.why
        fitted.statement = {"method": method, "chosen": f"by auto, from public facts alone: {reason}"}
        return fitted


MANY = 10**9  # rows, with which nothing drowns: what is left to decide is what can be computed


class _ColumnsAlone(AIM):
    """Columns by themselves, with all of the adaptive budget of a plan of `aim`."""

    def _learn(self, rows: EncodedRows, total: int, plan: AIMPlan, ledger: Ledger, run: FitRun) -> FittedGraph:
        columns, budget = one_way(len(rows.sizes)), plan.budget
        sigma = budget.counts_sigma(ledger.remaining(budget) * (1 - 1e-9) / len(columns))
        counts = NoisyMarginals(name=budget.name, neighbours=budget.neighbours, sigma=sigma, marginals=len(columns))
        noisy = counts.measure(rows.counts(columns), ledger)
        measured = combined([measurement(c, n, sigma) for c, n in zip(columns, noisy, strict=True)], rows.known)
        fitted = FittedGraph(rows.codec, rows.compression, GraphicalModel.fit(rows.sizes, measured))
        fitted.measured = rows.tables(columns, noisy, sigma)
        return fitted
