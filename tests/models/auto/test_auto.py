"""auto spends the plan of the method it takes, says which, and measures columns alone where few rows are counted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.data import Category, Domain
from dpsynth.data.sources.toy import Chain
from dpsynth.models import AIM, MST, Auto, Independent
from dpsynth.models.auto.rule import CHOICE_LIMIT, PAIR_LIMIT, Signal, chosen
from dpsynth.models.marginal.mst import TreePlan
from dpsynth.privacy.accounting.adaptive_budget import AdaptiveBudget, gaussian_cost
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.discovery import RowCount


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
    [
        (60, 60, "independent"),
        (300, None, "independent"),
        (40_000, None, "aim"),
        (5_000, 5_000, "aim"),
    ],
)
def test_the_statement_names_the_method(rows, declared, method):
    fitted = Auto().fit(table(rows, declared), dpsynth.Budget(1, 1e-5))
    assert fitted.statement["method"].lower() == method
    known = "public facts alone" if declared else "public facts and the noisy number of rows"
    assert fitted.statement["chosen"].startswith(f"by auto, from {known}: ")
    assert fitted.statement["private"] is True
    frame = fitted.sample(2_000, seed=0).frame
    together = np.mean(frame["a"].to_numpy() == frame["b"].to_numpy())
    assert (together > 0.5) == (method == "aim")  # .775 of the rows agree; 1/4 or so of independent columns


def test_other_methods_are_named_too():
    fitted = Independent().fit(table(60, 60), dpsynth.Budget(1, 1e-5))
    assert fitted.statement["method"] == "Independent"


# -------------------- No number of rows is declared ------------------------------------------


BUDGET = dpsynth.Budget(1, 1e-5)


def undeclared(columns=6, size=6):
    """Columns of few codes that follow each other, and no number of rows."""
    return Domain(tuple(Category(f"c{k}", tuple(f"v{v}" for v in range(size))) for k in range(columns)))


def filled(domain, rows, seed=1):
    draw = np.random.default_rng(seed)
    first = draw.integers(0, len(domain["c0"].categories), rows)
    frame = {c.name: np.where(draw.random(rows) < 0.7, first, draw.integers(0, 6, rows)) for c in domain}
    names = np.array([f"v{v}" for v in range(6)], dtype=object)
    return dpsynth.Table(pd.DataFrame({name: names[codes] for name, codes in frame.items()}), domain)


def test_the_plan_states_every_branch_and_from_how_many_rows_it_is_taken():
    domain = undeclared()
    plan = Auto().plan(domain, BUDGET)
    signal = Signal.of(domain, BUDGET)
    tree, rounds = signal.rows_for(PAIR_LIMIT), signal.rows_for(CHOICE_LIMIT)
    assert plan.settings["chosen"] == (
        f"by the noisy number of rows (independent below {tree:,} rows, mst below {rounds:,}, aim from there on)"
    )
    for rows, method in [(tree - 1, "independent"), (tree, "mst"), (rounds - 1, "mst"), (rounds, "aim")]:
        assert chosen(signal.with_rows(rows)).method == method


@pytest.mark.parametrize("columns", [6, 300])
def test_each_branch_is_taken_by_the_released_number_and_spends_what_was_planned(columns, monkeypatch):
    """With 300 columns, where triples and pairs cannot be weighed, a small table still gets columns by themselves."""
    domain = undeclared(columns)
    plan = Auto().plan(domain, BUDGET)
    signal = Signal.of(domain, BUDGET)
    few, many = signal.rows_for(PAIR_LIMIT) - 1, signal.rows_for(PAIR_LIMIT)
    table, spent = filled(domain, 500), []
    monkeypatch.setattr(Ledger, "statement", lambda self: spent.append(self) or {"private": self.finished})
    for number, method in [(few, "Independent"), (many, "MST")]:

        def counted(self, rows, ledger, number=number):
            ledger.release(self, np.array([rows]))
            return number

        monkeypatch.setattr(RowCount, "measure", counted)
        fitted = Auto().fit(table, plan)
        assert (fitted.statement["method"], fitted.statement["private"]) == (method, True)
        budget = plan.method.method.method.budget
        assert spent[-1].remaining(budget) <= 1e-6 * budget.total


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_a_tree_within_an_adaptive_budget_costs_all_of_it_in_the_parts_of_mst(neighbours):
    adaptive = AdaptiveBudget(name="all", neighbours=neighbours, mu=0.3)
    tree = TreePlan.within((3, 4, 5), adaptive, 0.4, 0.05)
    costs = [gaussian_cost(tree.one_way.event), 2 * gaussian_cost(tree.choice.event), gaussian_cost(tree.two_way.event)]
    assert np.allclose(np.array(costs) / adaptive.total, [0.4, 0.05, 0.55], rtol=1e-3)
    assert sum(costs) <= adaptive.total * (1 + 1e-9)
    assert {tree.one_way.name, tree.choice.name, tree.two_way.name} == {"all"}


def test_without_a_budget_every_branch_is_exact():
    fitted = Auto().fit(filled(undeclared(), 60), dpsynth.Budget(float("inf"), 1e-5))
    assert fitted.statement["method"] == "AIM"


def test_the_plan_is_that_of_aim_where_aim_may_be_taken_and_costs_what_mst_may_spend_where_not():
    assert Auto().plan(undeclared(), BUDGET).charges == AIM().plan(undeclared(), BUDGET).charges
    wide = undeclared(300)
    assert Auto().plan(wide, BUDGET).proven.epsilon <= BUDGET.epsilon + 1e-9
    assert len(Auto().plan(wide, BUDGET).charges) < len(MST().plan(wide, BUDGET).charges)
