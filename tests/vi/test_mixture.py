"""Mixtures of encoded columns: tables that are distributions, gradients equal to torch.func's, exact conditions."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.privacy.dpsgd.fused import rows_interact
from dpsynth.privacy.dpsgd.gradients import clipped_gradients
from dpsynth.vi.column_distributions import CodeDistribution, Free, Normal, Poisson, Tilted, TruncatedNormal, smoothed
from dpsynth.vi.mixture import Mixture, MixtureGradients, MixtureLikelihood

EDGES = torch.tensor([-1.0, -0.6, -0.3, 0.1, 0.5, 1.0], dtype=torch.float64)
DISTRIBUTIONS = {
    "free": Free(smoothed([3, 1, 2, 9, 4], 0.1)),
    "tilted": Tilted.of(smoothed([3, 1, 2, 9, 4], 0.1), (EDGES[1:] + EDGES[:-1]) / 2, 1.0),
    "normal": Normal(EDGES),
    "truncated": TruncatedNormal(EDGES),
    "poisson": Poisson(torch.tensor([0.0, 1.0, 3.0, 7.0, 20.0], dtype=torch.float64), 5.0),
}


def states(*base: float) -> Free:
    return Free(smoothed(base, 0.1))


def mixture(apart: bool = False) -> Mixture:
    """Every kind of distribution; point masses, missing values, and one column of values alone."""
    return Mixture(
        3,
        [
            CodeDistribution(DISTRIBUTIONS["free"], states(5, 1), False),
            CodeDistribution(DISTRIBUTIONS["normal"], states(5, 2, 1) if not apart else states(5, 2), apart),
            CodeDistribution(DISTRIBUTIONS["poisson"], None),
            CodeDistribution(DISTRIBUTIONS["tilted"], None, apart),
            CodeDistribution(DISTRIBUTIONS["truncated"], states(4, 4)),
        ],
    )


def some_phi(distribution: Mixture, seed: int = 0, size: float = 1.0) -> torch.Tensor:
    noise = torch.randn(distribution.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return distribution.start + size * noise


def some_codes(distribution: Mixture, rows: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(size, (rows,), generator=draw) for size in distribution.sizes], 1)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([0.1, 1.0, 4.0]))
@settings(max_examples=15, deadline=None)
def test_a_value_distribution_sums_to_one_and_its_scores_are_derivatives(name, seed, size):
    distribution = DISTRIBUTIONS[name]
    parameters = distribution.start + size * torch.randn(
        distribution.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    log_p = distribution.log_probabilities(parameters)
    torch.testing.assert_close(log_p.exp().sum(), torch.ones((), dtype=torch.float64))
    expected = torch.func.jacrev(distribution.log_probabilities)(parameters)
    torch.testing.assert_close(distribution.scores(parameters, log_p), expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(
        distribution.score_norms(parameters, log_p), expected.square().sum(-1), rtol=1e-6, atol=1e-8
    )
    weights = torch.arange(1.0, 6.0, dtype=torch.float64)
    torch.testing.assert_close(distribution.pull(parameters, log_p, weights), weights @ expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(
        distribution.information(parameters, log_p), log_p.exp() @ expected.square(), rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("apart", [False, True])
def test_the_density_of_all_rows_sums_to_one(apart):
    distribution = mixture(apart)
    every = torch.tensor(list(itertools.product(*map(range, distribution.sizes))))
    for seed in range(3):
        total = distribution.log_density(some_phi(distribution, seed), every).exp().sum()
        torch.testing.assert_close(total, torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("clip", [0.5, 3.0, float("inf")])
def test_closed_form_gradients_are_those_of_torch(apart, clip):
    distribution = mixture(apart)
    module = MixtureLikelihood(distribution, some_phi(distribution))
    codes = some_codes(distribution, 25)
    reference = clipped_gradients("functorch", module, clip)
    for microbatch in (None, 7):
        engine = MixtureGradients(module, clip, microbatch)
        torch.testing.assert_close(engine.clipped_vector(codes), reference.clipped_vector(codes))
        torch.testing.assert_close(engine.norms, reference.norms)
    mask = torch.arange(25) % 3
    torch.testing.assert_close(engine.clipped_vector(codes, mask=mask), reference.clipped_vector(codes, mask=mask))
    assert not rows_interact(module, codes[:5])


@given(seed=st.integers(0, 10_000), size=st.sampled_from([0.3, 3.0, 30.0]))
@settings(max_examples=25, deadline=None)
def test_one_row_moves_the_sum_by_at_most_the_clip(seed, size):
    distribution = mixture()
    engine = MixtureGradients(MixtureLikelihood(distribution, some_phi(distribution, seed, size)), 0.7)
    codes = some_codes(distribution, 9, seed)
    moved = engine.clipped_vector(codes) - engine.clipped_vector(codes[:-1])
    assert float(moved.norm()) <= 0.7 * (1 + 1e-9)
    assert torch.isfinite(moved).all()
    assert not engine.clipped_vector(codes[:0]).any()


@pytest.mark.parametrize("apart", [False, True])
def test_information_is_the_expected_curvature_of_one_component(apart):
    """With one component nothing is hidden, so it is the expected squared gradient over rows of the distribution."""
    distributions = mixture(apart).distributions[:3]
    distribution = Mixture(1, distributions)
    phi = some_phi(distribution, 2)
    every = torch.tensor(list(itertools.product(*map(range, distribution.sizes))))
    gradients = torch.func.vmap(torch.func.grad(lambda p, row: distribution.log_density(p, row[None])[0]), (None, 0))(
        phi, every
    )
    chance = distribution.log_density(phi, every).exp()
    torch.testing.assert_close(distribution.information(phi), chance @ gradients.square(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("apart", [False, True])
def test_conditions_are_those_of_brute_force(apart):
    distribution = mixture(apart)
    phi = some_phi(distribution, 4, 0.8)
    fixed = {0: 5, 1: 3, 4: 0}
    every = torch.tensor(list(itertools.product(*map(range, distribution.sizes))))
    chance = distribution.log_density(phi, every).exp().numpy()
    meets = np.all([every[:, j] == code for j, code in fixed.items()], axis=0)
    drawn = distribution.sample(phi[None], [20_000], torch.Generator().manual_seed(0), fixed).numpy()
    for j in (2, 3):
        expected = np.bincount(every[meets, j], chance[meets], distribution.sizes[j]) / chance[meets].sum()
        found = np.bincount(drawn[:, j], minlength=distribution.sizes[j]) / len(drawn)
        np.testing.assert_allclose(found, expected, atol=0.015)
    joint = np.zeros((distribution.sizes[2], distribution.sizes[3]))
    np.add.at(joint, (every[meets, 2], every[meets, 3]), chance[meets] / chance[meets].sum())
    seen = np.zeros_like(joint)
    np.add.at(seen, (drawn[:, 2], drawn[:, 3]), 1 / len(drawn))
    assert np.abs(joint - seen).sum() / 2 < 0.03


def test_each_draw_makes_its_own_rows():
    distribution = mixture()
    sharp = torch.stack([some_phi(distribution, 5), some_phi(distribution, 6)])
    rows = distribution.sample(sharp, [2, 0], torch.Generator().manual_seed(0))
    assert rows.shape == (2, 5)
    both = distribution.sample(sharp, [4000, 6000], torch.Generator().manual_seed(0)).numpy()
    for phi, part in zip(sharp, (both[:4000], both[4000:]), strict=True):
        expected = (distribution.log_weights(phi).exp()[:, None] * distribution.tables(phi)[0].exp()).sum(0).numpy()
        np.testing.assert_allclose(np.bincount(part[:, 0], minlength=6) / len(part), expected, atol=0.03)
