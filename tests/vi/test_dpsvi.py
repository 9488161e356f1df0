"""Inference for a user's own model: exact without noise, within its sensitivity with it."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from dpsynth.errors import BudgetError, ConfigError
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.dpsgd.fused import rows_interact
from dpsynth.privacy.dpsgd.gradients import clipped_gradients
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.privacy.replay import audit
from dpsynth.training import Checkpoint
from dpsynth.vi import DPSVI, Posterior
from dpsynth.vi.guide import FullRank, MeanField
from dpsynth.vi.posterior import RowLikelihood

RELATIONS = ("add_remove", "replace_one")
SLOPE = torch.tensor([1.0, -0.5, 0.0], dtype=torch.float64)


def log_likelihood(p, x, y):
    logit = x @ p["slope"] + p["level"]
    return y * logit - torch.nn.functional.softplus(logit)


def log_prior(p):
    return -0.5 * (p["slope"].square().sum() + p["level"].square()) / 4


def logistic(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=draw, dtype=torch.float64).clamp(-2, 2)
    chance = torch.sigmoid(x @ SLOPE + 0.3)
    return x, (torch.rand(n, generator=draw, dtype=torch.float64) < chance).double()


def recipe(**changes) -> DPSVI:
    settings = {"steps": 300, "batch_size": 400, "clipping_norm": 2.0, "learning_rate": 0.05}
    return DPSVI(log_likelihood, log_prior, {"slope": (3,), "level": ()}, **{**settings, **changes})


def fitted(epsilon: float, seeds: int = 1, n: int = 4000, **changes) -> list[Posterior]:
    vi = recipe(**changes)
    budget = Budget(epsilon, 1e-6)
    plan = vi.plan(n, budget)
    return [vi.fit(logistic(n), plan, RandomGenerators(seed, "seeded")) for seed in range(seeds)]


def laplace(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Mode and marginal standard deviations (inverse diagonal of the precision) of the posterior, in double
    precision."""
    x, y = (each.numpy() for each in logistic(n))
    x = np.column_stack([x, np.ones(n)])

    def loss(b):
        logit = x @ b
        return np.logaddexp(0, logit).sum() - y @ logit + b @ b / 8

    mode = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    p = 1 / (1 + np.exp(-x @ mode))
    precision = (x * (p * (1 - p))[:, None]).T @ x + np.eye(4) / 4
    return mode, 1 / np.sqrt(np.diag(precision))


def test_without_noise_the_posterior_is_the_exact_one():
    [posterior] = fitted(math.inf, steps=600, batch_size=2000)
    mode, scale = laplace(4000)
    found = np.append(posterior.mean["slope"], posterior.mean["level"])
    spread = np.append(posterior.scale["slope"], posterior.scale["level"])
    assert np.abs(found - mode).max() < 0.4 * scale.min()
    np.testing.assert_allclose(spread, scale, rtol=0.25)
    assert posterior.diagnostics()["settled"]
    assert posterior.statement["guarantee"].startswith("not private")


def test_a_path_that_still_travels_is_not_settled():
    """The slope is 1, and steps of 0.002 come nowhere near it."""
    [posterior] = fitted(math.inf, steps=100, learning_rate=0.002)
    assert posterior.mean["slope"][0] < 0.3
    assert posterior.diagnostics()["settled"] is False


