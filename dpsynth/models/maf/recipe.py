"""maf: a masked autoregressive flow over the whole mixed table, which corrects a graphical model of released marginals.
For images it hands over to `models/pixels`.

    1  marginals are chosen and measured in rounds, and a graphical model is fitted to them: `aim`, with its discretizer
    2  the model is written as an autoregressive one, each column given earlier ones (`tree_conditionals.py`); the order
       of the columns follows from the tree
    3  a masked network whose outputs are added to the logits of the graphical model starts at zero, so the flow starts
       at the graphical model, and is trained on the rows with DP-SGD, for a fraction of the budget
    4  its output biases are set so that every column by itself has again the distribution that the graphical model has:
       there the noise of DP-SGD is larger than that of the marginals; this is free

DP-SGD so learns only what the marginals do not say, and is given a fifth of the budget where that paid on validation
parts of public tables (docs/results.md): from 20,000 declared rows and 20,000 rows times epsilon. With fewer rows, or
none declared, all of the budget goes into marginals, and the model is that of `aim`.

Guarantee: the ledger composes the releases of `aim` and the DP-SGD steps, and nothing else reads the rows. The noise of
DP-SGD is set first, for its fraction of the budget; the adaptive budget of the marginals is what remains. Which codes a
row has in training follows from the row, the domain and releases (cells and merged codes), as do the logits of the
graphical model, so the gradient of a row depends on that row and on what was released: DP-SGD composes adaptively.
Steps, rates, learning rates and noise follow from the recipe, the declared number of rows and the budget, never from
the data.

The flow is that of Papamakarios et al. 2017 (arXiv:1705.07057) with the conditionals of `networks/conditionals.py`. The
idea to let a graphical model of marginals and a network share the work is that of MargNet (arXiv:2511.13893); the
network as a correction of the model's conditionals is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.models.contract.fitted import Fitted
from dpsynth.models.contract.option_groups import at_least, between
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, PrivateRows, Synthesizer
from dpsynth.models.maf.fitted import FittedFlow, Shape
from dpsynth.models.maf.tree_conditionals import TreeConditionals
from dpsynth.models.marginal.aim import AIM
from dpsynth.models.marginal.fitted_graph import FittedGraph
from dpsynth.models.marginal.method import MarginalPlan
from dpsynth.models.pixels.recipe import PixelMAF
from dpsynth.models.shared.dp_training import DPTraining, DPTrainingOptions
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals

SGD = "dp-sgd"
SHOWN_ROWS = 1024  # whose loss is shown while training
STEPS = 400
FRACTION = 0.2  # of the budget for DP-SGD, where it pays
ENOUGH = 20_000  # declared rows, and rows times epsilon, from which it does
MATCHED_ROWS = 20_000  # drawn to set the biases
PART, SMALLEST, LARGEST = 1 / 16, 64, 2048  # of the declared rows in a batch, and its bounds


@dataclass(frozen=True, kw_only=True)
class MAFPlan(MethodPlan):
    """What a flow over a table will release. sgd: None where nothing is spent on DP-SGD."""

    marginals: MarginalPlan
    sgd: DPSGD | None


@dataclass(frozen=True)
class MAF(Synthesizer):
    """The recipe. Defaults are one set for all tables.

    marginals: how marginals are chosen and measured, a recipe of `aim`. dp_sgd_fraction: of the budget, for DP-SGD;
    0 for none, None for the rule above. hidden, layers: units of a hidden layer, residual hidden layers behind the
    first. training: DP-SGD; a batch_size of None is a sixteenth of the declared rows, within 64 and 2,048. images: the
    recipe for images; the fields above are for tables.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"table", "image"})
    learns_from: ClassVar[tuple[type[PrivateRows], ...]] = (Table, Images)

    marginals: AIM = field(default_factory=AIM)
    dp_sgd_fraction: float | None = None
    hidden: int = 96
    layers: int = 1
    training: DPTrainingOptions = field(default_factory=lambda: DPTrainingOptions(steps=STEPS, batch_size=None))
    images: PixelMAF = field(default_factory=PixelMAF)

    def __post_init__(self) -> None:
        if self.dp_sgd_fraction is not None:
            between(self, 0, 1, "dp_sgd_fraction", where="model.", ends="[)")
        at_least(self, 1, "hidden", where="model.")
        at_least(self, 0, "layers", where="model.")

    @property
    def shape(self) -> Shape:
        return Shape(self.hidden, self.layers)

    def _plan(self, domain: Domain | ImageDomain, budget: Budget, before: Sequence[Charge]) -> MethodPlan:
        if isinstance(domain, ImageDomain):
            return self.images.plan_part(domain, budget, before)
        sgd, fraction = None, self._fraction(domain.rows, budget)
        if fraction:
            # A release of all the rest stands for the marginals while the noise of DP-SGD is set.
            others = NoisyMarginals.at_fraction("marginals to come", 1, budget, 1 - fraction)
            sgd = self._training(domain.rows).planned(domain.rows, budget, (others,))
        marginals = self.marginals.plan_part(domain, budget, before if sgd is None else (*before, sgd))
        assert isinstance(marginals, MarginalPlan)
        memory = marginals.memory_bytes + (self._memory(domain) if sgd else 0)
        return MAFPlan(marginals=marginals, sgd=sgd, memory_bytes=memory)

    def _fit(self, table: Table | Images, rows: int, plan: MethodPlan, ledger: Ledger, run: FitRun) -> Fitted:
        if isinstance(table, Images):
            return self.images.fit_part(table, rows, plan, ledger, run)
        assert isinstance(plan, MAFPlan), "made by _plan for a table"
        graph = self.marginals.fit_part(table, rows, plan.marginals, ledger, run)
        assert isinstance(graph, FittedGraph)
        flow = self.shape.flow(graph, run.randomness.model("initial weights"))
        if plan.sgd is not None:
            codes = graph.compression(graph.codec.encode(table.frame).codes)
            places = torch.full(codes.shape, 0.5)  # within a cell the distribution was released: nothing to learn
            data = (torch.from_numpy(codes.astype(np.int64)), places)
            self._training(table.domain.rows).train(flow, data, rows, plan.sgd, ledger, run)
            tree = flow.prior
            assert isinstance(tree, TreeConditionals)
            flow.to("cpu").match(tree.marginals, MATCHED_ROWS, run.randomness.model("marginals of the flow"))
        fitted = FittedFlow(graph, self.shape, flow, plan.sgd is not None)
        fitted.measured = graph.measured
        return fitted

    def _fraction(self, rows: int | None, budget: Budget) -> float:
        """Public: what part of the budget is for DP-SGD; rows: the declared number."""
        if self.dp_sgd_fraction is not None:
            return self.dp_sgd_fraction
        return FRACTION if (rows or 0) >= ENOUGH and (rows or 0) * budget.epsilon >= ENOUGH else 0.0

    def _batch(self, rows: int | None) -> int:
        """Public: expected rows of a step."""
        return self.training.batch_size or round(min(max((rows or UNKNOWN_ROWS) * PART, SMALLEST), LARGEST))

    def _training(self, rows: int | None) -> DPTraining:
        """rows: the declared number."""
        known = replace(self.training, steps=self.training.steps or STEPS, batch_size=self._batch(rows))
        return DPTraining.of(known, SGD, SHOWN_ROWS)

    def _memory(self, domain: Domain) -> int:
        """Bytes of DP-SGD at its peak: weights, gradients, moments and noise; a batch; the encoded rows."""
        width, columns = 64 * len(domain), len(domain)
        weights = 2 * width * self.hidden + self.layers * self.hidden**2
        batch = self.training.microbatch_size or 2 * self._batch(domain.rows)
        return 32 * weights + 24 * batch * (2 * width + 4 * self.hidden) + 21 * columns * (domain.rows or UNKNOWN_ROWS)
