import numpy as np
import pandas as pd
import pytest

from dpsynth import Budget
from dpsynth.errors import ConfigError
from dpsynth.models import MST
from dpsynth.testing import example_rows


@pytest.fixture(scope="module")
def fitted():
    return MST(cells=8).fit(example_rows(400), Budget(50.0, 1e-5))


CASES = {
    "set": ({"kind": ["a", "b"]}, lambda f: f["kind"].isin(["a", "b"])),
    "range": ({"size": [5, 20]}, lambda f: f["size"].between(5, 20)),
    "above": ({"size": ">20"}, lambda f: f["size"] > 20),
    "at least": ({"weight": ">= 20.5"}, lambda f: f["weight"] >= 20.5),
    "below": ({"joined": "<2000-01-01"}, lambda f: f["joined"] < pd.Timestamp("2000-01-01")),
    "dates": (
        {"joined": ["1995-01-01", "2005-12-31"]},
        lambda f: f["joined"].between(pd.Timestamp("1995-01-01"), pd.Timestamp("2005-12-31")),
    ),
    "with a value": ({"label": "yes", "size": "<=30"}, lambda f: (f["label"] == "yes") & (f["size"] <= 30)),
}


@pytest.mark.parametrize("case", CASES)
def test_every_row_meets_the_condition(fitted, case):
    where, holds = CASES[case]
    found = fitted.sample(300, seed=1, where=where).frame
    assert len(found) == 300
    assert holds(found).all()


def test_rows_have_the_distribution_of_the_model_given_the_condition(fitted):
    """Rejection gives what picking the rows of a large sample gives."""
    all_rows = fitted.sample(40_000, seed=2).frame
    picked = all_rows.loc[all_rows["size"].between(10, 30)]
    found = fitted.sample(8_000, seed=3, where={"size": [10, 30]}).frame
    for name in ("label", "member", "kind"):
        expected = picked[name].astype(str).value_counts(normalize=True)
        seen = found[name].astype(str).value_counts(normalize=True)
        assert (expected - seen.reindex(expected.index).fillna(0)).abs().max() < 0.03


def test_the_same_seed_gives_the_same_rows(fitted):
    one, other = (fitted.sample(50, seed=4, where={"size": ">3"}).frame for _ in range(2))
    assert one.equals(other)
    assert len(fitted.sample(0, where={"size": ">3"})) == 0


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"size": [5]}, "takes a range"),
        ({"size": [50, 60]}, "lies in that range"),
        ({"size": ">40"}, "lies in that range"),
        ({"size": [20, 10]}, "lies in that range"),
        ({"size": ">many"}, "is no integer"),
        ({"kind": ["a", "z"]}, "'z' is no value"),
        ({"kind": []}, "no value"),
        ({"nothing": [1, 2]}, "no column 'nothing'"),
    ],
)
def test_conditions_that_no_row_meets_are_refused(fitted, where, words):
    with pytest.raises(ConfigError, match=words):
        fitted.sample(5, where=where)


def test_a_rare_condition_ends_with_its_count(fitted, monkeypatch):
    monkeypatch.setattr("dpsynth.models.contract.fitted_table.MOST_DRAWN", 2_000)
    seen = []
    where = {"weight": [999.999, 999.9999]}
    with pytest.raises(ConfigError, match=r"of 2,000 rows drawn met the conditions"):
        fitted.sample(9, seed=0, where=where, progress=lambda *now: seen.append(now))
    assert seen
    assert seen[-1][2] == 2_000


def test_partial_rows_are_completed_in_order(fitted):
    given = pd.DataFrame({"kind": ["a", "b", None, "a"], "size": pd.array([3, None, 7, 3], dtype="Int64")})
    given = given.assign(label=["yes", "no", "no", "yes"])
    found = fitted.sample(given=given, seed=0).frame
    assert found["kind"].tolist()[:2] + found["kind"].tolist()[3:] == ["a", "b", "a"]
    assert found["size"][[0, 2, 3]].tolist() == [3, 7, 3]
    assert found["label"].tolist() == ["yes", "no", "no", "yes"]
    more = fitted.sample(given=given, seed=0, where={"weight": "<100"}).frame
    assert (more["weight"] < 100).all()
    assert len(fitted.sample(given=given.head(0))) == 0


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("no column 'x'", {"given": pd.DataFrame({"x": [1]})}),
        ("say it once", {"given": pd.DataFrame({"size": [1]}), "where": {"size": 1}}),
        ("n= is not needed", {"given": pd.DataFrame({"size": [1]}), "n": 3}),
        ("outside the domain", {"given": pd.DataFrame({"size": [99]})}),
    ],
)
def test_partial_rows_that_contradict_are_refused(fitted, words, options):
    with pytest.raises(ConfigError, match=words):
        fitted.sample(**options)


def test_numpy_values_are_values(fitted):
    found = fitted.sample(4, where={"size": np.int64(7), "member": np.bool_(True)}).frame
    assert (found["size"] == 7).all()
    assert found["member"].all()
