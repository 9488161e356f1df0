"""What every source returns, and the steps all of them share: contribution bound, holdout, row limit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.selection import Selection, needed
from dpsynth.data.sources.lookup import PACKAGED
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError

SourceRows = TypeVar("SourceRows", Table, Images, Database)


@dataclass(frozen=True)
class Source(Generic[SourceRows]):
    """Rows to train on, rows to evaluate with (or None), and a text that says which files they came from.

    Rows are those of a table or a database, or images.  `provenance` describes the file exactly (size, checksum), so it
    belongs with the private results.
    """

    train: SourceRows
    holdout: SourceRows | None
    provenance: str

    @property
    def domain(self) -> Domain | ImageDomain | DatabaseDomain:
        return self.train.domain


def declared(schema: str | Path | Domain | None, default: str) -> Domain:
    """The user's domain, or one that comes with the package, by name."""
    if isinstance(schema, Domain):
        return schema
    name = default if schema is None else str(schema)
    packaged = PACKAGED / f"{name}.yaml"
    return Domain.from_yaml(packaged if packaged.parent == PACKAGED and packaged.is_file() else Path(name))


def bounded(table: Table, person: str | None, max_rows_per_person: int | None, selection: Selection | None) -> Table:
    """At most `max_rows_per_person` rows of each person; unchanged without a person column."""
    if person is None:
        if max_rows_per_person is not None:
            raise ConfigError("data.max_rows_per_person needs data.person, the column that says whose row it is")
        return table
    selection = needed(selection, "data.person")
    selection.refuse_persons()
    return table.bound_contributions(person, most_rows(person, max_rows_per_person), selection.key)


def most_rows(person: str, max_rows_per_person: int | None) -> int:
    """The bound on the rows of a person, which has to be said."""
    if max_rows_per_person is None:
        raise ConfigError(
            f"data.person={person} needs a maximum: say data.max_rows_per_person=5, for example; of a person with more "
            "rows so many are drawn, and the noise grows with that number"
        )
    return max_rows_per_person


def held_fraction(holdout: Any) -> float | None:
    """The holdout as a fraction of the rows, or None when it is not a number."""
    if holdout is None or isinstance(holdout, bool):
        return None
    try:
        return float(holdout)
    except (TypeError, ValueError):
        return None


def finish(
    rows: SourceRows,
    holdout: SourceRows | float | None,
    n_train: int | None,
    selection: Selection | None,
    provenance: str,
) -> Source[SourceRows]:
    """Split off the holdout (a fraction; 0 or None for none) and limit the training rows, as `selection` says.

    Raises `ConfigError` when there is something to select and no `selection`.
    """
    held: Any = holdout
    if not isinstance(holdout, Table | Images | Database):
        held = None
        if holdout:
            chosen = needed(selection, f"data.holdout={holdout}")
            rows, held = rows.split(holdout, chosen.key, chosen.neighbours)
    if n_train is not None:
        chosen = needed(selection, f"data.n_train={n_train}")
        rows = rows.subset(n_train, chosen.key, chosen.neighbours)
    return Source(rows, held, provenance)
