"""mst: a maximum spanning tree of noisy two-way marginals (McKenna, Miklau, Sheldon 2021, arXiv 2108.04978).

    1  all one-way marginals with noise; codes that do not stand out of it are merged
    2  a spanning tree, edge by edge as Kruskal does: among the pairs that join two parts, the exponential mechanism
       prefers those that the independent model of step 1 misses by most
    3  the marginals of the tree's edges with noise
    4  the graphical model that agrees best with all measurements; its tables are pairs, so it is always small

Guarantee, D columns. Steps 1 and 3 are one release each: a row stands in one cell of each of D (D - 1) tables, so a
neighbour changes D (D - 1) cells by one, twice as many under replace_one, and each is an exact discrete Gaussian event.
Step 2 makes D - 1 choices whose scores are misfits, of sensitivity 1, or 2 under replace_one (`privacy/scores.py`); a
choice is charged as a Gaussian event (`privacy/exponential.py`). The plan holds all of these events and composes them
exactly; the shares only say how noise is split between them. Merging, trees and models follow from what was released.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model import GraphicalModel, Measurement
from dpsynth.models.coded_rows import Clique, CodedRows
from dpsynth.models.fitted_graph import FittedGraph
from dpsynth.models.marginal_method import MarginalMethod, compressed, measurement, one_way
from dpsynth.models.synthesizer import OwnPlan, Run
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import calibrate
from dpsynth.privacy.exponential import choices_charge, composed_epsilon, exponential
from dpsynth.privacy.ledger import Charge, Ledger
from dpsynth.privacy.marginals import NoisyMarginals, marginals_charge
from dpsynth.privacy.scores import misfit_sensitivity, misfits

ONES, TREE, TWOS = "one-way marginals", "choice of pairs", "two-way marginals"
MOST_CODES = 1000  # of a column after merging: no pair has more than a million cells


@dataclass(frozen=True)
class MST(MarginalMethod):
    """The recipe; see `MarginalMethod` for further fields.

    one_way_share, choice_share: of the method's budget, for steps 1 and 2; the rest buys the two-way marginals.
    """

    one_way_share: float = 0.4
    choice_share: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.one_way_share > 0 and self.choice_share > 0 and self.one_way_share + self.choice_share < 1):
            raise ConfigError(
                "model.one_way_share and model.choice_share must be above 0 and leave something for pairs"
            )

    def _releases(self, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]) -> OwnPlan:
        d, changed = len(sizes), budget.cells_changed
        edges = d - 1
        ones = self.one_way_share if edges else 1.0

        def split(noise: float) -> tuple[float, float, float]:
            """Noise of steps 1, 2, 3 when all together cost about one Gaussian release of multiplier `noise`."""
            one = noise * math.sqrt(d * changed / ones)
            epsilon = composed_epsilon(noise * math.sqrt(max(1, edges) / self.choice_share))
            two = noise * math.sqrt(edges * changed / (1 - ones - self.choice_share)) if edges else 0.0
            return one, epsilon, two

        def charges(noise: float) -> tuple[Charge, ...]:
            one, epsilon, two = split(noise)
            first = marginals_charge(ONES, d, one, budget)
            if not edges:
                return (first,)
            return first, choices_charge(TREE, edges, epsilon), marginals_charge(TWOS, edges, two, budget)

        noise = calibrate(lambda z: (*before, *charges(z)), budget)
        one, epsilon, two = split(noise)
        settings = {"one-way noise": one, "choice epsilon": epsilon, "two-way noise": two}
        largest = sorted(min(size, MOST_CODES) for size in sizes)[-2:]
        return OwnPlan(charges(noise), settings, memory_bytes=64 * max(1, edges) * math.prod(largest))

    def _learn(self, rows: CodedRows, total: int, ledger: Ledger, run: Run) -> FittedGraph:
        rows, measured = self.measured(rows, ledger, run)
        model = GraphicalModel.fit(rows.sizes, measured)
        return FittedGraph(rows.codec.domain, rows.codec.bins, rows.merging, model)

    def measured(self, rows: CodedRows, ledger: Ledger, run: Run) -> tuple[CodedRows, list[Measurement]]:
        """Steps 1 to 3: the rows with rare codes merged, and the noisy marginals of columns and of the tree."""
        settings, stream = ledger.plan.settings, run.streams.privacy
        columns, sigma = one_way(len(rows.sizes)), settings["one-way noise"]
        noisy = NoisyMarginals(ONES, tuple(columns), rows.sizes, sigma).release(rows.counts(columns), ledger, stream)
        rows, measured = compressed(rows, noisy, sigma, MOST_CODES)
        if len(columns) > 1:
            tree = self._tree(rows, GraphicalModel.fit(rows.sizes, measured), ledger, run)
            sigma = settings["two-way noise"]
            noisy = NoisyMarginals(TWOS, tuple(tree), rows.sizes, sigma).release(rows.counts(tree), ledger, stream)
            measured += [measurement(pair, counts, sigma) for pair, counts in zip(tree, noisy, strict=True)]
        return rows, measured

    def _tree(self, rows: CodedRows, model: GraphicalModel, ledger: Ledger, run: Run) -> list[Clique]:
        """D - 1 pairs that join all columns, chosen one after the other."""
        budget, epsilon = ledger.plan.budget, ledger.plan.settings["choice epsilon"]
        pairs = list(itertools.combinations(range(len(rows.sizes)), 2))
        expected = model.marginals(pairs)
        scores = misfits(rows.counts(pairs), [expected[pair] for pair in pairs])
        ledger.spend(TREE, choices_charge(TREE, len(rows.sizes) - 1, epsilon).event)
        part, tree = np.arange(len(rows.sizes)), []
        for step in range(len(rows.sizes) - 1):
            joining = [k for k, (i, j) in enumerate(pairs) if part[i] != part[j]]
            chosen = exponential(
                run.streams.privacy,
                TREE,
                scores[joining],
                sensitivity=misfit_sensitivity(budget),
                epsilon=epsilon,
                step=step,
            )
            i, j = pairs[joining[chosen]]
            part[part == part[j]] = part[i]
            tree.append((i, j))
        return sorted(tree)
