"""The published DP-MAF: known truth without noise, the budget with it, and every public way through the model."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import dpsynth
from dpsynth.data import Category, Domain, Integer, Number, Table
from dpsynth.errors import ConfigError
from dpsynth.models.maf.dp_maf import DPMAF, SGD
from dpsynth.privacy import RandomGenerators
from dpsynth.testing import check_replay, example_rows

INFINITE = dpsynth.Budget(epsilon=math.inf, delta=1e-5)
BUDGET = dpsynth.Budget(epsilon=1.0, delta=1e-5)
SMALL = DPMAF(hidden=24, steps=12, batch_size=60, bins=16)
TRANSFORMS = ("rq_spline", "affine")


def fitted(recipe, table, budget=BUDGET):
    return recipe.fit(table, budget, RandomGenerators(0, "seeded"))


def test_own_samples_are_normal_in_the_base_space_whatever_their_kinds():
    """Integers of few values too: a lattice value stands for a stretch of the axis, not for its middle."""
    domain = Domain(
        (Integer("few", low=0, high=3), Integer("many", low=0, high=500), Category("c", ("x", "y"))), rows=500
    )
    draw = np.random.default_rng(0)
    columns = {"few": draw.integers(4, size=500), "many": draw.integers(300, size=500)}
    table = Table(pd.DataFrame(columns | {"c": draw.choice(["x", "y"], 500)}), domain)
    model = fitted(DPMAF(hidden=16, steps=30, bins=16, transform="rq_spline"), table, INFINITE)
    base = model.base(model.sample(3000, seed=1))
    assert [stats.kstest(u, "norm").pvalue > 1e-3 for u in base.T] == [True] * 3
    assert np.array_equal(base, model.base(model.sample(3000, seed=1)))


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_without_noise_dependent_numbers_are_recovered(transform):
    domain = Domain((Number("x", low=-4.0, high=4.0), Number("y", low=-6.0, high=6.0)), rows=4000)
    draw = np.random.default_rng(0)
    x = draw.normal(size=4000).clip(-4, 4)
    table = Table(pd.DataFrame({"x": x, "y": (x + 0.5 * draw.normal(size=4000)).clip(-6, 6)}), domain)
    recipe = DPMAF(hidden=64, steps=400, batch_size=300, learning_rate=1e-2, decay=0.3, bins=32, transform=transform)
    model = fitted(recipe, table, INFINITE)
    frame = model.sample(4000, seed=1).frame
    assert frame["x"].std() == pytest.approx(1.0, abs=0.12)
    assert np.corrcoef(frame["x"], frame["y"])[0, 1] == pytest.approx(0.894, abs=0.09)
    base = model.base(table)
    assert np.abs(base.mean(0)).max() < 0.2
    assert np.abs(base.std(0) - 1).max() < 0.2


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_the_ledger_holds_what_was_planned(people, neighbours):
    budget = dpsynth.Budget(1.0, 1e-5, neighbours)
    plan = SMALL.plan_for(people, budget)
    assert plan.proven.epsilon <= 1.0
    model = fitted(SMALL, people, budget)
    assert model.statement["finished"]
    assert [charge["name"] for charge in model.statement["charges"]] == [charge.name for charge in plan.charges]
    assert SGD in [charge.name for charge in plan.charges]


def test_the_order_can_be_chosen(people):
    names = list(people.domain.names)
    for order in ("label_first", "schema", names[::-1]):
        assert len(fitted(SMALL.replace(order=order), people).sample(20, seed=0)) == 20
    first = people.domain.position(people.domain.label)
    assert fitted(SMALL.replace(order="label_first"), people).flow.order[0] == first


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_saved_model_draws_the_same_rows(people, tmp_path, transform):
    model = fitted(SMALL.replace(transform=transform), people)
    model.save(tmp_path / "model")
    again = dpsynth.load(tmp_path / "model")
    assert again.sample(100, seed=2).frame.equals(model.sample(100, seed=2).frame)
    assert np.allclose(again.log_density(people), model.log_density(people))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"order": "alphabet"}, "model.order"),
        ({"order": ["sex"]}, "every column once"),
        ({"transform": "cubic"}, "model.transform"),
        ({"steps": 0}, "model.steps"),
    ],
)
def test_what_cannot_be_is_refused(people, change, words):
    with pytest.raises(ConfigError, match=words):
        SMALL.replace(**change).plan(people.domain, BUDGET)


def test_a_condition_that_cannot_be_met_says_so():
    domain = Domain((Category("x", categories=("0", "1")), Category("y", categories=("a", "b"))), rows=500)
    table = Table(pd.DataFrame({"x": ["0"] * 500, "y": ["a"] * 500}), domain)
    recipe = DPMAF(hidden=8, steps=60, batch_size=100, learning_rate=0.1)
    model = fitted(recipe, table, INFINITE)
    with torch.no_grad():
        model.flow.network.last.bias[:] = torch.tensor([0.0, 0.0, 60.0, -60.0])
    with pytest.raises(ConfigError, match="met the conditions"):
        model.sample(5, seed=0, where={"y": "b"})


def test_releases_alone_depend_on_the_rows():
    check_replay(SMALL, example_rows(60), BUDGET)
