"""How rows belong to persons: numbers of rows, parent and child, one row and the next, sums over a person's rows;
and whether they keep every rule.

All but the last are distances of distributions over persons or rows of the evaluated database and of unseen real
persons: total variation, half the sum of absolute differences of two histograms, in [0, 1]; and relative errors of the
mean and the standard deviation of sums.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dpsynth.data.columns import NumericColumn
from dpsynth.data.database.database import Database
from dpsynth.data.database.declaration import DatabaseDomain, LinkedTable
from dpsynth.data.database.linking import ranks
from dpsynth.metrics.database.sample import STEP_CELLS, DatabaseSample
from dpsynth.metrics.framework.metric import Reference, Score

MOST_PAIRS = 400  # pairs of columns, and triples, of one table that are compared; more are drawn by seed
GROUP = "database"
MEANING = "fraction of persons all of whose rows keep every rule; must be 1"


@dataclass(frozen=True)
class Links:
    """Scores of what holds a database together. seed: of pairs and triples, where there are too many for all."""

    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = False
    baselines: ClassVar[bool] = True

    seed: int = 0

    def measure(self, evaluated: DatabaseSample, reference: Reference[Any]) -> list[Score]:
        """The scores, always the same for a domain."""
        real, domain = reference.holdout, evaluated.domain
        below = [table for table in domain if table.parent is not None]
        kinds = [
            ("cardinality_tv", "numbers of rows of a parent, mean TV over tables", _cardinality),
            ("parent_child_tv", "a column above and a column of a row, mean TV over pairs", self._parent_child),
            ("within_row_tv", "two columns of a row, mean TV over pairs", self._within_row),
            ("transition_tv", "a column of a row and of the next row, mean TV over columns", _transitions),
            ("step_tv", "the way from one order value to the next, mean TV over tables", _steps),
            ("joined_tv_3way", "three columns of a row joined with those above, mean TV", self._joined),
        ]
        scores = [_score(name, said, dict(_tv(evaluated, real, below, parts))) for name, said, parts in kinds]
        return [*scores, *_sums(evaluated, real, domain)]

    def _parent_child(self, sample: DatabaseSample, table: LinkedTable) -> Iterator[tuple[str, np.ndarray]]:
        names, shared, sizes = sample.above(table)
        own = table.domain.names
        codes, sizes_own = sample.codes[table.name], sample.sizes(table)
        for i, j in self._some(list(itertools.product(range(len(names)), range(len(own))))):
            cells = _table([shared[:, i], codes[:, j]], [sizes[i], sizes_own[j]])
            yield f"{names[i]}, {table.name}.{own[j]}", cells

    def _within_row(self, sample: DatabaseSample, table: LinkedTable) -> Iterator[tuple[str, np.ndarray]]:
        codes, sizes, own = sample.codes[table.name], sample.sizes(table), table.domain.names
        for i, j in self._some(list(itertools.combinations(range(len(own)), 2))):
            yield f"{table.name}.{own[i]}, {own[j]}", _table([codes[:, i], codes[:, j]], [sizes[i], sizes[j]])

    def _joined(self, sample: DatabaseSample, table: LinkedTable) -> Iterator[tuple[str, np.ndarray]]:
        names, shared, sizes = sample.above(table)
        codes = np.column_stack([shared, sample.codes[table.name]])
        every = [*sizes, *sample.sizes(table)]
        named = [*names, *(f"{table.name}.{name}" for name in table.domain.names)]
        triples = [t for t in itertools.combinations(range(len(every)), 3) if t[0] < len(names) <= t[2]]
        for triple in self._some(triples):
            yield ", ".join(named[j] for j in triple), _table([codes[:, j] for j in triple], [every[j] for j in triple])

    def _some(self, every: list[Any]) -> list[Any]:
        """All, or `MOST_PAIRS` of them."""
        if len(every) <= MOST_PAIRS:
            return every
        chosen = np.random.default_rng(self.seed).choice(len(every), MOST_PAIRS, replace=False)
        return [every[k] for k in sorted(chosen)]


def _cardinality(sample: DatabaseSample, table: LinkedTable) -> Iterator[tuple[str, np.ndarray]]:
    yield table.name, np.bincount(sample.counts(table), minlength=(table.most or 0) + 1).astype(np.float64)


def _transitions(sample: DatabaseSample, table: LinkedTable) -> Iterator[tuple[str, np.ndarray]]:
    later = np.flatnonzero(ranks(sample.owners[table.name]) > 0)
    codes, sizes = sample.codes[table.name], sample.sizes(table)
    for j, name in enumerate(table.domain.names):
        if name != table.order:
            yield f"{table.name}.{name}", _table([codes[later - 1, j], codes[later, j]], [sizes[j]] * 2)


def _steps(sample: DatabaseSample, table: LinkedTable) -> Iterator[tuple[str, np.ndarray]]:
    if table.order is not None:
        yield f"{table.name}.{table.order}", _table([sample.steps(table)], [STEP_CELLS])


def _table(columns: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    """Histogram of cells."""
    index = np.ravel_multi_index([np.asarray(column, dtype=np.int64) for column in columns], tuple(sizes))
    return np.bincount(index, minlength=int(np.prod(sizes))).astype(np.float64)


def _tv(
    one: DatabaseSample, other: DatabaseSample, tables: Sequence[LinkedTable], parts: Any
) -> Iterator[tuple[str, float]]:
    """Total variation of every part; 1 where only one side has rows, and 0 where none has."""
    for table in tables:
        for (name, left), (_, right) in zip(parts(one, table), parts(other, table), strict=True):
            totals = left.sum(), right.sum()
            if all(totals):
                yield name, 0.5 * float(np.abs(left / totals[0] - right / totals[1]).sum())
            else:
                yield name, float(any(totals))


def _score(name: str, said: str, parts: Mapping[str, float]) -> Score:
    meaning = f"{said}; 0 is equal, 1 is disjoint"
    if not parts:
        return Score.absent(name, "lower", "the schema has nothing of the kind", meaning, GROUP)
    return Score(name, float(np.mean(list(parts.values()))), "lower", GROUP, meaning, parts=parts, limits=(0.0, 1.0))


def _sums(one: DatabaseSample, other: DatabaseSample, domain: DatabaseDomain) -> list[Score]:
    """Mean and standard deviation of the sums of a number over a person's rows, on the declared range from its low end.

    Sums are of values above the lower bound, so that a shift of the bounds changes nothing.
    """
    means, spreads = {}, {}
    for table in domain:
        if table.parent is None:
            continue
        for j, column in enumerate(table.domain):
            if not isinstance(column, NumericColumn) or column.name == table.order:
                continue
            left, right = (_sums_of(sample, table.name, j) for sample in (one, other))
            name = f"{table.name}.{column.name}"
            means[name] = _apart(left.mean(), right.mean())
            spreads[name] = _apart(left.std(), right.std())
    return [
        _relative("sum_mean_error", "mean of the sums of a number over a person's rows", means),
        _relative("sum_spread_error", "standard deviation of the sums of a number over a person's rows", spreads),
    ]


def _sums_of(sample: DatabaseSample, name: str, j: int) -> np.ndarray:
    values = np.nan_to_num(sample.units[name][:, j])
    return np.bincount(sample.persons_of(name), values, minlength=len(sample))


def _apart(one: float, other: float) -> float:
    """Relative error; 0 when both are 0, at most 100 when only the real one is."""
    return 0.0 if one == other else min(abs(one - other) / max(abs(other), 1e-12), 100.0)


def _relative(name: str, said: str, parts: Mapping[str, float]) -> Score:
    meaning = f"{said}: relative error, mean over columns"
    if not parts:
        return Score.absent(name, "lower", "no table below the root has numbers", meaning, GROUP)
    return Score(name, float(np.mean(list(parts.values()))), "lower", GROUP, meaning, parts=parts)


def rules_kept(database: Database) -> Score:
    """Score "rules_kept": whether rows keep every rule within a row, with the rows above, and from row to row.

    Its parts are the fractions of persons whose rows keep each rule.
    """
    parts: dict[str, float] = {}
    whole = np.ones(len(database), dtype=bool)
    for table in database.domain:
        rows, persons = database[table.name].frame, database.persons_of(table.name)
        found = {f"{table.name}: {rule}": rule.satisfied(rows) for rule in table.domain.constraints}
        for rule in table.between:
            if rule.reach == "next":
                rank = ranks(database.owners[table.name])
                kept, later = np.ones(len(rows), dtype=bool), np.flatnonzero(rank > 0)
                kept[later] = rule.satisfied(rows.iloc[later - 1], rows.iloc[later])
            else:
                places = database.owners[table.name]
                higher = database.domain.above(table.name)
                for each in higher:
                    if each.name == rule.above:
                        break
                    places = database.owners[each.name][places]
                kept = rule.satisfied(rows, database[rule.above].frame.iloc[places])
            found[f"{table.name}: {rule}"] = kept
        for name, kept in found.items():
            broken = np.bincount(persons[~kept], minlength=len(database)) > 0
            parts[name] = 1.0 - float(broken.mean()) if len(broken) else 1.0
            whole &= ~broken
    value = float(whole.mean()) if len(whole) else 1.0
    return Score("rules_kept", value, "higher", "validity", MEANING, parts=parts, limits=(0.0, 1.0))
