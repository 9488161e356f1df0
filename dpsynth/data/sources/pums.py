"""PUMS: the 1,000-row sample of US Census microdata (California 2000) of smartnoise-sdk; label married."""

from __future__ import annotations

from pathlib import Path

from dpsynth.data.selection import Selection
from dpsynth.data.sources.lookup import Official, find, provenance
from dpsynth.data.sources.source import Source, bounded, declared, finish, held_fraction
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Policies, Table
from dpsynth.errors import ConfigError

PUMS = Official(
    "PUMS (1,000 rows)",
    "PUMS.csv",
    ("https://raw.githubusercontent.com/opendp/smartnoise-sdk/main/datasets/PUMS.csv",),
    "18b41cb75b1df17e166184f8f9a8f8d942aab7cd24e1dc4e0cf0ae64a6ac8b18",
)


def pums(
    path: str | Path | None = None,
    schema: str | Path | Domain | None = None,
    invalid: Policies = "clamp",
    unreadable: str = "error",
    holdout: float | None = 0.2,
    n_train: int | None = None,
    person: str | None = None,
    max_rows_per_person: int | None = None,
    selection: Selection | None = None,
) -> Source:
    """PUMS.csv, from `path` (a file or its folder), the cache or the web.

    schema  `pums` (default), `pums_null` for copies with missing values, or a file
    person  `pid` in the copies that have it
    """
    domain = declared(schema, "pums")
    if holdout is not None and held_fraction(holdout) is None:
        raise ConfigError(f"data.holdout={holdout!r}: use a fraction between 0 and 1, or 0 for none")
    file = find(PUMS, path)
    table = Table.read(file, domain, invalid=invalid, unreadable=unreadable, person=person)
    table = bounded(table, person, max_rows_per_person, selection)
    return finish(table, held_fraction(holdout), n_train, selection, f"PUMS: {provenance(file)}")
