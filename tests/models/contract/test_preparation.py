"""Counting rows and estimating privately domains, as every method does before its own work."""

import math

import pandas as pd
import pytest

import dpsynth
from dpsynth.data import Category, Codec, Date, Datetime, Domain, Integer, Number
from dpsynth.data.table.table import Table
from dpsynth.models.contract.preparation import BudgetFractions, Preparation, stand_in

OPEN = Domain(
    (
        Integer("age"),
        Number("pay", decimals=2),
        Number("mass", scale="log"),
        Date("day"),
        Datetime("time"),
        Category("town"),
        Category("sex", categories=("Female", "Male")),
    ),
    constraints=("age <= 200",),
)


@pytest.fixture(scope="module")
def table():
    n = 3000
    frame = pd.DataFrame(
        {
            "age": [20 + i % 60 for i in range(n)],
            "pay": [float(i % 1000) for i in range(n)],
            "mass": [1.0 + i % 50 for i in range(n)],
            "day": pd.Timestamp("2001-05-06"),
            "time": pd.Timestamp("2001-05-06 07:08:09"),
            "town": ["Ulm", "Bonn"] * (n // 2 - 1) + ["Nowhere-7", "Ulm"],
            "sex": ["Female", "Male"] * (n // 2),
        }
    )
    return Table(frame, OPEN)


def test_a_declared_domain_with_rows_costs_nothing(domain):
    assert Preparation.planned(domain, dpsynth.Budget(1, 1e-5), BudgetFractions()).charges == ()


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_every_open_fact_is_one_charge(neighbours):
    budget = dpsynth.Budget(1, 1e-5, neighbours)
    names = [charge.name for charge in Preparation.planned(OPEN, budget, BudgetFractions()).charges]
    private = ["bounds/age", "bounds/pay", "bounds/mass", "bounds/day", "bounds/time", "categories/town"]
    assert names == (["rows"] if neighbours == "add_remove" else []) + private


def test_the_stand_in_is_complete_and_as_large_as_it_can_get():
    largest = stand_in(OPEN)
    assert not largest.undeclared
    sizes = dict(zip(largest.names, Codec(largest).sizes, strict=True))
    assert sizes["town"] == 1001
    assert sizes["age"] == 64


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_a_fit_estimates_what_is_open_within_the_budget(example, table, neighbours):
    budget = dpsynth.Budget(3.0, 1e-5, neighbours)
    fitted = example.Example().fit(table, budget)
    assert fitted.statement["proven"]["epsilon"] <= 3
    assert fitted.statement["finished"]
    assert not fitted.domain.undeclared
    assert set(fitted.domain["town"].values) == {"Bonn", "Ulm", "other"}
    assert fitted.domain["age"].low <= 20
    assert fitted.domain["age"].high >= 79
    assert abs(fitted.rows - 3000) < 1500
    assert fitted.sample(100).invalid == {}


def test_the_count_is_noisy_unless_it_is_public(example, table):
    frame = table.frame[["sex"]]
    narrow = Table(frame, OPEN.select(["sex"]))
    counts = {example.Example().fit(narrow, dpsynth.Budget(0.5, 1e-5)).rows for _ in range(3)}
    assert len(counts) > 1
    assert example.Example().fit(narrow, dpsynth.Budget(0.5, 1e-5, "replace_one")).rows == 3000


def test_infinite_epsilon_sees_everything(example, table):
    fitted = example.Example().fit(table, dpsynth.Budget(math.inf, 1e-5))
    assert fitted.rows == 3000
    assert "Ulm" in fitted.domain["town"].values


def test_larger_fractions_leave_the_method_more_noise(example):
    budget = dpsynth.Budget(1, 1e-5)
    noises = [
        example.Example().plan(OPEN, budget, BudgetFractions(discovery=fraction)).method.histograms.noise_multiplier
        for fraction in (0.05, 0.5)
    ]
    assert noises[0] < noises[1]


def test_bounds_reach_far_and_say_when_they_end_at_the_public_bins(example):
    frame = pd.DataFrame(
        {"ms": [1_600_000_000_000 + 10**9 * k for k in range(400)], "conc": [k * 1e-11 for k in range(400)]}
    )
    domain = dpsynth.Domain((Integer("ms"), Number("conc")), rows=400)
    fitted = example.Example().fit(Table(frame, domain), dpsynth.Budget(50.0, 1e-5))
    bounds = {column.name: (column.low, column.high) for column in fitted.domain}
    assert bounds["ms"] == (2**40, 2**41)
    assert bounds["conc"][1] < 1e-8
    assert not any("public bins" in key for key in fitted.statement)
    far = Table(frame.assign(ms=2**50), domain)
    fitted = example.Example().fit(far, dpsynth.Budget(50.0, 1e-5))
    assert fitted.statement["bounds at the end of the public bins"].startswith("ms: values beyond")
