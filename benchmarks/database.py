"""Databases of known truth: how close the tied chain comes, against one flat table and tables learned by themselves.

python benchmarks/database.py                  # 20,000 patients, epsilon 1, three seeds; about three minutes
python benchmarks/database.py persons=5000 epsilon=4 seeds=1

The distribution is `Clinic` (dpsynth/data/database/toy.py); every figure is a distance from that distribution, not from
a sample:

    visits     TV of the distribution of visits per patient
    parent     TV of (chronic, kind) of a random visit
    next       TV of the kinds of a random visit and of the next
    mean, var  relative error of mean and variance of the sum of a patient's costs

flat: `aim` on one row for each visit, with the patient's columns, numbers of visits and identity lost, so that rows are
put together as patients by the noisy mean number; a promise to patients of at most 10 rows. independent: `aim` on
patients with their number of visits, `aim` on visits alone, joined at random, half the budget each.
"""

import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd

import dpsynth
from dpsynth.data import Domain
from dpsynth.data.database import Database
from dpsynth.data.database.toy import Clinic
from dpsynth.data.table.table import Table
from dpsynth.models.database import DatabaseSynthesizer
from dpsynth.models.database.slots import Parts, persons_domain, persons_frame
from dpsynth.models.marginal import AIM, MST

KINDS = ("regular", "specialist", "emergency")
DELTA = 1e-5
LAW = Clinic()


def distances(made: Database) -> dict[str, float]:
    """How far persons are from the true distribution."""
    patients, visits, owner = made["patients"].frame, made["visits"].frame, made.owners["visits"]
    chronic = patients["chronic"].to_numpy().astype(int)
    kind = pd.Categorical(visits["kind"], KINDS).codes.astype(int)
    later = np.flatnonzero(owner[1:] == owner[:-1])
    number = np.bincount(made.counts("visits"), minlength=LAW.most + 1) / len(made)
    sums, (mean, variance) = np.bincount(owner, visits["cost"], minlength=len(made)), LAW.cost_of_person()
    return {
        "visits": float(np.abs(number - LAW.number().sum(0)).sum() / 2),
        "parent": _tv((chronic[owner], kind), LAW.kinds()),
        "next": _tv((kind[later], kind[later + 1]), LAW.transitions()),
        "mean": float(abs(sums.mean() / mean - 1)),
        "var": float(abs(sums.var() / variance - 1)),
    }


def _tv(columns: tuple[np.ndarray, np.ndarray], expected: np.ndarray) -> float:
    found = np.zeros(expected.shape)
    np.add.at(found, columns, 1 / max(len(columns[0]), 1))
    return float(np.abs(found - expected).sum() / 2)


def chain(method: AIM | MST, database: Database, epsilon: float, seed: int) -> Database:
    """The tied chain."""
    fitted = DatabaseSynthesizer(method=method).fit(database, dpsynth.Budget(epsilon, DELTA))
    return fitted.sample(len(database), seed=seed)


def independent(database: Database, epsilon: float, seed: int) -> Database:
    """Patients with their numbers of visits, and visits by themselves: half of the budget for each."""
    persons = Table(persons_frame(Parts.of(database)), persons_domain(database.domain))
    drawn = AIM().fit(persons, dpsynth.Budget(epsilon / 2, DELTA / 2)).sample(len(database), seed=seed).frame
    most = LAW.most
    rows = database["visits"].take(np.arange(len(database["visits"])))
    rows.rows_per_person = most
    visits = AIM().fit(rows, dpsynth.Budget(epsilon / 2, DELTA / 2, rows_per_person=most))
    numbers = drawn["rows of visits"].to_numpy()
    return _joined(database, drawn, visits.sample(int(numbers.sum()), seed=seed).frame, numbers)


def flat(database: Database, epsilon: float, seed: int) -> Database:
    """One row for each visit, with the columns of its patient; patients are made of rows with equal columns."""
    visits, owner = database["visits"], database.owners["visits"]
    domain = Domain((*visits.domain.columns, *(c.replace(label=False) for c in database["patients"].domain)))
    frame = pd.concat([visits.frame, database["patients"].frame.iloc[owner].reset_index(drop=True)], axis=1)
    table = Table(frame, replace(domain, rows=5 * len(database)))
    table.rows_per_person = LAW.most
    fitted = AIM().fit(table, dpsynth.Budget(epsilon, DELTA, rows_per_person=LAW.most))
    drawn = fitted.sample(len(visits), seed=seed).frame.sort_values(["sex", "chronic"], kind="stable")
    # Nothing says which rows are one patient's, so that each takes as many as there are on average.
    mean = max(1, round(len(visits) / len(database)))
    first = np.arange(0, len(drawn), mean)
    numbers = np.diff(np.append(first, len(drawn)))
    return _joined(database, drawn.iloc[first], drawn, numbers)


def _joined(database: Database, patients: pd.DataFrame, visits: pd.DataFrame, numbers: np.ndarray) -> Database:
    domain, names = database.domain, database.domain.persons.domain.names
    owner = np.repeat(np.arange(len(numbers)), numbers)
    columns = visits[list(database["visits"].domain.names)].reset_index(drop=True).assign(owner=owner)
    columns = columns.sort_values(["owner", "date"], kind="stable").drop(columns="owner").reset_index(drop=True)
    tables = {
        "patients": Table(patients[list(names)].reset_index(drop=True), domain.persons.domain),
        "visits": Table(columns, domain["visits"].domain),
    }
    return Database(domain, tables, {"visits": owner})


def main() -> None:
    options = {"persons": "20000", "epsilon": "1", "seeds": "3"} | dict(word.split("=") for word in sys.argv[1:])
    persons, epsilon, seeds = int(options["persons"]), float(options["epsilon"]), int(options["seeds"])
    ways = {
        "chain, aim": lambda d, s: chain(AIM(), d, epsilon, s),
        "chain, mst": lambda d, s: chain(MST(), d, epsilon, s),
        "independent, aim": lambda d, s: independent(d, epsilon, s),
        "flat, aim": lambda d, s: flat(d, epsilon, s),
        "a fresh sample": lambda d, s: LAW.sample(len(d), [s, 7]),
    }
    print(f"{persons:,} patients, epsilon {epsilon:g}, mean of {seeds} seeds")
    for name, make in ways.items():
        begun, found = time.monotonic(), []
        for seed in range(seeds):
            found.append(distances(make(LAW.sample(persons, [seed, 1]), seed)))
        seconds = (time.monotonic() - begun) / seeds
        print(
            f"{name:18s}", " ".join(f"{k} {v:.4f}" for k, v in pd.DataFrame(found).mean().items()), f"{seconds:.0f} s"
        )


if __name__ == "__main__":
    main()
