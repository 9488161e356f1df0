"""What methods over marginals will be worth on a table, by simulation on a distribution drawn from its schema.

Nothing is known of the data, so a distribution is drawn, always the same one for a schema: every column's probabilities
from a flat Dirichlet distribution; pairs of columns p, q as (1 - c) p x q + c K, where K couples the columns as closely
as they can be, and c is such that the pair lies a given total variation away from independence. These distances are
exponentially distributed with mean `DEPENDENCE`, as they about are on Adult. Then noise of the planned size is added to
the counts, the counts are made a distribution again, and the error is measured against the drawn one:

    independent   every column with the noise of columns alone; a pair is the product of its columns
    mst           columns - 1 pairs, the strongest, measured with the noise of a tree
    aim           as many pairs as noise leaves worth measuring, at most two for every column

A pair that is not measured counts as independent, though a model passes some of its dependence on, and noisy tables of
pairs that share a column correct each other, so methods do a little better than predicted. It takes a second.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from dpsynth.models.auto.rule import Signal
from dpsynth.models.marginal.aim import AIM as AIM_RECIPE
from dpsynth.models.marginal.aim import ROUNDS
from dpsynth.models.marginal.mst import MST as MST_RECIPE

METHODS = ("independent", "mst", "aim")
DEPENDENCE = 0.08  # mean total variation between a pair of columns and independence
MOST_PAIRS = 60  # pairs of columns that are simulated
MOST_COLUMNS = 60
LARGEST = 200  # codes of a column that are simulated
SEED = 20260101


@dataclass(frozen=True)
class Prediction:
    """What one method is expected to do.

    Attributes:
        method: As `model=` calls it.
        epsilon: Of the budget.
        column_noise: Standard deviation of the noise of a column's counts, in rows.
        pair_noise: The same of a measured pair's counts; None where none is measured.
        one_way: Expected total variation of a column.
        two_way: Expected total variation of a pair of columns, averaged over all pairs; None of a single column.
    """

    method: str
    epsilon: float
    column_noise: float
    pair_noise: float | None
    one_way: float
    two_way: float | None


def predicted(signal: Signal, methods: tuple[str, ...] = METHODS) -> list[Prediction]:
    """The predictions for methods on a table, at the epsilon of its budget."""
    distribution = _Distribution.drawn(signal)
    return [_predicted(signal, distribution, method) for method in methods]


def _predicted(signal: Signal, distribution: _Distribution, method: str) -> Prediction:
    d = signal.columns
    noise, pair_noise, pairs = signal.column_sigma, None, 0
    if method == "mst" and d > 1:
        recipe = MST_RECIPE()
        noise = signal.sigma(d, 0.9 * recipe.one_way_fraction)
        pairs = d - 1
        pair_noise = signal.sigma(pairs, 0.9 * (1 - recipe.one_way_fraction - recipe.choice_fraction))
    elif method == "aim" and d > 1:
        recipe = AIM_RECIPE()
        noise = signal.sigma(d, 0.9 * recipe.one_way_fraction)
        pairs = ROUNDS * d
        pair_noise = signal.sigma(pairs, 0.9 * (1 - recipe.one_way_fraction) * (1 - recipe.choice_fraction))
    generator = np.random.default_rng(SEED)
    columns = [_noisy(p, noise, signal.rows, generator) for p in distribution.columns]
    one_way = float(np.mean([_distance(p, q) for p, q in zip(distribution.columns, columns, strict=True)]))
    if not distribution.pairs:
        return Prediction(method, signal.budget.epsilon, noise, None, one_way, None)
    measured = pairs / math.comb(d, 2)  # a fraction of all pairs, the strongest of them
    errors = []
    for rank, (i, j, joint) in enumerate(distribution.pairs):
        error = _distance(joint, np.outer(columns[i], columns[j]))
        if pair_noise is not None and rank < math.ceil(measured * len(distribution.pairs)):
            noisy = _distance(joint, _noisy(joint, pair_noise, signal.rows, generator))
            error = noisy if method == "mst" else min(error, noisy)  # aim passes over what noise hides
        errors.append(error)
    return Prediction(method, signal.budget.epsilon, noise, pair_noise, one_way, float(np.mean(errors)))


@dataclass(frozen=True)
class _Distribution:
    """columns: probabilities of each. pairs: two positions and their joint probabilities, strongest first."""

    columns: list[np.ndarray]
    pairs: list[tuple[int, int, np.ndarray]]

    @classmethod
    def drawn(cls, signal: Signal) -> _Distribution:
        """One for a schema, whatever the budget: columns are as fine as the budget of `signal` lets them be."""
        generator = np.random.default_rng(SEED)
        sizes = [min(size, LARGEST) for size in signal.sizes]
        if len(sizes) > MOST_COLUMNS:
            sizes = [sizes[k] for k in sorted(generator.choice(len(sizes), MOST_COLUMNS, replace=False))]
        columns = [generator.dirichlet(np.ones(size)) for size in sizes]
        places = list(itertools.combinations(range(len(sizes)), 2))
        if len(places) > MOST_PAIRS:
            places = [places[k] for k in generator.choice(len(places), MOST_PAIRS, replace=False)]
        # Quantiles of the exponential distribution, largest first.
        strengths = -DEPENDENCE * np.log((np.arange(len(places)) + 0.5) / max(len(places), 1))
        pairs = [(i, j, _coupled(columns[i], columns[j], t)) for (i, j), t in zip(places, strengths, strict=True)]
        return cls(columns, pairs)


def _coupled(p: np.ndarray, q: np.ndarray, strength: float) -> np.ndarray:
    """(len(p), len(q)) joint probabilities with these margins, a total variation of `strength` from their product, or
    as far as these margins allow."""
    product, edges = np.outer(p, q), [np.concatenate([[0.0], np.cumsum(each)]) for each in (p, q)]
    low = np.maximum.outer(edges[0][:-1], edges[1][:-1])
    high = np.minimum.outer(edges[0][1:], edges[1][1:])
    closest = np.maximum(high - low, 0.0)  # both columns in the order of their codes, in step
    reach = _distance(closest, product)
    part = min(1.0, strength / reach) if reach > 0 else 0.0
    return (1 - part) * product + part * closest


def _noisy(p: np.ndarray, sigma: float, rows: int, generator: np.random.Generator) -> np.ndarray:
    """The probabilities that noisy counts of `rows` rows give, made a distribution again: the nearest one."""
    values = p + generator.normal(0.0, 1.0, p.shape) * (sigma / rows)
    ordered = np.sort(values, axis=None)[::-1]
    excess = np.cumsum(ordered) - 1
    kept = int(np.flatnonzero(ordered * np.arange(1, ordered.size + 1) > excess)[-1])
    return np.maximum(values - excess[kept] / (kept + 1), 0.0)


def _distance(p: np.ndarray, q: np.ndarray) -> float:
    return 0.5 * float(np.abs(p - q).sum())
