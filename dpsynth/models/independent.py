"""independent: every column's histogram with noise, and columns that know nothing of each other. The least baseline.

Guarantee. A row adds one to one cell of each of D histograms. Adding or removing a row moves the vector of all cells by
sqrt(D) in L2 norm, replacing one by sqrt(2 D). All cells leave in one release with discrete Gaussian noise
(`privacy/marginals.py`): D exact scalar events, 2 D under replace_one, calibrated to all that the budget leaves. The
rest is post-processing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dpsynth.marginals.graphical_model import GraphicalModel
from dpsynth.models.coded_rows import CodedRows
from dpsynth.models.fitted_graph import FittedGraph
from dpsynth.models.marginal_method import MarginalMethod, measurement, one_way
from dpsynth.models.synthesizer import OwnPlan, Run
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import calibrate
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.marginals import NoisyMarginals, marginals_charge

ONES = "one-way marginals"


@dataclass(frozen=True)
class Independent(MarginalMethod):
    """The recipe; see `MarginalMethod` for its fields."""

    def _releases(self, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]) -> OwnPlan:
        sigma = calibrate(lambda z: (*before, marginals_charge(ONES, len(sizes), z, budget)), budget)
        charge = marginals_charge(ONES, len(sizes), sigma, budget)
        return OwnPlan((charge,), {"one-way noise": sigma}, memory_bytes=64 * sum(sizes))

    def _learn(self, rows: CodedRows, total: int, ledger: Ledger, run: Run) -> FittedGraph:
        sigma = ledger.plan.settings["one-way noise"]
        columns = one_way(len(rows.sizes))
        marginals = NoisyMarginals(ONES, tuple(columns), rows.sizes, sigma)
        noisy = marginals.release(rows.counts(columns), ledger, run.streams.privacy)
        measured = [measurement(column, counts, sigma) for column, counts in zip(columns, noisy, strict=True)]
        model = GraphicalModel.fit(rows.sizes, measured)
        return FittedGraph(rows.codec.domain, rows.codec.bins, rows.merging, model)
