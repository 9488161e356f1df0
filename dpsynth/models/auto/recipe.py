"""auto: takes independent, aim or mst, as the public facts of a table suggest (`rule.py`).

Where the schema declares the number of rows, or the relation makes it public, the method is chosen when the plan is
made, and the plan is that of the method. Where it does not, the plan states all branches, and from how many rows each
is taken: the rows are counted with noise first, and the released number decides (`branches.py`, with the proof). A
number that stands for the rows would decide wrongly for every table that is smaller or larger.

Guarantee. That of the chosen method, whose plan this is, or of the branches. Nothing is chosen by the data but through
the noisy number of rows, and bounds and categories that were released.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.marginals.counting.encoded_files import EncodedFiles
from dpsynth.models.auto.branches import ColumnsBranch, TreeBranch
from dpsynth.models.auto.rule import MOST_ROWS, Choice, Signal, branches, chosen
from dpsynth.models.contract.fitted import Fitted
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, PrivateRows, Synthesizer
from dpsynth.models.marginal.aim import AIM
from dpsynth.models.marginal.independent import Independent
from dpsynth.models.marginal.method import CountingOptions, MarginalMethod
from dpsynth.models.marginal.mst import MST
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class AutoPlan(MethodPlan):
    """The plan of the chosen method.

    Attributes:
        chosen: As `model=` calls the method, or that the noisy number of rows decides.
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

    def _method(self, choice: Choice) -> MarginalMethod:
        """The recipe of a choice by a public number of rows."""
        if choice.method == "aim":
            return AIM(counting=self.counting, workload=choice.workload)
        return {"independent": Independent, "mst": MST}[choice.method](counting=self.counting)

    def _branch(self, choice: Choice) -> MarginalMethod:
        """The same by the noisy number of rows: a method that spends an adaptive budget."""
        if choice.method == "aim":
            return AIM(counting=self.counting, workload=choice.workload)
        return {"independent": ColumnsBranch, "mst": TreeBranch}[choice.method](counting=self.counting)

    def _plan(self, domain: Domain, budget: Budget, before: Sequence[Charge]) -> AutoPlan:
        signal = Signal.of(domain, budget)
        if domain.rows is not None or budget.neighbours == "replace_one" or len(domain) == 1:
            choice = chosen(signal)
            own, counted = self._method(choice).plan_part(domain, budget, before), False
        else:
            largest = chosen(signal.with_rows(MOST_ROWS))  # what can be computed, however many rows there will be
            own, counted = self._branch(largest).plan_part(domain, budget, before), True
            choice = Choice("by the noisy number of rows", largest.workload, branches(signal))
        return AutoPlan(
            chosen=choice.method,
            workload=choice.workload,
            why=choice.reason,
            counted=counted,
            method=own,
            memory_bytes=own.memory_bytes,
        )

    def _fit(self, table: Table | EncodedFiles, rows: int, plan: AutoPlan, ledger: Ledger, run: FitRun) -> Fitted:
        if plan.counted:
            choice = chosen(Signal.of(table.domain, ledger.budget, rows))
            method = self._branch(choice)
        else:
            choice = Choice(plan.chosen, plan.workload, plan.why)
            method = self._method(choice)
        fitted = method.fit_part(table, rows, plan.method, ledger, run)
        by = "from public facts and the noisy number of rows" if plan.counted else "from public facts alone"
        fitted.statement = {"method": NAMES[choice.method], "chosen": f"by auto, {by}: {choice.reason}"}
        return fitted


NAMES = {"independent": "Independent", "mst": "MST", "aim": "AIM"}
