"""A fitted database: a graphical model for each table, and persons that are drawn with all their rows.

Persons come first, with how many rows they have in each table; then the rows of each table, the first of every parent,
the second, and so on, each given the tables above, its position and the row before it. Keys are made when the tables
are written, so each names a row. All of it follows from noisy counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.columns import NumericColumn
from dpsynth.data.columns.raw import series_of
from dpsynth.data.database.database import Database
from dpsynth.data.database.declaration import DatabaseDomain, LinkedTable
from dpsynth.data.database.linking import ranks
from dpsynth.data.table.codec import Codec
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import Fitted, below
from dpsynth.models.database import rules
from dpsynth.models.database.chain import Chain
from dpsynth.models.database.slots import Parts, Slots, number_of, persons_domain
from dpsynth.models.marginal.fitted_graph import FittedGraph
from dpsynth.models.shared.domain_compression import DomainCompression


class FittedDatabase(Fitted[Database]):
    """What was released of a database.

    models: for each table its graphical model, of persons or of rows with their slots.
    """

    domain: DatabaseDomain

    def __init__(
        self, domain: DatabaseDomain, models: Mapping[str, FittedGraph], statement: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(domain, statement)
        self.models = dict(models)

    def config(self) -> dict[str, Any]:
        return {"tables": {name: model.config() for name, model in self.models.items()}}

    def tensors(self) -> dict[str, torch.Tensor]:
        return {
            f"{number}.{key}": tensor
            for number, model in enumerate(self.models.values())
            for key, tensor in model.tensors().items()
        }

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: DatabaseDomain,
        statement: Mapping[str, Any],
    ) -> Self:
        models: dict[str, FittedGraph] = {}
        for number, (name, own) in enumerate(config["tables"].items()):
            seen = persons_domain(domain) if name == domain.root else Slots(domain, domain[name]).domain
            models[name] = FittedGraph.restore(own, below(f"{number}.", tensors), seen, {})
        return cls(domain, models, statement)

    def _sample(self, n: int, seed: int | None, where: Mapping[str, Any]) -> Database:
        given = self._split(where)
        # Another stream than that of the persons, who are drawn from the seed itself.
        draw = np.random.default_rng(None if seed is None else [seed, len(self.domain)])
        root = self.domain.root
        drawn = self.models[root].sample(n, seed, given.pop(root, {})).frame
        parts = Parts(self.domain, {root: drawn.loc[:, list(self.domain.persons.domain.names)]}, {}, {})
        for table in self.domain.children(root):
            parts.numbers[table.name] = drawn[number_of(table.name)].to_numpy(np.int64)
        for table in self.domain:
            if table.parent is not None:
                self._add(table, parts, draw, given.get(table.name, {}))
        tables = {table.name: Table(parts.frames[table.name], table.domain) for table in self.domain}
        return Database(self.domain, tables, parts.owners)

    def _split(self, where: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Conditions by table: those on `table.column`, and on a column of the root alone."""
        given: dict[str, dict[str, Any]] = {}
        for name, value in where.items():
            table, dot, column = name.partition(".")
            if not dot or table not in self.domain.tables:
                table, column = self.domain.root, name
            known = self.models[table].domain.names if table == self.domain.root else self.domain[table].domain.names
            if column not in known:
                raise ConfigError(f"where: no column '{column}' in table '{table}'; it has {', '.join(known)}")
            if column == self.domain[table].order:
                raise ConfigError(f"where: '{name}' orders the rows of '{table}' and cannot be fixed")
            given.setdefault(table, {})[column] = value
        return given

    def _add(self, table: LinkedTable, parts: Parts, draw: np.random.Generator, where: Mapping[str, Any]) -> None:
        """Draw the rows of a table under the rows of its parent."""
        slots, model = Slots(self.domain, table), self.models[table.name]
        legal = {name: self._legal(table, name, value) for name, value in where.items()}
        sequence = _Sequence(slots, model, {name: model.codec.encode_value(name, v)[0] for name, v in legal.items()})
        owners = np.repeat(np.arange(len(parts.numbers[table.name])), parts.numbers[table.name])
        codes = sequence.rows(slots.above_frame(parts), parts.numbers[table.name], draw)
        frame, below_it = _decoded(slots, model.codec, codes, ranks(owners), draw)
        exact = {name: self._constant(table, name, value, len(frame)) for name, value in legal.items()}
        frame = frame.assign(**exact)
        above = {}
        places = owners
        for higher in self.domain.above(table.name):
            above[higher.name] = parts.frames[higher.name].iloc[places].reset_index(drop=True)
            if higher.parent is not None:
                places = parts.owners[higher.name][places]
        frame, kept = rules.kept(table, frame, above, owners)
        if exact:
            fixed = {name: series.loc[kept].reset_index(drop=True) for name, series in exact.items()}
            if any(not series_of(frame, name).equals(series) for name, series in fixed.items()):
                raise ConfigError(
                    f"where: no rows of '{table.name}' found that keep the conditions and the constraints"
                )
        parts.frames[table.name], parts.owners[table.name] = frame, owners[kept]
        parts.numbers[table.name] = np.bincount(owners[kept], minlength=len(parts.numbers[table.name]))
        parts.numbers |= {name: numbers[kept] for name, numbers in below_it.items()}

    def _legal(self, table: LinkedTable, name: str, value: Any) -> Any:
        """A fixed value as its column holds it; `ConfigError` for one outside the domain."""
        column = table.domain[name]
        reading = column.read(pd.Series([value], dtype=object), table.domain.missing_values)
        if reading.invalid[0]:
            raise ConfigError(f"where: {value!r} is outside the domain of column '{table.name}.{name}'")
        return None if reading.missing[0] else column.write(reading.values, reading.missing).iloc[0]

    def _constant(self, table: LinkedTable, name: str, value: Any, n: int) -> pd.Series:
        return table.domain[name].parse(pd.Series([value] * n, dtype=object))[0]


