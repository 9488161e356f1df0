import dataclasses
import datetime as dt

import numpy as np
import pandas as pd
import pytest

from dpsynth import Budget, load
from dpsynth.commands.fit_marginals import fit_marginals
from dpsynth.data import Category, Date, Domain, Integer, Number
from dpsynth.errors import ConfigError, DataError
from dpsynth.marginals.noisy_tables import NoisyTable
from dpsynth.marginals.table_files import read_measured
from dpsynth.models import MST
from dpsynth.models.marginal.measured_elsewhere import fit_tables, foreign
from dpsynth.testing import example_rows

DOMAIN = Domain(
    (
        Category("sex", categories=("F", "M")),
        Integer("age", low=0, high=99, point_masses=(50,)),
        Number("pay", low=0.0, high=10.0),
        Date("since", low=dt.date(2020, 1, 1), high=dt.date(2020, 12, 31), missing=True),
    )
)
SAID = {"epsilon": 1, "delta": 1e-6, "unit": "one person", "neighbours": "add_remove", "by": "Office of X"}
SEX, AGES = (("F",), ("M",)), (("0..29",), ("30..99",), ("50",))
FINE = (("0..9",), ("10..29",), ("30..99",), ("50",))
DATES = (("2020-01-01..2020-06-30",), ("2020-07-01..2020-12-31",), (None,))


def tables():
    return [
        NoisyTable(("age", "sex"), (AGES, SEX), np.array([[100.0, 300], [500, 50], [20, 30]]), 2.0),
        NoisyTable(("age",), (FINE,), np.array([300.0, 100, 550, 50]), 2.0),
        NoisyTable(("since",), (DATES,), np.array([200.0, 700, 100]), 3.0),
    ]


def test_samples_follow_the_tables():
    fitted = fit_tables(tables(), DOMAIN, SAID)
    assert fitted.rows == pytest.approx(1000, abs=5)
    frame = fitted.sample(20_000, seed=0).frame
    young = frame["age"] < 30
    assert (young & (frame["sex"] == "M")).mean() == pytest.approx(0.3, abs=0.02)
    assert ((frame["age"] > 29) & (frame["age"] != 50) & (frame["sex"] == "F")).mean() == pytest.approx(0.5, abs=0.02)
    assert (frame["age"] == 50).mean() == pytest.approx(0.05, abs=0.01)
    assert frame["since"].isna().mean() == pytest.approx(0.1, abs=0.02)
    assert frame["pay"].mean() == pytest.approx(5, abs=0.1)  # nobody counted it


def test_conditions_hold(tmp_path):
    fitted = fit_tables(tables(), DOMAIN, SAID)
    fitted.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.sample(20, seed=1).frame.equals(fitted.sample(20, seed=1).frame)
    frame = again.sample(50, seed=0, where={"age": 50, "pay": [2, 3], "since": None}).frame
    assert (frame["age"] == 50).all()
    assert frame["pay"].between(2, 3).all()
    assert frame["since"].isna().all()


def test_the_tables_of_a_release_make_the_model_again():
    """What one method measured is enough for a model with the same marginals."""
    table = example_rows(400)
    first = MST(cells=8).fit(table, Budget(20.0, 1e-5))
    again = fit_tables(first.measured, first.domain, SAID)
    for name in ("kind", "member", "label"):
        shares = [fitted.sample(4000, seed=0).frame[name].astype(str).value_counts(normalize=True)
                  for fitted in (first, again)]  # fmt: skip
        assert (shares[0] - shares[1].reindex(shares[0].index).fillna(0)).abs().max() < 0.04


def test_the_statement_is_carried_and_not_proven_here():
    statement = fit_tables(tables(), DOMAIN, SAID).statement
    assert not statement["private"]
    assert statement["guarantee"].endswith("stated by Office of X, not proven here")
    assert statement["stated elsewhere"] == SAID


@pytest.mark.parametrize("lacking", SAID)
def test_a_statement_must_say_everything(lacking):
    with pytest.raises(ConfigError, match=lacking):
        foreign({key: value for key, value in SAID.items() if key != lacking}, 10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"columns": ("age", "colour")}, "no column 'colour'"),
        ({"cells": (AGES, (("F",), ("X",)))}, "'X' is no value"),
        ({"cells": ((("0..29",), ("30..200",), ("50",)), SEX)}, "does not lie in column"),
        ({"cells": ((("0..29",), ("30..98",), ("50",)), SEX)}, "no cell counts 99"),
        ({"cells": ((("0..40",), ("30..99",), ("50",)), SEX)}, "two cells count the same value"),
        ({"cells": ((("0..29",), ("30..99",), (None,)), SEX)}, "does not allow"),
        ({"cells": ((("0..29",), ("30..99",), ("old",)), SEX)}, "is no integer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tables_that_do_not_fit_the_schema_are_refused(change, words):
    first, *others = tables()
    with pytest.raises(ConfigError, match=words):
        fit_tables([dataclasses.replace(first, **change), *others], DOMAIN, SAID)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "people.yaml").write_text(DOMAIN.to_yaml())
    ages = np.repeat(["0..29", "30..99", "50"], 2)
    pd.DataFrame({"sex": ["F", "M"] * 3, "age": ages, "count": [100, 300, 500, 50, 20, 30]}).to_csv(
        tmp_path / "sex_age.csv", index=False
    )
    dates = ["2020-01-01..2020-06-30", "2020-07-01..2020-12-31", ""]
    pd.DataFrame({"since": dates, "count": [200, 700, 100], "sigma": [3, 3, 4]}).to_csv(
        tmp_path / "since.csv", index=False
    )
    (tmp_path / "measured.yaml").write_text(
        "schema: people.yaml\n"
        "statement: {epsilon: 1, delta: 1e-6, unit: one person, neighbours: add_remove, by: Office of X}\n"
        "tables:\n  - {file: sex_age.csv, sigma: 2}\n  - {file: since.csv}\n"
    )
    return tmp_path


def test_files_become_a_release(folder, capsys):
    fit_marginals([str(folder / "measured.yaml"), str(folder / "run"), "--n", "50"])
    assert "stated by Office of X" in capsys.readouterr().out
    assert len(pd.read_csv(folder / "run" / "release" / "synthetic.csv")) == 50
    with pytest.raises(ConfigError, match="holds a run already"):
        fit_marginals([str(folder / "measured.yaml"), str(folder / "run")])


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("sex_age.csv", "F,50,20\n", "", "list every cell"),
        ("sex_age.csv", "F,50,20", "M,50,20", "a cell stands twice"),
        ("sex_age.csv", ",20\n", ",many\n", "'many' is no number"),
        ("since.csv", "sigma", "noise", "say sigma once"),
        ("measured.yaml", "sex_age.csv", "nowhere.csv", "cannot be read"),
        ("measured.yaml", "tables:", "table:", "unknown key 'table'"),
    ],
)
def test_files_that_are_wrong_are_refused(folder, file, old, new, words):
    path = folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises((ConfigError, DataError), match=words):
        read_measured(folder / "measured.yaml")
