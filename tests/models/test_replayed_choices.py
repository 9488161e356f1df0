"""Branches and sizes that a small table under the shipped settings does not reach: decided by what was released."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.data import Category, Domain, Integer
from dpsynth.data.table.table import Table
from dpsynth.models import AIM, MST, NAPSU, PE, PrivBayes
from dpsynth.models.pe.recipe import CLASSES
from dpsynth.privacy.mechanisms.marginals import association_sensitivity, misfit_sensitivity
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.privacy.replay import Recorder, audit
from dpsynth.testing import check_replay, example_rows

RELATIONS = ("add_remove", "replace_one")
SQUARE = Domain(tuple(Category(name, categories=("0", "1")) for name in "xy"), rows=60)
DEPENDENT = Domain((*SQUARE.columns, Integer("z", low=0, high=3)), rows=60)


def square(n: int, same: int, domain: Domain = SQUARE) -> Table:
    """n rows, the first `same` of which have y = x."""
    x = np.arange(n) // 2 % 2
    y = np.where(np.arange(n) < same, x, 1 - x)
    columns = {"x": x.astype(str), "y": y.astype(str), "z": np.arange(n) % 4}
    return Table(pd.DataFrame({name: columns[name] for name in domain.names}), domain)


CHAINED = [
    AIM(workload=2, rounds=3, round_iterations=5, iterations=5),
    MST(cells=4),
    PrivBayes(estimator="ancestral"),
]


@pytest.mark.parametrize("recipe", CHAINED, ids=lambda recipe: type(recipe).__name__)
def test_a_row_that_crosses_a_limit_shows_in_no_decision(recipe):
    """Every exact count takes many values along a chain of tables, each with a row more. Whatever limit a decision had
    for one, some step of the chain would cross it; at a large epsilon noise does not hide that."""
    rows = square(60, 60, DEPENDENT)
    plan = recipe.plan_for(rows, dpsynth.Budget(100.0, 1e-5))

    def publish(table, randomness):
        fit = recipe.fit(table, plan, randomness)
        return fit.config(), fit.tensors()

    for count in range(8, 40):
        audit(publish, rows.head(count), rows.head(count + 1))


def test_aim_lowers_its_noise_by_what_was_released():
    """Two columns that become independent row by row: the exact gap of their pair falls through any limit."""
    rows = square(240, 120)
    recipe = AIM(workload=2, one_way_fraction=0.2, summary_fraction=0.1, rounds=3, round_iterations=5, iterations=5)
    plan = recipe.plan_for(rows, dpsynth.Budget(10.0, 1e-5))

    def publish(table, randomness):
        fit = recipe.fit(table, plan, randomness)
        return fit.config(), fit.tensors()

    for count in range(225, 239):
        audit(publish, rows.head(count), rows.head(count + 1))


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_the_choices_of_a_method_have_the_bounds_of_their_scores(neighbours):
    budget = dpsynth.Budget(1.0, 1e-5, neighbours)
    parents = PrivBayes().plan(DEPENDENT, budget).method.method.choice
    assert parents.bound == association_sensitivity(neighbours, 60)
    assert MST().plan(DEPENDENT, budget).method.method.choice.bound == misfit_sensitivity(neighbours)


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_pe_estimates_the_fractions_of_its_classes(neighbours):
    recipe = PE(population=8).replace(
        proposal={"model": None}, labels={"prior": "private"}, evolution={"phases": [{"iterations": 1}]},
        pool={"variants": 10},
    )  # fmt: skip
    assert any(each.name == CLASSES for each in recipe.plan(example_rows(20).domain, dpsynth.Budget(1.0, 1e-5)).charges)
    check_replay(recipe, example_rows(20), dpsynth.Budget(100.0, 1e-5, neighbours))


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_named_marginals_are_seen_through_their_release_alone(neighbours):
    recipe = NAPSU(marginals=[["kind", "label"], ["member"]], draws=2, iterations=10, cells=4)
    check_replay(recipe, example_rows(20), dpsynth.Budget(100.0, 1e-5, neighbours))


def test_the_number_of_parents_follows_the_public_number_of_rows():
    """The table has sixty rows, its domain declares another number, and no other number may show."""
    budget = dpsynth.Budget(20.0, 1e-5)
    for declared, parents in ((60_000, 2), (1, 0)):
        domain = replace(DEPENDENT, rows=declared)
        rows = square(60, 60).frame.assign(z=np.arange(60) % 4)
        fit = PrivBayes(estimator="ancestral").fit(Table(rows, domain), budget, RandomGenerators(0, "seeded"))
        assert max(len(node.parents) for node in fit.nodes) == parents


def test_the_population_follows_the_public_number_of_rows():
    recipe = PE().replace(
        proposal={"model": None}, labels={"prior": "uniform"}, evolution={"phases": [{"iterations": 1}]},
        pool={"variants": 1},
    )  # fmt: skip
    candidates = []
    for declared in (60, 600):
        data, recorder = example_rows(60), Recorder(0)
        data = Table(data.frame, replace(data.domain, rows=declared))
        plan = recipe.plan_for(data, dpsynth.Budget(1.0, 1e-5))
        recipe.fit(data, plan, RandomGenerators(0, privacy=recorder))
        candidates.append(recorder.releases[0].query.size)
        assert plan.method.members <= candidates[-1] < 4 * plan.method.members + 8
    assert candidates[0] < candidates[1]
