"""Persons as one table: columns of the root, and what their rows add up to. Scores of tables apply to it.

    rows of T            how many rows of a table a person has in all
    mean of T.c          mean of a number over these rows; missing without any
    rows of T, c is v    how many of these rows have a value of a category or boolean

Prediction of a label of the root from a person's rows, distances of whole persons and membership of persons are all
scores of this table.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category, Column, Integer, Number, NumericColumn
from dpsynth.data.columns.raw import series_of
from dpsynth.data.database.database import Database
from dpsynth.data.database.declaration import DatabaseDomain, LinkedTable
from dpsynth.data.table.domain import Domain

MOST_VALUES = 12  # of a category that are counted one by one, the first ones declared


def aggregated_domain(domain: DatabaseDomain) -> Domain:
    """The columns of the table."""
    root = domain.persons.domain
    columns: list[Column] = list(root.columns)
    for table in domain:
        if table.parent is None:
            continue
        most = domain.most_rows[table.name]
        columns.append(Integer(f"rows of {table.name}", low=0, high=most))
        for column in table.domain:
            if isinstance(column, NumericColumn):
                low, high = column.start, column.stop
                columns.append(Number(f"mean of {table.name}.{column.name}", low=low, high=high, missing=True))
            elif isinstance(column, Category):
                columns += [Integer(_counted(table, column, value), low=0, high=most) for value in _values(column)]
    return Domain(tuple(columns), rows=root.rows, missing_values=root.missing_values)


def aggregated(database: Database) -> pd.DataFrame:
    """One row for each person, with the columns of `aggregated_domain`."""
    found = {str(name): series_of(database.persons.frame, str(name)) for name in database.persons.frame.columns}
    for table in database.domain:
        if table.parent is None:
            continue
        frame, person = database[table.name].frame, database.persons_of(table.name)
        rows = np.bincount(person, minlength=len(database))
        found[f"rows of {table.name}"] = pd.Series(rows)
        for column in table.domain:
            series = series_of(frame, column.name)
            reading = column.replace(missing=True).read(series, table.domain.missing_values)
            if isinstance(column, NumericColumn):
                known = ~reading.missing
                total = np.bincount(person[known], reading.values[known], minlength=len(database))
                number = np.bincount(person[known], minlength=len(database))
                mean = np.divide(total, number, out=np.full(len(database), np.nan), where=number > 0)
                found[f"mean of {table.name}.{column.name}"] = pd.Series(np.clip(mean, column.start, column.stop))
            elif isinstance(column, Category):
                for place, value in enumerate(_values(column)):
                    has = (reading.values == place) & ~reading.missing
                    counts = np.bincount(person[has], minlength=len(database))
                    found[_counted(table, column, value)] = pd.Series(counts)
    return pd.DataFrame(found)


def _values(column: Category) -> tuple[str, ...]:
    return tuple(column.values[:MOST_VALUES])


def _counted(table: LinkedTable, column: Category, value: str) -> str:
    return f"rows of {table.name}, {column.name} is {value}"
