"""A schema says everything that is public about a database, and contradictions are refused in one line."""

import pytest

from dpsynth.data.database import DatabaseDomain
from dpsynth.errors import SchemaError
from tests.data.database.conftest import SCHEMA


def test_the_schema_survives_writing(domain):
    again = DatabaseDomain.from_yaml(domain.to_yaml())
    assert again == domain
    assert again.to_yaml() == domain.to_yaml()
    assert DatabaseDomain.from_dict(domain.to_dict()) == domain


def test_tables_stand_after_the_one_they_belong_to(domain):
    assert list(domain.tables) == ["patients", "visits", "claims", "items"]
    assert [table.name for table in domain.above("items")] == ["visits", "patients"]
    assert domain.most_rows == {"patients": 1, "visits": 3, "claims": 5, "items": 6}
    assert domain.unit == (
        "one person, a row of patients with all their rows (at most 3 visits, at most 5 claims, "
        "at most 2 items of each row of visits)"
    )


def test_rules_are_told_apart_by_the_rows_they_compare(domain):
    assert [(rule.reach, rule.own) for rule in domain["visits"].rules] == [("above", "date"), ("next", "date")]


CHANGES = [
    ("root: patients", "root: people", "no such table"),
    ("    key: id\n", "", "needs 'key:'"),
    ("    key: visit\n", "", "needs 'key:', because 'items' belongs to it"),
    ("    most: 3\n", "", "needs 'most:'"),
    ("    most: 3\n", "    most: 0\n", "'most' must be"),
    ("    parent: {visits: visit}\n", "", "needs 'parent:"),
    ("    parent: {visits: visit}\n", "    parent: {visit: visit}\n", "is no table"),
    ("    parent: {visits: visit}\n", "    parent: {visits: [visit, more]}\n", "2 columns hold the key"),
    ("    parent: {visits: visit}\n", "    parent: {visits: visit}\n    rows: 7\n", "'rows' is declared for the root"),
    ("    key: [patient, number]\n", "    key: patient\n", "no parent could have two rows"),
    ("    key: [patient, number]\n", "    key: [number, number]\n", "names a column twice"),
    ("    key: [patient, number]\n", "    key: paid\n", "is a key, which is not learned"),
    ("    order: date\n", "    order: kind\n", "name a number, date or datetime"),
    ("    order: date\n", "    order: day\n", "name a number, date or datetime"),
    ("    order: date\n", "", "needs 'order:', else no row is the next"),
    ("    key: id\n", "    key: id\n    most: 4\n", "the root belongs to no table"),
    ("bounds: [0, 100]", "bounds: private", "in a database they are declared"),
    ("date >= patients.birth", "date >= patients.born", "'patients.born' is not"),
    ("date >= patients.birth", "date >= items.price", "'items.price' is not"),
    ("date >= patients.birth", "next.date >= patients.birth", "compare one column"),
    ("bounds: [1920-01-01, 2024-12-31]", "bounds: [1920-01-01, 2019-12-31]", "no value of 'date' keeps it"),
    ("    key: id\n", "    key: id\n    mots: 4\n", "did you mean 'most'"),
    ("  claims:\n", "  a.b:\n", "needs a name without"),
]


@pytest.mark.parametrize(
    ("old", "new", "said"), CHANGES, ids=[f"{old.strip()[:20]} {said[:20]}" for old, _, said in CHANGES]
)
def test_contradictions_are_refused_in_a_line(old, new, said):
    assert SCHEMA.count(old) >= 1
    with pytest.raises(SchemaError, match=said) as refused:
        DatabaseDomain.from_yaml(SCHEMA.replace(old, new, 1))
    assert "\n" not in str(refused.value)


def test_circles_are_refused():
    circle = SCHEMA.replace("parent: {patients: patient}\n    most: 3", "parent: {items: patient}\n    most: 3")
    circle = circle.replace("    parent: {visits: visit}\n", "    key: item\n    parent: {visits: visit}\n")
    with pytest.raises(SchemaError, match="'visits', 'items' belong to each other in a circle"):
        DatabaseDomain.from_yaml(circle)


def test_a_rule_moves_the_value_that_is_made_later(domain):
    import pandas as pd

    above, after = domain["visits"].rules
    rows = pd.DataFrame({"date": pd.to_datetime(["1940-05-01", "2000-05-01"])})
    births = pd.DataFrame({"birth": pd.to_datetime(["1950-01-01", "1950-01-01"])})
    assert above.satisfied(rows, births).tolist() == [False, True]
    assert above.adjusted(rows, births).tolist() == [pd.Timestamp("1950-01-01"), pd.Timestamp("2000-05-01")]
    later = pd.DataFrame({"date": pd.to_datetime(["1940-04-30", "2001-01-01"])})
    assert after.satisfied(rows, later).tolist() == [False, True]
    assert after.adjusted(rows, later).tolist() == [pd.Timestamp("1940-05-01"), pd.Timestamp("2001-01-01")]
