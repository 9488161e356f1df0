"""PlainMAF: a masked autoregressive flow over the whole mixed table, trained with DP-SGD, steadied by noisy marginals.

The flow by itself, without a graphical model, on bins of equal width or with values transformed by splines or affine
maps, as in the original DP-MAF. `recipe.py` has the method that is better on every table tried.

    1  one fraction of the budget counts every column and pairs of columns, with noise
    (`privacy/mechanisms/marginals.py`)
    2  the flow's output biases start at the noisy one-way marginals
    3  DP-SGD fits the flow to the rows (`dp_training.py`); this is where most of the budget goes
    4  the flow is brought to agree with the noisy marginals (`models/maf/marginal_fit.py`), which is free

Guarantee: the ledger composes the counts and the DP-SGD steps, and nothing else reads the rows. Steps, rates, learning
rates and noise are public constants or follow from the domain and the budget; they never follow from the data. The flow
is that of Papamakarios et al. 2017 (arXiv:1705.07057) with the conditionals of `networks/conditionals.py`; priors that
are estimated privately go back to Waites and Cummings 2021 (arXiv:2103.14068).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from dpsynth.data.table.codec import Codec, Encoded
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import Fitted
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, Synthesizer
from dpsynth.models.maf.marginal_fit import Coarsening, MarginalFit
from dpsynth.models.maf.plain_fitted import FittedPlainFlow, PlainShape, Transform
from dpsynth.models.shared.dp_training import DPTraining
from dpsynth.networks.flow import TabularFlow
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.dpsgd.gradients import Mode
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals, exact_counts
from dpsynth.training import train

ONES, TWOS, SGD = "one-way marginals", "two-way marginals", "dp-sgd"
SHOWN_ROWS = 1024  # whose loss is shown while training
LEAST_COUNT = 0.02  # of the noise: the least count a code starts from


@dataclass(frozen=True, kw_only=True)
class PlainMAFPlan(MethodPlan):
    """What a flow over a table will release. codec: of the planned domain."""

    codec: Codec
    one_way: NoisyMarginals | None
    two_way: NoisyMarginals | None
    sgd: DPSGD


@dataclass(frozen=True)
class PlainMAF(Synthesizer):
    """The recipe. Defaults are one set for all tables.

    steps: of DP-SGD. batch_size: expected rows a step; the rate is batch_size over the declared number of rows.
    learning_rate: of Adam, falling to zero over the last `decay` of the steps. clipping_norm: of a row's gradient.
    averaging: decay of the average of the weights along the path, 0 for none.
    label_weight: how much more the label's term counts in the loss than another column's.
    one_way_fraction, two_way_fraction: of the budget, for noisy marginals; 0 measures none. groups: most groups of a
    numeric column's bins in two-way marginals. fit_steps, fit_rate: of the fit to the marginals.
    gradients: engine for clipped sums. microbatch_size: rows at a time; memory only, never the result.
    """

    bins: int = 128
    transform: Transform = "piecewise_linear"
    knots: int = 8
    bumps: int = 16
    order: str | Sequence[str] = "label_last"
    hidden: int = 128
    layers: int = 1
    steps: int = 2000
    batch_size: int = 650
    learning_rate: float = 8e-3
    decay: float = 1.0
    clipping_norm: float = 1.0
    averaging: float = 0.0
    label_weight: float = 3.0
    one_way_fraction: float = 0.05
    two_way_fraction: float = 0.1
    groups: int = 24
    fit_steps: int = 150
    fit_rate: float = 1e-3
    gradients: Mode = "fused"
    microbatch_size: int | None = None

    def __post_init__(self) -> None:
        for name in ("bins", "hidden", "steps", "batch_size", "knots", "bumps", "groups"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must be at least 1")
        for name in ("layers", "fit_steps", "one_way_fraction", "two_way_fraction", "averaging", "decay"):
            if getattr(self, name) < 0:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must not be negative")
        for name in ("learning_rate", "clipping_norm", "label_weight", "fit_rate"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must be above 0")
        if self.one_way_fraction + self.two_way_fraction >= 1:
            raise ConfigError("model.one_way_fraction and model.two_way_fraction leave nothing for DP-SGD")
        if self.transform not in ("piecewise_linear", "rq_spline", "affine"):
            raise ConfigError(f"model.transform '{self.transform}': choose piecewise_linear, rq_spline or affine")

    @property
    def shape(self) -> PlainShape:
        return PlainShape(**{field.name: getattr(self, field.name) for field in fields(PlainShape)})

    @property
    def _descent(self) -> DPTraining:
        return DPTraining.of(self, SGD, SHOWN_ROWS)

    def _plan(self, domain: Domain, budget: Budget, before: Sequence[Charge]) -> MethodPlan:
        self.shape.positions(domain)  # refuses an order that does not fit
        codec = Codec(domain, self.bins)
        fractions = {
            ONES: (len(codec.sizes), self.one_way_fraction),
            TWOS: (len(self._pairs(codec)), self.two_way_fraction),
        }
        ones, twos = (
            NoisyMarginals.at_fraction(name, count, budget, fraction) if fraction and count else None
            for name, (count, fraction) in fractions.items()
        )
        counted = tuple(each for each in (ones, twos) if each is not None)
        sgd = self._descent.planned(domain.rows, budget, (*before, *counted))
        return PlainMAFPlan(codec=codec, one_way=ones, two_way=twos, sgd=sgd, memory_bytes=self._memory(codec, domain))

    def _fit(self, table: Table, rows: int, plan: MethodPlan, ledger: Ledger, run: FitRun) -> Fitted:
        assert isinstance(plan, PlainMAFPlan), "made by _plan for a table"
        codec = plan.codec.under(table.domain)
        encoded = codec.encode(table.frame)
        label = table.domain.label
        weights = [self.label_weight if name == label else 1.0 for name in table.domain.names]
        flow = self.shape.flow(codec, weights, run.randomness.model("initial weights"))

        ones, twos, coarsening = [], [], self._coarsening(codec)
        if plan.one_way:
            columns = [(j,) for j in range(len(codec.sizes))]
            ones = plan.one_way.measure(exact_counts(encoded.codes, columns, codec.sizes), ledger)
            flow.set_marginals({j: _fraction(counts, plan.one_way.sigma) for j, counts in enumerate(ones)})
        if plan.two_way:
            # A domain whose bounds or categories were estimated may have more pairs than the plan could know of.
            pairs = coarsening.pairs[: plan.two_way.marginals]
            coarsening = replace(coarsening, pairs=pairs)
            twos = plan.two_way.measure(exact_counts(coarsening(encoded.codes), pairs, coarsening.sizes), ledger)

        data = (torch.from_numpy(encoded.codes.astype(np.int64)), self._positions(codec, encoded, ledger))
        self._descent.train(flow, data, rows, plan.sgd, ledger, run)
        if (ones or twos) and self.fit_steps and ledger.budget.private:
            target = MarginalFit(
                flow,
                coarsening if twos else replace(coarsening, pairs=()),
                ones,
                plan.one_way.sigma if plan.one_way else 1.0,
                twos,
                plan.two_way.sigma if plan.two_way else 1.0,
                run.randomness.model("marginal fit"),
            )
            self._agree(flow, target, run)
        return FittedPlainFlow(table.domain, self.shape, flow)

    def _agree(self, flow: TabularFlow, target: MarginalFit, run: FitRun) -> None:
        """Post-processing: the flow meets the noisy marginals; see `marginal_fit.py`."""
        train(
            flow,
            target.step,
            torch.optim.Adam(flow.parameters(), lr=self.fit_rate),
            lambda t: min(1.0, 2 * (self.fit_steps - t) / self.fit_steps),
            self.fit_steps,
            settings=run.settings,
            generators={"samples": target.generator},
            more={"samples": target},
            checkpoint=run.checkpoint.phase("marginal fit") if run.checkpoint else None,
            progress=run.progress,
            title="marginals",
        )

    def _positions(self, codec: Codec, encoded: Encoded, ledger: Ledger) -> torch.Tensor:
        """Units as float32, spread evenly over each lattice value's own cell so that densities stay bounded.

        Where a row is placed within a cell is decided by words of its own under the secret key.
        """
        units = encoded.units
        assert units is not None
        if self.transform == "piecewise_linear":
            return torch.from_numpy(units).float()
        cells = np.array([np.nan if c.cells is None else c.cells for c in codec.columns])
        uniform = ledger.uniforms("positions within cells", *units.shape)
        jitter = np.where(np.isnan(cells), 0.0, (uniform - 0.5) / np.nan_to_num(cells, nan=1.0))
        return torch.from_numpy(np.clip(units + jitter, 0.0, 1.0)).float()

    def _coarsening(self, codec: Codec) -> Coarsening:
        label = codec.domain.label
        return Coarsening.of(codec, self.groups, None if label is None else codec.domain.position(label))

    def _pairs(self, codec: Codec) -> tuple[tuple[int, ...], ...]:
        """Public: the pairs of columns whose marginals are measured."""
        return self._coarsening(codec).pairs

    def _memory(self, codec: Codec, domain: Domain) -> int:
        """Bytes at the peak: weights, gradients, moments and noise; a batch; the encoded rows."""
        width, columns = sum(codec.sizes), len(codec.sizes)
        weights = 2 * width * self.hidden + self.layers * self.hidden**2
        batch = self.microbatch_size or 2 * self.batch_size
        return 32 * weights + 24 * batch * (2 * width + 4 * self.hidden) + 21 * columns * (domain.rows or UNKNOWN_ROWS)


def _fraction(noisy: np.ndarray, sigma: float) -> torch.Tensor:
    """Probabilities from noisy counts: the nearest ones that are not negative, with no code quite impossible.

    Clipping at zero alone would add up the positive half of the noise over all empty codes; the projection onto counts
    of the right total takes as much off again.
    """
    total = max(float(noisy.sum()), 1.0)
    falling = np.sort(noisy)[::-1].astype(np.float64)
    excess = (falling.cumsum() - total) / np.arange(1, len(falling) + 1)
    shift = excess[np.flatnonzero(falling > excess)[-1]]
    counts = np.maximum(noisy - shift, max(LEAST_COUNT * sigma, 0.5))
    return torch.from_numpy(counts / counts.sum())
