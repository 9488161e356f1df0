"""Whether the rows of a database keep every rule: within a row, with the rows above, and from row to row."""

from __future__ import annotations

import numpy as np

from dpsynth.data.database.database import Database
from dpsynth.data.database.linking import ranks
from dpsynth.metrics.framework.metric import Score

MEANING = "fraction of persons all of whose rows keep every rule; must be 1"


def rules_kept(database: Database) -> Score:
    """Score "rules_kept"; its parts are the fractions of persons whose rows keep each rule."""
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
