"""Databases with known truth: their distributions are written down, to test that methods recover them.

clinic   patients with 0 to 10 visits: a Markov chain in time whose rate, start and costs depend on the patient
bank     persons with 0 to 3 accounts of 0 to 6 transactions each: rows without an order, and rows of rows
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import stats

from dpsynth.data.columns import Boolean, Category, Date, Integer
from dpsynth.data.database.database import Database
from dpsynth.data.database.declaration import DatabaseDomain, LinkedTable
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table

Seed = int | Sequence[int]


class ToyDistribution(Protocol):
    """A public domain and a way to draw persons."""

    @property
    def domain(self) -> DatabaseDomain: ...

    def sample(self, persons: int, seed: Seed = 0) -> Database: ...


@dataclass(frozen=True)
class Clinic:
    """Patients and their visits. All that a patient's visits depend on is `chronic`; they are independent given it.

    sex      f or m, even
    chronic  true with probability .2 for m, .4 for f
    visits   Binomial(10, .2), or Binomial(10, .7) when chronic
    kind     of the first visit by `start`; each next one stays with probability `stay`, else is drawn anew
    cost     20 + Binomial(80, .1 / .4 / .8) for regular, specialist and emergency, tens of euros
    date     the first in 2020, evenly; the days to the next 1 + geometric of mean 30, or 10 when chronic
    """

    most: int = 10
    chronic: tuple[float, float] = (0.4, 0.2)
    visits: tuple[float, float] = (0.2, 0.7)
    stay: float = 0.6
    start: tuple[tuple[float, ...], tuple[float, ...]] = ((0.7, 0.2, 0.1), (0.2, 0.3, 0.5))
    cost: tuple[float, ...] = (0.1, 0.4, 0.8)
    pause: tuple[float, float] = (30.0, 10.0)

    @property
    def domain(self) -> DatabaseDomain:
        patients = Domain((Category("sex", ("f", "m")), Boolean("chronic", label=True)), rows=10_000)
        visits = Domain(
            (
                Date("date", dt.date(2020, 1, 1), dt.date(2023, 12, 31)),
                Category("kind", ("regular", "specialist", "emergency")),
                Integer("cost", 20, 100),
            )
        )
        return DatabaseDomain(
            "patients",
            {
                "patients": LinkedTable("patients", patients, key=("patient_id",)),
                "visits": LinkedTable(
                    "visits", visits, key=("visit_id",), parent="patients", foreign_key=("patient_id",),
                    most=self.most, order="date", rules=("next.date >= date",),
                ),
            },
        )  # fmt: skip

    @property
    def chronic_probabilities(self) -> np.ndarray:
        """(2,) exact probabilities of `chronic` false and true."""
        sick = float(np.mean(self.chronic))
        return np.array([1 - sick, sick])

    def number(self) -> np.ndarray:
        """(2, most + 1) exact joint probabilities of `chronic` and the number of visits."""
        k = np.arange(self.most + 1)
        return self.chronic_probabilities[:, None] * np.array([stats.binom.pmf(k, self.most, p) for p in self.visits])

    def kinds(self) -> np.ndarray:
        """(2, 3) exact joint probabilities of `chronic` and `kind` of a random visit: the start is stationary."""
        visits = self.number() @ np.arange(self.most + 1)
        return visits[:, None] * np.array(self.start) / visits.sum()

    def transitions(self) -> np.ndarray:
        """(3, 3) exact joint probabilities of the kinds of a random visit and the next."""
        pairs = self.number() @ np.maximum(np.arange(self.most + 1) - 1, 0)
        start = np.array(self.start)
        step = self.stay * np.eye(3) + (1 - self.stay) * start[:, None, :]
        return np.einsum("c,ci,cij->ij", pairs / pairs.sum(), start, step)

    def cost_of_person(self) -> tuple[float, float]:
        """Exact (mean, variance) of the sum of a patient's costs."""
        mean = 20 + 80 * np.array(self.cost)
        within = 80 * np.array(self.cost) * (1 - np.array(self.cost))
        first, second = 0.0, 0.0
        for joint, start in zip(self.number(), np.array(self.start), strict=True):
            middle = start @ mean
            spread = start @ mean**2 - middle**2
            for k, p in enumerate(joint):
                lags = np.arange(1, max(k, 1))
                variance = k * (start @ within + spread) + 2 * spread * float(((k - lags) * self.stay**lags).sum())
                first += p * k * middle
                second += p * (variance + (k * middle) ** 2)
        return float(first), float(second - first**2)

    def sample(self, persons: int, seed: Seed = 0) -> Database:
        draw = np.random.default_rng(seed)
        sex = draw.integers(2, size=persons)
        chronic = (draw.random(persons) < np.array(self.chronic)[sex]).astype(int)
        k = draw.binomial(self.most, np.array(self.visits)[chronic])
        owner = np.repeat(np.arange(persons), k)
        rank = np.arange(len(owner)) - np.repeat(np.cumsum(k) - k, k)
        fresh = _drawn(np.array(self.start)[chronic[owner]], draw)
        kept = (draw.random(len(owner)) < self.stay) & (rank > 0)
        kind = fresh[np.maximum.accumulate(np.where(kept, 0, np.arange(len(owner))))]
        days = 1 + draw.geometric(1 / np.array(self.pause)[chronic[owner]])
        days[rank == 0] = draw.integers(366, size=persons)[k > 0]
        days = np.cumsum(days)
        days -= np.repeat((days - np.diff(days, prepend=0))[rank == 0], k[k > 0])
        date = np.minimum(
            np.datetime64("2020-01-01", "s") + days * np.timedelta64(86_400, "s"), np.datetime64("2023-12-31")
        )
        patients = pd.DataFrame({"sex": np.array(["f", "m"], dtype=object)[sex], "chronic": chronic == 1})
        names = np.array(["regular", "specialist", "emergency"], dtype=object)
        cost = 20 + draw.binomial(80, np.array(self.cost)[kind])
        visits = pd.DataFrame({"date": date, "kind": names[kind], "cost": cost})
        return _database(self.domain, {"patients": patients, "visits": visits}, {"visits": owner})


