"""The tables that are learned hold what they say, and the order column comes back from its steps."""

import numpy as np
import pandas as pd

from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.database.linking import ranks
from dpsynth.models.database.slots import Parts, Slots, persons_domain, persons_frame
from dpsynth.testing import example_database
from tests.data.database.test_linking import KEY


def test_persons_come_with_their_numbers_of_rows(domain, frames):
    database = Database.linked(domain, frames, KEY)
    frame = persons_frame(Parts.of(database))
    assert list(frame.columns) == list(persons_domain(domain).names)
    assert frame["rows of visits"].tolist() == [3, 0, 1]
    assert frame["rows of claims"].tolist() == [2, 0, 1]


def test_rows_come_with_their_parents_and_predecessors(domain, frames):
    database = Database.linked(domain, frames, KEY)
    slots = Slots(domain, domain["visits"])
    frame = slots.frame(Parts.of(database))
    assert list(frame.columns) == list(slots.domain.names)
    assert frame["patients.sex"].tolist() == ["f", "f", "f", "m"]
    assert frame["rows of visits"].tolist() == [3, 3, 3, 1]
    assert frame["position in visits"].tolist() == ["1", "2", "3-4", "1"]
    kinds = frame["kind"].tolist()
    assert frame["previous visits.kind"].isna().tolist() == [True, False, False, True]
    assert frame["previous visits.kind"].tolist()[1:3] == kinds[:2]
    assert frame["first date"].isna().tolist() == [False, True, True, False]
    assert frame["step of date"].isna().tolist() == [True, False, False, True]
    assert frame["rows of items"].tolist() == [0, 0, 0, 2]
    items = Slots(domain, domain["items"]).frame(Parts.of(database))
    assert items["visits.kind"].tolist() == [kinds[3]] * 2
    assert items["patients.sex"].tolist() == ["m", "m"]


def test_the_order_comes_back_from_its_steps():
    database = example_database(30)
    slots = Slots(database.domain, database.domain["visits"])
    frame, column = slots.frame(Parts.of(database)), database.domain["visits"].domain["day"]
    first = column.replace(missing=True).read(frame["first day"]).values
    steps = slots.step.read(frame["step of day"]).values
    values = slots.ordered(first, steps, ranks(database.owners["visits"]))
    assert np.array_equal(values, column.read(database["visits"].frame["day"]).values)


def test_a_table_of_rows_does_not_grow_with_the_limit(domain):
    content = domain.to_dict()
    content["tables"]["visits"]["most"] = 300
    larger = DatabaseDomain.from_dict(content)
    assert len(Slots(larger, larger["visits"]).domain) == len(Slots(domain, domain["visits"]).domain)
    positions = Slots(larger, larger["visits"]).position.values
    assert positions == ("1", "2", "3-4", "5-8", "9-16", "17-32", "33 and more")


def test_slots_of_a_table_without_rows(domain, frames):
    none = {name: frame if name == "patients" else frame.iloc[:0] for name, frame in frames.items()}
    database = Database.linked(domain, none, KEY)
    for name in ("visits", "items", "claims"):
        slots = Slots(domain, domain[name])
        assert slots.frame(Parts.of(database)).empty
        assert isinstance(slots.frame(Parts.of(database)), pd.DataFrame)
