"""independent: every column's histogram with noise, and columns that know nothing of each other. The least baseline.

Guarantee. A row adds one to one cell of each of D histograms. Adding or removing a row moves the vector of all cells by
sqrt(D) in L2 norm, replacing one by sqrt(2 D). All cells leave in one release (`privacy/mechanisms/marginals.py`),
calibrated to all that the budget leaves. The rest is post-processing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dpsynth.data.table.domain import Domain
from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan
from dpsynth.models.marginal.fitted_graph import FittedGraph
from dpsynth.models.marginal.method import EncodedRows, MarginalMethod, combined, measurement, one_way
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals

ONES = "one-way marginals"


@dataclass(frozen=True, kw_only=True)
class IndependentPlan(MethodPlan):
    """What is released."""

    one_way: NoisyMarginals


@dataclass(frozen=True)
class Independent(MarginalMethod):
    """The recipe; see `MarginalMethod` for its fields."""

    def _releases(
        self, domain: Domain, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]
    ) -> IndependentPlan:
        def counts(sigma: float) -> NoisyMarginals:
            return NoisyMarginals(name=ONES, neighbours=budget.neighbours, sigma=sigma, marginals=len(sizes))

        sigma = calibrate(lambda z: (*before, counts(z)), budget)
        return IndependentPlan(one_way=counts(sigma), memory_bytes=64 * sum(sizes))

    def _learn(self, rows: EncodedRows, total: int, plan: IndependentPlan, ledger: Ledger, run: FitRun) -> FittedGraph:
        columns = one_way(len(rows.sizes))
        noisy = plan.one_way.measure(rows.counts(columns), ledger)
        sigma = plan.one_way.sigma
        measured = [measurement(column, counts, sigma) for column, counts in zip(columns, noisy, strict=True)]
        measured = combined(measured, rows.known)
        model = GraphicalModel.fit(rows.sizes, measured)
        fitted = FittedGraph(rows.codec, rows.compression, model)
        fitted.measured = rows.tables(columns, noisy, sigma)
        return fitted
