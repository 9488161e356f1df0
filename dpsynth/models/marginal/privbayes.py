"""privbayes: a Bayesian network with few parents (Zhang, Cormode, Procopiuc, Srivastava, Xiao 2017, TODS 42(4)).

A fitted Bayesian network: every column given a few earlier ones, drawn one after the other.

    1  columns enter one by one: the exponential mechanism picks a column and its parents among those that are in, by
       association; parents may be at a level of its taxonomy (neighbouring bins joined), so that no table has more
       cells than noise allows (theta-usefulness: a cell holds theta times its noise on average)
    2  the table of every column with its parents is counted with noise
    3  `estimator: pgm` fits a graphical model to all tables, which makes them agree with each other; `ancestral` draws
       each column given its parents, as in the paper

Levels need `ancestral`: a graphical model is over columns, not over levels of them. In return `pgm` admits only
families with which its junction tree stays small.

Guarantee, D columns. Step 1 makes D - 1 choices with a score of sensitivity 2, or 3 + 2/n under replace_one
(`privacy/mechanisms/marginals.py`; the first column is drawn blindly). Step 2 is one release: a row stands in one cell
of each of D tables, so D cells change by one between neighbours, 2 D under replace_one; noise goes to all cells, empty
ones too. Tables are made of counts, so no number of rows is needed for their noise; the number that limits their size
is the declared or noisy one. Choices are charged as Gaussian releases (`privacy/noise/exponential.py`), and the plan
composes them with the counts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.table.codec import Codec
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.estimation import noisy_total
from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel, Measurement
from dpsynth.marginals.graphical_model.junction_tree import size_estimates
from dpsynth.marginals.noisy_tables import NoisyTable, cells_of
from dpsynth.models.contract.fitted import Fitted, Generators
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.models.contract.machine_limits import refuse_beyond_hours
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan
from dpsynth.models.marginal.fitted_graph import FittedGraph, compressed_conditions, decoded
from dpsynth.models.marginal.method import EncodedRows, MarginalMethod, measurement
from dpsynth.models.marginal.taxonomy_levels import ColumnLevel, TaxonomyLevels
from dpsynth.models.shared.domain_compression import DomainCompression
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals, association, association_sensitivity, nearest_counts
from dpsynth.privacy.noise.exponential import ExponentialMechanism, choice_epsilon

ROWS_AT_ONCE = 262_144
MOST_DRAWS = 50  # rounds of rejection before a condition counts as too rare


class Node(NamedTuple):
    """A column, the levels of its parents, and its distribution: (parent cells, codes) probabilities, each row adding
    to one."""

    column: int
    parents: tuple[ColumnLevel, ...]
    distribution: np.ndarray


class FittedNetwork(FittedTable):
    """Nodes in an order in which parents come first. All of it follows from noisy counts."""

    def __init__(
        self,
        codec: Codec,
        compression: DomainCompression,
        nodes: Sequence[Node],
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(codec.domain, statement)
        self.codec, self.compression, self.nodes = codec, compression, tuple(nodes)
        self.taxonomy_levels = TaxonomyLevels(self.codec, compression)

    def config(self) -> dict[str, Any]:
        network = [[node.column, [list(column_level) for column_level in node.parents]] for node in self.nodes]
        return {"cuts": self.codec.cuts, "network": network}

    def tensors(self) -> dict[str, torch.Tensor]:
        distributions = {f"distribution.{k}": torch.from_numpy(node.distribution) for k, node in enumerate(self.nodes)}
        return {**self.compression.tensors(), **distributions}

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
        nodes = [
            Node(
                column,
                tuple(ColumnLevel(*column_level) for column_level in parents),
                tensors[f"distribution.{k}"].numpy(),
            )
            for k, (column, parents) in enumerate(config["network"])
        ]
        return cls(codec, compression, nodes, statement)

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        fixed = compressed_conditions(self.codec, self.compression, where)
        codes = self._accepted(n, generators.numpy, fixed)
        return decoded(self.codec, self.compression, codes, generators.numpy)

    def _accepted(self, n: int, generator: np.random.Generator, fixed: Mapping[int, int]) -> np.ndarray:
        """n rows of the distribution under the conditions, by rejection: conditioned columns are set, and a row is kept
        with a probability in proportion to that of the set codes given their parents."""
        found, have, tried, wanted = [], 0, 0, n
        for _ in range(MOST_DRAWS + n // ROWS_AT_ONCE):
            codes, chance = self._forward(min(wanted, ROWS_AT_ONCE), generator, fixed)
            kept = codes[generator.random(len(codes)) < chance] if fixed else codes
            found.append(kept)
            have, tried = have + len(kept), tried + len(codes)
            if have >= n:
                return np.concatenate(found)[:n]
            wanted = int(min(max((n - have) / (max(have, 0.5) / tried) * 1.1, 1024), ROWS_AT_ONCE))
        raise ConfigError(
            f"where: only {have} of {tried} draws met the conditions, too few for {n} rows; ask for fewer rows or less"
        )

    def _forward(
        self, n: int, generator: np.random.Generator, fixed: Mapping[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """(n, columns) codes, and (n,) chances of being kept, the likeliest 1."""
        codes, chance = np.zeros((n, len(self.nodes)), dtype=np.int64, order="F"), np.ones(n)
        for column, parents, distribution in self.nodes:
            row = np.zeros(n, dtype=np.int64)
            for column_level in parents:
                row = (
                    row * self.taxonomy_levels.sizes[column_level]
                    + self.taxonomy_levels.maps[column_level][codes[:, column_level.column]]
                )
            if column in fixed:
                likelihood = distribution[:, fixed[column]]
                codes[:, column] = fixed[column]
                chance *= likelihood[row] / likelihood.max()
                continue
            ends = distribution.ravel().cumsum()  # row r fills the interval [r, r + 1)
            drawn = np.searchsorted(ends, row + generator.random(n), side="right") - row * distribution.shape[1]
            codes[:, column] = np.clip(drawn, 0, distribution.shape[1] - 1)  # rounding of the sums
        return codes, chance


# -------------------- Privbayes -------------------------------------------------------------

NETWORK, TABLES = "choice of parents", "tables of columns and parents"
MOST_CELLS = 100_000  # of a table, however little the noise
MOST_BYTES = 2**25  # of the junction tree
MOST_CANDIDATES = 20_000  # of a whole run; with more, tables have fewer parents
KNOWN_BYTES = 600  # of a family whose score is kept
SECONDS, SECONDS_A_COLUMN = 5e-5, 5e-6  # of a set of parents in a step, a rough guess


class Family(NamedTuple):
    """A column and its parents, as seen from their levels."""

    column: int
    parents: tuple[ColumnLevel, ...]


@dataclass(frozen=True, kw_only=True)
class PrivBayesPlan(MethodPlan):
    """Steps 1 and 2. A single column has no choices."""

    choice: ExponentialMechanism | None
    tables: NoisyMarginals


@dataclass(frozen=True)
class PrivBayes(MarginalMethod):
    """The recipe; see `MarginalMethod` for further fields.

    estimator: pgm or ancestral. degree: most parents. theta: least rows of a cell on average, in units of its noise.
    choice_fraction: of the method's budget, for choosing parents; the rest is spent on the tables. most_hours: a run
    that would take longer by its estimate is refused when it is planned.
    """

    estimator: Literal["pgm", "ancestral"] = "pgm"
    degree: int = 3
    theta: float = 4.0
    choice_fraction: float = 0.1
    most_hours: float = 24.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimator not in ("ancestral", "pgm"):
            raise ConfigError(f"model.estimator '{self.estimator}': choose pgm or ancestral")
        if self.degree < 1 or not self.theta > 0 or not 0 < self.choice_fraction < 1:
            raise ConfigError("model.degree must be 1 or more, theta above 0, choice_fraction between 0 and 1")

    def _releases(
        self, domain: Domain, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]
    ) -> PrivBayesPlan:
        d, neighbours = len(sizes), budget.neighbours
        fraction = self.choice_fraction if d > 1 else 0.0
        sets = _sets(d, _degree(d, self.degree))
        refuse_beyond_hours(
            sets * (SECONDS + SECONDS_A_COLUMN * d) / 3600,
            self.most_hours,
            f"privbayes would weigh {sets:,} sets of parents of {d} columns",
            "use fewer columns, or model=mst",
        )

        # Known scores, of which each set of parents has one whatever the step; tables of at most so many rows a cell.
        memory_bytes = KNOWN_BYTES * min(sets, MOST_CANDIDATES + d * d) + 16 * d * min(MOST_CELLS, math.prod(
            sorted(sizes)[-1 - self.degree :]
        ))  # fmt: skip

        def steps(noise: float) -> PrivBayesPlan:
            """All together cost about one Gaussian release of multiplier `noise`."""
            choice = ExponentialMechanism(
                name=NETWORK,
                neighbours=neighbours,
                releases=d - 1,
                bound=association_sensitivity(neighbours, domain.rows),
                epsilon=choice_epsilon(noise * math.sqrt((d - 1) / fraction)),
            ) if d > 1 else None  # fmt: skip
            sigma = noise * math.sqrt(d * budget.cells_changed / (1 - fraction))
            tables = NoisyMarginals(name=TABLES, neighbours=neighbours, sigma=sigma, marginals=d)
            return PrivBayesPlan(choice=choice, tables=tables, memory_bytes=memory_bytes)

        return steps(calibrate(lambda z: (*before, *steps(z).charges), budget))

    def _learn(self, rows: EncodedRows, total: int, plan: PrivBayesPlan, ledger: Ledger, run: FitRun) -> Fitted:
        sigma = plan.tables.sigma
        seen = _Seen(rows, TaxonomyLevels(rows.codec, rows.compression, coarsen=self.estimator == "ancestral"))
        families = self._network(seen, min(total / (self.theta * max(sigma, 1.0)), MOST_CELLS), plan, ledger, run)
        noisy = plan.tables.measure(seen.counts(families), ledger)
        measured = [_measured(family, table, sigma) for family, table in zip(families, noisy, strict=True)]
        tables = tuple(seen.table(family, table, sigma) for family, table in zip(families, noisy, strict=True))
        fitted: Fitted
        if self.estimator == "pgm":
            fitted = FittedGraph(rows.codec, rows.compression, GraphicalModel.fit(rows.sizes, [*rows.known, *measured]))
            fitted.measured = tables
            return fitted
        counted = noisy_total(measured)
        nodes = [
            Node(family.column, family.parents, _distribution(table.reshape(len(table), -1), counted, sigma))
            for family, table in zip(families, noisy, strict=True)
        ]
        fitted = FittedNetwork(rows.codec, rows.compression, nodes)
        fitted.measured = tables
        return fitted

    def _network(self, seen: _Seen, cells: float, plan: PrivBayesPlan, ledger: Ledger, run: FitRun) -> list[Family]:
        """Step 1: every column once, with parents that came before it."""
        d = len(seen.rows.sizes)
        used = [int(run.randomness.numpy("first column").integers(d))]
        families = [Family(used[0], ())]
        if plan.choice is None:
            return families
        degree = _degree(d, self.degree)
        for step in range(d - 1):
            left = [x for x in range(d) if x not in used]
            candidates = [f for x in left for f in _families(seen.taxonomy_levels, x, sorted(used), degree, cells)]
            if self.estimator == "pgm":
                candidates = _small(candidates, families, seen.rows.sizes)
            chosen = ledger.release(plan.choice, seen.associations(candidates), step)
            families.append(candidates[chosen])
            used.append(candidates[chosen].column)
        return families


class _Seen:
    """The private rows seen from all levels. Scores are kept: a family may be a candidate in many rounds."""

    def __init__(self, rows: EncodedRows, taxonomy_levels: TaxonomyLevels) -> None:
        self.rows, self.taxonomy_levels = rows, taxonomy_levels
        self.codes = taxonomy_levels.codes(rows)
        self.sizes = tuple(taxonomy_levels.sizes.values())
        self.known: dict[Family, float] = {}

    def clique(self, family: Family) -> tuple[int, ...]:
        """The column, then its parents, as positions among the levels."""
        return tuple(
            self.taxonomy_levels.positions[column_level]
            for column_level in (ColumnLevel(family.column, 0), *family.parents)
        )

    def counts(self, families: Sequence[Family]) -> list[np.ndarray]:
        """Exact counts, (codes of the column, codes of each parent). Private: for mechanisms only."""
        counted = self.rows.engine.count(self.codes, self.sizes, [self.clique(family) for family in families])
        return [counted[self.clique(family)] for family in families]

    def table(self, family: Family, noisy: np.ndarray, sigma: float) -> NoisyTable:
        """The noisy counts of a family, their cells named by values."""
        codec, levels = self.rows.codec, self.taxonomy_levels
        seen = (ColumnLevel(family.column, 0), *family.parents)
        cells = tuple(
            cells_of(codec.columns[each.column], levels.maps[each][self.rows.compression.maps[each.column]])
            for each in seen
        )
        return NoisyTable(tuple(codec.domain.names[each.column] for each in seen), cells, noisy, sigma)

    def associations(self, families: Sequence[Family]) -> np.ndarray:
        """(families,) scores. Private: for the exponential mechanism only."""
        new = [family for family in families if family not in self.known]
        for family, table in zip(new, self.counts(new), strict=True):
            self.known[family] = association(table.reshape(len(table), -1))
        return np.array([self.known[family] for family in families])


def _families(
    taxonomy_levels: TaxonomyLevels, x: int, used: Sequence[int], degree: int, cells: float
) -> Iterator[Family]:
    """Candidates for column x: for each set of parents the finest levels that fit, unless a larger set shows as
    much."""
    room = cells / taxonomy_levels.sizes[ColumnLevel(x, 0)]
    found: dict[tuple[int, ...], tuple[ColumnLevel, ...]] = {(): ()}
    for k in range(1, degree + 1):
        for columns in itertools.combinations(used, k):
            fitting = taxonomy_levels.fitting(columns, room)
            if fitting is not None:
                found[columns] = fitting
    for columns, parents in found.items():
        larger = (found.get(tuple(sorted((*columns, j)))) for j in used if j not in columns)
        if not any(more is not None and _shows(more, parents) for more in larger):
            yield Family(x, parents)


def _small(candidates: Sequence[Family], families: Sequence[Family], sizes: Sequence[int]) -> list[Family]:
    """Candidates with which the junction tree over all families stays small; a column alone always does."""
    cliques = [_columns(family) for family in families]
    found = size_estimates(sizes, cliques, [_columns(family) for family in candidates])
    kept = [family for family, size in zip(candidates, found, strict=True) if size <= MOST_BYTES]
    alone = (Family(x, ()) for x in dict.fromkeys(family.column for family in candidates))
    return list(dict.fromkeys([*kept, *alone]))


def _columns(family: Family) -> tuple[int, ...]:
    """The columns of a family, ascending."""
    return tuple(sorted((family.column, *(column_level.column for column_level in family.parents))))


def _shows(more: Sequence[ColumnLevel], parents: Sequence[ColumnLevel]) -> bool:
    """Whether `more` sees every parent at least as finely; its association is then at least as large."""
    level = dict(more)
    return all(level[j] <= h for j, h in parents)


def _degree(columns: int, wanted: int) -> int:
    """The most parents for which the sets of parents of all columns stay within MOST_CANDIDATES."""
    sets = [columns * sum(math.comb(columns - 1, k) for k in range(degree + 1)) for degree in range(wanted + 1)]
    return max([1, *(degree for degree in range(1, wanted + 1) if sets[degree] <= MOST_CANDIDATES)])


def _sets(columns: int, degree: int) -> int:
    """Sets of parents weighed in all steps: those of each column left, among the columns that are in."""
    return sum((columns - used) * sum(math.comb(used, k) for k in range(degree + 1)) for used in range(1, columns))


def _measured(family: Family, table: np.ndarray, sigma: float) -> Measurement:
    """The table of a family as a measurement, its columns in ascending order."""
    columns = (family.column, *(column_level.column for column_level in family.parents))
    order = np.argsort(columns)
    return measurement(tuple(columns[k] for k in order), table.transpose(order), sigma)


def _distribution(noisy: np.ndarray, total: float, sigma: float) -> np.ndarray:
    """(parent cells, codes) conditional probabilities from noisy counts (codes, parent cells).

    A parent cell with few rows leans on the column's own distribution, as if `sigma` further rows (at least one) came
    from it.
    """
    counts = nearest_counts(noisy, total).T
    own = counts.sum(0) + 1e-3
    counts = counts + max(sigma, 1.0) * own / own.sum()
    return counts / counts.sum(1, keepdims=True)
