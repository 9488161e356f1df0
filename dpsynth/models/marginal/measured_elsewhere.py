"""A model of noisy marginals that were measured elsewhere: by SQL, OpenDP, Tumult, Beam, or an earlier release.

    tables = read_tables("measured.yaml", domain)      # or NoisyTable objects
    fitted = fit_tables(tables, domain, statement)

Guarantee: none of its own. Noisy tables are public once they were released, and everything here is post-processing of
them; what was promised for them is said by a foreign statement, which is carried along, marked as stated by others, and
not proven here. No private row is opened.

Tables may count a column in different cells, as long as one way is the other made coarser: all are brought to the
finest cells that every table of the column can tell apart; counts of joined cells add up, and so do the variances of
their noise. Then a graphical model is fitted to all of them by their noise, as `aim` does after its last round
(McKenna, Miklau, Sheldon 2019, arXiv 1901.09136). A column that no table counts is drawn evenly over its domain.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.columns import Category, Column, NumericColumn
from dpsynth.data.table.codec import ColumnCodes
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel, Measurement
from dpsynth.marginals.noisy_tables import Cell, NoisyTable
from dpsynth.models.contract.fitted import Generators, below
from dpsynth.models.contract.fitted_table import FittedTable

REDRAWN = 50  # times, at most
NOISELESS = 1.0  # the least noise a model is given, in rows
STATED = ("epsilon", "delta", "unit", "neighbours", "by")


class FittedTables(FittedTable):
    """A graphical model over cells that are named by values.

    cells: for every column of the domain its cells, each a list of values as `NoisyTable` names them.
    """

    def __init__(
        self,
        domain: Domain,
        cells: Sequence[Sequence[Cell]],
        model: GraphicalModel,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.cells, self.model = tuple(tuple(map(tuple, each)) for each in cells), model
        self._columns = [_Cells(column, each) for column, each in zip(domain, self.cells, strict=True)]

    def config(self) -> dict[str, Any]:
        return {"cells": [[list(cell) for cell in each] for each in self.cells], "model": self.model.state()[0]}

    def tensors(self) -> dict[str, torch.Tensor]:
        return {f"model.{name}": tensor for name, tensor in self.model.state()[1].items()}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        return cls(
            domain, config["cells"], GraphicalModel.restore(config["model"], below("model.", tensors)), statement
        )

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        places = {name: self.domain.position(name) for name in where}
        fixed = {place: self._columns[place].cell_of(where[name], self.domain) for name, place in places.items()}
        codes = self.model.sample(n, generators.numpy, where=fixed)
        drawn = {
            column.name: cells.within(codes[:, j], generators.numpy)
            for j, (column, cells) in enumerate(zip(self.domain, self._columns, strict=True))
        }
        return pd.DataFrame(drawn)


def fit_tables(
    tables: Sequence[NoisyTable], domain: Domain, statement: Mapping[str, Any], iterations: int = 1000
) -> FittedTables:
    """The model that explains the tables, no closer than their noise deserves.

    Args:
        tables: Noisy marginals of columns of `domain`.
        domain: The complete public schema.
        statement: What those who measured say of them: epsilon, delta, unit, neighbours, by; and what else they say.
        iterations: Of the fit.

    Raises:
        ConfigError: Columns or values that the domain does not have, cells that overlap without one being a part of the
            other, a statement without its facts, or a model that is too large.
    """
    if domain.undeclared:
        raise ConfigError("the schema must declare all bounds and categories: no row is at hand to estimate them")
    if not tables:
        raise ConfigError("no table to fit to")
    for table in tables:
        for name in table.columns:
            if name not in domain.names:
                raise ConfigError(f"table {table.name}: no column '{name}' in the schema ({', '.join(domain.names)})")
    columns = [_Atoms(column) for column in domain]
    parts: list[list[list[list[Piece]]]] = [[] for _ in columns]
    for table in tables:
        for name, cells in zip(table.columns, table.cells, strict=True):
            place = domain.position(name)
            parts[place].append(columns[place].parts(cells, table.name))
    joined = [atoms.joined(found) for atoms, found in zip(columns, parts, strict=True)]
    measured = [_measurement(table, domain, columns, joined) for table in tables]
    sizes = [len(groups) for groups in joined]
    model = GraphicalModel.fit(sizes, measured, iterations=iterations, names=domain.names)
    cells = [atoms.cells(groups) for atoms, groups in zip(columns, joined, strict=True)]
    fitted = FittedTables(domain, cells, model, foreign(statement, round(model.total)))
    fitted.measured = tuple(tables)
    return fitted


def foreign(statement: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """A statement by others in the form of ours: carried along, and not said to be proven here."""
    if lacking := [key for key in STATED if statement.get(key) in (None, "")]:
        raise ConfigError(f"statement: says nothing of '{lacking[0]}'; it needs {', '.join(STATED)}")
    try:
        epsilon, delta = float(statement["epsilon"]), float(statement["delta"])
    except (TypeError, ValueError):
        raise ConfigError("statement: epsilon and delta must be numbers") from None
    if not (epsilon > 0 and math.isfinite(epsilon) and 0 <= delta < 1):
        raise ConfigError(f"statement: epsilon {epsilon:g} and delta {delta:g} are no guarantee")
    relation = str(statement["neighbours"])
    if relation not in ("add_remove", "replace_one"):
        raise ConfigError(f"statement: neighbours is '{relation}'; say add_remove or replace_one")
    said = f"stated by {statement['by']}, not proven here"
    return {
        "private": False,
        "guarantee": f"({epsilon:g}, {delta:g})-differential privacy for {statement['unit']}, {said}",
        "target": {"epsilon": epsilon, "delta": delta},
        "proven": {"epsilon": "inf", "delta": delta, "accountant": said, "bounds": {}},
        "neighbours": relation,
        "unit": str(statement["unit"]),
        "rows_per_person": None,
        "charges": [],
        "finished": True,
        "noise": "as stated by others",
        "rows": max(1, rows),
        "covers": str(statement.get("covers", "what the tables were counted from")),
        "method": "FittedTables",
        "stated elsewhere": {str(key): value for key, value in statement.items()},
    }


# -------------------- Cells on the axis of a column -----------------------------------------

Piece = (
    tuple[float, float] | str | None
)  # a range [low, high) of the axis; a category, or a point mass; a missing value


def pieces_of(column: Column, cell: Cell, where: str) -> list[Piece]:
    """The parts of a cell. Ranges are of ticks on a lattice, of values on a continuum.

    Raises `ConfigError` for a value that the column does not have.
    """
    found: list[Piece] = []
    for value in cell:
        if value is None:
            if not column.missing:
                raise ConfigError(f"{where}: a missing value, which column '{column.name}' does not allow")
            found.append(None)
        elif isinstance(column, Category):
            if value not in column.values:
                raise ConfigError(f"{where}: {value!r} is no value of column '{column.name}'")
            found.append(value)
        else:
            assert isinstance(column, NumericColumn)
            found.append(_number_piece(column, value, where))
    return found


def _number_piece(column: NumericColumn, text: str, where: str) -> Piece:
    first, dots, last = text.partition("..")
    ends = column.numbers(pd.Series([first, last or first], dtype=object)).astype(np.float64)
    if not np.isfinite(ends).all():
        raise ConfigError(f"{where}: {text!r} is no {column.kind}, nor a range of them such as 17..25")
    if not dots and ends[0] in column.point_mass_values:
        return _mass(column, ends[0])
    if column.step is None:
        if not dots:
            raise ConfigError(f"{where}: {text!r} is a single value of column '{column.name}', which has a continuum")
        low, high = float(ends[0]), float(ends[1])
        inside = column.start <= low < high <= column.stop
    else:
        low, high = (float(tick) for tick in column.tick(ends))
        high += 1
        inside = 0 <= low < high <= column.count
    if not inside:
        raise ConfigError(f"{where}: {text!r} does not lie in column '{column.name}' ({column.low} to {column.high})")
    return low, high


def _mass(column: NumericColumn, value: float) -> str:
    return ColumnCodes(column, 1).texts(np.array([value]))[0]


class _Atoms:
    """The smallest parts into which the cells of all tables cut a column."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self.singles: list[str | None] = []
        self.axis: tuple[float, float] | None = None
        if isinstance(column, Category):
            self.singles += column.values
        else:
            assert isinstance(column, NumericColumn)
            self.axis = (column.start, column.stop) if column.step is None else (0.0, float(column.count))
            self.singles += [_mass(column, value) for value in column.point_mass_values]
        if column.missing:
            self.singles.append(None)
        self.ranges: list[tuple[float, float]] = []

    @property
    def column_is_continuum(self) -> bool:
        """Whether values lie on no lattice."""
        return getattr(self.column, "step", None) is None

    def parts(self, cells: Sequence[Cell], table: str) -> list[list[Piece]]:
        """The parts of every cell of a table."""
        where = f"table {table}, column '{self.column.name}'"
        return [pieces_of(self.column, cell, where) for cell in cells]

    def joined(self, tables: Sequence[list[list[Piece]]]) -> list[list[int]]:
        """Atoms by group: the finest groups of which every cell of every table is a part."""
        if self.axis is not None:
            pieces = [piece for table in tables for cell in table for piece in cell if isinstance(piece, tuple)]
            self.ranges = list(itertools.pairwise(sorted({*self.axis, *itertools.chain.from_iterable(pieces)})))
            # A stretch of the lattice with nothing but point masses is no range: these are atoms of their own.
            masses = {self._place(single) for single in self.singles if single is not None}
            self.ranges = [
                (low, high)
                for low, high in self.ranges
                if self.column_is_continuum or not set(np.arange(low, min(high, low + len(masses) + 1))) <= masses
            ]
        group = list(range(len(self.ranges) + len(self.singles)))
        for table in tables:
            for cell in table:
                atoms = self.of(cell, table)
                for atom in atoms[1:]:
                    old, new = group[atom], group[atoms[0]]
                    group = [new if each == old else each for each in group]
        return [[k for k, each in enumerate(group) if each == name] for name in dict.fromkeys(group)]

    def of(self, cell: Sequence[Piece], table: Sequence[Sequence[Piece]]) -> list[int]:
        """The atoms of one cell of a table: a point mass without a cell of its own belongs to the range around it."""
        alone = {piece for each in table for piece in each if isinstance(piece, str)}
        found = []
        for piece in cell:
            if isinstance(piece, tuple):
                found += [k for k, (low, high) in enumerate(self.ranges) if piece[0] <= low and high <= piece[1]]
                found += [
                    len(self.ranges) + k
                    for k, single in enumerate(self.singles)
                    if single is not None and single not in alone and piece[0] <= self._place(single) < piece[1]
                ]
            else:
                found.append(len(self.ranges) + self.singles.index(piece))
        return found

    def _place(self, single: str) -> float:
        column = self.column
        if not isinstance(column, NumericColumn):
            return math.nan
        value = column.numbers(pd.Series([single], dtype=object)).astype(np.float64)
        if not column.start <= value[0] <= column.stop:
            return math.nan
        return float(value[0] if column.step is None else column.tick(value)[0])

    def cells(self, groups: Sequence[Sequence[int]]) -> tuple[Cell, ...]:
        """The groups as cells named by values."""
        return tuple(tuple(self._text(atom) for atom in group) for group in groups)

    def _text(self, atom: int) -> str | None:
        if atom >= len(self.ranges):
            return self.singles[atom - len(self.ranges)]
        column = self.column
        assert isinstance(column, NumericColumn)
        low, high = self.ranges[atom]
        if column.step is None:
            ends = ColumnCodes(column, 1).texts(np.array([low, high]))
        else:
            ends = ColumnCodes(column, 1).texts(column.value(np.array([low, high - 1]).astype(np.int64)))
        return ends[0] if ends[0] == ends[1] else f"{ends[0]}..{ends[1]}"


