"""What is public about a whole table: columns, constraints, a rough number of rows. It never holds data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.columns import MISSING_VALUES, Column, Identifier
from dpsynth.data.columns.stored_types import check_type
from dpsynth.data.table.constraints import Constraint, check_together, repair, satisfied
from dpsynth.data.table.schema import (
    NOTATION,
    TOP_KEYS,
    check_keys,
    declaration_of,
    dump_yaml,
    notation_from,
    parse_yaml,
    spec_of,
    whole,
)
from dpsynth.errors import SchemaError


@dataclass(frozen=True)
class Domain:
    """What is public about a table.

    columns         those that are learned, in the order of the table; identifiers among them are moved to `identifiers`
    constraints     rules between columns, as texts or `Constraint`s; checked against the columns here
    rows            a public rough number of rows, or None
    missing_values  texts that stand for no value, compared without case
    ignored         columns of the file that are never read, each with the number of other columns before it
    """

    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...] = ()
    rows: int | None = None
    missing_values: tuple[str, ...] = MISSING_VALUES
    identifiers: tuple[tuple[int, Identifier], ...] = ()  # with the number of learned columns before each
    ignored: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        given, places = tuple(self.columns), list(self.identifiers)
        for position, column in enumerate(given):
            if isinstance(column, Identifier):
                places.append((sum(not isinstance(each, Identifier) for each in given[:position]), column))
        object.__setattr__(self, "columns", tuple(each for each in given if not isinstance(each, Identifier)))
        object.__setattr__(self, "identifiers", tuple((int(place), column) for place, column in places))
        object.__setattr__(self, "ignored", tuple((int(place), str(name)) for place, name in self.ignored))
        object.__setattr__(self, "missing_values", tuple(str(text) for text in self.missing_values))
        if not self.columns:
            raise SchemaError("a schema needs at least one column under 'columns:' that is no identifier")
        names = (*self.names, *self.set_aside)
        for position, name in enumerate(names):
            if name in names[:position]:
                raise SchemaError(f"column '{name}' is declared twice")
        for column in self.written:
            check_type(column)
        labels = [column.name for column in self.columns if column.label]
        if len(labels) > 1:
            raise SchemaError(f"columns {' and '.join(labels)} are all marked 'label: true'; keep one")
        if self.rows is not None and (isinstance(self.rows, bool) or self.rows < 1):
            raise SchemaError(f"rows must be a positive whole number, got {self.rows!r}")
        parsed = (Constraint.parse(rule, self.columns) for rule in self.constraints)
        object.__setattr__(self, "constraints", tuple(parsed))
        check_together(self.constraints)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def set_aside(self) -> tuple[str, ...]:
        """Columns that a file may have and that are not learned: identifiers, and those that are ignored."""
        return (*(column.name for _, column in self.identifiers), *(name for _, name in self.ignored))

    @property
    def in_file(self) -> tuple[str, ...]:
        """Names of all columns of the file in their order, those that are ignored among them."""
        found = [column.name for column in self.written]
        for position, (place, name) in enumerate(self.ignored):
            found.insert(place + position, name)
        return tuple(found)

    @property
    def written(self) -> tuple[Column, ...]:
        """All columns in the order of the file, identifiers among them."""
        found: list[Column] = []
        for position in range(len(self.columns) + 1):
            found += [column for place, column in self.identifiers if place == position]
            found += self.columns[position : position + 1]
        return tuple(found)

    @property
    def label(self) -> str | None:
        """Name of the column to be predicted, if one is declared."""
        return next((column.name for column in self.columns if column.label), None)

    @property
    def undeclared(self) -> tuple[Column, ...]:
        """Columns whose bounds or categories are `private`: to be estimated privately and then filled in by
        `complete`."""
        return tuple(column for column in self.columns if column.undeclared)

    def __getitem__(self, name: str) -> Column:
        return self.columns[self.position(name)]

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def position(self, name: str) -> int:
        """Position of a column; `SchemaError` naming the columns there are."""
        if name not in self.names:
            raise SchemaError(f"no column '{name}' in the schema; it has {', '.join(self.names)}")
        return self.names.index(name)

    def complete(self, columns: Mapping[str, Column]) -> Domain:
        """The same domain with some columns replaced, for example once their bounds were estimated privately."""
        for name, column in columns.items():
            if self[name].name != column.name:
                raise SchemaError(f"column '{name}' cannot be replaced by column '{column.name}'")
        return replace(self, columns=tuple(columns.get(column.name, column) for column in self.columns))

    def select(self, names: Iterable[str]) -> Domain:
        """The domain of some columns, in the order given, with the constraints that still make sense."""
        names = tuple(names)
        for _, left_out in self.ignored:
            if left_out in names:
                raise SchemaError(f"column '{left_out}' is ignored by the schema; remove 'ignore: true' there")
        temporary = {column.name: column for _, column in self.identifiers}
        columns = tuple(temporary.get(name) or self[name] for name in names)
        kept = {column.name for column in columns}
        return replace(
            self,
            columns=columns,
            identifiers=(),
            ignored=(),
            constraints=tuple(c for c in self.constraints if c.names <= kept),
        )

    def satisfied(self, frame: pd.DataFrame) -> np.ndarray:
        """(n,) bool: rows of a legal frame that keep every constraint; a rule with a missing side is kept."""
        return satisfied(frame, self.constraints)

    def repair(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with broken constraints repaired by legal values; see `constraints.repair`."""
        return repair(frame, self.constraints)

    @classmethod
    def from_yaml(cls, source: str | Path) -> Domain:
        """From a schema file, or from schema text (anything with a line break)."""
        if isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{")):
            return cls._checked(parse_yaml(source), "schema")
        path = Path(source).expanduser()
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise SchemaError(f"no schema file '{source}'; draft one with: dpsynth schema FILE.csv") from None
        except (OSError, UnicodeDecodeError) as error:
            raise SchemaError(f"schema file '{source}' cannot be read: {error}") from None
        try:
            return cls._checked(parse_yaml(text, path.name), path.name)
        except SchemaError as error:
            prefix = "" if str(error).startswith(path.name) else f"{path.name}: "
            raise SchemaError(f"{prefix}{error}") from None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Domain:
        """The inverse of `to_dict`; strict about keys and values."""
        return cls._checked(content, "schema")

    @classmethod
    def _checked(cls, content: Mapping[str, Any], where: str) -> Domain:
        check_keys(content, TOP_KEYS, where)
        columns = content.get("columns")
        if not isinstance(columns, Mapping) or not columns:
            raise SchemaError(f"{where}: needs 'columns:' with one entry for each column")
        fields: dict[str, Any] = {}
        for key in ("constraints", "missing_values"):
            if content.get(key) is not None:
                if not isinstance(content[key], (list, tuple)):
                    raise SchemaError(f"{where}: '{key}' must be a list, got {content[key]!r}")
                fields[key] = tuple(str(item) for item in content[key])
        if content.get("rows") is not None:
            fields["rows"] = whole(content["rows"], f"{where}, rows")
        notation = {key: content[key] for key in NOTATION if key in content}
        notation_from(notation, where)
        declared: list[Column] = []
        ignored: list[tuple[int, str]] = []
        for name, spec in columns.items():
            column = declaration_of(str(name), spec, notation)
            if column is None:
                ignored.append((len(declared), str(name)))
            else:
                declared.append(column)
        return cls(tuple(declared), ignored=tuple(ignored), **fields)

    def to_dict(self) -> dict[str, Any]:
        """A json-able mapping with the keys of schema.yaml; defaults are left out."""
        specs = {column.name: spec_of(column) for column in self.written}
        columns = {name: specs.get(name, {"ignore": True}) for name in self.in_file}
        content: dict[str, Any] = {"columns": columns}
        if self.constraints:
            content["constraints"] = [str(constraint) for constraint in self.constraints]
        if self.rows is not None:
            content["rows"] = self.rows
        if self.missing_values != MISSING_VALUES:
            content["missing_values"] = list(self.missing_values)
        return content

    def to_yaml(self) -> str:
        """Schema text; `Domain.from_yaml(domain.to_yaml())` is the same domain."""
        return dump_yaml(self.to_dict())
