"""The flow by itself: known truth without noise, the budget with it, and every public way through the model."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import dpsynth
from dpsynth.data import Category, Domain, Integer, Number, Table
from dpsynth.data.sources.toy import DISTRIBUTIONS
from dpsynth.errors import ConfigError
from dpsynth.models.maf.plain_recipe import SGD, PlainMAF, _fraction
from dpsynth.privacy import RandomGenerators
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.noise.random import PrivacyGenerator
from dpsynth.testing import check_replay, example_rows

INFINITE = dpsynth.Budget(epsilon=math.inf, delta=1e-5)
BUDGET = dpsynth.Budget(epsilon=1.0, delta=1e-5)
SMALL = PlainMAF(hidden=24, steps=12, batch_size=60, bins=16, fit_steps=6)


def fitted(recipe, table, budget=BUDGET, seed=0, noise="seeded"):
    return recipe.fit(table, budget, RandomGenerators(seed, noise))


def total_variation(a, b):
    values = sorted(set(a) | set(b))
    p, q = (np.array([np.mean(x == v) for v in values]) for x in (np.asarray(a), np.asarray(b)))
    return 0.5 * np.abs(p - q).sum()


def test_without_noise_a_known_distribution_is_recovered():
    distribution = DISTRIBUTIONS["chain"]()
    table = distribution.sample(4000, seed=0)
    recipe = PlainMAF(hidden=48, steps=300, batch_size=400, learning_rate=1e-2)
    frame = fitted(recipe, table, INFINITE).sample(4000, seed=0).frame
    truth = distribution.sample(40_000, seed=1).frame
    for name in distribution.domain.names:
        assert total_variation(frame[name], truth[name]) < 0.04
    first, second = distribution.domain.names[:2]
    both = [f[first].astype(str) + "|" + f[second].astype(str) for f in (frame, truth)]
    assert total_variation(*both) < 0.06


@pytest.mark.parametrize("transform", ["piecewise_linear", "rq_spline"])
def test_own_samples_are_normal_in_the_base_space_whatever_their_kinds(transform):
    """Integers of few values too: a lattice value stands for a stretch of the axis, not for its middle."""
    domain = Domain(
        (Integer("few", low=0, high=3), Integer("many", low=0, high=500), Category("c", ("x", "y"))), rows=500
    )
    draw = np.random.default_rng(0)
    frame = _frame(few=draw.integers(4, size=500), many=draw.integers(300, size=500), c=draw.choice(["x", "y"], 500))
    model = fitted(PlainMAF(hidden=16, steps=30, bins=16, transform=transform), Table(frame, domain), INFINITE)
    base = model.base(model.sample(3000, seed=1))
    assert [stats.kstest(u, "norm").pvalue > 1e-3 for u in base.T] == [True] * 3
    assert np.array_equal(base, model.base(model.sample(3000, seed=1)))


@pytest.mark.parametrize("transform", ["piecewise_linear", "rq_spline", "affine"])
def test_without_noise_dependent_numbers_are_recovered(transform):
    domain = Domain((Number("x", low=-4.0, high=4.0), Number("y", low=-6.0, high=6.0)), rows=4000)
    draw = np.random.default_rng(0)
    x = draw.normal(size=4000).clip(-4, 4)
    table = Table(_frame(x=x, y=(x + 0.5 * draw.normal(size=4000)).clip(-6, 6)), domain)
    recipe = PlainMAF(hidden=64, steps=400, batch_size=300, learning_rate=1e-2, decay=0.3, bins=32, transform=transform)
    model = fitted(recipe, table, INFINITE)
    frame = model.sample(4000, seed=1).frame
    assert frame["x"].std() == pytest.approx(1.0, abs=0.12)
    assert np.corrcoef(frame["x"], frame["y"])[0, 1] == pytest.approx(0.894, abs=0.09)
    base = model.base(table)
    assert np.abs(base.mean(0)).max() < 0.2
    assert np.abs(base.std(0) - 1).max() < 0.2


def test_the_ledger_holds_what_was_planned(people):
    plan = SMALL.plan(people.domain, BUDGET)
    assert plan.proven.epsilon <= 1.0
    model = fitted(SMALL, people)
    assert model.statement["finished"]
    assert [charge["name"] for charge in model.statement["charges"]] == [c.name for c in plan.charges]


def test_fractions_of_nothing_leave_dp_sgd_alone(people):
    recipe = SMALL.replace(one_way_fraction=0.0, two_way_fraction=0.0)
    plan = recipe.plan(people.domain, BUDGET)
    assert [charge.name for charge in plan.charges] == [SGD]
    assert len(fitted(recipe, people).sample(50, seed=0)) == 50


def test_replace_one_uses_batches_of_fixed_size(people):
    budget = dpsynth.Budget(1.0, 1e-5, "replace_one")
    model = fitted(SMALL, people, budget)
    assert model.statement["neighbours"] == "replace_one"
    assert "WithoutReplacement" in str(model.statement["charges"])


def test_training_noise_is_the_planned_noise(people, monkeypatch):
    """The line that adds the noise is reached with the planned multiplier, once a step."""
    seen = []
    original = PrivacyGenerator.release

    def release(self, mechanism, query, step):
        if isinstance(mechanism, DPSGD):
            seen.append((step, mechanism.noise_multiplier, mechanism.clipping_norm))
        return original(self, mechanism, query, step)

    monkeypatch.setattr(PrivacyGenerator, "release", release)
    plan = SMALL.plan(people.domain, BUDGET)
    fitted(SMALL, people)
    noise = plan.method.sgd.noise_multiplier
    assert noise > 0
    assert seen == [(t, noise, 1.0) for t in range(SMALL.steps)]


def test_the_order_can_be_chosen(people):
    names = list(people.domain.names)
    for order in ("label_first", "schema", names[::-1]):
        model = fitted(SMALL.replace(order=order), people)
        assert len(model.sample(20, seed=0)) == 20
    first = people.domain.position(people.domain.label)
    assert fitted(SMALL.replace(order="label_first"), people).flow.order[0] == first


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"order": "alphabet"}, "model.order"),
        ({"order": ["sex"]}, "every column once"),
        ({"transform": "cubic"}, "model.transform"),
        ({"steps": 0}, "model.steps"),
        ({"one_way_fraction": 0.6, "two_way_fraction": 0.5}, "leave nothing"),
    ],
)
def test_what_cannot_be_is_refused(people, change, words):
    with pytest.raises(ConfigError, match=words):
        SMALL.replace(**change).plan(people.domain, BUDGET)


def test_a_condition_that_cannot_be_met_says_so():
    domain = Domain((Integer("x", low=0, high=1), Category("y", categories=("a", "b"))), rows=500)
    table = Table(_frame(x=np.zeros(500, int), y=["a"] * 500), domain)
    recipe = PlainMAF(hidden=8, steps=60, batch_size=100, learning_rate=0.1, order=["x", "y"])
    model = fitted(recipe, table, INFINITE)
    with torch.no_grad():
        model.flow.network.last.bias[:] = torch.tensor([0.0, 0.0, 60.0, -60.0])
    with pytest.raises(ConfigError, match="met the conditions"):
        model.sample(5, seed=0, where={"y": "b"})


def _frame(**columns):
    import pandas as pd

    return pd.DataFrame(columns)


def test_fractions_of_noisy_counts_are_a_distribution_without_the_bias_of_clipping():
    draw = np.random.default_rng(0)
    counts = np.concatenate([[20_000.0, 10_000.0], np.zeros(98)])
    fraction = _fraction(counts + 60 * draw.normal(size=100), 60.0).numpy()
    assert fraction.min() > 0
    assert fraction.sum() == pytest.approx(1)
    assert fraction[2:].sum() < 0.03  # clipped at zero, 98 empty codes would take 0.07


def test_releases_alone_depend_on_the_rows(people):
    check_replay(SMALL, example_rows(60), BUDGET)
