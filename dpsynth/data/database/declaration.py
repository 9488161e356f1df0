"""What is public about a database: tables, keys, who belongs to whom, limits, orders, rules. It never holds data.

    root: patients
    tables:
      patients:
        key: patient_id
        rows: 20000                        a public rough number of persons, optional
        columns:
          sex:   {kind: category, categories: [f, m]}
          birth: {kind: date, bounds: [1920-01-01, 2020-12-31]}
      visits:
        key: visit_id                      optional
        parent: {patients: patient_id}     the columns here that hold the key of the table above
        most: 10                           of one parent; further ones are left out at random
        order: date                        the column that orders the rows of a parent, optional
        columns:
          date: {kind: date, bounds: [1920-01-01, 2024-12-31]}
          kind: {kind: category, categories: [regular, emergency]}
        constraints: ["date >= patients.birth", "next.date >= date"]

A key is one column or a list of columns. Key columns are not learned: synthetic rows get fresh keys, whole numbers from
1 on, or texts by the pattern of an `identifier` declared under that name. A key that holds the key of the table above
is numbered within each parent. Everything under `columns` and `missing_values`, `decimal`, ... is as in the schema of
one table (`data/table/schema.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from dpsynth.data.columns import Identifier, NumericColumn
from dpsynth.data.columns.column import Column
from dpsynth.data.database.rules import LinkedRule
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.schema import TOP_KEYS, check_keys, dump_yaml, flow, parse_yaml, texts, whole
from dpsynth.errors import SchemaError

_LINK_KEYS = ("key", "parent", "most", "order")
_NAME = re.compile(r"[^./\\\x00-\x1f]+")  # of a table: it becomes the name of a file
MOST = 1_000_000  # rows of a person in one table: weights are fractions of a public grid (weighted_marginals.py)


@dataclass(frozen=True)
class LinkedTable:
    """One table of a database.

    Attributes:
        name: Of the table, of its file, or in the database.
        domain: Its learned columns and the rules within a row. Key columns are not among them.
        key: The columns of its primary key; none when rows have no key.
        parent: The table above it; None for the root.
        foreign_key: The columns that hold the key of the parent's row.
        most: The most rows of one parent; None for the root.
        order: The column by which the rows of a parent are ordered; None when they have no order.
        rules: Rules between rows, as texts or `LinkedRule`s.
    """

    name: str
    domain: Domain
    key: tuple[str, ...] = ()
    parent: str | None = None
    foreign_key: tuple[str, ...] = ()
    most: int | None = None
    order: str | None = None
    rules: tuple[LinkedRule | str, ...] = ()

    def __post_init__(self) -> None:
        where = f"table '{self.name}'"
        if not _NAME.fullmatch(self.name) or self.name.startswith(" ") or self.name == "next":
            raise SchemaError(f"{where}: a table needs a name without '.', '/' and '\\' that is not 'next'")
        for name in (*self.key, *self.foreign_key):
            if name in self.domain.names:
                raise SchemaError(f"{where}: '{name}' is a key, which is not learned; take it out of 'columns'")
        if len(set(self.key)) < len(self.key) or len(set(self.foreign_key)) < len(self.foreign_key):
            raise SchemaError(f"{where}: a key names a column twice")
        if self.key and set(self.key) <= set(self.foreign_key):
            raise SchemaError(f"{where}: its key is the key of '{self.parent}', so no parent could have two rows of it")
        if self.most is not None and not 1 <= self.most <= MOST:
            raise SchemaError(f"{where}: 'most' must be a whole number from 1 to {MOST:,}, got {self.most}")
        if self.domain.undeclared:
            names = ", ".join(f"'{column.name}'" for column in self.domain.undeclared)
            raise SchemaError(
                f"{where}: {names} with private bounds or categories; in a database they are declared, from a code "
                "book or common sense"
            )
        if self.order is not None:
            column = next((each for each in self.domain if each.name == self.order), None)
            if not isinstance(column, NumericColumn) or column.missing or column.point_masses:
                raise SchemaError(
                    f"{where}: order: {self.order}: name a number, date or datetime under 'columns' that is never "
                    "missing and has no point masses, or leave it out"
                )

    @property
    def keys(self) -> tuple[str, ...]:
        """All key columns of its file, its own first."""
        return tuple(dict.fromkeys((*self.key, *self.foreign_key)))

    @property
    def set_aside(self) -> tuple[str, ...]:
        """Columns of its file that are not learned."""
        return tuple(dict.fromkeys((*self.keys, *self.domain.set_aside)))

    @property
    def between(self) -> tuple[LinkedRule, ...]:
        """The rules between rows, once they are read."""
        return tuple(rule for rule in self.rules if isinstance(rule, LinkedRule))

    def pattern_of(self, name: str) -> Identifier | None:
        """How fresh keys of a column are written; None for whole numbers."""
        return next((column for _, column in self.domain.identifiers if column.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """As in the schema file."""
        content: dict[str, Any] = {}
        if self.key:
            content["key"] = self.key[0] if len(self.key) == 1 else list(self.key)
        if self.parent is not None:
            columns = self.foreign_key[0] if len(self.foreign_key) == 1 else list(self.foreign_key)
            content |= {"parent": {self.parent: columns}, "most": self.most}
        if self.order is not None:
            content["order"] = self.order
        own = self.domain.to_dict()
        if self.rules:
            own["constraints"] = [*own.get("constraints", []), *map(str, self.rules)]
        return {**content, **own}


@dataclass(frozen=True)
class DatabaseDomain:
    """The public description of a database.

    Attributes:
        root: The table whose rows are the units of protection, such as persons.
        tables: By name, every table after the one it belongs to.
    """

    root: str
    tables: Mapping[str, LinkedTable]

    def __post_init__(self) -> None:
        given = dict(self.tables)
        if self.root not in given:
            raise SchemaError(f"root: {self.root}: no such table; there are {', '.join(given) or 'none'}")
        for table in given.values():
            self._check_links(table, given)
        ordered = self._from_the_top(given)
        found: dict[str, LinkedTable] = {}
        for name in ordered:
            found[name] = _with_rules(given[name], found, self.root)
        object.__setattr__(self, "tables", found)

    def __len__(self) -> int:
        return len(self.tables)

    def __iter__(self) -> Iterator[LinkedTable]:
        return iter(self.tables.values())

    def __getitem__(self, name: str) -> LinkedTable:
        if name not in self.tables:
            raise SchemaError(f"no table '{name}' in the schema; it has {', '.join(self.tables)}")
        return self.tables[name]

    @property
    def persons(self) -> LinkedTable:
        """The root table."""
        return self.tables[self.root]

    @property
    def rows(self) -> int | None:
        """The declared rough number of persons, rows of the root table."""
        return self.persons.domain.rows

    @property
    def undeclared(self) -> tuple[Column, ...]:
        """Columns to be completed: none, a database declares all."""
        return ()

    def children(self, name: str) -> tuple[LinkedTable, ...]:
        """The tables that belong to a table."""
        return tuple(table for table in self if table.parent == name)

    def above(self, name: str) -> tuple[LinkedTable, ...]:
        """The tables that a table belongs to, its parent first, the root last."""
        found: list[LinkedTable] = []
        table = self[name]
        while table.parent is not None:
            table = self[table.parent]
            found.append(table)
        return tuple(found)

    @cached_property
    def most_rows(self) -> dict[str, int]:
        """For every table the most rows of one person."""
        found = {self.root: 1}
        for table in self:
            if table.parent is not None and table.most is not None:
                found[table.name] = found[table.parent] * table.most
        return found

    @property
    def unit(self) -> str:
        """The unit of protection, in words."""
        limits = [
            f"at most {table.most} {table.name}"
            + ("" if table.parent == self.root else f" of each row of {table.parent}")
            for table in self
            if table.parent is not None
        ]
        return f"one person, a row of {self.root}" + (f" with all their rows ({', '.join(limits)})" if limits else "")

    def with_rows(self, rows: int) -> DatabaseDomain:
        """The same with a declared number of persons."""
        persons = replace(self.persons, domain=replace(self.persons.domain, rows=max(1, rows)))
        return DatabaseDomain(self.root, {**self.tables, self.root: persons})

    @classmethod
    def from_yaml(cls, source: str | Path) -> Self:
        """From a schema file, or from schema text (anything with a line break).

        Raises `SchemaError` with file and place.
        """
        if isinstance(source, str) and "\n" in source:
            return cls.from_dict(parse_yaml(source, "schema", "tables:"), "schema")
        path = Path(source).expanduser()
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise SchemaError(f"no schema file '{source}'; draft one with: dpsynth schema FOLDER") from None
        except (OSError, UnicodeDecodeError) as error:
            raise SchemaError(f"schema file '{source}' cannot be read: {error}") from None
        try:
            return cls.from_dict(parse_yaml(text, path.name, "tables:"), path.name)
        except SchemaError as error:
            prefix = "" if str(error).startswith(path.name) else f"{path.name}: "
            raise SchemaError(f"{prefix}{error}") from None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], where: str = "schema") -> Self:
        """The inverse of `to_dict`; strict about keys and values."""
        check_keys(content, ("root", "tables"), where)
        tables = content.get("tables")
        if not isinstance(tables, Mapping) or not tables:
            raise SchemaError(f"{where}: needs 'tables:' with one entry for each table")
        if content.get("root") is None:
            raise SchemaError(f"{where}: needs 'root:', the table whose rows are the persons")
        found = {str(name): _table(str(name), spec) for name, spec in tables.items()}
        return cls(str(content["root"]), found)

    def to_dict(self) -> dict[str, Any]:
        """A json-able mapping with the keys of the schema file."""
        return {"root": self.root, "tables": {table.name: table.to_dict() for table in self}}

    def to_yaml(self) -> str:
        """Schema text; `DatabaseDomain.from_yaml` of it is the same."""
        lines = [f"root: {flow(self.root)}", "tables:"]
        for name, table in self.to_dict()["tables"].items():
            lines.append(f"  {flow(name)}:")
            lines += [f"    {line}" for line in dump_yaml(table).splitlines()]
        return "\n".join(lines) + "\n"

    def _check_links(self, table: LinkedTable, given: Mapping[str, LinkedTable]) -> None:
        where = f"table '{table.name}'"
        if table.name == self.root:
            if table.parent is not None or table.most is not None or table.order is not None:
                raise SchemaError(f"{where}: the root belongs to no table, and has neither 'most' nor 'order'")
            if not table.key and len(given) > 1:
                raise SchemaError(f"{where}: needs 'key:', by which other tables name its rows")
            return
        if table.parent is None:
            raise SchemaError(
                f"{where}: needs 'parent: {{TABLE: COLUMN}}', since every table but the root '{self.root}' has one"
            )
        if table.domain.rows is not None:
            raise SchemaError(f"{where}: 'rows' is declared for the root alone; the rows of '{table.name}' are private")
        if table.most is None:
            raise SchemaError(f"{where}: needs 'most:', the most rows of one row of '{table.parent}' that are used")
        if table.parent not in given:
            raise SchemaError(f"{where}: parent '{table.parent}' is no table; there are {', '.join(given)}")
        key = given[table.parent].key
        if not key:
            raise SchemaError(f"table '{table.parent}': needs 'key:', because '{table.name}' belongs to it")
        if len(key) != len(table.foreign_key):
            raise SchemaError(
                f"{where}: {len(table.foreign_key)} columns hold the key of '{table.parent}', which has {len(key)}: "
                f"{', '.join(key)}"
            )

    def _from_the_top(self, given: Mapping[str, LinkedTable]) -> list[str]:
        """Names of the tables, each after its parent; `SchemaError` for those that belong to each other in a circle."""
        ordered = [self.root]
        while len(ordered) < len(given):
            ready = [n for n, table in given.items() if n not in ordered and table.parent in ordered]
            if not ready:
                circle = ", ".join(f"'{name}'" for name in given if name not in ordered)
                raise SchemaError(f"tables {circle} belong to each other in a circle, and none to '{self.root}'")
            ordered += ready
        return ordered


def _with_rules(table: LinkedTable, above: Mapping[str, LinkedTable], root: str) -> LinkedTable:
    """The table with its rules read against the tables above it; those within a row go to its domain."""
    higher: dict[str, Domain] = {}
    name = table.parent
    while name is not None:
        higher[name] = above[name].domain
        name = above[name].parent
    within: list[str] = []
    between: list[LinkedRule] = []
    for rule in table.rules:
        try:
            found = LinkedRule.parse(str(rule), table.name, table.domain, higher)
        except SchemaError as error:
            prefix = "" if str(error).startswith("table ") else f"table '{table.name}', "
            raise SchemaError(f"{prefix}{error}") from None
        if found is None:
            within.append(str(rule))
        elif found.reach == "next" and table.order is None:
            raise SchemaError(f"table '{table.name}', constraint '{rule}': needs 'order:', else no row is the next")
        else:
            between.append(found)
    fields = {f: getattr(table, f) for f in LinkedTable.__dataclass_fields__}
    domain = table.domain
    if within:
        written = domain.to_dict()
        domain = Domain.from_dict({**written, "constraints": [*written.get("constraints", []), *within]})
    return LinkedTable(**{**fields, "domain": domain, "rules": tuple(between)})


def _table(name: str, spec: Any) -> LinkedTable:
    where = f"table '{name}'"
    if not isinstance(spec, Mapping):
        raise SchemaError(f"{where}: write it as a mapping with key, parent, most and columns")
    check_keys(spec, (*_LINK_KEYS, *TOP_KEYS), where)
    own = {key: value for key, value in spec.items() if key in TOP_KEYS and key != "constraints"}
    try:
        domain = Domain.from_dict(own)
    except SchemaError as error:
        raise SchemaError(f"{where}: {str(error).removeprefix('schema: ')}") from None
    rules = spec.get("constraints") or ()
    if isinstance(rules, str) or not isinstance(rules, (list, tuple)):
        raise SchemaError(f"{where}: 'constraints' must be a list, got {rules!r}")
    fields: dict[str, Any] = {"rules": tuple(str(rule) for rule in rules)}
    if spec.get("key") is not None:
        fields["key"] = texts(spec["key"], f"{where}, key")
    if spec.get("parent") is not None:
        parent = spec["parent"]
        if not isinstance(parent, Mapping) or len(parent) != 1:
            raise SchemaError(
                f"{where}: write parent as {{TABLE: COLUMN}}, the table above and the column that names it"
            )
        ((fields["parent"], columns),) = parent.items()
        fields["parent"] = str(fields["parent"])
        fields["foreign_key"] = texts(columns, f"{where}, parent")
    if spec.get("most") is not None:
        fields["most"] = whole(spec["most"], f"{where}, most")
    if spec.get("order") is not None:
        fields["order"] = str(spec["order"])
    return LinkedTable(name, domain, **fields)
