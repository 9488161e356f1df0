"""datapackage.json: the synthetic files as a Frictionless Data Package with a Table Schema (version 2).

Fields carry the declared bounds and categories, which are public. Values are as they stand in the CSV file: declared
date formats, decimal signs, nothing for a missing value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dpsynth.data.columns import Category, Column, Date, Datetime, Identifier, Integer, Number, NumericColumn
from dpsynth.data.columns.category import Boolean
from dpsynth.data.columns.datetime_column import EPOCHS
from dpsynth.data.table.codec import ColumnCodes
from dpsynth.data.table.domain import Domain
from dpsynth.release.facts import Facts

PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
TABLE_PROFILE = "https://datapackage.org/profiles/2.0/tableschema.json"
MEDIA_TYPES = {
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".parquet": "application/vnd.apache.parquet",
    ".npz": "application/zip",
    ".json": "application/json",
    ".md": "text/markdown",
    ".safetensors": "application/octet-stream",
    ".yaml": "application/yaml",
}


def table_schema(domain: Domain) -> dict[str, Any]:
    """The Table Schema of a CSV file of `domain`."""
    schema: dict[str, Any] = {
        "$schema": TABLE_PROFILE,
        "fields": [_field(column) for column in domain.written],
        "missingValues": [""],
    }
    keys = [column.name for column in domain.written if isinstance(column, Identifier)]
    return {**schema, "primaryKey": [keys[0]]} if keys else schema


def data_package(
    domain: Any, facts: Facts, files: Mapping[str, tuple[int, str]], synthetic: str, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The package of a release.

    files: bytes and SHA-256 of every file, by name. synthetic: name of the file of synthetic rows or images. extra:
    what else is to be found under the key "dpsynth".
    """

    def resource(name: str) -> dict[str, Any]:
        suffix = "." + name.rpartition(".")[2]
        size, digest = files[name]
        found: dict[str, Any] = {
            "name": "synthetic" if name == synthetic else re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "file",
            "path": name,
            "format": suffix[1:],
            "mediatype": MEDIA_TYPES.get(suffix, "application/octet-stream"),
            "bytes": size,
            "hash": f"sha256:{digest}",
        }
        if name == synthetic and isinstance(domain, Domain) and suffix == ".csv":
            found |= {"type": "table", "encoding": "utf-8", "schema": table_schema(domain)}
        return found

    package: dict[str, Any] = {"$schema": PROFILE, "name": "release", "title": facts.title}
    if facts.description:
        package["description"] = facts.description
    if facts.date:
        package["created"] = f"{facts.date}T00:00:00Z"
    if facts.url:
        package["homepage"] = facts.url
    if facts.license:
        url = facts.license_url
        package["licenses"] = [{"name": facts.license, **({"path": url} if url else {})}]
    if facts.steward:
        package["contributors"] = [{"title": facts.steward, "roles": ["steward"]}]
    package["resources"] = [resource(name) for name in (synthetic, *sorted(set(files) - {synthetic}))]
    return {**package, "dpsynth": {**extra, "facts": facts.to_dict()}}


def _field(column: Column) -> dict[str, Any]:
    field: dict[str, Any] = {"name": column.name, "type": "string"}
    constraints: dict[str, Any] = {} if column.missing else {"required": True}
    if isinstance(column, Identifier):
        constraints["unique"] = True
    elif isinstance(column, Boolean):
        false, true = column.texts or ("False", "True")
        field |= {"type": "boolean", "trueValues": [true], "falseValues": [false]}
    elif isinstance(column, Category):
        field["categories"] = list(column.values)
        if column.ordered:
            field["categoriesOrdered"] = True
        constraints["enum"] = list(column.values)
    elif isinstance(column, NumericColumn):
        field |= _numeric(column)
        if field["type"] in ("integer", "number"):
            ends = [float(text) for text in _ends(column)]
            whole = field["type"] == "integer"
            constraints |= {"minimum": int(min(ends)) if whole else min(ends),
                            "maximum": int(max(ends)) if whole else max(ends)}  # fmt: skip
        else:
            ends = sorted(zip((column.start, column.stop, *column.point_mass_values), _ends(column), strict=True))
            constraints |= {"minimum": ends[0][1], "maximum": ends[-1][1]}
    if column.label:
        field["description"] = "The column to be predicted."
    return {**field, "constraints": constraints} if constraints else field


def _numeric(column: NumericColumn) -> dict[str, Any]:
    if isinstance(column, Integer):
        return {"type": "integer"}
    if isinstance(column, Number):
        decimal = column.notation.decimal
        return {"type": "number", **({"decimalChar": decimal} if decimal != "." else {})}
    form = getattr(column, "format", None)
    if form in EPOCHS:
        return {"type": "integer"}
    if isinstance(column, Date):
        return {"type": "date", "format": form or "default"}
    assert isinstance(column, Datetime)
    return {"type": "datetime", "format": form or "%Y-%m-%d %H:%M:%S"}


def _ends(column: NumericColumn) -> tuple[str, ...]:
    """Both bounds, then the point masses: texts, but plain numbers of columns of numbers."""
    values = np.array([column.start, column.stop, *column.point_mass_values])
    if isinstance(column, Integer | Number):
        return tuple(repr(math.floor(v) if isinstance(column, Integer) else float(v)) for v in values)
    return ColumnCodes(column, 1).texts(values)
