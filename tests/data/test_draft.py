"""Drafts mark every guess, round outward, and can be used once checked."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.data import Boolean, Category, Date, Datetime, Domain, Integer, Number, Table, draft
from dpsynth.data.draft import outward


@pytest.fixture
def file(tmp_path):
    n = 200
    frame = pd.DataFrame(
        {
            "age": 17 + np.arange(n) % 74,
            "gain": np.where(np.arange(n) % 2, 0, 3 + np.arange(n)),
            "code": np.arange(n) % 3,
            "price": [f"{i % 77 / 100:.2f}" for i in range(n)],
            "when": pd.date_range("2020-02-03", periods=n).strftime("%Y-%m-%d"),
            "at": pd.date_range("2020-02-03 01:00", periods=n, freq="h").strftime("%Y-%m-%d %H:%M:%S"),
            "flag": np.where(np.arange(n) % 2, "true", "false"),
            "word": np.where(np.arange(n) % 5, "yes", ""),
            "name": [f"person {i}" for i in range(n)],
            "nothing": "",
        }
    )
    frame.to_csv(tmp_path / "people.csv", index=False)
    return tmp_path / "people.csv"


def test_every_guess_is_marked(file):
    lines = draft(file).splitlines()
    entries = [line for line in lines if line.startswith("  ")]
    assert len(entries) == 10
    assert all("# guess: " in line and "check that it is public" in line for line in entries)
    assert "NOT PUBLIC" in lines[0]


def test_the_draft_is_a_schema_that_fits(file):
    domain = Domain.from_yaml(draft(file))
    assert domain["age"] == Integer("age", 10, 90)
    assert domain["gain"] == Integer("gain", 0, 250, spikes=(0,))
    assert domain["code"] == Category("code", ("0", "1", "2"))
    assert domain["price"] == Number("price", 0.0, 0.8, decimals=2)
    assert isinstance(domain["when"], Date)
    assert isinstance(domain["at"], Datetime)
    assert isinstance(domain["flag"], Boolean)
    assert domain["word"] == Category("word", ("yes",), missing=True)
    assert [column.name for column in domain.undeclared] == ["name", "nothing"]
    assert Table.read(file, domain).invalid == {}


@given(low=st.floats(-1e9, 1e9), width=st.floats(0, 1e9))
def test_outward_encloses(low, width):
    a, b = outward(low, low + width)
    slack = 1e-9 * max(1.0, abs(low), abs(width))
    assert a <= low + slack
    assert b >= low + width - slack
    assert a < b
