"""One small distribution with every kind of column, drawn afresh by seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.table.domain import Domain

SCHEMA = """
columns:
  age:    {kind: integer, bounds: [0, 99]}
  gain:   {kind: number, bounds: [0, 1000], point_masses: 0, missing: true}
  day:    {kind: date, bounds: [2020-01-01, 2020-12-31], missing: true}
  region: {kind: category, categories: [north, south, east], other: elsewhere}
  flag:   {kind: boolean, missing: true}
  bought: {kind: category, categories: ["no", "yes"], label: true}
"""


@pytest.fixture(scope="session")
def domain() -> Domain:
    return Domain.from_yaml(SCHEMA)


@pytest.fixture(scope="session")
def draw(domain: Domain) -> Callable[[int, int], pd.DataFrame]:
    """rows, seed -> independent rows of the distribution: `bought` depends on age and region, gain on age."""

    def rows(count: int, seed: int) -> pd.DataFrame:
        g = np.random.default_rng(seed)
        age = np.clip(g.normal(45, 18, count).round(), 0, 99).astype(np.int64)
        gain = np.where(g.random(count) < 0.6, 0.0, np.clip(g.gamma(2, 2 + age), 0, 1000).round(2))
        region = g.choice(["north", "south", "east", "elsewhere"], count, p=[0.5, 0.3, 0.15, 0.05])
        chance = 1 / (1 + np.exp(-(age - 50) / 8 - 2 * (region == "north") + 1))
        flag = pd.Series(g.random(count) < 0.2, dtype="boolean").mask(g.random(count) < 0.1)
        day = pd.Series(np.datetime64("2020-01-01") + g.integers(0, 366, count).astype("timedelta64[D]"))
        frame = pd.DataFrame(
            {
                "age": age,
                "gain": np.where(g.random(count) < 0.1, np.nan, gain),
                "day": day.mask(g.random(count) < 0.3),
                "region": region.astype(object),
                "flag": flag,
                "bought": np.where(g.random(count) < chance, "yes", "no").astype(object),
            }
        )
        return frame[list(domain.names)]

    return rows
