"""A small clinic as raw frames, and what its owners would say of it."""

import pandas as pd
import pytest

from dpsynth.data.database import DatabaseDomain

SCHEMA = """
root: patients
tables:
  patients:
    key: id
    rows: 100
    columns:
      sex: {kind: category, categories: [f, m]}
      birth: {kind: date, bounds: [1920-01-01, 2020-12-31]}
  visits:
    key: visit
    parent: {patients: patient}
    most: 3
    order: date
    columns:
      date: {kind: date, bounds: [1920-01-01, 2024-12-31]}
      kind: {kind: category, categories: [regular, emergency]}
    constraints: ["date >= patients.birth", "next.date >= date"]
  items:
    parent: {visits: visit}
    most: 2
    columns:
      price: {kind: integer, bounds: [0, 100]}
  claims:
    key: [patient, number]
    parent: {patients: patient}
    most: 5
    columns:
      paid: {kind: boolean}
"""


@pytest.fixture
def domain():
    return DatabaseDomain.from_yaml(SCHEMA)


@pytest.fixture
def frames():
    """Ann with four visits, Bob without any, Cid with one; one visit and one item of nobody."""
    return {
        "patients": pd.DataFrame({"id": ["a", "b", "c"], "sex": ["f", "m", "m"], "birth": ["1950-01-01"] * 3}),
        "visits": pd.DataFrame(
            {
                "visit": ["1", "2", "3", "4", "5", "6"],
                "patient": ["a", "a", "c", "a", "a", "zz"],
                "date": ["2003-01-01", "2001-01-01", "2002-01-01", "2004-01-01", "2002-05-05", "2000-01-01"],
                "kind": ["regular", "emergency", "regular", "regular", "emergency", "regular"],
            }
        ),
        "items": pd.DataFrame({"visit": ["3", "3", "3", "9", ""], "price": ["1", "2", "3", "4", "5"]}),
        "claims": pd.DataFrame({"patient": ["a", "a", "c"], "number": ["1", "2", "1"], "paid": ["true"] * 3}),
    }
