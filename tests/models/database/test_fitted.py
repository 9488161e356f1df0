"""Persons are drawn with all their rows: known distributions come back, conditions and rules hold, keys are valid."""

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.database.toy import Bank, Clinic
from dpsynth.errors import ConfigError
from dpsynth.models.database import DatabaseSynthesizer
from dpsynth.models.database.recipe import recipe_for
from dpsynth.models.marginal import AIM, MST, PrivBayes
from tests.data.database.test_linking import KEY

KINDS = ("regular", "specialist", "emergency")


@pytest.fixture(scope="module")
def clinic():
    toy = Clinic()
    return DatabaseSynthesizer(method=AIM()).fit(toy.sample(20_000, seed=1), dpsynth.Budget(1.0, 1e-5))


def test_the_laws_of_a_clinic_come_back_at_epsilon_one(clinic):
    toy, made = Clinic(), clinic.sample(20_000, seed=0)
    patients, visits, owner = made["patients"].frame, made["visits"].frame, made.owners["visits"]
    chronic = patients["chronic"].to_numpy().astype(int)
    kind = pd.Categorical(visits["kind"], KINDS).codes.astype(int)
    number = np.bincount(made.counts("visits"), minlength=11) / len(made)
    assert np.abs(number - toy.number().sum(0)).sum() / 2 <= 0.03
    assert _tv((chronic[owner], kind), toy.kinds()) <= 0.05
    later = np.flatnonzero(owner[1:] == owner[:-1])
    assert _tv((kind[later], kind[later + 1]), toy.transitions()) <= 0.05
    sums, (mean, variance) = np.bincount(owner, visits["cost"], minlength=len(made)), toy.cost_of_person()
    assert sums.mean() == pytest.approx(mean, rel=0.1)
    assert sums.var() == pytest.approx(variance, rel=0.1)
    assert clinic.statement["private"]
    assert clinic.statement["unit"] == "one person, a row of patients with all their rows (at most 10 visits)"


def test_rows_of_rows_come_back():
    toy = Bank()
    fitted = DatabaseSynthesizer(method=AIM()).fit(toy.sample(5_000, seed=1), dpsynth.Budget(8.0, 1e-5))
    made = fitted.sample(10_000, seed=0)
    accounts, transactions = made["accounts"].frame, made["transactions"].frame
    region = (made["persons"].frame["region"] == "south").to_numpy().astype(int)
    kind = (accounts["kind"] == "savings").to_numpy().astype(int)
    assert _tv((region[made.owners["accounts"]], kind), toy.kinds()) <= 0.03
    out = (transactions["direction"] == "out").to_numpy().astype(int)
    assert _tv((kind[made.owners["transactions"]], out), toy.directions()) <= 0.03


def _tv(columns, expected):
    found = np.zeros(expected.shape)
    np.add.at(found, columns, 1 / len(columns[0]))
    return np.abs(found - expected).sum() / 2


def test_conditions_on_persons_and_on_rows(clinic):
    made = clinic.sample(500, seed=1, where={"chronic": "true", "rows of visits": 10, "visits.kind": "emergency"})
    assert made["patients"].frame["chronic"].all()
    assert (made.counts("visits") == 10).all()
    assert set(made["visits"].frame["kind"]) == {"emergency"}
    assert made["visits"].frame["cost"].mean() > 75  # of emergencies 84, of all 57
    nobody = clinic.sample(50, seed=1, where={"rows of visits": 0})
    assert len(nobody["visits"]) == 0
    assert len(clinic.sample(0, seed=1)["patients"]) == 0


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"visit.kind": "regular"}, "no column 'visit.kind'"),
        ({"visits.kin": "regular"}, "no column 'kin' in table 'visits'"),
        ({"visits.kind": "other"}, "outside the domain"),
        ({"visits.date": "2020-01-01"}, "orders the rows"),
        ({"sex": "x"}, "outside the domain"),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(clinic, where, said):
    with pytest.raises(ConfigError, match=said):
        clinic.sample(10, where=where)


def test_a_saved_database_draws_the_same_persons(clinic, tmp_path):
    clinic.save(tmp_path / "release")
    again = dpsynth.load(tmp_path / "release").sample(200, seed=3)
    made = clinic.sample(200, seed=3)
    assert all(again[name].frame.equals(made[name].frame) for name in made.domain.tables)


def test_rules_between_rows_are_kept(domain):
    draw, n = np.random.default_rng(0), 300
    visits = draw.integers(0, 4, n)
    frames = {
        "patients": pd.DataFrame(
            {"id": range(n), "sex": "f", "birth": [f"{y}-06-01" for y in draw.integers(1925, 2019, n)]}
        ),
        "visits": pd.DataFrame(
            {
                "visit": range(visits.sum()),
                "patient": np.repeat(np.arange(n), visits),
                "date": [f"{y}-07-01" for y in draw.integers(1920, 2024, visits.sum())],
                "kind": "regular",
            }
        ),
        "items": pd.DataFrame({"visit": [], "price": []}),
        "claims": pd.DataFrame({"patient": [], "number": [], "paid": []}),
    }
    database = Database.linked(domain, frames, KEY)
    for method in (MST(), AIM(rounds=4)):
        made = DatabaseSynthesizer(method=method).fit(database, dpsynth.Budget(1.0, 1e-5)).sample(400, seed=0)
        above, after = domain["visits"].rules
        rows, owner = made["visits"].frame, made.owners["visits"]
        assert len(rows)
        assert above.satisfied(rows, made["patients"].frame.iloc[owner]).all()
        later = np.flatnonzero(owner[1:] == owner[:-1])
        assert after.satisfied(rows.iloc[later], rows.iloc[later + 1]).all()
        keyed = made.keyed()
        assert keyed["visits"]["visit"].is_unique
        assert set(keyed["visits"]["patient"]) <= set(keyed["patients"]["id"])


def test_a_database_of_one_table_is_learned_as_a_table():
    domain = DatabaseDomain("patients", {"patients": Clinic().domain.persons})
    rows = Clinic().sample(2_000, seed=1)["patients"]
    fitted = DatabaseSynthesizer(method=MST()).fit(Database(domain, {"patients": rows}, {}), dpsynth.Budget(1.0, 1e-5))
    assert fitted.sample(2_000, seed=0)["patients"].frame["chronic"].mean() == pytest.approx(0.3, abs=0.05)


def test_other_methods_and_units_are_refused():
    domain, database = Clinic().domain, Clinic().sample(50)
    with pytest.raises(ConfigError, match="model=aim or model=mst, not by PrivBayes"):
        recipe_for(PrivBayes(), domain)
    with pytest.raises(ConfigError, match="say how many columns a marginal has"):
        DatabaseSynthesizer(method=AIM(workload=[["sex", "chronic"]]))
    recipe = DatabaseSynthesizer(method=MST())
    with pytest.raises(ConfigError, match=r"rows_per_person=3: of a database the unit is one person"):
        recipe.fit(database, dpsynth.Budget(1.0, 1e-5, rows_per_person=3))
    with pytest.raises(ConfigError, match="a unit of a database; the data are none"):
        MST().fit(database["patients"], dpsynth.Budget(1.0, 1e-5, entity=domain.unit))
    with pytest.raises(ConfigError, match="promises it to one person"):
        recipe.fit(database, dpsynth.Budget(1.0, 1e-5, entity="one household"))
    with pytest.raises(ConfigError, match=r"MST learns from .*, not from a database"):
        MST().fit(database, MST().plan(domain.persons.domain, dpsynth.Budget(1.0, 1e-5)))
