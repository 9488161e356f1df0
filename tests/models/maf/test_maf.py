"""maf: at first the graphical model, then what DP-SGD adds; the budget, and every public way through the model."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import dpsynth
from dpsynth.data import Category, Domain, Integer, Number, Table
from dpsynth.errors import ConfigError
from dpsynth.models import AIM
from dpsynth.models.maf.recipe import MAF, SGD
from dpsynth.models.shared.dp_training import DPTrainingOptions
from dpsynth.privacy import RandomGenerators
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.noise.random import PrivacyGenerator

INFINITE = dpsynth.Budget(epsilon=math.inf, delta=1e-5)
BUDGET = dpsynth.Budget(epsilon=1.0, delta=1e-5)
QUICK = AIM(rounds=3, workload=2, round_iterations=20, iterations=50)
TRAINING = DPTrainingOptions(steps=12, batch_size=60)
SMALL = MAF(marginals=QUICK, dp_sgd_fraction=0.4, hidden=24, training=TRAINING)


def fitted(recipe, table, budget=BUDGET, seed=0, noise="seeded"):
    return recipe.fit(table, budget, RandomGenerators(seed, noise))


def xor(rows, seed):
    """c is a ^ b: pairs of columns say nothing about it."""
    a, b = np.random.default_rng(seed).integers(2, size=(2, rows))
    frame = pd.DataFrame({"a": a, "b": b, "c": a ^ b}).astype(str)
    domain = Domain(tuple(Category(name, ("0", "1"), label=name == "c") for name in "abc"), rows=rows)
    return Table(frame, domain)


def test_dp_sgd_learns_what_the_marginals_do_not_say():
    pairs = AIM(workload=2, rounds=2)
    training = DPTrainingOptions(steps=300, batch_size=300, learning_rate=1e-2)
    recipe = MAF(marginals=pairs, dp_sgd_fraction=0.5, hidden=32, training=training)
    frame = fitted(recipe, xor(3000, 0), INFINITE).sample(3000, seed=1).frame.astype(int)
    assert ((frame["a"] ^ frame["b"]) == frame["c"]).mean() > 0.95
    plain = fitted(recipe.replace(dp_sgd_fraction=0.0), xor(3000, 0), INFINITE).sample(3000, seed=1).frame.astype(int)
    assert ((plain["a"] ^ plain["b"]) == plain["c"]).mean() < 0.6


def test_dp_sgd_leaves_every_column_its_distribution(people):
    """Its noise would move them; that of the marginals is smaller."""
    model = fitted(SMALL.replace(training={"learning_rate": 0.05}), people)
    codes, _ = model.flow.sample(20_000, torch.Generator().manual_seed(0))
    for j, expected in model.flow.prior.marginals.items():
        found = torch.bincount(codes[:, j], minlength=len(expected)) / len(codes)
        assert 0.5 * (found - expected).abs().sum() < 0.03


@pytest.mark.parametrize(
    ("rows", "epsilon", "trains"),
    [(30_000, 1.0, True), (30_000, 0.3, False), (10_000, 10.0, False), (1_000_000, 0.02, True), (None, 10.0, False)],
)
def test_dp_sgd_is_used_by_a_public_rule(people, rows, epsilon, trains):
    recipe = MAF(marginals=QUICK, training=TRAINING)
    plan = recipe.plan(replace(people.domain, rows=rows), dpsynth.Budget(epsilon, 1e-5))
    assert (plan.method.sgd is not None) is trains


def test_nothing_for_dp_sgd_leaves_the_budget_and_the_model_to_aim(people):
    recipe = SMALL.replace(dp_sgd_fraction=0.0)
    plan, aim = recipe.plan(people.domain, BUDGET), QUICK.plan(people.domain, BUDGET)
    assert [(c.name, c.event) for c in plan.charges] == [(c.name, c.event) for c in aim.charges]
    model, other = fitted(recipe, people), fitted(QUICK, people)
    assert model.sample(200, seed=1).frame.equals(other.sample(200, seed=1).frame)


def test_an_untrained_flow_draws_from_the_graphical_model(people):
    model = fitted(SMALL.replace(dp_sgd_fraction=0.0), people)
    codes, _ = model.flow.sample(20_000, torch.Generator().manual_seed(0))
    for clique in model.graph.model.cliques[:3]:
        pair = clique[:2]
        shape = [model.graph.model.sizes[j] for j in pair]
        index = np.ravel_multi_index(tuple(codes[:, j].numpy() for j in pair), shape)
        found = np.bincount(index, minlength=math.prod(shape)) / len(codes)
        expected = model.graph.model.marginal(pair).ravel() / model.graph.model.total
        assert 0.5 * np.abs(found - expected).sum() < 0.02


@pytest.mark.parametrize("fraction", [0.0, 0.4])
def test_own_samples_are_normal_in_the_base_space_whatever_their_kinds(fraction):
    """Integers of few values too: a lattice value stands for a stretch of the axis, not for its middle."""
    domain = Domain(
        (
            Integer("few", low=0, high=3),
            Integer("many", low=0, high=500, missing=True),
            Number("real", low=0.0, high=1000.0),
            Category("c", ("x", "y")),
        ),
        rows=800,
    )
    draw = np.random.default_rng(0)
    many = pd.Series(draw.integers(300, size=800)).astype("Int64").mask(draw.random(800) < 0.1)
    columns = {"few": draw.integers(4, size=800), "many": many, "real": np.exp(draw.normal(2, 1, 800)).clip(0, 1000)}
    frame = pd.DataFrame(columns | {"c": draw.choice(["x", "y"], 800)})
    model = fitted(SMALL.replace(dp_sgd_fraction=fraction), Table(frame, domain), dpsynth.Budget(3.0, 1e-5))
    base = model.base(model.sample(3000, seed=1))
    assert [stats.kstest(u, "norm").pvalue > 1e-3 for u in base.T] == [True] * 4
    assert np.array_equal(base, model.base(model.sample(3000, seed=1)))
    assert np.isfinite(model.log_density(Table(frame, domain))).all()


def test_the_ledger_holds_what_was_planned(people):
    plan = SMALL.plan(people.domain, BUDGET)
    assert plan.proven.epsilon <= 1.0
    model = fitted(SMALL, people)
    assert model.statement["finished"]
    assert [charge["name"] for charge in model.statement["charges"]] == [c.name for c in plan.charges]
    assert SGD in [charge["name"] for charge in model.statement["charges"]]


@pytest.mark.parametrize(("rows", "batch"), [(100, 64), (16_000, 1000), (1_000_000, 2048)])
def test_the_batch_follows_from_the_declared_rows(people, rows, batch):
    recipe = SMALL.replace(training={"batch_size": None})
    sgd = recipe.plan(replace(people.domain, rows=rows), BUDGET).method.sgd
    assert sgd.sampling.expected(rows) == pytest.approx(min(batch, rows))


def test_replace_one_uses_batches_of_fixed_size(people):
    model = fitted(SMALL, people, dpsynth.Budget(1.0, 1e-5, "replace_one"))
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
    assert seen == [(t, noise, 1.0) for t in range(TRAINING.steps)]


def test_a_saved_model_draws_the_same_rows(people, tmp_path):
    model = fitted(SMALL, people)
    model.save(tmp_path / "model")
    again = dpsynth.load(tmp_path / "model")
    assert again.sample(100, seed=2).frame.equals(model.sample(100, seed=2).frame)
    assert np.allclose(again.log_density(people), model.log_density(people))


@pytest.mark.parametrize(
    ("change", "words"),
    [({"dp_sgd_fraction": 1.0}, "model.dp_sgd_fraction"), ({"hidden": 0}, "hidden")],
)
def test_what_cannot_be_is_refused(people, change, words):
    with pytest.raises(ConfigError, match=words):
        SMALL.replace(**change).plan(people.domain, BUDGET)


def test_a_condition_that_cannot_be_met_says_so():
    model = fitted(SMALL, xor(500, 0), INFINITE)
    last = model.flow.order[-1]
    name = model.domain.names[last]
    with torch.no_grad():
        model.flow.network.last.bias[-2:] = torch.tensor([60.0, -60.0])
    with pytest.raises(ConfigError, match="met the conditions"):
        model.sample(5, seed=0, where={name: "1"})