class _Sequence:
    """Codes of the rows of parents, drawn position by position.

    fixed: own columns with the code that each of their rows has, by name.
    """

    def __init__(self, slots: Slots, model: FittedGraph, fixed: Mapping[str, int]) -> None:
        self.slots, self.codec, self.compression = slots, model.codec, model.compression
        position = model.codec.domain.position
        self.above = [position(column.name) for column in slots.above]
        self.position = position(slots.position.name)
        self.previous = [position(column.name) for column in slots.previous]
        self.carried = [position(name) for name in slots.carried]
        self.own = [position(column.name) for column in slots.own]
        self.fixed = {position(name): code for name, code in fixed.items()}
        order = slots.table.order
        self.first = None if order is None else position(slots.first_name)
        self.step = None if order is None else position(slots.step.name)
        given = [*self.above, self.position, *self.previous, *self.fixed]
        self.starting = Chain(model.model, [*given, *([] if self.step is None else [self.step])])
        self.following = Chain(model.model, [*given, *([] if self.first is None else [self.first])])
        maps, fractions = model.compression.maps, model.compression.fractions
        self.own_compression = DomainCompression(
            tuple(maps[j] for j in self.own), tuple(fractions[j] for j in self.own)
        )

    def rows(self, above: pd.DataFrame, numbers: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """(rows, own columns) codes, sorted by parent; numbers: (parents,) rows of each."""
        starts = np.cumsum(numbers) - numbers
        codes = np.zeros((int(numbers.sum()), len(self.own)), dtype=np.int64)
        shared = np.column_stack([self._encoded(j, above) for j in self.above])
        texts = self.slots.positions(np.arange(int(numbers.max(initial=0))))
        places = [self._merged(self.position, self.codec.encode_value(self.slots.position.name, t)[0]) for t in texts]
        for rank, place in enumerate(places):
            parents = np.flatnonzero(numbers > rank)
            slots = np.zeros((len(parents), len(self.codec.sizes)), dtype=np.int64)
            slots[:, self.above], slots[:, self.position] = shared[parents], place
            before = codes[starts[parents] + rank - 1] if rank else None
            for j, source in zip(self.previous, self.carried, strict=True):
                code = self._missing(j) if before is None else before[:, self.own.index(source)]
                slots[:, j] = self.compression.maps[j][code]
            for j, code in self.fixed.items():
                slots[:, j] = self._merged(j, code)
            absent, present = (self.step, self.first) if rank == 0 else (self.first, self.step)
            if absent is not None:
                slots[:, absent] = self._merged(absent, self._missing(absent))
            (self.following if rank else self.starting).fill(slots, draw)
            drawn = self.own_compression.parted(slots[:, self.own], draw)
            for j, code in self.fixed.items():
                drawn[:, self.own.index(j)] = code
            if present is not None:
                drawn[:, self.own.index(present)] = self._known(present, drawn[:, self.own.index(present)], draw)
            codes[starts[parents] + rank] = drawn
        return codes

    def _encoded(self, j: int, frame: pd.DataFrame) -> np.ndarray:
        """Merged codes of a column of the tables above."""
        column = self.codec.columns[j]
        codes, _ = column.encode(column.column.read(series_of(frame, column.name), self.codec.domain.missing_values))
        return self.compression.maps[j][codes]

    def _merged(self, j: int, code: int) -> int:
        return int(self.compression.maps[j][code])

    def _missing(self, j: int) -> int:
        code = self.codec.columns[j].missing_code
        assert code is not None  # declared so in slots.py
        return code

    def _known(self, j: int, codes: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Codes of a column that is known at this position; where noise made it missing, an even draw of its values."""
        wrong = codes == self._missing(j)
        return np.where(wrong, draw.integers(self.codec.columns[j].value_bins, size=len(codes)), codes)


def _decoded(
    slots: Slots, codec: Codec, codes: np.ndarray, rank: np.ndarray, draw: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """(values of the table's columns, for every table below how many rows there are of each row)."""
    found: dict[str, pd.Series] = {}
    for place, column in enumerate(slots.own):
        found[column.name] = codec[column.name].decode(codes[:, place], None, draw)
    table = slots.table
    if table.order is not None:
        column = table.domain[table.order]
        assert isinstance(column, NumericColumn)
        first = column.replace(missing=True).read(found[slots.first_name]).values
        steps = slots.step.read(found[slots.step.name]).values
        values = slots.ordered(first, steps, rank)
        found[table.order] = column.write(values, np.zeros(len(values), dtype=bool))
    children = [child.name for child in slots.database.children(table.name)]
    numbers = {name: found[number_of(name)].to_numpy(np.int64) for name in children}
    return pd.DataFrame({name: found[name] for name in table.domain.names}), numbers
