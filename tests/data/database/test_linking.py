"""Which rows are used, and in which order, follows from each person alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dpsynth.data.database import Database, DatabaseDomain
from dpsynth.data.selection import Selection
from dpsynth.errors import DataError
from tests.data.database.conftest import SCHEMA

KEY = bytes(range(32))


def test_orphans_are_left_out_without_a_word(domain, frames):
    database = Database.linked(domain, frames, KEY)
    assert database.counts("visits").tolist() == [3, 0, 1]
    assert database.counts("items").tolist() == [0, 0, 0, 2]
    assert database.counts("claims").tolist() == [2, 0, 1]
    assert database.left_out["visits"] == {"rows": 6, "belong to nobody": 1, "too many for their parent": 1}
    assert database.left_out["items"] == {"rows": 5, "belong to nobody": 2, "too many for their parent": 1}
    assert "3" not in repr(database).replace("4 tables", "")


def test_rows_stand_in_their_order(domain, frames):
    dates = Database.linked(domain, frames, KEY)["visits"].frame["date"]
    assert dates[:3].is_monotonic_increasing


def test_limits_leave_rows_out_at_random(domain, frames):
    keys = [bytes([i] * 32) for i in range(24)]
    kept = [tuple(Database.linked(domain, frames, key)["visits"].frame["date"][:3]) for key in keys]
    assert len(set(kept)) == 4  # each of the four visits is the one too many now and then


def test_a_key_that_names_two_rows_is_refused(domain, frames):
    twice = {**frames, "patients": frames["patients"].assign(id=["a", "b", "a"])}
    with pytest.raises(DataError, match="table 'patients': key 'id' is no key: 'a' stands in row 1 and row 3"):
        Database.linked(domain, twice, KEY)
    twice = {**frames, "claims": frames["claims"].assign(number=["1", "1", "1"])}
    with pytest.raises(DataError, match="key 'patient', 'number' is no key: 'a, 1' stands in row 1 and row 2"):
        Database.linked(domain, twice, KEY)
    without = {**frames, "patients": frames["patients"].assign(id=["a", "", "c"])}
    with pytest.raises(DataError, match="key 'id' is missing, first in row 2"):
        Database.linked(domain, without, KEY)


def test_keys_of_other_types_name_the_same_rows(domain, frames):
    plain = Database.linked(domain, _numbered(frames, str), KEY)
    whole = Database.linked(domain, _numbered(frames, int), KEY)
    for name in domain.tables:
        assert whole[name].frame.equals(plain[name].frame)
    nullable = _numbered(frames, int)
    nullable["visits"]["patient"] = nullable["visits"]["patient"].astype("Int64").mask([False] * 5 + [True])
    assert Database.linked(domain, nullable, KEY)["visits"].frame.equals(plain["visits"].frame)


def _numbered(frames, kind):
    """Names of persons as numbers."""
    number = {"a": 1, "b": 2, "c": 3, "zz": 26}
    columns = {"patients": "id", "visits": "patient", "claims": "patient"}
    return {
        name: frame.assign(**{columns[name]: [kind(number[v]) for v in frame[columns[name]]]})
        if name in columns
        else frame
        for name, frame in frames.items()
    }


PEOPLE = some.lists(
    some.lists(some.tuples(some.integers(0, 3), some.sampled_from(["regular", "emergency"])), max_size=6),
    min_size=1,
    max_size=6,
)


@settings(max_examples=20, deadline=None)
@given(people=PEOPLE, data=some.data())
def test_a_person_more_moves_nobody_else(people, data):
    """Equal rows, ties of the order, crowded parents, and strangers in any order of the files."""
    domain = DatabaseDomain.from_yaml(SCHEMA)
    gone = data.draw(some.integers(0, len(people) - 1))
    order = data.draw(some.permutations(range(sum(map(len, people)))))
    rows = [(person, day, kind) for person, visits in enumerate(people) for day, kind in visits]
    whole = Database.linked(domain, _frames(range(len(people)), rows, order), KEY)
    fewer = [p for p in range(len(people)) if p != gone]
    part = Database.linked(domain, _frames(fewer, rows, order, gone), KEY)
    rest = whole.take(np.array(fewer, dtype=np.int64))
    for name in domain.tables:
        assert part[name].frame.astype(object).equals(rest[name].frame.astype(object))  # texts of no rows have no dtype
        if name != "patients":
            assert np.array_equal(part.owners[name], rest.owners[name])


def _frames(people, rows, order, gone=-1):
    """Raw frames; the visits of `gone` are left out, and every visit holds an item for each of its days."""
    kept = [(number, *rows[number]) for number in order if rows[number][0] != gone]
    items = [(number, price) for number, _, day, _ in kept for price in range(day)]
    return {
        "patients": pd.DataFrame({"id": [f"p{p}" for p in people], "sex": "f", "birth": "1950-01-01"}, dtype=object),
        "visits": pd.DataFrame(
            [(str(n), f"p{p}", f"2000-01-{day + 1:02}", kind) for n, p, day, kind in kept],
            columns=["visit", "patient", "date", "kind"], dtype=object,
        ),
        "items": pd.DataFrame([(str(n), str(p)) for n, p in items], columns=["visit", "price"], dtype=object),
        "claims": pd.DataFrame([], columns=["patient", "number", "paid"], dtype=object),
    }  # fmt: skip


def test_parts_hold_whole_persons(domain, frames):
    database = Database.linked(domain, frames, KEY)
    train, held = database.split(0.5, KEY)
    assert len(train) + len(held) == 3
    assert sum(len(part["visits"]) for part in (train, held)) == 4
    assert train.coverage == ("each person with probability 0.5",)
    exactly = database.subset(2, KEY, "replace_one")
    assert len(exactly) == 2
    assert exactly.coverage == ("2 persons",)


def test_a_part_is_chosen_by_the_person_alone(domain, frames):
    database = Database.linked(domain, frames, KEY)
    whole = database._chosen("holdout", Selection(KEY), 0.5)
    for gone in range(3):
        rest = np.delete(np.arange(3), gone)
        assert np.array_equal(database.take(rest)._chosen("holdout", Selection(KEY), 0.5), whole[rest])
