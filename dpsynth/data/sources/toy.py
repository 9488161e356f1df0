"""Toy distributions with known truth: tables whose distribution is written down, to test that methods recover it.

Distributions with known truth: tables whose distribution is written down, to test that methods recover it.

chain     four categories in a Markov chain: every 1- and 2-way marginal is exact
gaussian  four numbers with a Gaussian copula: uniform margins, known rank correlations
mixed     a label, a boolean, a zero-inflated amount, an age, a date and missing values

Rows drawn from a toy distribution with known truth (dpsynth/data/sources/toy.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import special

from dpsynth.data.columns import Boolean, Category, Date, Integer, Number
from dpsynth.data.sources.source import Source
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError

Seed = int | Sequence[int]


class Distribution(Protocol):
    """A public domain and a way to draw rows."""

    @property
    def domain(self) -> Domain: ...

    def sample(self, n: int, seed: Seed = 0) -> Table: ...


@dataclass(frozen=True)
class Chain:
    """a -> b -> c -> d, where each step stays with probability `stay` and else draws any value evenly."""

    sizes: int = 4
    stay: float = 0.7
    start: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
    names: tuple[str, ...] = field(default=("a", "b", "c", "d"), init=False)

    @property
    def domain(self) -> Domain:
        values = tuple(f"v{value}" for value in range(self.sizes))
        last = self.names[-1]
        return Domain(tuple(Category(name, values, label=name == last) for name in self.names), rows=10_000)

    @property
    def step(self) -> np.ndarray:
        """(sizes, sizes) transition probabilities, rows summing to 1."""
        return self.stay * np.eye(self.sizes) + (1 - self.stay) / self.sizes

    def marginal(self, name: str) -> np.ndarray:
        """(sizes,) exact probabilities of one column."""
        return np.array(self.start) @ np.linalg.matrix_power(self.step, self.names.index(name))

    def pair(self, first: str, second: str) -> np.ndarray:
        """(sizes, sizes) exact joint probabilities of two columns, `first` along the rows."""
        i, j = self.names.index(first), self.names.index(second)
        if i > j:
            return self.pair(second, first).T
        if i == j:
            return np.diag(self.marginal(first))
        return self.marginal(first)[:, None] * np.linalg.matrix_power(self.step, j - i)

    def sample(self, n: int, seed: Seed = 0) -> Table:
        generator = np.random.default_rng(seed)
        values = generator.choice(self.sizes, n, p=self.start)
        columns: dict[str, np.ndarray] = {}
        for name in self.names:
            columns[name] = np.array([f"v{value}" for value in range(self.sizes)], dtype=object)[values]
            moved = generator.random(n) >= self.stay
            values = np.where(moved, generator.integers(self.sizes, size=n), values)
        return Table(pd.DataFrame(columns), self.domain)


@dataclass(frozen=True)
class Gaussian:
    """w, x, y, z uniform on [0, 100) with a Gaussian copula of correlation `correlation[i][j]`."""

    correlation: tuple[tuple[float, ...], ...] = (
        (1.0, 0.8, 0.3, 0.0),
        (0.8, 1.0, 0.5, 0.0),
        (0.3, 0.5, 1.0, -0.6),
        (0.0, 0.0, -0.6, 1.0),
    )
    names: tuple[str, ...] = field(default=("w", "x", "y", "z"), init=False)

    @property
    def domain(self) -> Domain:
        return Domain(tuple(Number(name, 0.0, 100.0, decimals=3) for name in self.names), rows=10_000)

    @property
    def rank_correlation(self) -> np.ndarray:
        """(4, 4) exact Spearman correlations, 6 / pi * arcsin(r / 2); Pearson's are the same here."""
        return 6 / np.pi * np.arcsin(np.array(self.correlation) / 2)

    def sample(self, n: int, seed: Seed = 0) -> Table:
        root = np.linalg.cholesky(np.array(self.correlation))
        normal = np.random.default_rng(seed).standard_normal((n, len(self.names))) @ root.T
        return Table(pd.DataFrame(100 * special.ndtr(normal), columns=list(self.names)), self.domain)


@dataclass(frozen=True)
class Mixed:
    """Every kind of column. All else depends on `group` (the label), and is independent given it.

    group    A or B, even
    member   true with probability .2 / .8
    age      20 + Binomial(60, .3 / .6)
    amount   0 with probability .8 / .4, else whole euros, 1 + geometric of mean about 100 / 1000, cut at
    9,999
    joined   a day of 2020 / of 2021, even; missing with probability .1
    color    red, green, blue with (.6, .3, .1) / (.1, .3, .6); missing with probability .05
    """

    zero: tuple[float, float] = (0.8, 0.4)
    member: tuple[float, float] = (0.2, 0.8)
    ages: tuple[float, float] = (0.3, 0.6)
    missing_date: float = 0.1
    missing_color: float = 0.05
    colors: tuple[tuple[float, ...], ...] = ((0.6, 0.3, 0.1), (0.1, 0.3, 0.6))

    @property
    def domain(self) -> Domain:
        return Domain(
            (
                Category("group", ("A", "B"), label=True),
                Boolean("member"),
                Integer("age", 20, 80),
                Integer("amount", 0, 9_999, point_masses=(0,), scale="log"),
                Date("joined", dt.date(2020, 1, 1), dt.date(2021, 12, 31), missing=True),
                Category("color", ("red", "green", "blue"), missing=True),
            ),
            rows=10_000,
        )

    def sample(self, n: int, seed: Seed = 0) -> Table:
        generator = np.random.default_rng(seed)
        group = generator.integers(2, size=n)
        amount = np.minimum(1 + generator.geometric(np.array([0.01, 0.001])[group]), 9_999)
        amount[generator.random(n) < np.array(self.zero)[group]] = 0
        days = np.array([366, 365])[group]
        start = np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[s]")[group]
        joined = start + np.floor(generator.random(n) * days).astype(np.int64) * np.timedelta64(86_400, "s")
        joined[generator.random(n) < self.missing_date] = np.datetime64("NaT", "s")
        color = (generator.random(n)[:, None] > np.cumsum(self.colors, axis=1)[group, :-1]).sum(axis=1)
        color[generator.random(n) < self.missing_color] = 3
        frame = pd.DataFrame(
            {
                "group": np.array(["A", "B"], dtype=object)[group],
                "member": generator.random(n) < np.array(self.member)[group],
                "age": 20 + generator.binomial(60, np.array(self.ages)[group]),
                "amount": amount,
                "joined": joined,
                "color": np.array(["red", "green", "blue", None], dtype=object)[color],
            }
        )
        return Table(frame, self.domain)


DISTRIBUTIONS: dict[str, Callable[[], Distribution]] = {"chain": Chain, "gaussian": Gaussian, "mixed": Mixed}


# -------------------- Distributions ------------------------------------------------------------------


def toy(distribution: str = "mixed", rows: int = 10_000, holdout: float | None = 0.2, seed: int = 0) -> Source:
    """`rows` rows to train on and a further fraction of as many to evaluate with, drawn independently."""
    if distribution not in DISTRIBUTIONS:
        raise ConfigError(f"data.distribution={distribution!r} is not one of {', '.join(DISTRIBUTIONS)}")
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        raise ConfigError(f"data.rows must be a positive whole number, got {rows!r}")
    chosen = DISTRIBUTIONS[distribution]()
    held = chosen.sample(max(1, round(rows * holdout)), [seed, 1]) if holdout else None
    return Source(
        chosen.sample(rows, [seed, 0]), held, f"toy distribution '{distribution}', {rows:,} rows drawn with seed {seed}"
    )
