"""dpvi: a mixture of independent columns, its posterior by differentially private variational inference.

    1  a small fraction of the budget counts every column, with noise: the base that components vary around
    2  p(x | phi) = sum over components of pi_c prod over columns of p(x_j | phi_cj), the component summed out; missing
       values and point masses are part of it, distributions by column as in a twinify model file
    3  the guide q(phi), independent normals, follows noised sums of clipped gradients of log p(row | phi), by steps
       that know how noisy these are (`vi/guide.py`)
    4  rows come from draws of phi, so that what the data and the noise leave open shows in the sample

Guarantee: the ledger composes the counts (`privacy/mechanisms/marginals.py`) and the steps of DP-SGD
(`privacy/dpsgd/dp_sgd.py`); nothing else reads the rows. Neighbours: add_remove with Poisson batches, sensitivity C of
a sum, or replace_one with batches of fixed size, sensitivity 2 C. Priors, entropy, curvature and step sizes follow from
phi and public numbers. After Jaelkoe, Dikmen and Honkela 2017 (arXiv:1610.08749), twinify, and Jaelkoe et al. 2022
(arXiv:2210.15961).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from dpsynth.data.table.codec import Codec
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.marginals.noisy_tables import noisy_tables
from dpsynth.models.contract.option_groups import OptionGroup, above_zero, at_least, between, one_of
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, Synthesizer
from dpsynth.models.dpvi.fitted import DISTRIBUTIONS, FittedMixture, code_distributions, distributions
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches, PoissonBatches
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals, exact_counts, nearest_counts
from dpsynth.training import Public, train
from dpsynth.training.progress import Figure
from dpsynth.vi.guide import MeanField, NaturalSteps
from dpsynth.vi.mixture import Mixture, MixtureGradients, MixtureLikelihood

ONES, SGD = "one-way marginals", "variational inference"
SHOWN_ROWS = 1024  # whose loss is shown while training
PARTING = 0.2  # of the steps, at the first learning rate
LEAST_COUNT = 0.02  # of the noise: the least count a code starts from


@dataclass(frozen=True, kw_only=True)
class DPVIPlan(MethodPlan):
    """What is released. parameters: numbers of the mixture."""

    codec: Codec
    one_way: NoisyMarginals | None
    sgd: DPSGD
    parameters: int


@dataclass(frozen=True)
class InferenceOptions(OptionGroup):
    """The descent of variational inference.

    Attributes:
        steps: Public, never fewer, never more.
        batch_size: Expected rows a step; the rate is this over the declared number of rows.
        learning_rate: Of the first step; 1 follows its gradient all the way.
        settling: After a fifth of the steps the rate is 1 / (1 / learning_rate + settling * steps since), an average
            over the last of them.
        clipping: Of a row's gradient, times the square root of the columns plus one.
        start: Of the random start, in prior standard deviations.
        microbatch_size: Rows handled at a time; bounds memory, never changes the result.
    """

    steps: int = 400
    batch_size: int = 4000
    learning_rate: float = 0.3
    settling: float = 0.3
    clipping: float = 0.3
    start: float = 1.0
    microbatch_size: int | None = None

    def __post_init__(self) -> None:
        at_least(self, 1, "steps", "batch_size", "microbatch_size")
        between(self, 0, 1, "learning_rate", "settling", ends="(]")
        above_zero(self, "clipping")
        at_least(self, 0, "start")


@dataclass(frozen=True)
class DPVI(Synthesizer):
    """The recipe. Defaults are one set for all tables.

    Attributes:
        components: Of the mixture.
        bins: Most value bins of a number.
        numeric_columns: Distribution of numbers and dates that the file does not name.
        file: A model file, `column: Distribution` a line, for some columns or all.
        missing: Whether each component has its own fraction of missing values, or each column one.
        width: Prior standard deviation of logits around the noisy one-way marginal.
        one_way_fraction: Of the budget, for noisy one-way marginals; 0 measures none.
        records_per_draw: Rows of a sample that share a draw of the posterior.
        inference: Options of the descent.
    """

    components: int = 30
    bins: int = 64
    numeric_columns: str = "Categorical"
    file: str | None = None
    missing: Literal["component", "column"] = "component"
    width: float = 1.0
    one_way_fraction: float = 0.1
    records_per_draw: int = 100
    inference: InferenceOptions = field(default_factory=InferenceOptions)

    def __post_init__(self) -> None:
        at_least(self, 1, "components", "bins", "records_per_draw", where="model.")
        above_zero(self, "width", where="model.")
        between(self, 0, 1, "one_way_fraction", where="model.", ends="[)")
        one_of(self, tuple(DISTRIBUTIONS), "numeric_columns", where="model.")
        one_of(self, ("component", "column"), "missing", where="model.")

    def _plan(self, domain: Domain, budget: Budget, before: Sequence[Charge]) -> DPVIPlan:
        kinds = distributions(domain, self.numeric_columns, self.file)
        codec = Codec(domain, self.bins)
        columns, ones = len(codec.sizes), None
        if self.one_way_fraction:
            ones = NoisyMarginals.at_fraction(ONES, columns, budget, self.one_way_fraction)
        batches = self._batches(domain.rows, budget)
        clipping_norm = self.inference.clipping * math.sqrt(columns + 1) if budget.private else math.inf

        def steps(noise: float) -> DPSGD:
            return DPSGD.sampled(SGD, budget.neighbours, batches, noise, clipping_norm)

        sgd = steps(calibrate(lambda z: (*before, *((ones,) if ones else ()), steps(z)), budget))
        batch = min(self.inference.microbatch_size or 16_384, 2 * self.inference.batch_size)
        memory = 120 * self.components * sum(codec.sizes) + 40 * batch * self.components
        memory += 11 * columns * (domain.rows or UNKNOWN_ROWS)
        parameters = self._mixture(codec, kinds, {}).size
        return DPVIPlan(codec=codec, one_way=ones, sgd=sgd, parameters=parameters, memory_bytes=memory)

    def _fit(self, table: Table, rows: int, plan: DPVIPlan, ledger: Ledger, run: FitRun) -> FittedMixture:
        kinds = distributions(table.domain, self.numeric_columns, self.file)
        codec = plan.codec.under(table.domain)
        codes = codec.encode(table.frame).codes
        noisy = _one_way(codec, codes, plan.one_way, ledger)
        bases = _bases(noisy, plan.one_way)
        mixture = self._mixture(codec, kinds, bases)
        guide = self._infer(mixture, torch.from_numpy(codes.astype(np.int64)), rows, plan.sgd, ledger, run)
        mean, scale = guide.mean.detach(), guide.log_scale.detach().exp()
        config: dict[str, Any] = {
            "components": self.components,
            "bins": self.bins,
            "distributions": list(kinds),
            "width": self.width,
            "missing": self.missing,
            "records_per_draw": self.records_per_draw,
        }
        fitted = FittedMixture(table.domain, config, bases, mean, scale)
        if plan.one_way:
            singles = [(j,) for j in range(len(noisy))]
            fitted.measured = noisy_tables(codec, [None] * len(noisy), singles, noisy, plan.one_way.sigma)
        return fitted

    def _infer(
        self, mixture: Mixture, codes: torch.Tensor, rows: int, sgd: DPSGD, ledger: Ledger, run: FitRun
    ) -> MeanField:
        """The descent: the only step that looks at whole rows."""
        assert sgd.sampling is not None, "planned with batches"
        options = self.inference
        clip, rate = sgd.clipping_norm, sgd.sampling.rate

        drawing = run.randomness.model("start and guide draws")
        first = mixture.start + options.start * mixture.spread * torch.randn(
            mixture.size, generator=drawing, dtype=torch.float64
        )
        guide = MeanField(first, 1e-3)
        guide.log_scale.requires_grad_(False)
        likelihood = MixtureLikelihood(mixture, first)
        engine = MixtureGradients(likelihood, clip, options.microbatch_size)
        sigma = sgd.deviation / rate
        natural = NaturalSteps(
            guide,
            mixture.start,
            mixture.spread,
            lambda phi: rows * mixture.information(phi),
            sigma,
            self._rate(options.steps - 1),
        )
        shown: dict[str, Figure] = {}

        def step(t: int) -> dict[str, Figure]:
            phi, _ = guide.draw(drawing)
            engine.coordinates.write(phi)
            gradient = -sgd.gradient(t, engine, (codes,), ledger, rate)
            moved = natural.step(phi, gradient, self._rate(t))
            if t % run.settings.log_every == 0:  # not private: for the private log only
                with torch.no_grad():
                    shown["loss"] = -mixture.log_density(guide.mean, codes[:SHOWN_ROWS]).mean()
                    pi = mixture.log_weights(guide.mean)
                    shown["components"] = Public(torch.exp(-(pi.exp() * pi).sum()))
            return {
                **shown,
                "gradient_norm": engine.norms.median() if len(engine.norms) else 0.0,
                "step_size": Public(self._rate(t) * moved.square().mean().sqrt()),
                "noise_to_signal": Public(sigma * math.sqrt(mixture.size) / (rows * clip) if sigma else 0.0),
            }

        train(
            guide,
            step,
            torch.optim.SGD([guide.mean], lr=1.0),
            self._rate,
            options.steps,
            settings=run.settings,
            generators={"start and guide draws": drawing},
            more={"ledger": ledger},
            checkpoint=run.checkpoint,
            progress=run.progress,
            title=SGD,
        )
        return guide

    def _rate(self, t: int) -> float:
        """The learning rate of step t: constant while components part, then falling as one over the steps made."""
        options = self.inference
        return 1.0 / (1.0 / options.learning_rate + options.settling * max(0.0, t - PARTING * options.steps))

    def _mixture(self, codec: Codec, kinds: Sequence[str], bases: dict[int, np.ndarray]) -> Mixture:
        return Mixture(self.components, code_distributions(codec, kinds, bases, self.width, self.missing == "column"))

    def _batches(self, rows: int | None, budget: Budget) -> PoissonBatches | FixedSizeBatches:
        """Public: rate from the declared number of rows; a fixed batch size where the number itself is public."""
        options = self.inference
        if budget.neighbours == "replace_one":
            if rows is None:
                raise ConfigError(
                    "neighbours=replace_one makes the number of rows public: declare `rows: N` in the schema"
                )
            return FixedSizeBatches(rows, min(options.batch_size, rows), options.steps)
        return PoissonBatches(min(1.0, options.batch_size / (rows or UNKNOWN_ROWS)), options.steps)


def _one_way(codec: Codec, codes: np.ndarray, ones: NoisyMarginals | None, ledger: Ledger) -> list[np.ndarray]:
    """Noisy counts of every column, none where they are not measured."""
    if ones is None:
        return []
    return ones.measure(exact_counts(codes, [(j,) for j in range(len(codec.sizes))], codec.sizes), ledger)


def _bases(noisy: Sequence[np.ndarray], ones: NoisyMarginals | None) -> dict[int, np.ndarray]:
    """(codes,) weights of every column from noisy counts: the nearest that are not negative, none quite zero."""
    if ones is None:
        return {}
    least = max(LEAST_COUNT * ones.sigma, 0.5)
    return {j: np.maximum(nearest_counts(counts), least) for j, counts in enumerate(noisy)}
