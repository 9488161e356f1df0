"""aim: an adaptive and iterative mechanism for a workload of marginals (McKenna, Mullins, Sheldon, Miklau 2022, arXiv
2201.12677).

    1  all one-way marginals with noise; codes that do not stand out of it are merged
    2  in rounds: the exponential mechanism picks the marginal that the model misses by most, beyond what noise would
       do to it; the marginal is measured, and the model fitted again from where it stood
    3  when a measurement told nothing new, later ones get half the noise and choices twice the epsilon
    4  the last round spends what is left

Candidates are the marginals of the workload and all they contain, as far as the junction tree stays within a size that
grows with the budget spent.

Guarantee. One purse of rho-zCDP holds all releases (`privacy/purse.py`). A measured marginal changes in one cell by one
between neighbours, in two under replace_one: rho = cells / (2 sigma^2). A choice costs epsilon^2 / 8; its scores are
misfits weighted by how much of the workload a candidate touches, less a public penalty, so their sensitivity is the
largest weight, twice that under replace_one (`privacy/scores.py`). Noise, choices and the end of the rounds follow from
what was released and from the purse, and every release is spent before it is made. One-way marginals are part of the
purse too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dpsynth.data.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model import GraphicalModel, Measurement
from dpsynth.marginals.triangulation import size_estimates
from dpsynth.models.coded_rows import Clique, CodedRows
from dpsynth.models.fitted_graph import FittedGraph
from dpsynth.models.marginal_method import MarginalMethod, compressed, measurement, one_way
from dpsynth.models.synthesizer import OwnPlan, Run
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.purse import Purse, purse_charge
from dpsynth.privacy.scores import misfit_sensitivity, misfits

PURSE = "marginals, chosen in rounds"
MOST_CODES = 1000  # of a column after merging
MOST_CELLS = 20_000_000  # of all candidates together; the largest are left out
NOISELESS_ROUNDS = 3  # times the columns, when epsilon is infinite
ROUNDS = 2  # times the columns


@dataclass(frozen=True)
class AIM(MarginalMethod):
    """The recipe; see `MarginalMethod` for further fields.

    workload: 2 or 3 for all marginals of so many columns, or a list of lists of column names, each of equal weight.
    one_way_share: of the purse, for one-way marginals. rounds: most rounds for the rest, with the noise of the start;
    noise only falls from there, so they may be fewer. None: 2 for every column (the paper has 16).
    choice_share: of what a round spends. model_megabytes: most size of the junction tree, reached in the last round.
    round_iterations, iterations: of the fit in a round, and of the last fit.
    """

    workload: int | Sequence[Sequence[str]] = 3
    one_way_share: float = 0.2
    rounds: int | None = None
    choice_share: float = 0.1
    model_megabytes: float = 8.0
    round_iterations: int = 100
    iterations: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.workload, int) and self.workload < 1:
            raise ConfigError(f"model.workload={self.workload}: say 2, 3 or a list of lists of column names")
        for name in ("one_way_share", "choice_share"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must lie between 0 and 1")
        for name in ("model_megabytes", "round_iterations", "iterations"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must be above 0")
        if self.rounds is not None and self.rounds < 1:
            raise ConfigError(f"model.rounds={self.rounds}: must be at least 1, or null")

    def _plan(self, domain: Domain, budget: Budget, before: Sequence[Charge]) -> OwnPlan:
        self._targets(domain.names)  # refuses a column that is not there
        return super()._plan(domain, budget, before)

    def _releases(self, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]) -> OwnPlan:
        charge = purse_charge(PURSE, budget, before)
        settings = {"rounds": self._rounds(len(sizes)), "choice share": self.choice_share}
        return OwnPlan((charge,), settings, memory_bytes=int(self.model_megabytes * 8e6) + 16 * MOST_CELLS)

    def _learn(self, rows: CodedRows, total: int, ledger: Ledger, run: Run) -> FittedGraph:
        d = len(rows.sizes)
        purse = Purse(PURSE, ledger, run.streams.privacy)
        columns = one_way(d)
        sigma = purse.sigma_for(purse.total * (1.0 if d == 1 else self.one_way_share) / d * (1 - 1e-9))
        noisy = purse.measure(rows.counts(columns), sigma)
        rows, measured = compressed(rows, noisy, sigma, MOST_CODES)
        model = GraphicalModel.fit(rows.sizes, measured)
        if d > 1:
            share = purse.left / self._rounds(d)
            sigma, epsilon = (
                purse.sigma_for((1 - self.choice_share) * share),
                purse.epsilon_for(self.choice_share * share),
            )
            model = _Rounds(self, rows, purse, measured, model).all(sigma, epsilon)
        return FittedGraph(rows.codec.domain, rows.codec.bins, rows.merging, model)

    def _rounds(self, columns: int) -> int:
        return self.rounds or ROUNDS * columns

    def _targets(self, names: Sequence[str]) -> list[Clique]:
        """The workload as positions of columns."""
        if isinstance(self.workload, int):
            return list(itertools.combinations(range(len(names)), min(self.workload, len(names))))
        place = {name: k for k, name in enumerate(names)}
        for unknown in (name for target in self.workload for name in target if name not in place):
            raise ConfigError(f"model.workload: no column '{unknown}'; the columns are {', '.join(names)}")
        return [tuple(sorted({place[name] for name in target})) for target in self.workload if len(target)]


class _Rounds:
    """The adaptive part of one fit. `answers` are exact and private; they reach nothing but the purse."""

    def __init__(
        self, recipe: AIM, rows: CodedRows, purse: Purse, measured: list[Measurement], model: GraphicalModel
    ) -> None:
        self.recipe, self.purse, self.measured, self.model, self.sizes = recipe, purse, measured, model, rows.sizes
        targets = recipe._targets(rows.codec.domain.names)
        self.cliques = _candidates(targets, rows.sizes)
        self.cells = np.array([math.prod(rows.sizes[j] for j in clique) for clique in self.cliques])
        self.weights = _weights(self.cliques, targets)
        self.answers = rows.counts(self.cliques)
        self.tree = {m.clique for m in measured}
        self.allowed: dict[Clique, int] = {}

    def all(self, sigma: float, epsilon: float) -> GraphicalModel:
        """Rounds until the purse is empty, then a last and longer fit."""
        purse, share = self.purse, self.recipe.choice_share
        private, rounds = purse.budget.private, 0
        while True:
            cost = purse.counts_cost(sigma) + purse.choice_cost(epsilon)
            rounds += 1
            last = purse.left < 2 * cost if private else rounds == NOISELESS_ROUNDS * len(self.sizes)
            if last:
                rest = purse.left * (1 - 1e-9)
                sigma, epsilon = purse.sigma_for((1 - share) * rest), purse.epsilon_for(share * rest)
            spent = 1 - (purse.left - cost) / purse.total if private else 1.0
            told = self._round(sigma, epsilon, 1.0 if last else spent)
            if last:
                # Cold: a fit that stops where noise begins to be learned should not start from many that did.
                return GraphicalModel.fit(self.sizes, self.measured, iterations=self.recipe.iterations)
            if not told:
                sigma, epsilon = sigma / 2, epsilon * 2

    def _round(self, sigma: float, epsilon: float, spent: float) -> bool:
        """Choose, measure, fit; whether the model moved by more than noise would move it."""
        fitting = self._fitting(spent)
        cliques = [self.cliques[k] for k in fitting]
        before = self.model.marginals(cliques)
        scores = misfits([self.answers[k] for k in fitting], [before[clique] for clique in cliques])
        noise = math.sqrt(2 / math.pi) * sigma
        scores = self.weights[fitting] * (scores - noise * self.cells[fitting])
        sensitivity = misfit_sensitivity(self.purse.budget) * float(self.weights[fitting].max())
        chosen = self.purse.choose(scores, sensitivity, epsilon)
        clique = cliques[chosen]
        (counts,) = self.purse.measure([self.answers[fitting[chosen]]], sigma)
        self.measured.append(measurement(clique, counts, sigma))
        self.tree.add(clique)
        self.model = GraphicalModel.fit(
            self.sizes, self.measured, warm_start=self.model, iterations=self.recipe.round_iterations
        )
        moved = float(np.abs(self.model.marginal(clique) - before[clique]).sum())
        return moved > noise * float(self.cells[fitting[chosen]])

    def _fitting(self, spent: float) -> np.ndarray:
        """Candidates with which the junction tree stays within its size, or that it holds already."""
        limit = self.recipe.model_megabytes * 1e6 * spent
        held = [set(clique) for clique in self.model.cliques]
        free = [any(set(clique) <= other for other in held) for clique in self.cliques]
        asked = [k for k, is_free in enumerate(free) if not is_free]
        found = size_estimates(self.sizes, sorted(self.tree), [self.cliques[k] for k in asked])
        fits = np.array(free)
        fits[asked] = np.array(found, dtype=np.float64) <= limit
        return np.flatnonzero(fits)


def _candidates(targets: Sequence[Clique], sizes: Sequence[int]) -> list[Clique]:
    """All non-empty subsets of the targets, smallest tables first, as far as memory goes."""
    closure = {s for t in targets for k in range(1, len(t) + 1) for s in itertools.combinations(t, k)}
    ranked = sorted(closure, key=lambda c: (math.prod(sizes[j] for j in c), c))
    cells = np.cumsum([math.prod(sizes[j] for j in c) for c in ranked])
    return ranked[: max(1, int(np.searchsorted(cells, MOST_CELLS, side="right")))]


def _weights(cliques: Sequence[Clique], targets: Sequence[Clique]) -> np.ndarray:
    """(cliques,) sum over the workload of the columns that a candidate shares with a target."""
    width = 1 + max(max(t) for t in targets)
    inside = np.zeros((len(targets), width))
    for row, target in enumerate(targets):
        inside[row, list(target)] = 1.0
    per_column = inside.sum(0)  # |r & t| summed over t, column by column
    return np.array([per_column[list(clique)].sum() for clique in cliques])
