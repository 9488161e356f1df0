"""A fitted model: what was released, and nothing else.

A `Fitted` is public: it is made of a public configuration, tensors that came out of privacy mechanisms, the
declared domain and the privacy statement.  It has no way to reach the data it was fitted to.  Sampling is
post-processing and costs no budget, however many rows are drawn.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.columns import Category, Column, Quantity
from dpsynth.data.constraints import repair, satisfied
from dpsynth.data.domain import Domain
from dpsynth.data.table import Table
from dpsynth.errors import ConfigError

LAWFUL_ROUNDS = 20


class Generators(NamedTuple):
    """The random sources of one sample.  They are not private: samples may be repeated with their seed."""

    torch: torch.Generator
    numpy: np.random.Generator

    @classmethod
    def seeded(cls, seed: int | None) -> "Generators":
        """Generators that follow from `seed`; a fresh, unrepeatable pair for None."""
        first, second = np.random.SeedSequence(seed).spawn(2)
        source = torch.Generator().manual_seed(int(first.generate_state(1, np.uint64)[0]) >> 1)
        return cls(source, np.random.default_rng(second))


class Fitted(ABC):
    """Base of every fitted model.  A method implements `config`, `tensors`, `restore` and `_draw`.

    domain: the complete public domain of the samples.
    statement: the privacy statement (JSON-able): target, proven epsilon, delta, relation, charges, noise,
    rows.
    """

    modalities: ClassVar[frozenset[str]] = frozenset({"table"})

    def __init__(self, domain: Domain, statement: Mapping[str, Any] | None = None):
        self.domain = domain
        self.statement: dict[str, Any] = dict(statement or {})

    @property
    def rows(self) -> int | None:
        """How many rows the table had, as far as may be said: declared or counted with noise; else None."""
        return self.statement.get("rows")

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The public configuration `restore` needs besides the tensors; JSON-able."""

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything learned, by name."""

    @classmethod
    @abstractmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        """The model that `config()` and `tensors()` describe."""

    @abstractmethod
    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        """n rows inside the domain whose columns `where` have exactly the given (canonical, legal) values.

        Cross-column constraints are not its business.  Raises `ConfigError` when a condition is too rare for
        it.
        """

    def sample(self, n: int | None = None, seed: int | None = None, where: Mapping[str, Any] | None = None) -> Table:
        """n synthetic rows, all inside the domain and its constraints; `rows` of them when n is not given.

        seed: the same seed gives the same rows; None gives fresh ones.
        where: fixed values by column, for example {"sex": "Female"}; None as a value asks for a missing one.
        Raises `ConfigError` for an unknown column or a value outside the domain.
        """
        n = self.rows if n is None else n
        if n is None:
            raise ConfigError("n: this model knows no number of rows; say how many with n=10000")
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise ConfigError(f"n={n!r}: the number of rows must be a whole number, 0 or more")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
            raise ConfigError(f"seed={seed!r}: must be a whole number, 0 or more, or null")
        given = self._legal(where or {})
        generators = Generators.seeded(seed)
        return Table(self._lawful(self._draw(n, generators, given), generators, given), self.domain)

    def save(self, folder: str | Path) -> None:
        """Write the model into the new folder `folder`: JSON and safetensors, no pickle, no data."""
        from dpsynth.models.artifact import save  # the file format knows this class, not the other way round

        save(self, folder)

    def _legal(self, where: Mapping[str, Any]) -> dict[str, Any]:
        """The conditions as canonical values of their columns."""
        given: dict[str, Any] = {}
        for name, value in where.items():
            if name not in self.domain.names:
                raise ConfigError(f"where: no column {name!r}; the columns are {', '.join(self.domain.names)}")
            column = self.domain[name]
            reading = column.read(pd.Series([value], dtype=object), self.domain.missing_values)
            if reading.invalid[0]:
                raise ConfigError(f"where: {value!r} is outside the domain of column {name!r} ({_range(column)})")
            given[name] = None if reading.missing[0] else column.write(*reading[:2]).iloc[0]
        return given

    def _lawful(self, frame: pd.DataFrame, generators: Generators, given: Mapping[str, Any]) -> pd.DataFrame:
        """The rows that keep the constraints, more draws for the others, and repair for what is left after
        that.

        Conditions win over repair: raises `ConfigError` when they and the constraints cannot hold together.
        """
        constraints = self.domain.constraints
        for _ in range(LAWFUL_ROUNDS):
            lawful = satisfied(frame, constraints)
            if lawful.all():
                return frame
            fresh = self._draw(int((~lawful).sum()), generators, given)
            frame = pd.concat([frame.loc[lawful], fresh], ignore_index=True)
        mended = repair(frame, constraints)
        if given:
            mended = mended.assign(**{name: frame[name] for name in given})
            if not satisfied(mended, constraints).all():
                rules = ", ".join(str(rule) for rule in constraints)
                raise ConfigError(f"where: no rows found that keep the conditions and the constraints ({rules})")
        return mended


def _range(column: Column) -> str:
    """The legal values of a column in a few words."""
    if isinstance(column, Category):
        listed = ", ".join(column.values[:12])
        return listed + (", ..." if len(column.values) > 12 else "")
    if isinstance(column, Quantity):
        return f"{column.low} to {column.high}"
    return column.kind
