"""Synthetic rows that keep every rule: within a row, with the rows above, and from row to row.

Rows that no repair brings to keep all rules are left out, with those that follow them under the same parent.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dpsynth.data.columns import NumericColumn
from dpsynth.data.columns.raw import series_of
from dpsynth.data.database.declaration import LinkedTable
from dpsynth.data.database.linking import ranks
from dpsynth.data.database.rules import LinkedRule

ROUNDS = 8


def kept(
    table: LinkedTable, rows: pd.DataFrame, above: dict[str, pd.DataFrame], owners: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray]:
    """(rows that keep the rules, (n,) bool which of the given ones they are).

    Args:
        table: Whose rows they are.
        rows: Legal values, sorted by parent and in their order.
        above: For every table above, its row for each of `rows`.
        owners: (n,) int64 the parent of each row.
    """
    if not table.between and not table.domain.constraints:
        return rows, np.ones(len(rows), dtype=bool)
    rank = ranks(owners)
    for _ in range(ROUNDS):
        rows = table.domain.repair(rows)
        for rule in table.between:
            if rule.reach == "above":
                rows = rows.assign(**{rule.own: rule.adjusted(rows, above[rule.above])})
        rows = _in_order(table, rows, rank)
        for rule in table.between:
            if rule.reach == "next":
                rows = _following(rule, rows, rank)
        broken = _broken(table, rows, above, rank)
        if not broken.any():
            return rows, ~broken
    after = pd.Series(broken).groupby(owners).cummax().to_numpy(dtype=bool)
    return rows.loc[~after].reset_index(drop=True), ~after


def _broken(table: LinkedTable, rows: pd.DataFrame, above: dict[str, pd.DataFrame], rank: np.ndarray) -> np.ndarray:
    """(n,) bool: rows that break a rule; of two rows the later one."""
    broken = ~table.domain.satisfied(rows)
    for rule in table.between:
        if rule.reach == "above":
            broken |= ~rule.satisfied(rows, above[rule.above])
            continue
        later = np.flatnonzero(rank > 0)
        broken[later] |= ~rule.satisfied(rows.iloc[later - 1], rows.iloc[later])
    return broken


def _following(rule: LinkedRule, rows: pd.DataFrame, rank: np.ndarray) -> pd.DataFrame:
    """The rows with the rule kept from each row to the next, from the first on."""
    column = series_of(rows, rule.own).copy()
    for step in range(1, int(rank.max(initial=0)) + 1):
        later = np.flatnonzero(rank == step)
        rows = rows.assign(**{rule.own: column})
        column.iloc[later] = rule.adjusted(rows.iloc[later - 1], rows.iloc[later]).array
    return rows.assign(**{rule.own: column})


def _in_order(table: LinkedTable, rows: pd.DataFrame, rank: np.ndarray) -> pd.DataFrame:
    """The rows with an order column that never falls from row to row."""
    if table.order is None:
        return rows
    column = table.domain[table.order]
    assert isinstance(column, NumericColumn)
    reading = column.read(series_of(rows, table.order))
    groups = np.cumsum(rank == 0)
    values = pd.Series(reading.values).groupby(groups).cummax().to_numpy()
    return rows.assign(**{table.order: column.write(values, reading.missing)})
