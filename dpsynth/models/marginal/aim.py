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

    summary_fraction: float = 0.15
    workload: int | Sequence[Sequence[str]] = 3
    one_way_fraction: float = 0.1
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
        budget, d = plan.budget, len(rows.sizes)

        # -------------------- 1: every column by itself --------------------

        columns = one_way(d)
        sigma = budget.counts_sigma(budget.total * (self.one_way_fraction if d > 1 else 1.0) * (1 - 1e-9) / d)
        noisy = _counts(budget, sigma, d).measure(rows.counts(columns), ledger)
        tables = rows.tables(columns, noisy, sigma)
        rows, measured = compressed(rows, noisy, sigma, MOST_CODES)
        model = GraphicalModel.fit(rows.sizes, measured)

        # -------------------- 2: rounds of choice, measurement and fit --------------------

        candidates = _Candidates.of(rows, plan.targets)
        cost = ledger.remaining(budget) / plan.rounds
        number, last = 0, d == 1
        while not last:
            number, left = number + 1, ledger.remaining(budget)
            last = left < 2 * cost if budget.private else number == NOISELESS_ROUNDS * d
            cost = left * (1 - 1e-9) if last else cost
            spent = 1 - (left - cost) / budget.total if budget.private and not last else 1.0
            sigma = budget.counts_sigma((1 - self.choice_fraction) * cost)

            # choose: the candidate that the model misses by most, beyond what the noise of its measurement would do
            clique, before = candidates.worst(
                model, measured, sigma, self.choice_fraction * cost, self.model_megabytes * 1e6 * spent, budget, ledger
            )

            # measure
            (counts,) = _counts(budget, sigma, 1).measure([candidates.answers[clique]], ledger)
            measured.append(measurement(clique, counts, sigma))
            tables = (*tables, *rows.tables([clique], [counts], sigma))

            # fit. The last fit starts cold: one that stops where noise begins to be learned should not start from many
            # that did.
            if last:
                model = GraphicalModel.fit(rows.sizes, measured, iterations=self.iterations)
                break
            model = GraphicalModel.fit(rows.sizes, measured, warm_start=model, iterations=self.round_iterations)
            moved = np.abs(model.marginal(clique) - before).sum()
            if moved <= _expected_error(sigma) * before.size:
                cost *= 4  # nothing but noise was learned: half the noise from here, and twice the epsilon of a choice

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


@dataclass(frozen=True)
class _Candidates:
    """The marginals that may be chosen. answers: their exact counts, which reach nothing but `ledger.release`.

    weights: (cliques,) how much of the workload each touches.
    """

    sizes: tuple[int, ...]
    answers: dict[Clique, np.ndarray]
    weights: np.ndarray

    @classmethod
    def of(cls, rows: EncodedRows, targets: Sequence[Clique]) -> _Candidates:
        """The workload and all that its marginals contain."""
        cliques = _candidates(targets, rows.sizes)
        return cls(rows.sizes, dict(zip(cliques, rows.counts(cliques), strict=True)), _weights(cliques, targets))

    def worst(
        self,
        model: GraphicalModel,
        measured: Sequence[Measurement],
        sigma: float,
        cost: float,
        most_bytes: float,
        budget: AdaptiveBudget,
        ledger: Ledger,
    ) -> tuple[Clique, np.ndarray]:
        """(the candidate that the exponential mechanism picks for `cost` of mu^2, its counts by the model).

        sigma: of the measurement that follows. most_bytes: of the junction tree with it.
        """
        cliques = list(self.answers)
        fitting = self._fitting(cliques, model, {each.clique for each in measured}, most_bytes)
        cliques, weights = [cliques[k] for k in fitting.tolist()], self.weights[fitting]
        expected = model.marginals(cliques)
        cells = np.array([expected[clique].size for clique in cliques])
        scores = misfits([self.answers[clique] for clique in cliques], [expected[clique] for clique in cliques])
        choice = ExponentialMechanism(
            name=budget.name,
            neighbours=budget.neighbours,
            bound=budget.unit * misfit_sensitivity(budget.neighbours) * float(weights.max()),
            epsilon=choice_epsilon(cost**-0.5 if budget.private else 0.0),
        )
        chosen = cliques[int(ledger.release(choice, weights * (scores - _expected_error(sigma) * cells)))]
        return chosen, expected[chosen]

    def _fitting(
        self, cliques: Sequence[Clique], model: GraphicalModel, held: set[Clique], most_bytes: float
    ) -> np.ndarray:
        """Positions of candidates with which the junction tree stays within its size, or that it holds already."""
        maximal = [set(clique) for clique in model.cliques]
        fits = np.array([any(set(clique) <= other for other in maximal) for clique in cliques])
        asked = np.flatnonzero(~fits)
        fits[asked] = (
            np.array(size_estimates(self.sizes, sorted(held), [cliques[k] for k in asked.tolist()])) <= most_bytes
        )
        return np.flatnonzero(fits)


def _expected_error(sigma: float) -> float:
    """The mean absolute value of the noise of a cell."""
    return math.sqrt(2 / math.pi) * sigma


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