@dataclass(frozen=True)
class Bank:
    """Persons, their accounts, the transactions of these.

    region        north or south, .3 and .7
    accounts      0 to 3 with probabilities `accounts`, by region
    kind          of an account: current with probability .8 in the north, .4 in the south, else savings
    transactions  0 to 6: Binomial(6, .6) of a current account, Binomial(6, .1) of savings
    direction     in with probability .3 on a current account, .8 on savings; else out
    amount        1 + Binomial(40, .2 / .7), tens of euros, for current and savings
    """

    region: tuple[float, float] = (0.3, 0.7)
    accounts: tuple[tuple[float, ...], tuple[float, ...]] = ((0.1, 0.2, 0.3, 0.4), (0.3, 0.5, 0.1, 0.1))
    current: tuple[float, float] = (0.8, 0.4)
    transactions: tuple[float, float] = (0.6, 0.1)
    into: tuple[float, float] = (0.3, 0.8)
    amount: tuple[float, float] = (0.2, 0.7)

    @property
    def domain(self) -> DatabaseDomain:
        persons = Domain((Category("region", ("north", "south"), label=True),), rows=10_000)
        accounts = Domain((Category("kind", ("current", "savings")),))
        transactions = Domain((Category("direction", ("in", "out")), Integer("amount", 1, 41)))
        return DatabaseDomain(
            "persons",
            {
                "persons": LinkedTable("persons", persons, key=("person_id",)),
                "accounts": LinkedTable(
                    "accounts", accounts, key=("account_id",), parent="persons", foreign_key=("person_id",), most=3
                ),
                "transactions": LinkedTable(
                    "transactions", transactions, parent="accounts", foreign_key=("account_id",), most=6
                ),
            },
        )

    def number(self) -> np.ndarray:
        """(2, 4) exact joint probabilities of region and number of accounts."""
        return np.array(self.region)[:, None] * np.array(self.accounts)

    def kinds(self) -> np.ndarray:
        """(2, 2) exact joint probabilities of region and kind of a random account."""
        share = self.number() @ np.arange(4)
        current = np.array(self.current)
        return (share / share.sum())[:, None] * np.column_stack([current, 1 - current])

    def directions(self) -> np.ndarray:
        """(2, 2) exact joint probabilities of the kind of its account and the direction of a random transaction."""
        share = self.kinds().sum(0) * 6 * np.array(self.transactions)
        into = np.array(self.into)
        return (share / share.sum())[:, None] * np.column_stack([into, 1 - into])

    def sample(self, persons: int, seed: Seed = 0) -> Database:
        draw = np.random.default_rng(seed)
        region = (draw.random(persons) >= self.region[0]).astype(int)
        k = _drawn(np.array(self.accounts)[region], draw)
        person = np.repeat(np.arange(persons), k)
        kind = (draw.random(len(person)) >= np.array(self.current)[region[person]]).astype(int)
        account = np.repeat(np.arange(len(person)), draw.binomial(6, np.array(self.transactions)[kind]))
        into = draw.random(len(account)) < np.array(self.into)[kind[account]]
        frames = {
            "persons": pd.DataFrame({"region": np.array(["north", "south"], dtype=object)[region]}),
            "accounts": pd.DataFrame({"kind": np.array(["current", "savings"], dtype=object)[kind]}),
            "transactions": pd.DataFrame(
                {
                    "direction": np.where(into, "in", "out").astype(object),
                    "amount": 1 + draw.binomial(40, np.array(self.amount)[kind[account]]),
                }
            ),
        }
        return _database(self.domain, frames, {"accounts": person, "transactions": account})


DISTRIBUTIONS: dict[str, Callable[[], ToyDistribution]] = {"clinic": Clinic, "bank": Bank}


def _drawn(probabilities: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """(n,) a category for each row of (n, categories) probabilities."""
    return (draw.random(len(probabilities))[:, None] > np.cumsum(probabilities, axis=1)[:, :-1]).sum(axis=1)


def _database(domain: DatabaseDomain, frames: dict[str, pd.DataFrame], owners: dict[str, np.ndarray]) -> Database:
    return Database(domain, {table.name: Table(frames[table.name], table.domain) for table in domain}, owners)
