"""Databases on disk: every form holds the same rows, and fresh keys always name an existing row."""

import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.database.toy import Clinic
from dpsynth.errors import ConfigError, DataError
from tests.data.database.test_linking import KEY


@pytest.fixture
def database(domain, frames):
    return Database.linked(domain, frames, KEY)


def same(one, other):
    return all(one[name].frame.equals(other[name].frame) for name in one.domain.tables) and all(
        np.array_equal(one.owners[name], other.owners[name]) for name in one.owners
    )


@pytest.mark.parametrize("form", ["csv", "parquet", "duckdb"])
def test_what_is_written_is_read_again(database, form, tmp_path):
    folder = database.write(tmp_path / "release", form)
    path = folder / "database.duckdb" if form == "duckdb" else folder
    assert same(Database.read(path, folder / "schema.yaml", KEY), database)
    with pytest.raises(DataError, match="exists already and is not empty"):
        database.write(folder, form)


def test_sqlite_gives_what_csv_gives(domain, frames, tmp_path):
    with closing(sqlite3.connect(tmp_path / "clinic.db")) as connection:
        for name, frame in frames.items():
            frame.to_sql(name, connection, index=False)
    assert same(Database.read(tmp_path / "clinic.db", domain, KEY), Database.linked(domain, frames, KEY))


def test_fresh_keys_name_existing_rows(database):
    keyed = database.keyed()
    assert keyed["patients"]["id"].tolist() == [1, 2, 3]
    assert keyed["visits"].columns.tolist() == ["visit", "patient", "date", "kind"]
    assert keyed["visits"]["patient"].tolist() == [1, 1, 1, 3]
    assert keyed["items"]["visit"].tolist() == [4, 4]
    assert keyed["claims"][["patient", "number"]].to_numpy().tolist() == [[1, 1], [1, 2], [3, 1]]


def test_keys_are_written_by_their_pattern(domain, frames):
    content = domain.to_dict()
    content["tables"]["patients"]["columns"]["id"] = {"kind": "identifier", "pattern": "P-{n:04}"}
    keyed = Database.linked(DatabaseDomain.from_dict(content), frames, KEY).keyed()
    assert keyed["patients"]["id"].tolist() == ["P-0001", "P-0002", "P-0003"]
    assert set(keyed["visits"]["patient"]) == {"P-0001", "P-0003"}


def test_empty_tables_stay_empty(domain, frames, tmp_path):
    frames = {name: frame if name == "patients" else frame.iloc[:0] for name, frame in frames.items()}
    database = Database.linked(domain, frames, KEY)
    assert [len(database[name]) for name in domain.tables] == [3, 0, 0, 0]
    for form in ("csv", "parquet"):
        folder = database.write(tmp_path / form, form)
        assert same(Database.read(folder, domain, KEY), database)


def test_mistakes_are_told_in_a_line(domain, frames, tmp_path):
    def refused(match, change=None, path=tmp_path / "clinic"):
        folder = tmp_path / "clinic"
        folder.mkdir(exist_ok=True)
        for name, frame in {**frames, **(change or {})}.items():
            frame.to_csv(folder / f"{name}.csv", index=False)
        with pytest.raises(DataError, match=match):
            Database.read(path, domain, KEY)

    refused("key column 'patient' of the schema not found", {"visits": frames["visits"].drop(columns="patient")})
    refused("column 'kind' of the schema not found", {"visits": frames["visits"].drop(columns="kind")})
    refused("column 'more' not in the schema", {"visits": frames["visits"].assign(more=1)})
    refused("table 'visits', column 'date': .* no dates", {"visits": frames["visits"].assign(date="soon")})
    refused("no folder or file", path=tmp_path / "nowhere")
    (tmp_path / "clinic" / "items.csv").unlink()
    with pytest.raises(DataError, match=r"holds no file of table 'items'.* it has claims, patients, visits"):
        Database.read(tmp_path / "clinic", domain, KEY)
    (tmp_path / "text.db").write_text("no database")
    with pytest.raises(DataError, match="is no database"):
        Database.read(tmp_path / "text.db", domain, KEY)


def test_a_database_is_legal_by_construction(database):
    tables, owners = database.tables, database.owners
    for change, said in [
        ({"visits": owners["visits"][::-1]}, "must stand in the order"),
        ({"visits": np.zeros(4, dtype=np.int64)}, "more than the 3 declared"),
        ({"visits": owners["visits"][:3]}, "needs the row of 'patients'"),
        ({"visits": owners["visits"] + 1}, "must stand in the order"),
    ]:
        with pytest.raises(DataError, match=said):
            Database(database.domain, tables, {**owners, **change})


def test_other_forms_are_refused(database, tmp_path):
    with pytest.raises(ConfigError, match="csv, parquet, duckdb"):
        database.write(tmp_path / "release", "xml")


def test_the_laws_of_the_clinic_are_what_is_drawn():
    toy = Clinic()
    database = toy.sample(40_000, seed=3)
    patients, visits, owner = database["patients"].frame, database["visits"].frame, database.owners["visits"]
    names = database.domain["visits"].domain["kind"].values
    kind = pd.Categorical(visits["kind"], names).codes.astype(int)
    chronic = patients["chronic"].to_numpy().astype(int)
    number = np.zeros((2, 11))
    np.add.at(number, (chronic, database.counts("visits")), 1 / len(patients))
    assert abs(number - toy.number()).sum() / 2 < 0.02
    kinds = np.zeros((2, 3))
    np.add.at(kinds, (chronic[owner], kind), 1 / len(kind))
    assert abs(kinds - toy.kinds()).sum() / 2 < 0.02
    together = owner[1:] == owner[:-1]
    pairs = np.zeros((3, 3))
    np.add.at(pairs, (kind[:-1][together], kind[1:][together]), 1 / together.sum())
    assert abs(pairs - toy.transitions()).sum() / 2 < 0.02
    assert (visits["date"].diff()[1:][together] > pd.Timedelta(0)).all()
    sums = np.bincount(owner, visits["cost"], minlength=len(patients))
    mean, variance = toy.cost_of_person()
    assert sums.mean() == pytest.approx(mean, rel=0.03)
    assert sums.var() == pytest.approx(variance, rel=0.05)