def _measurement(
    table: NoisyTable, domain: Domain, columns: Sequence[_Atoms], joined: Sequence[Sequence[Sequence[int]]]
) -> Measurement:
    """A table in the groups of its columns: counts of joined cells add up, and so do the variances of their noise."""
    counts = table.counts
    variances = np.broadcast_to(np.square(table.sigma), counts.shape).astype(np.float64)
    places = [domain.position(name) for name in table.columns]
    for axis, (place, cells) in enumerate(zip(places, table.cells, strict=True)):
        atoms, groups = columns[place], joined[place]
        group_of = {atom: k for k, group in enumerate(groups) for atom in group}
        parts = atoms.parts(cells, table.name)
        covered = [atoms.of(cell, parts) for cell in parts]
        held = [atom for cell in covered for atom in cell]
        where = f"table {table.name}, column '{atoms.column.name}'"
        if len(set(held)) < len(held):
            raise ConfigError(f"{where}: two cells count the same value")
        if lost := set(group_of) - set(held):
            named = atoms._text(min(lost))
            raise ConfigError(
                f"{where}: no cell counts {'missing values' if named is None else named}; list every cell"
            )
        target = np.array([group_of[cell[0]] for cell in covered])
        counts, variances = (_summed(values, axis, target, len(groups)) for values in (counts, variances))
    order = np.argsort(places)
    sigma = np.maximum(np.sqrt(variances), NOISELESS)
    return Measurement(tuple(places[k] for k in order), counts.transpose(order), sigma.transpose(order))


