"""A first schema for somebody's database, in which every guess is marked as one.

Keys are proposed from names and inclusion: a column whose values all differ and that is called like a key, and columns
of other tables whose values are found in it. The root is the table above most others. As with one table, what the draft
says was read from the data and is NOT public until a person has checked it. SDV's metadata, where there are some, say
which tables, keys and kinds there are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.columns.raw import as_text, distinct, series_of
from dpsynth.data.database import sdv, sources
from dpsynth.data.database.linking import Keys
from dpsynth.data.table.column_draft import guess
from dpsynth.data.table.csv_dialect import CsvDialect
from dpsynth.data.table.draft import entry
from dpsynth.data.table.schema import PRIVATE, flow
from dpsynth.errors import DataError, SchemaError

_LISTED = 200  # distinct texts of a column that are listed as categories; of more it is set aside
_INCLUDED = 0.9  # the part of a foreign key's values that are found above
_CROWDED = 0.99  # the part of parents whose rows are all kept by the limit that is proposed
_KEY_NAME = re.compile(r"(^|_)(id|key|no|nr|number|code|uuid)$", re.IGNORECASE)
_HEADER = """\
# A draft read from {name}. NOT PUBLIC YET: every line below is a guess from the data itself.
# The guarantee holds only for what is public: tables, keys, limits, bounds and categories. Replace each guess by what a
# code book or common sense says, then remove its comment.
"""


@dataclass
class _Guessed:
    """One table as it will be drafted."""

    frame: pd.DataFrame
    key: tuple[str, ...]
    parents: dict[str, tuple[str, ...]]
    order: str | None
    said: sdv.DescribedTable | None


def draft(path: str | Path, metadata: str | Path | None = None, dialect: CsvDialect | None = None) -> str:
    """Schema text for a folder of CSV or Parquet files, an SQLite or a DuckDB file; every line says what was guessed.

    metadata: SDV's metadata file of these tables.
    """
    place = Path(path).expanduser()
    described = {} if metadata is None else sdv.read(Path(metadata).expanduser())
    known = sources.names_in(place)
    if absent := [name for name in described if name not in known]:
        raise DataError(f"'{path}' holds no table '{absent[0]}', which {metadata} describes; it has {', '.join(known)}")
    frames = {name: sources.read_raw(place, name, dialect or CsvDialect()) for name in (described or known)}
    if not frames:
        raise DataError(f"'{path}' holds no table")
    tables = {name: _looked_at(name, frame, described.get(name)) for name, frame in frames.items()}
    if not described:
        _link(tables)
    root = _root(tables)
    lines = [
        _HEADER.format(name=place.name.replace("\n", " ")),
        f"root: {flow(root)}  # guess: it stands above most others",
    ]
    lines.append("tables:")
    for name in _from_the_top(tables, root):
        lines += _entry(name, tables, root)
    return "\n".join(lines) + "\n"


def _looked_at(name: str, frame: pd.DataFrame, said: sdv.DescribedTable | None) -> _Guessed:
    if said is not None:
        if absent := [c for c in said.kinds if c not in frame.columns]:
            raise SchemaError(f"table '{name}': the metadata describe a column '{absent[0]}' that it does not have")
        return _Guessed(frame, said.key, dict(said.parents), said.order, said)
    candidates = [c for c in frame.columns if _KEY_NAME.search(str(c)) and _unique(frame, c)]
    own = [c for c in candidates if _of_table(str(c), name)]
    key = (own or candidates)[:1]
    return _Guessed(frame, tuple(key), {}, None, None)


def _link(tables: Mapping[str, _Guessed]) -> None:
    """Foreign keys: columns that are called like the key of another table, and whose values are found there."""
    for name, table in tables.items():
        for other, above in tables.items():
            if other == name or len(above.key) != 1:
                continue
            key = above.key[0]
            values = set(Keys.of(above.frame, [key]).texts)
            for column in table.frame.columns:
                alike = column == key or (_of_table(str(column), other) and _KEY_NAME.search(str(column)))
                if not alike or (column,) == table.key:
                    continue
                texts = [text for text in Keys.of(table.frame, [column]).texts if text]
                if texts and np.mean([text in values for text in texts]) >= _INCLUDED:
                    table.parents[other] = (str(column),)


def _root(tables: Mapping[str, _Guessed]) -> str:
    below = {name: len(_below(name, tables)) for name in tables}
    tops = [name for name, table in tables.items() if not table.parents] or list(tables)
    return max(tops, key=lambda name: below[name])


def _below(name: str, tables: Mapping[str, _Guessed]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        above = waiting.pop()
        for other, table in tables.items():
            if above in table.parents and other not in found and other != name:
                found.add(other)
                waiting.append(other)
    return found


def _from_the_top(tables: Mapping[str, _Guessed], root: str) -> list[str]:
    found = [root]
    while ready := [n for n, table in tables.items() if n not in found and set(table.parents) & set(found)]:
        found += ready
    return found + [name for name in tables if name not in found]


def _entry(name: str, tables: Mapping[str, _Guessed], root: str) -> list[str]:
    table, lines = tables[name], [f"  {flow(name)}:"]
    source = "said by the metadata" if table.said else "guess: its values all differ"
    if table.key:
        lines.append(f"    key: {flow(table.key[0] if len(table.key) == 1 else list(table.key))}  # {source}")
    above = next((each for each in table.parents if each == root or _leads_to(each, root, tables)), None)
    foreign: tuple[str, ...] = ()
    if above is not None and name != root:
        foreign = table.parents[above]
        source = "said by the metadata" if table.said else f"guess: its values are keys of {above}"
        shown = flow(foreign[0] if len(foreign) == 1 else list(foreign))
        lines.append(f"    parent: {{{flow(above)}: {shown}}}  # {source}")
        lines.append(f"    most: {_limit(table.frame, foreign)}  # guess: enough for nearly all rows of {above}")
    elif name != root:
        lines.append(f"    # belongs to no table that leads to {root}: add 'parent: {{TABLE: COLUMN}}' and 'most:'")
    specs = {str(c): _column(table, str(c)) for c in table.frame.columns if c not in (*table.key, *foreign)}
    order = table.order or next((c for c, (spec, _) in specs.items() if _can_order(spec)), None)
    if name != root and order is not None:
        lines.append(
            f"    order: {flow(order)}  # {'said by the metadata' if table.order else 'guess: rows follow it in time'}"
        )
    lines.append("    columns:")
    others = {column[0]: other for other, column in table.parents.items() if other != above and len(column) == 1}
    for column, (spec, remarks) in specs.items():
        if column in others:
            remarks = [*remarks, f"names a row of {others[column]}, a second parent, which is learned as a category"]
        lines.append(f"    {entry(column, spec)}  # guess: {'; '.join(remarks)}; check that it is public")
    return lines


def _column(table: _Guessed, name: str) -> tuple[dict[str, Any], list[str]]:
    """A column's entry and remarks; in a database everything is listed or set aside."""
    series = series_of(table.frame, name)
    spec, remarks = guess(series)
    said = None if table.said is None else table.said.kinds.get(name)
    if said == "identifier":
        return {"kind": "identifier"}, ["said by the metadata to be no value to learn"]
    wanted = said == "category" and spec["kind"] != "category"
    if wanted or spec.get("categories") == PRIVATE:
        texts = sorted({as_text(value) for value in distinct(series)[1]} - {""})
        if len(texts) > _LISTED:
            return {"kind": "identifier"}, [f"{len(texts):,} different texts, set aside: list some and declare 'other'"]
        spec = {"kind": "category", "categories": texts, **({"missing": True} if spec.get("missing") else {})}
        remarks = ["read from the data"]
    if table.said and name in table.said.formats and spec["kind"] in ("date", "datetime"):
        spec["format"] = table.said.formats[name]
    return spec, remarks


