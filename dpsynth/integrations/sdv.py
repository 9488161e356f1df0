"""SDV metadata in and out: the schema of a table as SDV writes it.

    domain = domain_of(json.loads(Path("metadata.json").read_text()))     # a dict, or an SDV Metadata object
    metadata_of(domain)                                                   # {"tables": {"table": {"columns": ...}}, ...}

SDV metadata name the kind of a column, but no bounds, categories or missing values. What they leave out is not read
from the data: bounds and categories are estimated privately (`private`), and every column may have missing values.
Columns that SDV would make up anew (ids, names, addresses and other personal kinds) become identifiers, which are not
learned. With `like=` the other way keeps what a schema cannot hold, such as patterns of ids, so that metadata come
back as they were.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from dpsynth.data.columns import Category, Column, Date, Datetime, Identifier, Integer, Number
from dpsynth.data.columns.category import Boolean
from dpsynth.data.table.domain import Domain
from dpsynth.errors import SchemaError

VERSION = "V1"
_TIME = re.compile(r"%[HIMSpfTXcrR]")
_WHOLE = re.compile(r"U?Int(8|16|32|64)")


def is_metadata(value: Any) -> bool:
    """Whether `value` is SDV metadata, as a mapping or as an object of the library."""
    content = _content(value)
    return _is_mapping(content) and ("tables" in content or "METADATA_SPEC_VERSION" in content)


def domain_of(metadata: Any, table: str | None = None) -> Domain:
    """The schema of one table of SDV metadata.

    Args:
        metadata: A mapping, or an SDV `Metadata` or `SingleTableMetadata`.
        table: Which table, where there are several.

    Raises:
        SchemaError: No SDV metadata, several tables and no choice, or a column of a kind that is not known.
    """
    columns = _table(_content(metadata), table)["columns"]
    if not _is_mapping(columns) or not columns:
        raise SchemaError("SDV metadata: the table has no columns")
    return Domain(tuple(_column(str(name), spec) for name, spec in columns.items()))


def metadata_of(domain: Domain, table: str = "table", like: Any = None) -> dict[str, Any]:
    """SDV metadata (version V1) of the columns that a synthetic table of `domain` has.

    Args:
        domain: The schema.
        table: Name of the table; that of `like` where it has one.
        like: Metadata from which the schema was made: columns that mean the same keep their entries.
    """
    content: Mapping[str, Any] = _content(like) if like is not None else {}
    known: Mapping[str, Any] = _table(content, None) if content else {}
    old: Mapping[str, Any] = known.get("columns", {})
    columns: dict[str, Any] = {}
    for column in domain.written:
        entry = _entry(column)
        before = old.get(column.name)
        same = before is not None and type(_column(column.name, before)) is type(column)
        columns[column.name] = copy.deepcopy(before) if same else entry
    spec: dict[str, Any] = {"columns": columns}
    keys = [column.name for column in domain.written if isinstance(column, Identifier)]
    if known:
        spec = {**copy.deepcopy(dict(known)), "columns": columns}
        if spec.get("primary_key") not in columns:
            spec.pop("primary_key", None)
    elif keys:
        spec["primary_key"] = keys[0]
    if content and "tables" not in content:
        return {**copy.deepcopy(dict(content)), **spec}
    name = next(iter(content["tables"])) if content else table
    return {
        **copy.deepcopy(dict(content)),
        "tables": {name: spec},
        "relationships": [],
        "METADATA_SPEC_VERSION": VERSION,
    }


def _is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _content(metadata: Any) -> Any:
    to_dict = getattr(metadata, "to_dict", None)
    return to_dict() if callable(to_dict) and not _is_mapping(metadata) else metadata


def _table(content: Any, name: str | None) -> Mapping[str, Any]:
    """The entry of one table; metadata of SDV before 1.17 are one entry."""
    if not _is_mapping(content) or not ("tables" in content or "columns" in content):
        raise SchemaError("no SDV metadata: expected a mapping with 'tables' or 'columns'")
    tables = content.get("tables")
    if tables is None:
        return content
    if not _is_mapping(tables) or not tables:
        raise SchemaError("SDV metadata: 'tables' must name at least one table")
    if name is None and len(tables) > 1:
        raise SchemaError(
            f"SDV metadata of {len(tables)} tables ({', '.join(map(str, tables))}); choose one: table=NAME"
        )
    chosen = next(iter(tables)) if name is None else name
    if chosen not in tables:
        raise SchemaError(f"SDV metadata: no table '{chosen}'; there are {', '.join(map(str, tables))}")
    found = tables[chosen]
    if not _is_mapping(found) or "columns" not in found:
        raise SchemaError(f"SDV metadata: the table '{chosen}' has no 'columns'")
    return found


def _column(name: str, spec: Any) -> Column:
    if not _is_mapping(spec) or not isinstance(spec.get("sdtype"), str):
        raise SchemaError(f"SDV metadata, column '{name}': needs an 'sdtype'")
    kind = spec["sdtype"]
    if kind == "numerical":
        whole = _WHOLE.fullmatch(str(spec.get("computer_representation", "Float")))
        return Integer(name, missing=True) if whole else Number(name, missing=True)
    if kind == "boolean":
        return Boolean(name, missing=True)
    if kind == "categorical":
        return Category(name, missing=True)
    if kind == "datetime":
        form = spec.get("datetime_format")
        timed = form is None or _TIME.search(form)
        return (Datetime if timed else Date)(name, missing=True, format=form)
    if kind == "unknown":
        raise SchemaError(f"SDV metadata, column '{name}': sdtype unknown; say what it is, or leave it out")
    return Identifier(name)


def _entry(column: Column) -> dict[str, Any]:
    if isinstance(column, Identifier):
        return {"sdtype": "id"}
    if isinstance(column, Boolean):
        return {"sdtype": "boolean"}
    if isinstance(column, Category):
        return {"sdtype": "categorical"}
    if isinstance(column, Integer):
        return {"sdtype": "numerical", "computer_representation": "Int64"}
    if isinstance(column, Number):
        return {"sdtype": "numerical", "computer_representation": "Float"}
    form = getattr(column, "format", None)
    written = form or ("%Y-%m-%d" if isinstance(column, Date) else "%Y-%m-%d %H:%M:%S")
    return {"sdtype": "datetime", "datetime_format": written}
