"""napsu: noise-aware synthetic sets from noisy marginals, for intervals that cover (NAPSU-MQ, arXiv:2205.14485).

What noisy marginals leave open: draws from the posterior of a distribution, given how they were made.

A table of n rows from a distribution with expected marginals n mu was counted, and noise of known variance D was added:

    y = s + noise,   s about N(n mu, n Sigma(mu)),   so   y | mu about N(n mu, n Sigma + D)

the model of NAPSU-MQ (Raisa, Jaelkoe, Kaski and Honkela 2023, arXiv:2205.14485). There the posterior of the potentials
of the maximum-entropy distribution is sampled, or taken as normal at its mode (Laplace). Here the normal approximation
is made for the expected counts instead, in which the likelihood above is normal already; cells near zero, where
potentials run off to minus infinity, do it less harm. Write P for the projection of y onto consistent marginals,
weighted by 1 / D, which is what fitting a graphical model does. s is consistent, so the estimate is n mu + (s - n mu) +
P noise, and with a flat prior the posterior of n mu is N(P y, n Sigma + P D P'). A draw from it needs no matrix at all:

    draw n rows of the fitted distribution, count them, subtract what was expected: a draw of N(0, n Sigma)
    draw fresh noise of variance D for every cell
    add both to y, and fit: the fit is the projection, and keeps all cells above zero

The posterior knows the noise, the sampling of rows, and nothing of whether the distribution has the right cliques: what
the measured marginals cannot express is not in it.

A fitted posterior over graphical models: its middle, and distributions drawn from it, over the same junction tree.

`sample` draws from the middle, the best single guess; `sets` from the draws, one distribution for each set.

    1  noisy marginals: those that you name, or a maximum spanning tree of pairs chosen as in `mst`
    2  a graphical model of them is the posterior's middle; further distributions are drawn from the posterior, which
    knows the
       noise and the sampling of rows (`models/marginal/napsu.py`)
    3  each synthetic set comes from one of these distributions: analyse every set as if it were real, and combine
       (`dpsynth.inference.combine`)

Name the marginals that the analysis needs: what they do not hold together, the distributions take for independent, and
no interval knows that. For a regression of y on x1, x2, x3 that is [[x1, x2, x3, y]], with few codes each.

Guarantee. Named marginals: one release, rounded Gaussian noise on every cell; a row counts once in each of T
marginals, L2 sensitivity sqrt(T), or sqrt(2 T) under replace_one (`privacy/mechanisms/marginals.py`). A tree: the
releases of `mst`. Everything else is post-processing of what they gave.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.table.codec import Codec
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel, Measurement, size_estimate
from dpsynth.models.contract.fitted import Generators, below
from dpsynth.models.contract.fitted_table import FittedPosterior
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan
from dpsynth.models.marginal.fitted_graph import compressed_conditions, decoded
from dpsynth.models.marginal.method import Clique, EncodedRows, MarginalMethod, MarginalPlan, measurement
from dpsynth.models.marginal.mst import MST, TreePlan
from dpsynth.models.shared.domain_compression import DomainCompression
from dpsynth.models.shared.value_cells import MOST_CELLS
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals

SHARP = 0.1  # of each sigma, when fitting: go on to the counts themselves, where a best guess would stop short


def posterior_distributions(
    distribution: GraphicalModel,
    measured: Sequence[Measurement],
    draws: int,
    generator: np.random.Generator,
    iterations: int,
) -> Iterator[GraphicalModel]:
    """`draws` distributions from the posterior given `measured`; distribution: a fit to it, which tells how counts of
    rows scatter.

    All have the cliques and the junction tree of `distribution`. Costs a sample of distribution.total rows and a fit
    for each.
    """
    rows = round(distribution.total)
    expected = distribution.marginals([m.clique for m in measured if m.clique])
    for _ in range(draws):
        codes = distribution.sample(rows, generator, method="categorical")
        moved = []
        for m in measured:
            if not m.clique:
                continue
            shape = tuple(distribution.sizes[j] for j in m.clique)
            cells = np.ravel_multi_index([codes[:, j] for j in m.clique], shape)
            counts = np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)
            noise = m.sigma * generator.standard_normal(shape)
            values = m.values + (counts - expected[m.clique]) + noise
            moved.append(Measurement(m.clique, values, np.multiply(SHARP, m.sigma)))
        yield GraphicalModel.fit(distribution.sizes, moved, distribution.total, iterations=iterations)


# -------------------- Fitted distributions -----------------------------------------------------------


class FittedDistributions(FittedPosterior):
    """state: of one distribution but for its numbers, and the numbers of all distributions, stacked (1 + draws, ...) by
    name, the middle first."""

    def __init__(
        self,
        codec: Codec,
        compression: DomainCompression,
        state: tuple[Mapping[str, Any], Mapping[str, torch.Tensor]],
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(codec.domain, statement)
        self.codec, self.compression = codec, compression
        self._config, self._stacked = dict(state[0]), dict(state[1])

    @classmethod
    def of(cls, codec: Codec, compression: DomainCompression, distributions: Sequence[GraphicalModel]) -> Self:
        """distributions: the middle and the draws, fitted over the same measured marginals."""
        states = [distribution.state() for distribution in distributions]
        stacked = {name: torch.stack([tensors[name] for _, tensors in states]) for name in states[0][1]}
        config = {**states[0][0], "iterations": max(config["iterations"] for config, _ in states)}
        return cls(codec, compression, (config, stacked))

    @property
    def draws(self) -> int:
        """How many distributions were drawn."""
        return len(self._stacked["total"]) - 1

    def distribution(self, draw: int | None = None) -> GraphicalModel:
        """The distribution of posterior draw `draw`, which repeat after `draws`; the middle for None."""
        place = 0 if draw is None else 1 + draw % self.draws
        return GraphicalModel.restore(self._config, {name: stack[place] for name, stack in self._stacked.items()})

    def config(self) -> dict[str, Any]:
        return {"cuts": self.codec.cuts, "model": self._config}

    def tensors(self) -> dict[str, torch.Tensor]:
        return {**self.compression.tensors(), **{f"model.{name}": stack for name, stack in self._stacked.items()}}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        codec = Codec(domain, 1, config["cuts"])
        compression = DomainCompression.restore(tensors, codec.sizes)
        return cls(codec, compression, (config["model"], below("model.", tensors)), statement)

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        codes = self.distribution().sample(
            n, generators.numpy, where=compressed_conditions(self.codec, self.compression, where)
        )
        return decoded(self.codec, self.compression, codes, generators.numpy)

    def _posterior_draws(self, numbers: Sequence[int], generators: Generators) -> list[GraphicalModel]:
        return [self.distribution(number) for number in numbers]

    def _draw_from(
        self, draws: list[GraphicalModel], rows: Sequence[int], generators: Generators, where: Mapping[str, Any]
    ) -> pd.DataFrame:
        fixed = compressed_conditions(self.codec, self.compression, where)
        # Rows of a set are independent, as an analysis of them will assume; rounded ones would vary too little.
        parts = [
            distribution.sample(n, generators.numpy, method="categorical", where=fixed)
            for distribution, n in zip(draws, rows, strict=True)
        ]
        codes = np.concatenate(parts) if parts else np.zeros((0, len(self.domain)), dtype=np.int64)
        return decoded(self.codec, self.compression, codes, generators.numpy)


# -------------------- Napsu -----------------------------------------------------------------

NAMED = "named marginals"
MOST_NUMBERS = (
    50_000_000  # that all distributions together may hold; fewer draws are kept where a distribution is large
)


@dataclass(frozen=True, kw_only=True)
class NamedPlan(MethodPlan):
    """The named marginals, and those of the columns that none of them names."""

    cliques: tuple[Clique, ...]
    marginals: NoisyMarginals


@dataclass(frozen=True)
class NAPSU(MarginalMethod):
    """The recipe; see `MarginalMethod` for further fields.

    marginals: tree, or a list of lists of column names; columns that none of them names get their own one-way marginal.
    draws: distributions kept from the posterior; `sets` uses one for each set, so no more sets than draws are distinct.
    iterations: of each fit. most_cells: refuse named marginals, or a model of them, above so many cells; a fit is made
    for every draw.
    """

    cells: int | None = 16
    marginals: Literal["tree"] | Sequence[Sequence[str]] = "tree"
    draws: int = 100
    iterations: int = 300
    most_cells: int = 200_000

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("draws", "iterations", "most_cells"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must be at least 1")
        if isinstance(self.marginals, str) and self.marginals != "tree":
            raise ConfigError(f"model.marginals '{self.marginals}': must be tree, or a list of lists of columns")

    def _plan(self, domain: Domain, budget: Budget, before: Sequence[Charge]) -> MarginalPlan:
        if not isinstance(self.marginals, str):
            codec = Codec(domain, self.cells or MOST_CELLS)
            cliques = named_cliques(self.marginals, domain)
            largest = max(cliques, key=lambda clique: math.prod(codec.sizes[j] for j in clique))
            cells = max(
                sum(math.prod(codec.sizes[j] for j in clique) for clique in cliques),
                size_estimate(codec.sizes, cliques) // 8,
            )
            if cells > self.most_cells:
                names = ", ".join(f"{domain.names[j]} ({codec.sizes[j]} codes)" for j in largest)
                raise ConfigError(
                    f"model.marginals: {cells:,} cells, more than model.most_cells={self.most_cells:,}; the largest "
                    f"marginal joins {names}: name fewer columns together, or use fewer cells"
                )
        return super()._plan(domain, budget, before)

    def _releases(
        self, domain: Domain, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]
    ) -> TreePlan | NamedPlan:
        if isinstance(self.marginals, str):
            tree = TreePlan.planned(sizes, budget, before, MST.one_way_fraction, MST.choice_fraction, domain.rows)
            return replace(tree, memory_bytes=tree.memory_bytes + 8 * MOST_NUMBERS)
        cliques = named_cliques(self.marginals, domain)

        def counts(sigma: float) -> NoisyMarginals:
            return NoisyMarginals(name=NAMED, neighbours=budget.neighbours, sigma=sigma, marginals=len(cliques))

        sigma = calibrate(lambda z: (*before, counts(z)), budget)
        return NamedPlan(cliques=cliques, marginals=counts(sigma), memory_bytes=64 * self.most_cells)

    def _learn(
        self, rows: EncodedRows, total: int, plan: TreePlan | NamedPlan, ledger: Ledger, run: FitRun
    ) -> FittedDistributions:
        if isinstance(plan, TreePlan):
            rows, measured, tables = plan.measure(rows, ledger, run)
        else:
            noisy, sigma = plan.marginals.measure(rows.counts(plan.cliques), ledger), plan.marginals.sigma
            measured = [measurement(clique, table, sigma) for clique, table in zip(plan.cliques, noisy, strict=True)]
            tables = rows.tables(plan.cliques, noisy, sigma)
            measured += rows.known
        middle = GraphicalModel.fit(rows.sizes, measured)
        cells = sum(m.values.size for m in measured)
        draws = max(2, min(self.draws, MOST_NUMBERS // cells))
        generator = run.randomness.numpy("posterior draws")
        distributions = posterior_distributions(middle, measured, draws, generator, self.iterations)
        found = [middle, *distributions]
        fitted = FittedDistributions.of(rows.codec, rows.compression, found)
        fitted.measured = tables
        return fitted


def named_cliques(marginals: Sequence[Sequence[str]], domain: Domain) -> tuple[Clique, ...]:
    """Ascending column positions of each marginal, each once, then the columns that none names.

    Raises `ConfigError` for an unknown column, a column named twice in a marginal, and an empty list.
    """
    cliques: list[Clique] = []
    for names in marginals:
        if isinstance(names, str) or not names or len(set(names)) < len(names):
            raise ConfigError(f"model.marginals: {names!r} must be a list of one or more different columns")
        if unknown := [name for name in names if name not in domain.names]:
            raise ConfigError(f"model.marginals: no column {unknown[0]!r}; the columns are {', '.join(domain.names)}")
        clique = tuple(sorted(domain.position(name) for name in names))
        if clique not in cliques:
            cliques.append(clique)
    if not cliques:
        raise ConfigError("model.marginals: name at least one marginal, or say tree")
    held = {j for clique in cliques for j in clique}
    return (*cliques, *((j,) for j in range(len(domain)) if j not in held))