def _can_order(spec: Mapping[str, Any]) -> bool:
    return spec["kind"] in ("date", "datetime") and not spec.get("missing")


def _leads_to(name: str, root: str, tables: Mapping[str, _Guessed]) -> bool:
    return name in _below(root, tables)


def _limit(frame: pd.DataFrame, foreign: tuple[str, ...]) -> int:
    """A round number of rows that few parents exceed."""
    keys = Keys.of(frame, foreign)
    counts = pd.Series(keys.texts[~keys.none]).value_counts()
    wanted = float(counts.quantile(_CROWDED)) if len(counts) else 1.0
    power = 10.0 ** math.floor(math.log10(max(wanted, 1.0)))
    return int(next(step * power for step in (1, 2, 5, 10) if step * power >= wanted))


def _unique(frame: pd.DataFrame, column: str) -> bool:
    keys = Keys.of(frame, [column])
    return bool(len(frame)) and not keys.none.any() and len(set(keys.texts)) == len(frame)


def _of_table(column: str, table: str) -> bool:
    """Whether a column is called after a table: patient_id after patients, id after any."""
    stem = _KEY_NAME.sub("", column.casefold()).strip("_")
    name = table.casefold()
    return stem == "" or stem in {name, name.removesuffix("s"), re.sub("ies$", "y", name)}
