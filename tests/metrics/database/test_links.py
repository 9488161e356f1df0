"""Scores of databases know what they should: equal distributions score as real samples do, and each fault shows in its
score."""

import numpy as np
import pytest

from dpsynth.data.database import Database
from dpsynth.data.database.toy import Bank, Clinic
from dpsynth.metrics.database.aggregates import aggregated, aggregated_domain
from dpsynth.metrics.database.links import Links, rules_kept
from dpsynth.metrics.database.sample import DatabaseSample
from dpsynth.metrics.framework.metric import Reference


@pytest.fixture(scope="module")
def clinic():
    return Clinic().sample(3_000, seed=1)


def scores(evaluated, real):
    found = Links().measure(DatabaseSample.of(evaluated), Reference(DatabaseSample.of(real)))
    return {score.name: score.value for score in found}


def test_a_database_is_equal_to_itself(clinic):
    assert all(value == 0 for value in scores(clinic, clinic).values())


def test_a_fresh_sample_is_near_and_independent_rows_are_far(clinic):
    other = Clinic().sample(3_000, seed=2)
    near = scores(other, clinic)
    sample = DatabaseSample.of(clinic)
    made = Links().measure(sample.independent(3_000, np.random.default_rng(0)), Reference(sample))
    far = {score.name: score.value for score in made}
    assert near["cardinality_tv"] < 0.05
    assert near["transition_tv"] < 0.15
    assert far["cardinality_tv"] < 0.05  # numbers of rows by themselves are known to it
    for name in ("parent_child_tv", "within_row_tv", "transition_tv", "step_tv", "sum_spread_error"):
        assert far[name] > 2 * near[name]


def test_each_fault_shows_in_its_score(clinic):
    draw = np.random.default_rng(0)
    rows = clinic["visits"].frame
    shuffled = rows.assign(kind=rows["kind"].to_numpy()[draw.permutation(len(rows))])
    broken = Database(
        clinic.domain, {**clinic.tables, "visits": clinic["visits"].take(np.arange(len(rows)))}, clinic.owners
    )
    broken.tables["visits"].frame = shuffled
    found = scores(broken, clinic)
    assert found["transition_tv"] > 0.05
    assert found["parent_child_tv"] > 0.01
    assert found["cardinality_tv"] == 0
    assert found["sum_mean_error"] == 0


def test_what_a_schema_does_not_have_is_absent():
    bank = Bank().sample(300, seed=1)
    found = scores(bank, bank)
    assert found["step_tv"] is None
    assert found["sum_mean_error"] == 0
    assert found["transition_tv"] == 0


def test_persons_are_taken_with_their_rows(clinic):
    sample, index = DatabaseSample.of(clinic), np.array([5, 2, 2, 40])
    taken, database = sample.rows(index), clinic.take(index)
    again = DatabaseSample.of(database)
    for name in clinic.domain.tables:
        assert np.array_equal(taken.codes[name], again.codes[name])
    assert np.array_equal(taken.owners["visits"], again.owners["visits"])
    joined = DatabaseSample.joined([taken, again])
    assert len(joined) == 8
    assert np.array_equal(joined.rows(np.arange(4, 8)).codes["visits"], again.codes["visits"])
    assert taken.contents[1] == taken.contents[2] != taken.contents[0]
    assert taken.coordinates.shape == (4, 3)


def test_a_table_without_rows_is_evaluated(clinic):
    empty = Database(
        clinic.domain,
        {**clinic.tables, "visits": clinic["visits"].take(np.arange(0))},
        {"visits": np.zeros(0, np.int64)},
    )
    found = scores(empty, clinic)
    assert found["parent_child_tv"] == 1
    assert found["sum_mean_error"] == 1
    assert scores(empty, empty)["parent_child_tv"] == 0


def test_persons_as_one_table(clinic):
    frame, domain = aggregated(clinic), aggregated_domain(clinic.domain)
    assert list(frame.columns) == list(domain.names)
    visits = clinic["visits"].frame
    person = int(np.flatnonzero(clinic.counts("visits") > 1)[0])
    own = visits[clinic.owners["visits"] == person]
    row = frame.iloc[person]
    assert row["rows of visits"] == len(own)
    assert row["mean of visits.cost"] == pytest.approx(own["cost"].mean())
    assert row["rows of visits, kind is emergency"] == (own["kind"] == "emergency").sum()
    assert frame["mean of visits.cost"].isna().sum() == (clinic.counts("visits") == 0).sum()


def test_broken_rules_are_counted_by_person(clinic):
    assert rules_kept(clinic).value == 1
    rows = clinic["visits"].take(np.arange(len(clinic["visits"])))
    rows.frame = rows.frame.iloc[::-1].reset_index(drop=True)
    broken = rules_kept(Database(clinic.domain, {**clinic.tables, "visits": rows}, clinic.owners))
    assert broken.value is not None
    assert broken.value < 1
    assert list(broken.parts) == ["visits: next.date >= date"]
