"""napsu: noise-aware synthetic sets from noisy marginals, for intervals that cover (NAPSU-MQ, arXiv:2205.14485).

    1  noisy marginals: those that you name, or a maximum spanning tree of pairs chosen as in `mst`
    2  a graphical model of them is the posterior's middle; further laws are drawn from the posterior, which knows the
       noise and the sampling of rows (`marginals/noise_aware.py`)
    3  each synthetic set comes from one of these laws: analyse every set as if it were real, and combine
       (`dpsynth.inference.combine`)

Name the marginals that the analysis needs: what they do not hold together, the laws take for independent, and no
interval knows that. For a regression of y on x1, x2, x3 that is [[x1, x2, x3, y]], with few codes each.

Guarantee. Named marginals: one release, rounded Gaussian noise on every cell; a row counts once in each of T
marginals, L2 sensitivity sqrt(T), or sqrt(2 T) under replace_one (`privacy/marginals.py`). A tree: the
releases of `mst`. Everything else is post-processing of what they gave.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dpsynth.data.codec import Codec
from dpsynth.data.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model import GraphicalModel, size_estimate
from dpsynth.marginals.noise_aware import posterior_laws
from dpsynth.models.coded_rows import Clique, CodedRows
from dpsynth.models.fitted_laws import FittedLaws
from dpsynth.models.marginal_method import MarginalMethod, MarginalPlan, measurement
from dpsynth.models.mst import MST, TreePlan
from dpsynth.models.synthesizer import MethodPlan, Run
from dpsynth.privacy.accounting import Charge
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import calibrate
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.marginals import NoisyMarginals

NAMED = "named marginals"
MOST_NUMBERS = 50_000_000  # that all laws together may hold; fewer draws are kept where a law is large


@dataclass(frozen=True, kw_only=True)
class NamedPlan(MethodPlan):
    """The named marginals, and those of the columns that none of them names."""

    cliques: tuple[Clique, ...]
    marginals: NoisyMarginals


@dataclass(frozen=True)
class NAPSU(MarginalMethod):
    """The recipe; see `MarginalMethod` for further fields.

    marginals: tree, or a list of lists of column names; columns that none of them names get their own one-way marginal.
    draws: laws kept from the posterior; `sets` uses one for each set, so no more sets than draws are distinct.
    iterations: of each fit. most_cells: refuse named marginals, or a model of them, above so many cells; a fit is made
    for every draw.
    """

    bins: int = 16
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
            codec = Codec(domain, self.bins)
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
                    f"marginal joins {names}: name fewer columns together, or use fewer bins"
                )
        return super()._plan(domain, budget, before)

    def _releases(
        self, domain: Domain, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]
    ) -> TreePlan | NamedPlan:
        if isinstance(self.marginals, str):
            tree = TreePlan.planned(sizes, budget, before, MST.one_way_share, MST.choice_share, domain.rows)
            return replace(tree, memory_bytes=tree.memory_bytes + 8 * MOST_NUMBERS)
        cliques = named_cliques(self.marginals, domain)

        def counts(sigma: float) -> NoisyMarginals:
            return NoisyMarginals(name=NAMED, neighbours=budget.neighbours, sigma=sigma, marginals=len(cliques))

        sigma = calibrate(lambda z: (*before, counts(z)), budget)
        return NamedPlan(cliques=cliques, marginals=counts(sigma), memory_bytes=64 * self.most_cells)

    def _learn(self, rows: CodedRows, total: int, plan: TreePlan | NamedPlan, ledger: Ledger, run: Run) -> FittedLaws:
        if isinstance(plan, TreePlan):
            rows, measured = plan.measure(rows, ledger, run)
        else:
            noisy, sigma = plan.marginals.measure(rows.counts(plan.cliques), ledger), plan.marginals.sigma
            measured = [measurement(clique, table, sigma) for clique, table in zip(plan.cliques, noisy, strict=True)]
        middle = GraphicalModel.fit(rows.sizes, measured)
        cells = sum(m.values.size for m in measured)
        draws = max(2, min(self.draws, MOST_NUMBERS // cells))
        generator = run.streams.numpy("posterior draws")
        laws = posterior_laws(middle, measured, draws, generator, self.iterations)
        return FittedLaws.of(rows.codec.domain, rows.codec.bins, rows.merging, [middle, *laws])


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
