"""Branches and sizes that a small table under the shipped settings does not reach: decided by what was released."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.data import Category, Domain, Integer
from dpsynth.data.table import Table
from dpsynth.models import AIM, MST, NAPSU, PE, PrivBayes
from dpsynth.models.planned_evolution import CLASSES
from dpsynth.privacy.random import Streams
from dpsynth.privacy.replay import Coupling, Recorder, audit
from dpsynth.privacy.scores import association_sensitivity, misfit_sensitivity
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


def replayed(recipe, rows: Table, other: Table, budget: dpsynth.Budget, coupling: Coupling | None = None) -> None:
    plan = recipe.plan_for(rows, budget)

    def publish(table, streams):
        fit = recipe.fit(table, plan, streams)
        return fit.config(), fit.tensors()

    audit(publish, rows, other, couplings=(None, coupling))
    audit(publish, other, rows, couplings=(coupling, None))


@pytest.mark.parametrize("same", range(30, 61, 5))
def test_aim_decides_by_what_was_released(same):
    """At large epsilon noise hides nothing; a row moves the answers of a round across whatever limit is there."""
    recipe = AIM(workload=2, rounds=6, round_iterations=10, iterations=10)
    rows = square(60, same, DEPENDENT)
    for place in (0, 30, 59):
        rest = np.delete(np.arange(60), place)
        other = Table(rows.frame.iloc[rest].reset_index(drop=True), rows.domain)
        for epsilon in (3.0, 100.0):
            replayed(recipe, rows, other, dpsynth.Budget(epsilon, 1e-5), Coupling.without(place, 60))


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_the_choices_of_a_method_have_the_bounds_of_their_scores(neighbours):
    budget = dpsynth.Budget(1.0, 1e-5, neighbours)
    parents = PrivBayes().plan(DEPENDENT, budget).method.method.choice
    assert parents.bound == association_sensitivity(neighbours, 60)
    assert MST().plan(DEPENDENT, budget).method.method.choice.bound == misfit_sensitivity(neighbours)


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_pe_buys_the_shares_of_its_classes(neighbours):
    recipe = PE(seed_model=None, label_prior="private", phases=[{"iterations": 1}], population=8, variants=10)
    assert any(each.name == CLASSES for each in recipe.plan(example_rows(20).domain, dpsynth.Budget(1.0, 1e-5)).charges)
    check_replay(recipe, example_rows(20), dpsynth.Budget(100.0, 1e-5, neighbours))


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_named_marginals_are_seen_through_their_release_alone(neighbours):
    recipe = NAPSU(marginals=[["kind", "label"], ["member"]], draws=2, iterations=10, bins=4)
    check_replay(recipe, example_rows(20), dpsynth.Budget(100.0, 1e-5, neighbours))


def test_the_number_of_parents_follows_the_public_number_of_rows():
    """The table has sixty rows, its domain declares another number, and no other number may show."""
    budget = dpsynth.Budget(20.0, 1e-5)
    for declared, parents in ((60_000, 2), (1, 0)):
        domain = replace(DEPENDENT, rows=declared)
        rows = square(60, 60).frame.assign(z=np.arange(60) % 4)
        fit = PrivBayes(estimator="ancestral").fit(Table(rows, domain), budget, Streams(0, "seeded"))
        assert max(len(node.parents) for node in fit.nodes) == parents


def test_the_population_follows_the_public_number_of_rows():
    recipe = PE(seed_model=None, phases=[{"iterations": 1}], variants=1, label_prior="uniform")
    candidates = []
    for declared in (60, 600):
        data, recorder = example_rows(60), Recorder(0)
        data = Table(data.frame, replace(data.domain, rows=declared))
        plan = recipe.plan_for(data, dpsynth.Budget(1.0, 1e-5))
        recipe.fit(data, plan, Streams(0, privacy=recorder))
        candidates.append(recorder.releases[0].query.size)
        assert plan.method.members <= candidates[-1] < 4 * plan.method.members + 8
    assert candidates[0] < candidates[1]
