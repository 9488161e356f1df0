"""auto spends the plan of the method it takes, says which, and measures columns alone where few rows are counted."""

from dataclasses import replace

import numpy as np
import pytest

import dpsynth
from dpsynth.data.sources.toy import Chain
from dpsynth.models import AIM, Auto, Independent


def table(rows, declared):
    return Chain().sample(rows, seed=1).redeclare(replace(Chain().domain, rows=declared))


@pytest.mark.parametrize(("rows", "recipe"), [(60, Independent()), (50_000, AIM())])
def test_it_plans_what_the_chosen_method_plans(rows, recipe):
    domain, budget = replace(Chain().domain, rows=rows), dpsynth.Budget(1, 1e-5)
    plan, own = Auto().plan(domain, budget), recipe.plan(domain, budget)
    assert plan.charges == own.charges
    assert plan.settings["chosen"].startswith(f"{type(recipe).__name__.lower()} (")


@pytest.mark.parametrize(
    ("rows", "declared", "method"),
    [(60, 60, "independent"), (60, None, "independent"), (5_000, None, "aim"), (5_000, 5_000, "aim")],
)
def test_the_statement_names_the_method(rows, declared, method):
    fitted = Auto().fit(table(rows, declared), dpsynth.Budget(1, 1e-5))
    assert fitted.statement["method"].lower() == method
    assert fitted.statement["chosen"].startswith("by auto, from public facts alone: ")
    assert fitted.statement["private"] is True
    frame = fitted.sample(2_000, seed=0).frame
    together = np.mean(frame["a"].to_numpy() == frame["b"].to_numpy())
    assert (together > 0.5) == (method == "aim")  # .775 of the rows agree; 1/4 or so of independent columns


def test_other_methods_are_named_too():
    fitted = Independent().fit(table(60, 60), dpsynth.Budget(1, 1e-5))
    assert fitted.statement["method"] == "Independent"
