"""Databases: tables that belong to persons, directly or through other tables; what is public about them, and the rows.

declaration.py   tables, keys, limits, orders and rules: the public `DatabaseDomain`
rules.py         constraints between a row and its parent, or the row after it
sdv.py           the same read from SDV's multi-table metadata
draft.py         a first declaration for somebody's files, every guess marked
sources.py       the raw tables of a folder, an SQLite or a DuckDB file
linking.py       from keys to positions: whose row is whose, and the limits on rows
database.py      `Database`: legal rows by person, selections of persons, files
toy.py           distributions with known truth
"""

from dpsynth.data.database.database import Database
from dpsynth.data.database.declaration import DatabaseDomain, LinkedTable

__all__ = ["Database", "DatabaseDomain", "LinkedTable"]
