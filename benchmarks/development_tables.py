"""The tables of `tables.py`: public ones, and made-up distributions that no method was tuned to.

Public: adult (bundled), pums, power, california, diamonds; found in `--data FOLDER` (or in a folder below it), in the
cache, or fetched by checksum. Bounds are declared as a code book would: wide, round, and without point masses where the
file's own schema has none.

Made up, with n rows for training; the label last:

    binary     16 binary columns of one latent trait, like the National Long Term Care Survey
    xor        parities of three columns, and sums modulo three: pairs say nothing about them
    mixture    six numbers of five correlated Gaussian groups, far from the bounds
    equations  nonlinear structural equations: age, schooling, job, wage, savings, ill health
    lognormal  three dependent log-normal amounts below bounds a thousand times their median
    pareto     zero-inflated Pareto amounts, heaped integers (tens, 40 hours), sentinels -1 and 999, missing values
    tails      two dependent heavy tails of both signs, and their sum: the label is a number

A name may end in @ROWS: pareto@500, equations@1000000. Parts for training, validation and test are drawn apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special, stats

from dpsynth.data import Table, sources
from dpsynth.data.columns import Category, Column, Integer, Number
from dpsynth.data.sources.lookup import Official, find
from dpsynth.data.sources.power import IMPUTED, POWER
from dpsynth.data.sources.pums import PUMS
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError, DataError
from dpsynth.privacy.noise.random import seeded_key

KEY = seeded_key(0)  # of public parts: everybody gets the same
HELD = 0.2  # of the rows: the test part, and of the rest the validation part
CALIFORNIA = Official(
    "California housing",
    "housing.csv",
    (
        "https://raw.githubusercontent.com/ageron/handson-ml2/1e2115277b50f6c584cd668fa30e3af309a5b136/"
        "datasets/housing/housing.csv",
    ),
    "8a3727f4cf54ac1a327f69b1d5b4db54c5834ea81c6e4efc0d163300022a685e",
)
DIAMONDS = Official(
    "Diamonds",
    "diamonds.csv",
    ("https://raw.githubusercontent.com/remijul/dataset/2932bc420070530ea009719fad7dd688d3a3bb61/diamonds.csv",),
    "fc2f171cc18eae2138d01dcca7179db3bb30ff047dceae4467a056d52133810a",
)
CALIFORNIA_DOMAIN = Domain(
    (
        Number("longitude", -125, -114, decimals=2),
        Number("latitude", 32, 42, decimals=2),
        Integer("housing_median_age", 1, 52),
        Integer("total_rooms", 1, 40_000),
        Integer("total_bedrooms", 1, 7_000, missing=True),
        Integer("population", 1, 40_000),
        Integer("households", 1, 7_000),
        Number("median_income", 0, 16, decimals=4),
        Integer("median_house_value", 0, 500_001),
        Category("ocean_proximity", ("<1H OCEAN", "INLAND", "NEAR OCEAN", "NEAR BAY", "ISLAND"), label=True),
    ),
    rows=13_000,
)
DIAMONDS_DOMAIN = Domain(
    (
        Number("carat", 0.2, 10, decimals=2),
        Category("cut", ("Fair", "Good", "Very Good", "Premium", "Ideal"), ordered=True),
        Category("color", tuple("DEFGHIJ"), ordered=True),
        Category("clarity", ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"), ordered=True),
        Number("depth", 40, 80, decimals=1),
        Number("table", 40, 100, decimals=1),
        Number("x", 0, 20, decimals=2),
        Number("y", 0, 60, decimals=2),
        Number("z", 0, 40, decimals=2),
        Integer("price", 300, 20_000, label=True),
    ),
    rows=35_000,
)


@dataclass(frozen=True, eq=False)
class Parts:
    """Rows to fit and rows to score with. threshold: a numeric label is scored as whether it is at least this."""

    name: str
    train: Table
    held: Table
    threshold: float | None = None


def parts(name: str, folder: Path | None, rows: int, test: bool) -> Parts:
    """The training and validation rows of a table; with `test`, both together and the test rows.

    rows: the most training rows of a public table; made-up ones say theirs themselves.

    Raises DataError when its file is nowhere, ConfigError for an unknown name.
    """
    base, _, asked = name.partition("@")
    if asked and not asked.isdecimal():
        raise ConfigError(f"table {name!r}: behind @ stands a number of rows")
    if base in MADE:
        count = int(asked) if asked else MADE[base].rows
        held = min(max(count // 4, 2_000), 50_000)
        return Parts(name, MADE[base].table(count, 0), MADE[base].table(held, 2 if test else 1))
    if base not in PUBLIC:
        raise ConfigError(f"no table {base!r}; there are {', '.join([*PUBLIC, *MADE])}")
    rest, held = PUBLIC[base](folder)
    if not test:
        rest, held = rest.split(HELD, KEY)
    limit = int(asked) if asked else rows
    if len(rest) > limit:
        rest, held = (_at_most(part, most) for part, most in ((rest, limit), (held, max(limit, 2_000))))
    return Parts(name, _declared(rest), held, 5_000 if base == "diamonds" else None)


def _at_most(table: Table, rows: int) -> Table:
    return _declared(table).subset(rows, KEY) if len(table) > rows else table


def _declared(table: Table) -> Table:
    """With a public number of rows, two digits of the true one."""
    digits = 10 ** max(len(str(len(table))) - 2, 0)
    return table.redeclare(replace(table.domain, rows=max(len(table) // digits * digits, 1)))


# -------------------- Public tables ---------------------------------------------------------


def _file(official: Official, folder: Path | None, name: str | None = None) -> Path:
    """A file of this name in the folder or one level below, else from the cache or the web, by its checksum."""
    name = name or official.file
    if folder is not None:
        for path in (folder / name, *sorted(folder.glob(f"*/{name}"))):
            if path.is_file():
                return path
    return find(official)


def _adult(folder: Path | None) -> tuple[Table, Table]:
    source = sources.load("adult")
    assert source.holdout is not None, "the official split"
    return source.train, source.holdout


def _pums(folder: Path | None) -> tuple[Table, Table]:
    return _split(sources.load("pums", path=_file(PUMS, folder), holdout=0).train)


def _power(folder: Path | None) -> tuple[Table, Table]:
    try:
        path = _file(replace(POWER, urls=()), folder, IMPUTED)
    except DataError:
        path = _file(POWER, folder)
    table = sources.load("power", path=path, holdout=0).train
    label = replace(table.domain["Global_active_power"], label=True)
    columns = tuple(label if column.name == label.name else column for column in table.domain)
    return _split(table.redeclare(replace(table.domain, columns=columns)))


def _california(folder: Path | None) -> tuple[Table, Table]:
    return _split(Table.read(_file(CALIFORNIA, folder), CALIFORNIA_DOMAIN))


def _diamonds(folder: Path | None) -> tuple[Table, Table]:
    frame = pd.read_csv(_file(DIAMONDS, folder), index_col=0)
    return _split(Table(frame, DIAMONDS_DOMAIN))


def _split(table: Table) -> tuple[Table, Table]:
    """(all else, test), by another key than the validation part."""
    return table.split(HELD, seeded_key(1))


PUBLIC: dict[str, Callable[[Path | None], tuple[Table, Table]]] = {
    "adult": _adult,
    "pums": _pums,
    "power": _power,
    "california": _california,
    "diamonds": _diamonds,
}


# -------------------- Made-up tables --------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """columns: of the domain. draw: (rows, generator) -> values by column. rows: for training, unless asked."""

    columns: tuple[Column, ...]
    draw: Callable[[int, np.random.Generator], Mapping[str, np.ndarray]]
    rows: int

    def table(self, rows: int, part: int) -> Table:
        """The rows of part 0 (training), 1 (validation) or 2 (test)."""
        drawn = self.draw(rows, np.random.default_rng([rows, part]))
        return _declared(Table(pd.DataFrame(dict(drawn)), Domain(self.columns)))


def _texts(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    return np.array(list(names), dtype=object)[values.astype(np.int64)]


def _binary(n: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
    """Sixteen limitations; half of the people are healthy, the trait of the others is spread widely."""
    trait = np.where(rng.random(n) < 0.5, rng.normal(-2, 0.7, n), rng.normal(0.8, 1.3, n))
    second = rng.normal(0, 1, n)
    fixed = np.random.default_rng(0)
    slopes, cross, hard = fixed.uniform(0.8, 2.2, 16), fixed.normal(0, 0.7, 16), fixed.uniform(-0.5, 2.0, 16)
    chance = special.expit(slopes * (trait[:, None] - hard) + cross * second[:, None])
    return {f"l{j}": _texts(rng.random(n) < chance[:, j], "01") for j in range(16)}


def _xor(n: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
    """y = a ^ b ^ c in 95 % of rows; r = (p + q) mod 3; s = (p + r) mod 3 for a ^ d, else at random."""
    bits, threes = rng.integers(2, size=(4, n)), rng.integers(3, size=(4, n))
    a, b, c, d = bits
    p, q, free, noise = threes
    r = (p + q) % 3
    s = np.where((a ^ d) == 1, (p + r) % 3, free)
    y = a ^ b ^ c ^ (rng.random(n) < 0.05)
    columns = {name: _texts(v, "01") for name, v in zip("abcd", bits, strict=True)}
    columns |= {name: _texts(v, "012") for name, v in (("p", p), ("q", q), ("r", r), ("s", s), ("t", noise))}
    return columns | {"y": _texts(y, "01")}


def _mixture(n: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
    fixed = np.random.default_rng(1)
    centres, shapes = fixed.normal(0, 8, (5, 6)), fixed.normal(0, 1.2, (5, 6, 6))
    group = rng.choice(5, n, p=[0.35, 0.25, 0.2, 0.15, 0.05])
    values = centres[group] + np.einsum("nij,nj->ni", shapes[group], rng.normal(size=(n, 6)))
    shown = np.where(rng.random(n) < 0.1, rng.integers(5, size=n), group)
    return {f"z{j}": values[:, j] for j in range(6)} | {"group": _texts(shown, "ABCDE")}


def _equations(n: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
    age = np.clip(rng.gamma(9, 5, n) + 10, 16, 99).round()
    sex = rng.integers(2, size=n)
    school = np.clip(rng.normal(12 - 0.04 * np.maximum(age - 45, 0), 3, n), 0, 20).round()
    job = special.softmax(
        np.stack([0 * age, 0.5 * (school - 13), 0.3 * sex + 0.02 * (age - 40), np.abs(age - 45) / 12 - 1.5]), axis=0
    )
    job = (rng.random(n) > job.cumsum(axis=0)).sum(axis=0).clip(max=3)
    log_wage = 9.2 + 0.08 * school + 0.045 * (age - 20) - 0.0006 * (age - 20) ** 2 - 0.15 * sex
    wage = np.exp(log_wage + np.array([0, 0.3, 0.1, -0.8])[job] + rng.normal(0, 0.45, n)).round()
    wage[(job == 3) & (rng.random(n) < 0.7)] = 0
    savings = np.maximum(wage * (age - 18) * rng.beta(1.2, 12, n) - 5_000 * rng.random(n), 0).round()
    hours = np.where(job == 3, 0, np.clip(rng.normal(38 + 4 * job, 8, n), 1, 99)).round()
    ill = rng.random(n) < special.expit(
        -3.2 + 0.05 * (age - 40) + np.where(wage < 12_000, 0.9, 0) + 0.02 * (hours - 40)
    )
    columns = {"age": age, "sex": _texts(sex, "fm"), "school": school, "job": _texts(job, JOBS), "hours": hours}
    return columns | {"wage": wage, "savings": savings, "ill": _texts(ill, NO_YES)}


def _lognormal(n: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
    root = np.linalg.cholesky(np.array([[1, 0.7, 0.2], [0.7, 1, -0.3], [0.2, -0.3, 1]]))
    normal = rng.normal(size=(n, 3)) @ root.T
    income, price, debt = np.exp(9 + 1.0 * normal[:, 0]), np.exp(4 + 1.5 * normal[:, 1]), np.exp(7 + 2 * normal[:, 2])
    region = rng.integers(6, size=n)
    income = income * np.array([0.6, 0.8, 1, 1, 1.3, 2])[region]
    default = rng.random(n) < special.expit(np.log(debt / income) + 0.5 * np.log(price / 55))
    columns = {"region": _texts(region, "ABCDEF"), "income": income.round(), "price": price, "debt": debt.round()}
    return columns | {"default": _texts(default, NO_YES)}


def _pareto(n: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
    rich = rng.random(n) < 0.3
    gain = np.where(rng.random(n) < np.where(rich, 0.6, 0.9), 0, np.ceil(1_000 * (1 + rng.pareto(1.3, n))))
    loss = np.where((gain > 0) | (rng.random(n) < 0.85), 0, np.ceil(300 * (1 + rng.pareto(2.0, n))))
    hours = np.where(rng.random(n) < 0.45, 40, np.clip(rng.normal(40 + 6 * rich, 12, n), 1, 99)).round()
    hours = np.where(rng.random(n) < 0.5, np.rint(hours / 5) * 5, hours).clip(1, 99)
    age = np.clip(rng.normal(42 + 5 * rich, 14, n), 18, 100).round()
    age = np.where(rng.random(n) < 0.25, np.rint(age / 10) * 10, age).clip(18, 100)
    days = np.where(rng.random(n) < 0.75, 999, np.minimum(rng.geometric(0.15, n), 60))
    score = np.where(rng.random(n) < 0.15, -1, np.clip(rng.normal(600 + 60 * rich, 80, n), 300, 850).round())
    rent = np.where(rng.random(n) < 0.1, np.nan, np.rint(np.exp(rng.normal(6.3 + 0.3 * rich, 0.5, n)) / 50) * 50)
    good = rng.random(n) < special.expit(
        -1 + 2.2 * rich + 0.8 * (gain > 5_000) - 1.0 * (days < 10) + 0.004 * np.where(score < 0, 0, score - 600)
    )
    kind = np.where(rich, rng.choice(4, n, p=[0.1, 0.2, 0.3, 0.4]), rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1]))
    columns = {"kind": _texts(kind, "ABCD"), "gain": gain, "loss": loss, "hours": hours, "age": age, "days": days}
    return columns | {"score": score, "rent": rent, "good": _texts(good, NO_YES)}


def _tails(n: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
    """Margins with 2.2 and 1.5 moments, and a t copula: the extremes of both come together."""
    pair = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], n) / np.sqrt(rng.chisquare(3, n) / 3)[:, None]
    levels = stats.t.cdf(pair, 3)
    x, y = 50 * stats.t.ppf(levels[:, 0], 2.2), 200 * stats.t.ppf(levels[:, 1], 1.5)
    side = rng.integers(3, size=n)
    total = x + 0.5 * y * (side - 1) + rng.normal(0, 20, n)
    values = {name: np.clip(v, -1e6, 1e6) for name, v in (("x", x), ("y", y), ("total", total))}
    return {"side": _texts(side, ("low", "even", "high")), **values}


NO_YES = ("no", "yes")
JOBS = ("manual", "office", "own", "none")
MADE: dict[str, Made] = {
    "binary": Made(tuple(Category(f"l{j}", ("0", "1"), label=j == 15) for j in range(16)), _binary, 16_000),
    "xor": Made(
        (
            *(Category(name, ("0", "1")) for name in "abcd"),
            *(Category(name, ("0", "1", "2")) for name in "pqrst"),
            Category("y", ("0", "1"), label=True),
        ),
        _xor,
        10_000,
    ),
    "mixture": Made(
        (*(Number(f"z{j}", -100, 100) for j in range(6)), Category("group", tuple("ABCDE"), label=True)),
        _mixture,
        20_000,
    ),
    "equations": Made(
        (
            Integer("age", 0, 120),
            Category("sex", ("f", "m")),
            Integer("school", 0, 25),
            Category("job", JOBS),
            Integer("hours", 0, 168),
            Integer("wage", 0, 1_000_000),
            Integer("savings", 0, 10_000_000),
            Category("ill", NO_YES, label=True),
        ),
        _equations,
        20_000,
    ),
    "lognormal": Made(
        (
            Category("region", tuple("ABCDEF")),
            Integer("income", 0, 10_000_000),
            Number("price", 0, 50_000),
            Integer("debt", 0, 10_000_000),
            Category("default", NO_YES, label=True),
        ),
        _lognormal,
        20_000,
    ),
    "pareto": Made(
        (
            Category("kind", tuple("ABCD")),
            Integer("gain", 0, 1_000_000),
            Integer("loss", 0, 1_000_000),
            Integer("hours", 1, 99),
            Integer("age", 0, 120),
            Integer("days", 0, 999),
            Integer("score", -1, 850),
            Integer("rent", 0, 100_000, missing=True),
            Category("good", NO_YES, label=True),
        ),
        _pareto,
        20_000,
    ),
    "tails": Made(
        (
            Category("side", ("low", "even", "high")),
            *(Number(name, -1e6, 1e6) for name in ("x", "y")),
            Number("total", -1e6, 1e6, label=True),
        ),
        _tails,
        20_000,
    ),
}
