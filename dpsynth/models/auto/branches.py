"""What auto carries out once the rows are counted: independent, mst or aim, each within one adaptive budget.

The plan is made before anybody knows how many rows there are, and holds two charges of Gaussian DP that are spent as
one goes: one for the values of numbers, which all three methods count alike, and one for marginals. The noisy number
of rows, a planned release of its own, decides which of the methods spends the second:

    independent   all columns by themselves, in one release
    mst           columns, choices and pairs, with costs in mu^2 as `MST` has them
    aim           as ever; its plan has such a budget anyway

Guarantee. The plan is private for whatever is released under it: an adaptive budget of mu-Gaussian DP lets queries and
noise follow from everything released before, as long as the mu_i^2 add up to at most mu^2
(`privacy/accounting/adaptive_budget.py`). Which method spends it is such a choice: a function of the noisy number of
rows, of bounds and categories that were released, and of public facts, so that it is post-processing of what neighbours
see alike. The number is charged and drawn first, and is not drawn again; every release of a method is then charged by
the mechanism that makes it, as in that method's own file. Between the branches nothing is shared but the budget, and
only one of them is carried out, so that no branch costs more than the plan says. An observer learns which one it was,
which follows from the released number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dpsynth.data.table.domain import Domain
from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel
from dpsynth.models.contract.synthesizer import FitRun
from dpsynth.models.marginal.aim import AIM, ROUNDS_NAME, AIMPlan
from dpsynth.models.marginal.fitted_graph import FittedGraph
from dpsynth.models.marginal.method import EncodedRows, combined, measurement, one_way
from dpsynth.models.marginal.mst import MST, TreePlan
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.adaptive_budget import AdaptiveBudget
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals


@dataclass(frozen=True)
class ColumnsBranch(AIM):
    """Columns by themselves, with all of the adaptive budget."""

    def _learn(self, rows: EncodedRows, total: int, plan: AIMPlan, ledger: Ledger, run: FitRun) -> FittedGraph:
        columns, budget = one_way(len(rows.sizes)), plan.budget
        sigma = budget.counts_sigma(ledger.remaining(budget) * (1 - 1e-9) / len(columns))
        counts = NoisyMarginals(name=budget.name, neighbours=budget.neighbours, sigma=sigma, marginals=len(columns))
        noisy = counts.measure(rows.counts(columns), ledger)
        measured = combined([measurement(c, n, sigma) for c, n in zip(columns, noisy, strict=True)], rows.known)
        fitted = FittedGraph(rows.codec, rows.compression, GraphicalModel.fit(rows.sizes, measured))
        fitted.measured = rows.tables(columns, noisy, sigma)
        return fitted


@dataclass(frozen=True)
class TreeBranch(MST):
    """`MST` with all of the adaptive budget; it also plans one where there are too many columns for `aim`."""

    def _releases(self, domain: Domain, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]) -> AIMPlan:
        adaptive = AdaptiveBudget.remaining(ROUNDS_NAME, budget, before)
        tree = self._tree(sizes, adaptive)
        return AIMPlan(budget=adaptive, targets=(), rounds=0, memory_bytes=tree.memory_bytes)

    def _learn(self, rows: EncodedRows, total: int, plan: AIMPlan, ledger: Ledger, run: FitRun) -> FittedGraph:
        return super()._learn(rows, total, self._tree(rows.sizes, plan.budget), ledger, run)

    def _tree(self, sizes: Sequence[int], adaptive: AdaptiveBudget) -> TreePlan:
        return TreePlan.within(sizes, adaptive, self.one_way_fraction, self.choice_fraction)
