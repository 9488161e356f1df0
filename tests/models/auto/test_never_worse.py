"""auto is not worse than independent columns, on tables made up for it: their errors in columns and in pairs."""

import itertools

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.data import Category, Domain, Integer
from dpsynth.data.sources.toy import Chain
from dpsynth.data.table.table import Table
from dpsynth.models import Auto, Independent

CELLS = 20  # of a number


def made(rows: int, columns: int, dependence: float, seed: int = 1) -> Table:
    """Columns of two to nine codes, and every third a number; each cell follows a hidden group of four with a
    probability, else it is drawn alone."""
    draw = np.random.default_rng(seed)
    group, frame, kinds = draw.integers(4, size=rows), {}, []
    for k in range(columns):
        follows = draw.random(rows) < dependence
        if k % 3 == 2:
            center = draw.uniform(20, 80, 4)
            values = np.where(follows, center[group] + draw.normal(0, 8, rows), draw.gamma(3, 12, rows))
            frame[f"n{k}"] = np.clip(np.round(values), 0, 100).astype(int)
            kinds.append(Integer(f"n{k}", 0, 100))
        else:
            size = int(draw.integers(2, 10))
            codes = np.where(follows, draw.permutation(size)[group % size], draw.choice(size, rows))
            frame[f"c{k}"] = np.array([f"v{v}" for v in range(size)], dtype=object)[codes]
            kinds.append(Category(f"c{k}", tuple(f"v{v}" for v in range(size))))
    return Table(pd.DataFrame(frame), Domain(tuple(kinds), rows=rows))


def errors(real: Table, synthetic: Table) -> tuple[float, float]:
    """Mean total variation of columns and of pairs."""
    coded = []
    for column in real.domain:
        both = [pd.Series(table.frame[column.name]) for table in (real, synthetic)]
        if isinstance(column, Category):
            codes = [each.astype(str).map({v: k for k, v in enumerate(column.categories)}) for each in both]
        else:
            codes = [(each.astype(float) // (100 / CELLS)).clip(0, CELLS - 1) for each in both]
        coded.append([each.to_numpy(dtype=np.int64) for each in codes])

    def distance(places: tuple[int, ...]) -> float:
        joint = [sum((coded[k][side] * 32**n for n, k in enumerate(places)), np.int64(0)) for side in (0, 1)]
        counts = [np.bincount(each, minlength=32 ** len(places)) / len(each) for each in joint]
        return 0.5 * float(np.abs(counts[0] - counts[1]).sum())

    columns = range(len(real.domain))
    one, two = ([distance(each) for each in itertools.combinations(columns, order)] for order in (1, 2))
    return float(np.mean(one)), float(np.mean(two))


def compared(table: Table, epsilon: float, seeds: int) -> np.ndarray:
    """(2, 2) errors in columns and in pairs, of auto and of independent, means over fits."""
    budget = dpsynth.Budget(epsilon, 1e-5)
    return np.array(
        [
            np.mean([errors(table, recipe.fit(table, budget).sample(20_000, seed=k)) for k in range(seeds)], axis=0)
            for recipe in (Auto(), Independent())
        ]
    )


def test_it_learns_dependence_where_there_are_rows_enough():
    auto, independent = compared(Chain().sample(5_000, seed=1), 3, 1)
    assert auto[1] < 0.5 * independent[1]


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.3, 1, 3])
@pytest.mark.parametrize(("rows", "columns"), [(300, 6), (1_000, 12), (3_000, 6), (3_000, 12)])
@pytest.mark.parametrize("dependence", [0.2, 0.5])
def test_it_is_not_worse_than_independent_columns(rows, columns, dependence, epsilon):
    table, budget = made(rows, columns, dependence), dpsynth.Budget(epsilon, 1e-5)
    plan, alone = Auto().plan_for(table, budget), Independent().plan_for(table, budget)
    if plan.charges == alone.charges:  # the same, but for the noise
        return
    auto, independent = compared(table, epsilon, 4)
    assert auto[1] <= 1.03 * independent[1]
    assert auto[0] <= independent[0] + 0.015