def path(steps: torch.Tensor) -> Posterior:
    """One whose trace, of one unknown of four coordinates, is made of `steps`, (100, 4)."""
    trace = torch.stack([steps.cumsum(0), torch.zeros_like(steps)], dim=1)
    return Posterior({"x": (4,)}, trace, 100)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_noise_of_any_size_and_memory_is_no_travel(size):
    """Known truths: white noise and a walk without direction are settled, a steady walk under the same noise is not."""
    for seed in range(10):
        noise = torch.randn(100, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        white = noise.diff(dim=0, prepend=torch.zeros(1, 4))
        assert path(size * white).diagnostics()["settled"]
        assert path(size * noise).diagnostics()["drift"]["x"] < 2
        assert path(size * (noise + 1.0)).diagnostics()["settled"] is False
    assert path(torch.zeros(100, 4)).diagnostics()["settled"]
    assert Posterior({"x": (4,)}, torch.zeros(100, 2, 4), 9).diagnostics()["settled"] is None


def test_noise_shrinks_as_epsilon_grows_and_the_draws_know_it():
    mode, scale = laplace(4000)
    errors, honest = [], []
    for epsilon in (0.1, 20.0):
        found = fitted(epsilon, seeds=3, steps=100)
        means = np.array([np.append(p.mean["slope"], p.mean["level"]) for p in found])
        errors.append(float(np.sqrt(np.mean((means - mode) ** 2))))
        draws = found[0].sample(500, seed=1)
        honest.append(float(torch.cat([draws["slope"], draws["level"][:, None]], 1).std(0).mean()))
    assert errors[0] > 3 * errors[1]
    assert errors[1] < 2 * scale.mean()
    assert honest[0] > 1.5 * honest[1]
    assert honest[0] > errors[0] / 3


def test_aligned_gradients_are_those_of_the_bound():
    """Of E over one draw, by autograd through the reparametrisation, for a log joint with known gradient."""
    guide = MeanField(torch.tensor([0.3, -1.0], dtype=torch.float64), torch.tensor([0.5, 2.0]))
    phi, noise = guide.draw(torch.Generator().manual_seed(0))

    def log_joint(z):
        return -(z**4).sum() + z.prod()

    h = torch.func.grad(log_joint)(phi)
    guide.align(h, noise)
    bound = log_joint(guide.mean + guide.log_scale.exp() * noise) + guide.log_scale.sum()
    expected = torch.autograd.grad(-bound, [guide.mean, guide.log_scale])
    torch.testing.assert_close(guide.mean.grad, expected[0])
    torch.testing.assert_close(guide.log_scale.grad, expected[1])


def test_gradients_of_a_full_rank_guide_are_those_of_the_bound():
    guide = FullRank(torch.tensor([0.3, -1.0, 0.5], dtype=torch.float64), torch.tensor([0.5, 2.0, 1.0]))
    with torch.no_grad():
        guide.lower.copy_(torch.tensor([[9.0, 9.0, 9.0], [0.4, 9.0, 9.0], [-0.3, 0.2, 9.0]]))
    phi, noise = guide.draw(torch.Generator().manual_seed(0))

    def log_joint(z):
        return -(z**4).sum() + z.prod()

    guide.align(torch.func.grad(log_joint)(phi), noise)
    factor = torch.diag(guide.log_scale.exp()) + guide.lower.tril(-1)
    torch.testing.assert_close(phi, guide.mean + factor @ noise)
    bound = log_joint(guide.mean + factor @ noise) + torch.linalg.slogdet(factor).logabsdet
    names = ("mean", "log_scale", "lower")
    expected = torch.autograd.grad(-bound, [getattr(guide, name) for name in names])
    for name, wanted in zip(names, expected, strict=True):
        torch.testing.assert_close(getattr(guide, name).grad, wanted)


def normal(**changes) -> tuple[DPSVI, torch.Tensor, np.ndarray]:
    """A linear model of two inputs that go together, with known noise: its posterior is normal, and known."""
    draw = torch.Generator().manual_seed(3)
    first = torch.randn(400, generator=draw, dtype=torch.float64)
    x = torch.stack([first, 0.8 * first + 0.6 * torch.randn(400, generator=draw, dtype=torch.float64)], 1)
    y = x @ torch.tensor([1.0, -1.0], dtype=torch.float64) + torch.randn(400, generator=draw, dtype=torch.float64)
    settings = {"steps": 800, "batch_size": 400, "learning_rate": 0.03, "clipping_norm": 1e6, "tail": 0.5}
    vi = DPSVI(
        lambda p, a, b: -0.5 * (b - a @ p["slope"]).square(),
        lambda p: -0.5 * p["slope"].square().sum(),
        {"slope": (2,)},
        **{**settings, **changes},
    )
    return vi, (x, y), np.linalg.inv((x.T @ x).numpy() + np.eye(2))


def test_a_full_rank_guide_knows_how_unknowns_go_together():
    vi, data, exact = normal(guide="full_rank")
    full = vi.fit(data, vi.plan(400, Budget(math.inf, 1e-6)))
    np.testing.assert_allclose(full.covariance, exact, rtol=0.25)
    draws = full.sample(20_000, seed=0, noise_aware=False)["slope"]
    np.testing.assert_allclose(np.cov(draws.T.numpy()), full.covariance, rtol=0.1)
    np.testing.assert_allclose(full.scale["slope"], full.covariance.diag().sqrt())
    vi, data, _ = normal()
    apart = vi.fit(data, vi.plan(400, Budget(math.inf, 1e-6)))
    assert apart.lower is None
    assert float(apart.covariance[0, 1]) == 0
    # Independent normals that fit best are narrower: the conditional spread, not the marginal one.
    assert apart.scale["slope"][0] < 0.8 * full.scale["slope"][0]


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_every_optimizer_finds_the_mean(optimizer):
    rate = {"adam": 0.05, "sgd": 2e-4, "rmsprop": 0.01}[optimizer]
    vi, data, exact = normal(optimizer=optimizer, learning_rate=rate, steps=300)
    posterior = vi.fit(data, vi.plan(400, Budget(math.inf, 1e-6)))
    mean = exact @ (data[0].T @ data[1]).numpy()
    np.testing.assert_allclose(posterior.mean["slope"], mean, atol=0.06)


@pytest.mark.parametrize("changes", [{"guide": "full_rank"}, {"optimizer": "sgd"}, {"optimizer": "rmsprop"}])
def test_neither_guide_nor_optimizer_changes_what_is_released(changes):
    budget = Budget(1.0, 1e-6)
    assert recipe(**changes).plan(4000, budget).charges == recipe().plan(4000, budget).charges


@pytest.mark.parametrize("mode", ["functorch", "loop"])
def test_rows_cannot_see_each_other_and_the_clip_holds(mode):
    x, y = logistic(20)
    phi = torch.full((4,), 0.2, dtype=torch.float64)
    likelihood = RowLikelihood(log_likelihood, {"slope": (3,), "level": ()}, phi)
    assert not rows_interact(likelihood, x, y)
    engine = clipped_gradients(mode, likelihood, 0.1)
    whole = engine.clipped_vector(x, y)
    parts = [engine.clipped_vector(x[i : i + 1], y[i : i + 1]) for i in range(20)]
    torch.testing.assert_close(whole, torch.stack(parts).sum(0))
    assert max(float(part.norm()) for part in parts) <= 0.1


def test_a_joint_of_rows_is_taken_too():
    """Without a log prior each row carries its fraction of it."""

    def fraction(p, x, y):
        return log_likelihood(p, x, y) + log_prior(p) / 4000

    vi = recipe(steps=100, batch_size=4000)
    joint = DPSVI(fraction, None, vi.shapes, steps=100, batch_size=4000, clipping_norm=2.0, learning_rate=0.05)
    budget = Budget(math.inf, 1e-6)
    one, other = (v.fit(logistic(4000), v.plan(4000, budget), RandomGenerators(0)) for v in (vi, joint))
    torch.testing.assert_close(one.mean["slope"], other.mean["slope"], rtol=0, atol=1e-8)


@pytest.fixture(scope="module")
def plans():
    """Of six steps on 21 rows, by relation."""
    return {each: recipe(steps=6, batch_size=12).plan(21, Budget(1.0, 1e-5, each)) for each in RELATIONS}


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_replay_on_neighbours(neighbours, plans):
    x, y = logistic(30)
    x[20] *= 1e6
    y[20] = math.nan
    vi = recipe(steps=6, batch_size=12)
    other = (x[:20], y[:20])
    if neighbours == "replace_one":
        other = (torch.cat([x[:20], x[25:26]]), torch.cat([y[:20], y[25:26]]))

    def publish(data, randomness):
        posterior = vi.fit(data, plans[neighbours], randomness)
        return posterior.trace, posterior.sample(3, seed=0)["slope"]

    report = audit(publish, (x[:21], y[:21]), other)
    assert len(report.releases) == 6
    audit(publish, other, (x[:21], y[:21]))


def test_an_empty_table_is_a_run_of_noise(plans):
    vi = recipe(steps=6, batch_size=12)
    posterior = vi.fit((torch.zeros(0, 3), torch.zeros(0)), plans["add_remove"], RandomGenerators(0, "seeded"))
    assert torch.isfinite(posterior.trace).all()


def test_resumed_is_uninterrupted_and_saved_is_loaded(plans, tmp_path):
    vi, data = recipe(steps=6, batch_size=12), logistic(21)
    first = vi.fit(data, plans["add_remove"], checkpoint=Checkpoint(tmp_path / "c"))
    again = vi.fit(data, plans["add_remove"], checkpoint=Checkpoint(tmp_path / "c"))
    torch.testing.assert_close(first.trace, again.trace, rtol=0, atol=0)
    assert first.statement["private"]
    first.save(tmp_path / "posterior.safetensors")
    loaded = Posterior.load(tmp_path / "posterior.safetensors")
    assert loaded.statement == first.statement
    torch.testing.assert_close(loaded.sample(4, seed=2)["slope"], first.sample(4, seed=2)["slope"])


def test_a_full_rank_posterior_is_resumed_saved_and_loaded(tmp_path):
    vi, data = recipe(steps=6, batch_size=12, guide="full_rank"), logistic(21)
    plan = vi.plan(21, Budget(1.0, 1e-6))
    first = vi.fit(data, plan, checkpoint=Checkpoint(tmp_path / "c"))
    again = vi.fit(data, plan, checkpoint=Checkpoint(tmp_path / "c"))
    torch.testing.assert_close(first.lower, again.lower, rtol=0, atol=0)
    assert first.statement["private"]
    assert first.lower.tril(-1).count_nonzero() == first.lower.count_nonzero() > 0
    first.save(tmp_path / "posterior.safetensors")
    loaded = Posterior.load(tmp_path / "posterior.safetensors")
    torch.testing.assert_close(loaded.sample(4, seed=2)["slope"], first.sample(4, seed=2)["slope"])


def test_what_cannot_be_is_refused(plans):
    with pytest.raises(ConfigError, match="shapes"):
        DPSVI(log_likelihood, None, {})
    with pytest.raises(ConfigError, match="no unknown"):
        recipe(start={"slop": 1.0})
    with pytest.raises(ConfigError, match="tail"):
        recipe(tail=0.0)
    with pytest.raises(ConfigError, match="mean_field or full_rank"):
        recipe(guide="flow")
    with pytest.raises(ConfigError, match="adam or sgd or rmsprop"):
        recipe(optimizer="lbfgs")
    with pytest.raises(ConfigError, match="choose mean_field above 2,000"):
        DPSVI(log_likelihood, None, {"x": (50, 50)}, guide="full_rank")
    with pytest.raises(BudgetError, match="21 rows"):
        recipe(steps=6, batch_size=12).fit(logistic(20), plans["replace_one"])