def _summed(values: np.ndarray, axis: int, target: np.ndarray, size: int) -> np.ndarray:
    moved = np.moveaxis(values, axis, 0)
    found = np.zeros((size, *moved.shape[1:]))
    np.add.at(found, target, moved)
    return np.moveaxis(found, 0, axis)


class _Cells:
    """Values of one column from its cells: evenly over the values of a cell."""

    def __init__(self, column: Column, cells: Sequence[Cell]) -> None:
        self.column = column
        self.pieces = [pieces_of(column, cell, f"column '{column.name}'") for cell in cells]
        if any(not pieces for pieces in self.pieces):
            raise ConfigError(f"column '{column.name}': a cell without a value")
        self._apart = np.zeros(0, dtype=np.int64)
        if isinstance(column, NumericColumn) and column.step is not None:
            alone = [float(column.numbers(pd.Series([piece], dtype=object))[0]) for pieces in self.pieces
                     for piece in pieces if isinstance(piece, str) and len(pieces) == 1]  # fmt: skip
            self._apart = column.tick(np.array([value for value in alone if column.start <= value <= column.stop]))
        self.weights = [np.array([self._weight(piece) for piece in pieces]) for pieces in self.pieces]

    def _weight(self, piece: Piece) -> float:
        return piece[1] - piece[0] if isinstance(piece, tuple) else 1.0

    def within(self, codes: np.ndarray, generator: np.random.Generator) -> pd.Series:
        """(n,) values of the column for (n,) cells."""
        values, missing = np.zeros(len(codes)), np.zeros(len(codes), dtype=bool)
        for code in np.unique(codes):
            places = np.flatnonzero(codes == code)
            pieces, weights = self.pieces[code], self.weights[code]
            chosen = generator.choice(len(pieces), len(places), p=weights / weights.sum())
            for k, piece in enumerate(pieces):
                here = places[chosen == k]
                if piece is None:
                    missing[here] = True
                else:
                    values[here] = self._values(piece, len(here), generator)
        if isinstance(self.column, Category):
            return self.column.write(values.astype(np.int64), missing)
        assert isinstance(self.column, NumericColumn)
        return self.column.write(np.where(missing, self.column.start, values), missing)

    def _values(self, piece: tuple[float, float] | str, n: int, generator: np.random.Generator) -> np.ndarray:
        column = self.column
        if isinstance(column, Category):
            assert isinstance(piece, str)
            return np.full(n, column.values.index(piece))
        assert isinstance(column, NumericColumn)
        if isinstance(piece, str):
            return np.full(n, column.numbers(pd.Series([piece], dtype=object)).astype(np.float64)[0])
        if column.step is None:
            return generator.uniform(piece[0], piece[1], n)
        ticks = generator.integers(int(piece[0]), int(piece[1]), n)
        for _ in range(REDRAWN):  # values with a cell of their own are not counted in a range around them
            wrong = np.isin(ticks, self._apart)
            if not wrong.any():
                break
            ticks[wrong] = generator.integers(int(piece[0]), int(piece[1]), int(wrong.sum()))
        return column.value(ticks)

    def cell_of(self, value: Any, domain: Domain) -> int:
        """The cell that holds a legal value."""
        reading = self.column.read(pd.Series([value], dtype=object), domain.missing_values)
        missing, number = bool(reading.missing[0]), float(reading.values[0])
        exact = None if missing else self._single(number)
        for code, pieces in enumerate(self.pieces):
            if exact in [piece for piece in pieces if not isinstance(piece, tuple)]:
                return code
        column = self.column
        if not missing and isinstance(column, NumericColumn):
            place = number if column.step is None else float(column.tick(np.array([number]))[0])
            for code, pieces in enumerate(self.pieces):
                if any(isinstance(piece, tuple) and (piece[0] <= place < piece[1] or place == piece[1] == column.stop)
                       for piece in pieces):  # fmt: skip
                    return code
        raise ConfigError(f"where: no cell of column '{self.column.name}' holds {value!r}")

    def _single(self, number: float) -> str:
        if isinstance(self.column, Category):
            return self.column.values[int(number)]
        assert isinstance(self.column, NumericColumn)
        return _mass(self.column, number)
