"""SDV's metadata of several tables (METADATA_SPEC_VERSION V1): kinds of columns, keys, relationships.

It says which tables and keys there are, but no bounds, no categories, no limits and no root, which a guarantee needs as
public facts. So it is read as the frame of a draft (`draft.py`): what it says is taken over, the rest is guessed from
the data and marked. (https://docs.sdv.dev/sdv/concepts/metadata/multi-table-metadata-api)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpsynth.errors import SchemaError

_KINDS = {
    "categorical": "category", "boolean": "boolean", "numerical": "number", "datetime": "date", "id": "identifier",
}  # fmt: skip


@dataclass(frozen=True)
class DescribedTable:
    """What the metadata say of one table.

    Attributes:
        key: Its primary key, none when there is none.
        parents: For every table above, the column here that holds its key.
        order: The column of its order, if one is named.
        kinds: By column, the kind of our schema; other texts, such as names and addresses, are identifiers.
        formats: By column, how dates are written.
    """

    key: tuple[str, ...]
    parents: Mapping[str, tuple[str, ...]]
    order: str | None
    kinds: Mapping[str, str]
    formats: Mapping[str, str]


def read(path: Path) -> dict[str, DescribedTable]:
    """The tables that a metadata file describes; `SchemaError` for a file that is none of version V1."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise SchemaError(f"{path}: cannot be read as metadata: {' '.join(str(error).split())}") from None
    version = content.get("METADATA_SPEC_VERSION") if isinstance(content, dict) else None
    if version != "V1" or not isinstance(content.get("tables"), dict):
        raise SchemaError(
            f"{path}: expected SDV's metadata of several tables, METADATA_SPEC_VERSION V1, got {version!r}; save it "
            "with SDV 1.0 or later"
        )
    tables: dict[str, Any] = content["tables"]
    links: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in tables}
    for relation in content.get("relationships") or []:
        parent, child = relation.get("parent_table_name"), relation.get("child_table_name")
        for name in (parent, child):
            if name not in tables:
                raise SchemaError(f"{path}: a relationship names table {name!r}, which is not described")
        links[child][parent] = _columns(relation.get("child_foreign_key"))
    return {name: _table(f"{path}, table '{name}'", spec, links[name]) for name, spec in tables.items()}


def _table(where: str, spec: Any, parents: Mapping[str, tuple[str, ...]]) -> DescribedTable:
    if not isinstance(spec, dict) or not isinstance(spec.get("columns"), dict):
        raise SchemaError(f"{where}: has no 'columns'")
    kinds, formats = {}, {}
    for name, column in spec["columns"].items():
        said = str(column.get("sdtype"))
        kinds[name] = _KINDS.get(said, "identifier")
        written = column.get("datetime_format")
        if written:
            formats[name] = str(written)
            kinds[name] = "datetime" if any(sign in written for sign in ("%H", "%I", "%X", "%c")) else "date"
    order = spec.get("sequence_index")
    return DescribedTable(_columns(spec.get("primary_key")), dict(parents), order, kinds, formats)


def _columns(key: Any) -> tuple[str, ...]:
    if key is None:
        return ()
    return tuple(map(str, key)) if isinstance(key, list) else (str(key),)
