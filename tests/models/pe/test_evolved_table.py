"""Rows of a population: fractions of labels to the row, conditions met, and the nearest members where none fits."""

import numpy as np
import pandas as pd
import pytest

from dpsynth.models.pe.fitted import EvolvedTable
from dpsynth.models.pe.generations import Population
from dpsynth.models.pe.table_api import TableView


@pytest.fixture
def fitted(people):
    view = TableView(people.domain)
    batch = view.batch(people.frame)
    counts = np.bincount(batch.labels)
    population = Population(batch, 1 / counts[batch.labels])
    return EvolvedTable(people.domain, population, np.array([0.8, 0.2]), degree=0.0)


def test_labels_have_their_fractions_to_the_row(fitted):
    frame = fitted.sample(500, seed=0).frame
    assert (frame["income"] == ">50K").sum() == 100


def written(frame: pd.DataFrame) -> pd.Series:
    """Each row as a text, missing values too."""
    return pd.Series(["|".join(map(str, row)) for row in frame.itertuples(index=False)])


def test_members_come_as_often_as_they_weigh(fitted, people):
    """Every member within a label weighs the same and no number of draws is exceeded by more than one."""
    n = len(people)
    frame = fitted.sample(10 * n, seed=0).frame
    known, drawn = written(people.frame), written(frame).value_counts()
    assert set(drawn.index) <= set(known)
    for label, fraction in (("<=50K", 0.8), (">50K", 0.2)):
        members = known[people.frame["income"] == label]
        expected = fraction * 10 * n / len(members)
        assert drawn.reindex(members.unique()).max() <= (expected + 2) * members.value_counts().max()


def test_conditions_keep_the_distribution_of_those_that_meet_them(fitted, people):
    frame = fitted.sample(200, seed=0, where={"sex": "Female"}).frame
    known = people.frame[people.frame["sex"] == "Female"]
    assert set(frame["age"]) <= set(known["age"])


def test_where_nobody_fits_the_nearest_do(fitted):
    frame = fitted.sample(50, seed=0, where={"age": 17, "gain": 999.0}).frame
    assert (frame["age"] == 17).all()
    assert (frame["gain"] == 999.0).all()
    assert frame["sex"].nunique(dropna=False) > 1


def test_variation_keeps_within_reach(people):
    view = TableView(people.domain)
    batch = view.batch(people.frame.head(1))
    population = Population(batch, np.ones(1))
    fractions = np.eye(2)[batch.labels[0]]
    frame = EvolvedTable(people.domain, population, fractions, degree=0.05).sample(100, seed=0).frame
    one = people.frame.iloc[0]
    assert (abs(frame["age"] - one["age"]) <= 0.05 * 74 + 1).mean() > 0.9
    assert 0.8 < (frame["member"] == one["member"]).mean() <= 1
    assert isinstance(frame, pd.DataFrame)
