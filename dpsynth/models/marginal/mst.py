"""mst: a maximum spanning tree of noisy two-way marginals (McKenna, Miklau, Sheldon 2021, arXiv 2108.04978).

    1  all one-way marginals with noise; codes that do not stand out of it are merged
    2  a spanning tree, edge by edge as Kruskal does: among the pairs that join two parts, the exponential mechanism
       prefers those that the independent model of step 1 misses by most
    3  the marginals of the tree's edges with noise
    4  the graphical model that agrees best with all measurements; its tables are pairs, so it is always small

Guarantee, D columns. Steps 1 and 3 are one release each: a row stands in one cell of each of D (D - 1) tables, so a
neighbour changes D (D - 1) cells by one, twice as many under replace_one (`privacy/mechanisms/marginals.py`). Step 2
makes D - 1 choices whose scores are misfits, of sensitivity 1, or 2 under replace_one
(`privacy/mechanisms/marginals.py`); a choice is charged as a Gaussian release (`privacy/noise/exponential.py`). The
plan holds all of them and composes them exactly; the fractions only say how noise is split between them. Domain
compression, trees and models follow from what was released.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel, Measurement
from dpsynth.marginals.noisy_tables import NoisyTable
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan
from dpsynth.models.marginal.fitted_graph import FittedGraph
from dpsynth.models.marginal.method import (
    UNKNOWN_ROWS,
    Clique,
    EncodedRows,
    MarginalMethod,
    compressed,
    measurement,
    one_way,
)
from dpsynth.models.shared.domain_compression import STANDS_OUT
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.adaptive_budget import AdaptiveBudget
from dpsynth.privacy.accounting.budget import Budget, Neighbours, cells_changed
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals, misfit_sensitivity, misfits
from dpsynth.privacy.noise.exponential import ExponentialMechanism, choice_epsilon
from dpsynth.training import Listener, Quiet

ONES, TREE, TWOS = "one-way marginals", "choice of pairs", "two-way marginals"
SCORES = "counting pairs"
MOST_CODES = 1000  # of a column after compression: no pair has more than a million cells
BATCH_PAIRS, BATCH_CELLS = 2**17, 2**24  # most pairs that are counted at once, and most cells of their tables
PAIR_BYTES = 1_200  # of a pair's tables as objects beside their cells, measured at 400 and 1,000 columns


class MeasuredTree(NamedTuple):
    """The rows with rare codes merged, the measurements of columns and of the tree's pairs in these codes, and both as
    they were released."""

    rows: EncodedRows
    measured: list[Measurement]
    tables: tuple[NoisyTable, ...]


@dataclass(frozen=True, kw_only=True)
class TreePlan(MethodPlan):
    """Steps 1 to 3. A single column has neither choices nor pairs."""

    one_way: NoisyMarginals
    choice: ExponentialMechanism | None
    two_way: NoisyMarginals | None

    @classmethod
    def planned(
        cls,
        sizes: Sequence[int],
        budget: Budget,
        before: Sequence[Charge],
        one_way_fraction: float,
        choice_fraction: float,
        rows: int | None = None,
    ) -> TreePlan:
        """With all that `before` leaves of the budget, divided between the steps by the fractions.

        rows: the declared number, for the estimate of memory only.
        """

        def steps(noise: float) -> TreePlan:
            return cls._steps(sizes, budget.neighbours, noise, one_way_fraction, choice_fraction, rows)

        return steps(calibrate(lambda z: (*before, *steps(z).charges), budget))

    @classmethod
    def within(
        cls,
        sizes: Sequence[int],
        adaptive: AdaptiveBudget,
        one_way_fraction: float,
        choice_fraction: float,
        rows: int | None = None,
    ) -> TreePlan:
        """The same steps under an adaptive budget, of which they take all.

        Their costs in mu^2 are one_way_fraction, choice_fraction and the rest of it, in equal parts for every choice.
        """
        assert adaptive.unit == 1, "for rows that count once"
        noise = (1 + 1e-9) / adaptive.mu if adaptive.private else 0.0
        fractions = one_way_fraction, choice_fraction
        return cls._steps(sizes, adaptive.neighbours, noise, *fractions, rows, adaptive.name)

    @classmethod
    def _steps(
        cls,
        sizes: Sequence[int],
        neighbours: Neighbours,
        noise: float,
        one_way_fraction: float,
        choice_fraction: float,
        rows: int | None,
        adaptive: str | None = None,
    ) -> TreePlan:
        """All together cost about one Gaussian release of multiplier `noise`.

        adaptive: name of the adaptive budget under which they are released, one choice at a time.
        """
        d, changed = len(sizes), cells_changed(neighbours)
        edges, ones = d - 1, one_way_fraction if d > 1 else 1.0

        def marginals(name: str, count: int, fraction: float) -> NoisyMarginals:
            sigma = noise * math.sqrt(count * changed / fraction)
            return NoisyMarginals(name=adaptive or name, neighbours=neighbours, sigma=sigma, marginals=count)

        first = marginals(ONES, d, ones)
        memory_bytes = _memory([_codes(size, rows or UNKNOWN_ROWS, first.sigma) for size in sizes])
        if not edges:
            return cls(one_way=first, choice=None, two_way=None, memory_bytes=memory_bytes)
        choice = ExponentialMechanism(
            name=adaptive or TREE,
            neighbours=neighbours,
            releases=1 if adaptive else edges,
            bound=misfit_sensitivity(neighbours),
            epsilon=choice_epsilon(noise * math.sqrt(edges / choice_fraction)),
        )
        pairs = marginals(TWOS, edges, 1 - ones - choice_fraction)
        return cls(one_way=first, choice=choice, two_way=pairs, memory_bytes=memory_bytes)

    def measure(self, rows: EncodedRows, ledger: Ledger, run: FitRun) -> MeasuredTree:
        """The noisy marginals of columns and of the tree."""
        columns = one_way(len(rows.sizes))
        noisy = self.one_way.measure(rows.counts(columns), ledger)
        tables = rows.tables(columns, noisy, self.one_way.sigma)
        rows, measured = compressed(rows, noisy, self.one_way.sigma, MOST_CODES)
        if self.choice and self.two_way:
            model = GraphicalModel.fit(rows.sizes, measured)
            progress = run.progress or Quiet()
            scores = _misfits(rows, model.marginals(columns), model.total, progress)
            tree = _spanning_tree(len(rows.sizes), scores, self.choice, ledger, progress)
            noisy = self.two_way.measure(rows.counts(tree), ledger)
            sigma = self.two_way.sigma
            measured += [measurement(pair, counts, sigma) for pair, counts in zip(tree, noisy, strict=True)]
            tables = (*tables, *rows.tables(tree, noisy, sigma))
        return MeasuredTree(rows, measured, tables)


@dataclass(frozen=True)
class MST(MarginalMethod):
    """The recipe; see `MarginalMethod` for further fields.

    one_way_fraction, choice_fraction: of the method's budget, for steps 1 and 2; the rest is for the two-way marginals.
    """

    one_way_fraction: float = 0.4
    choice_fraction: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (
            self.one_way_fraction > 0 and self.choice_fraction > 0 and self.one_way_fraction + self.choice_fraction < 1
        ):
            raise ConfigError(
                "model.one_way_fraction and model.choice_fraction must be above 0 and leave something for pairs"
            )

    def _releases(self, domain: Domain, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]) -> TreePlan:
        return TreePlan.planned(sizes, budget, before, self.one_way_fraction, self.choice_fraction, domain.rows)

    def _learn(self, rows: EncodedRows, total: int, plan: TreePlan, ledger: Ledger, run: FitRun) -> FittedGraph:
        rows, measured, tables = plan.measure(rows, ledger, run)
        model = GraphicalModel.fit(rows.sizes, measured)
        fitted = FittedGraph(rows.codec, rows.compression, model)
        fitted.measured = tables
        return fitted


def _codes(size: int, rows: int, sigma: float) -> int:
    """About the codes of a column after compression: those that so many rows can lift out of the noise, and a few
    more."""
    return min(size, MOST_CODES, 2 + int(rows / max(STANDS_OUT * sigma, 1.0)) + size // 100)


def _memory(sizes: Sequence[int]) -> int:
    """Bytes at the peak: a batch of pairs being scored, all scores, and the fit of the tree with most cells."""
    pairs, cells, most = math.comb(len(sizes), 2), (sum(sizes) ** 2 - sum(s * s for s in sizes)) // 2, max(sizes)
    batch = PAIR_BYTES * min(pairs, BATCH_PAIRS) + 32 * min(cells, BATCH_CELLS + most**2)
    return batch + 48 * pairs + 128 * most * sum(sizes)


def _misfits(rows: EncodedRows, ones: Mapping[Clique, np.ndarray], total: float, progress: Listener) -> np.ndarray:
    """(pairs,) misfits of independent columns, by `itertools.combinations`. Private: for the exponential mechanism.

    ones: the counts that the model of step 1 gives every column; it holds no two columns together, so that those of a
    pair are their product over `total`. Pairs are counted a batch at a time, and a batch is dropped once it is scored:
    1,000 columns have half a million.
    """
    batches, scores = list(_batches(rows.sizes)), []
    progress.start(SCORES, 0, len(batches))
    for done, pairs in enumerate(batches, 1):
        expected = [np.multiply.outer(ones[i,], ones[j,]) / total for i, j in pairs]
        scores.append(misfits(rows.counts(pairs), expected))
        progress.update(done, {})
    progress.stop()
    return np.concatenate(scores)


def _batches(sizes: Sequence[int]) -> Iterator[list[Clique]]:
    """All pairs in their order, so many at a time that their tables are small together."""
    batch, cells = [], 0
    for pair in itertools.combinations(range(len(sizes)), 2):
        more = sizes[pair[0]] * sizes[pair[1]]
        if batch and (len(batch) == BATCH_PAIRS or cells + more > BATCH_CELLS):
            yield batch
            batch, cells = [], 0
        batch.append(pair)
        cells += more
    yield batch


def _spanning_tree(
    columns: int, scores: np.ndarray, choice: ExponentialMechanism, ledger: Ledger, progress: Listener
) -> list[Clique]:
    """Pairs that join all columns, chosen one after the other. scores: (pairs,) by `itertools.combinations`."""
    first, second = np.triu_indices(columns, 1)
    part, tree = np.arange(columns), []
    progress.start(TREE, 0, columns - 1)
    for step in range(columns - 1):
        k = ledger.release(choice, scores)
        i, j = int(first[k]), int(second[k])
        tree.append((i, j))
        part[part == part[j]] = part[i]
        joining = part[first] != part[second]  # two columns of one part stay so: the candidates only become fewer
        first, second, scores = first[joining], second[joining], scores[joining]
        progress.update(step + 1, {})
    progress.stop()
    return sorted(tree)
