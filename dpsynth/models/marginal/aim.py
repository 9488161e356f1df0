"""aim: an adaptive and iterative mechanism for a workload of marginals (McKenna, Mullins, Sheldon, Miklau 2022, arXiv
2201.12677).

    1  all one-way marginals with noise; codes that do not stand out of it are merged
    2  in rounds: the exponential mechanism picks the marginal that the model misses by most, beyond what noise would
       do to it; the marginal is measured, and the model fitted again from where it stood
    3  when a measurement brought nothing new, later ones get half the noise and choices twice the epsilon
    4  the last round spends what is left

Candidates are the marginals of the workload and all they contain, as far as the junction tree stays within a size that
grows with the budget spent.

Guarantee. All releases are made under one adaptive budget of Gaussian DP (`privacy/accounting/adaptive_budget.py`), a
filter that is sound for noise and queries chosen from earlier releases. A measured marginal changes in one cell by one
between neighbours, in two under replace_one: mu^2 = cells / sigma^2. The scores of a choice are misfits weighted by how
much of the workload a candidate touches, less a public penalty, so their sensitivity is the largest weight, twice that
under replace_one (`privacy/mechanisms/marginals.py`); the exponential mechanism is charged as a Gaussian release
(`privacy/noise/exponential.py`). Noise, choices and the end of the rounds follow from what was released and from what
is left of the budget. One-way marginals are part of it too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel, Measurement
from dpsynth.marginals.graphical_model.junction_tree import size_estimates
from dpsynth.marginals.noisy_tables import NoisyTable
from dpsynth.models.contract.machine_limits import refuse_beyond_hours
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan
from dpsynth.models.marginal.fitted_graph import FittedGraph
from dpsynth.models.marginal.method import Clique, EncodedRows, MarginalMethod, compressed, measurement, one_way
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.adaptive_budget import AdaptiveBudget
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals, misfit_sensitivity, misfits
from dpsynth.privacy.noise.exponential import ExponentialMechanism, choice_epsilon

ROUNDS_NAME = "marginals, chosen in rounds"
MOST_CODES = 1000  # of a column after domain compression
MOST_CELLS = 20_000_000  # of all candidates together; the largest are left out
CANDIDATE_BYTES = 1_500  # of a candidate beside its cells: its columns, its tables as objects, and bookkeeping
SECONDS, SECONDS_A_COLUMN = 1e-4, 5.5e-6  # of a candidate in a round, measured at 20 to 60 columns
NOISELESS_ROUNDS = 3  # times the columns, when epsilon is infinite
ROUNDS = 2  # times the columns


@dataclass(frozen=True, kw_only=True)
class AIMPlan(MethodPlan):
    """targets: the workload, as positions of columns. rounds: most rounds at the noise of the start."""

    budget: AdaptiveBudget
    targets: tuple[Clique, ...]
    rounds: int


@dataclass(frozen=True)
class AIM(MarginalMethod):
    """The recipe; see `MarginalMethod` for further fields.

    workload: 2 or 3 for all marginals of so many columns, or a list of lists of column names, each of equal weight.
    one_way_fraction: of the adaptive budget, for one-way marginals. rounds: most rounds for the rest, with the noise of
    the start; noise only falls from there, so they may be fewer. None: 2 for every column (the paper has 16).
    choice_fraction: of what a round spends. model_megabytes: most size of the junction tree, reached in the last round.
    round_iterations, iterations: of the fit in a round, and of the last fit. most_hours: a run that would take longer
    by its estimate is refused when it is planned.
    """

    workload: int | Sequence[Sequence[str]] = 3
    one_way_fraction: float = 0.2
    rounds: int | None = None
    choice_fraction: float = 0.1
    model_megabytes: float = 8.0
    round_iterations: int = 100
    iterations: int = 1000
    most_hours: float = 24.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.workload, int) and self.workload < 1:
            raise ConfigError(f"model.workload={self.workload}: say 2, 3 or a list of lists of column names")
        for name in ("one_way_fraction", "choice_fraction"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must lie between 0 and 1")
        for name in ("model_megabytes", "round_iterations", "iterations", "most_hours"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"model.{name}={getattr(self, name)}: must be above 0")
        if self.rounds is not None and self.rounds < 1:
            raise ConfigError(f"model.rounds={self.rounds}: must be at least 1, or null")

    def _releases(self, domain: Domain, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]) -> AIMPlan:
        candidates, cells = self._closure([min(size, MOST_CODES) for size in sizes], domain.names)
        rounds = self._rounds(len(sizes))
        refuse_beyond_hours(
            hours(rounds, candidates, len(sizes)),
            self.most_hours,
            f"aim would weigh {candidates:,} marginals of {len(sizes)} columns in each of {rounds} rounds",
            "use model.workload=2 or a list of marginals, fewer columns, or model=mst",
        )
        return AIMPlan(
            budget=AdaptiveBudget.remaining(ROUNDS_NAME, budget, before),
            targets=tuple(self._targets(domain.names)),
            rounds=rounds,
            memory_bytes=int(self.model_megabytes * 8e6) + 24 * min(cells, MOST_CELLS) + CANDIDATE_BYTES * candidates,
        )

    def _learn(self, rows: EncodedRows, total: int, plan: AIMPlan, ledger: Ledger, run: FitRun) -> FittedGraph:
        d, budget = len(rows.sizes), plan.budget
        columns = one_way(d)
        ones = budget.total * (1.0 if d == 1 else self.one_way_fraction) * (1 - 1e-9)
        sigma = budget.counts_sigma(ones / d)
        noisy = _counts(budget, sigma, d).measure(rows.counts(columns), ledger)
        tables = rows.tables(columns, noisy, sigma)
        rows, measured = compressed(rows, noisy, sigma, MOST_CODES)
        model = GraphicalModel.fit(rows.sizes, measured)
        if d > 1:
            rounds = _Rounds(self, plan, rows, ledger, measured, model)
            model = rounds.all()
            tables = (*tables, *rounds.tables)
        fitted = FittedGraph(rows.codec, rows.compression, model)
        fitted.measured = tables
        return fitted

    def _rounds(self, columns: int) -> int:
        return self.rounds or ROUNDS * columns

    def _closure(self, sizes: Sequence[int], names: Sequence[str]) -> tuple[int, int]:
        """How many candidates there are at most, and the cells of all their tables, without listing them."""
        if isinstance(self.workload, int):
            degree = min(self.workload, len(sizes))
            cells = [1] + [0] * degree  # elementary symmetric polynomials of the sizes
            for size in sizes:
                for k in range(degree, 0, -1):
                    cells[k] += size * cells[k - 1]
            return sum(math.comb(len(sizes), k) for k in range(1, degree + 1)), sum(cells[1:])
        targets = self._targets(names)
        return sum(2 ** len(t) - 1 for t in targets), sum(math.prod(1 + sizes[j] for j in t) - 1 for t in targets)

    def _targets(self, names: Sequence[str]) -> list[Clique]:
        """The workload as positions of columns."""
        if isinstance(self.workload, int):
            return list(itertools.combinations(range(len(names)), min(self.workload, len(names))))
        place = {name: k for k, name in enumerate(names)}
        for unknown in (name for target in self.workload for name in target if name not in place):
            raise ConfigError(f"model.workload: no column '{unknown}'; the columns are {', '.join(names)}")
        return [tuple(sorted({place[name] for name in target})) for target in self.workload if len(target)]


def hours(rounds: int, candidates: int, columns: int) -> float:
    """About the hours that so many rounds take, on one core."""
    return rounds * candidates * (SECONDS + SECONDS_A_COLUMN * columns) / 3600


class _Rounds:
    """The adaptive part of one fit. `answers` are exact and private; they reach nothing but `ledger.release`."""

    def __init__(
        self,
        recipe: AIM,
        plan: AIMPlan,
        rows: EncodedRows,
        ledger: Ledger,
        measured: list[Measurement],
        model: GraphicalModel,
    ) -> None:
        self.recipe, self.budget, self.ledger, self.rounds = recipe, plan.budget, ledger, plan.rounds
        self.measured, self.model, self.sizes = measured, model, rows.sizes
        self.rows, self.tables = rows, list[NoisyTable]()
        self.cliques = _candidates(plan.targets, rows.sizes)
        self.cells = np.array([math.prod(rows.sizes[j] for j in clique) for clique in self.cliques])
        self.weights = _weights(self.cliques, plan.targets)
        self.answers = rows.counts(self.cliques)
        self.tree = {m.clique for m in measured}

    def all(self) -> GraphicalModel:
        """Rounds until the budget is spent, then a last and longer fit."""
        private, left, rounds = self.budget.private, self.ledger.remaining(self.budget), 0
        cost = left / self.rounds
        while True:
            rounds += 1
            left = self.ledger.remaining(self.budget)
            last = left < 2 * cost if private else rounds == NOISELESS_ROUNDS * len(self.sizes)
            if last:
                cost = left * (1 - 1e-9)
            spent = 1 - (left - cost) / self.budget.total if private else 1.0
            learned = self._round(cost, 1.0 if last else spent)
            if last:
                # Cold: a fit that stops where noise begins to be learned should not start from many that did.
                return GraphicalModel.fit(self.sizes, self.measured, iterations=self.recipe.iterations)
            if not learned:
                cost *= 4  # half the noise, twice the epsilon of a choice

    def _round(self, cost: float, spent: float) -> bool:
        """Choose, measure, fit with `cost` of mu^2; whether the model moved by more than noise would move it."""
        sigma = self.budget.counts_sigma((1 - self.recipe.choice_fraction) * cost)
        noise = math.sqrt(2 / math.pi) * sigma
        fitting = self._fitting(spent)
        cliques = [self.cliques[k] for k in fitting]
        before = self.model.marginals(cliques)
        scores = misfits([self.answers[k] for k in fitting], [before[clique] for clique in cliques])
        scores = self.weights[fitting] * (scores - noise * self.cells[fitting])
        choice = ExponentialMechanism(
            name=self.budget.name,
            neighbours=self.budget.neighbours,
            bound=self.budget.unit * misfit_sensitivity(self.budget.neighbours) * float(self.weights[fitting].max()),
            epsilon=choice_epsilon((self.recipe.choice_fraction * cost) ** -0.5 if self.budget.private else 0.0),
        )
        chosen = self.ledger.release(choice, scores)
        clique = cliques[chosen]
        (counts,) = _counts(self.budget, sigma, 1).measure([self.answers[fitting[chosen]]], self.ledger)
        self.measured.append(measurement(clique, counts, sigma))
        self.tables += self.rows.tables([clique], [counts], sigma)
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


def _counts(budget: AdaptiveBudget, sigma: float, marginals: int) -> NoisyMarginals:
    """A release of marginals under the adaptive budget."""
    return NoisyMarginals(
        name=budget.name, neighbours=budget.neighbours, sigma=sigma, marginals=marginals, unit=budget.unit
    )


def _candidates(targets: Sequence[Clique], sizes: Sequence[int]) -> list[Clique]:
    """All non-empty subsets of the targets, smallest tables first, as far as memory goes."""
    closure = {s for t in targets for k in range(1, len(t) + 1) for s in itertools.combinations(t, k)}
    ranked = sorted(closure, key=lambda c: (math.prod(sizes[j] for j in c), c))
    cells = np.cumsum([math.prod(sizes[j] for j in c) for c in ranked])
    return ranked[: max(1, int(np.searchsorted(cells, MOST_CELLS, side="right")))]


def _weights(cliques: Sequence[Clique], targets: Sequence[Clique]) -> np.ndarray:
    """(cliques,) sum over the workload of the columns that a candidate shares with a target."""
    # |r & t| summed over t, column by column
    per_column = np.bincount(np.fromiter(itertools.chain.from_iterable(targets), dtype=np.int64)).astype(np.float64)
    return np.array([per_column[list(clique)].sum() for clique in cliques])
