"""Mixtures of coded columns: tables that are laws, gradients equal to torch.func's, exact conditions."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.privacy.gradients import clipped_gradients
from dpsynth.privacy.isolation import rows_interact
from dpsynth.vi.code_laws import CodeLaw
from dpsynth.vi.mixture import Mixture, MixtureLikelihood
from dpsynth.vi.mixture_gradients import MixtureGradients
from dpsynth.vi.value_laws import Free, Normal, Poisson, Tilted, TruncatedNormal, smoothed

EDGES = torch.tensor([-1.0, -0.6, -0.3, 0.1, 0.5, 1.0], dtype=torch.float64)
LAWS = {
    "free": Free(smoothed([3, 1, 2, 9, 4], 0.1)),
    "tilted": Tilted.of(smoothed([3, 1, 2, 9, 4], 0.1), (EDGES[1:] + EDGES[:-1]) / 2, 1.0),
    "normal": Normal(EDGES),
    "truncated": TruncatedNormal(EDGES),
    "poisson": Poisson(torch.tensor([0.0, 1.0, 3.0, 7.0, 20.0], dtype=torch.float64), 5.0),
}


def states(*base: float) -> Free:
    return Free(smoothed(base, 0.1))


def mixture(apart: bool = False) -> Mixture:
    """Every kind of law; spikes, missing values, and one column of values alone."""
    return Mixture(
        3,
        [
            CodeLaw(LAWS["free"], states(5, 1), False),
            CodeLaw(LAWS["normal"], states(5, 2, 1) if not apart else states(5, 2), apart),
            CodeLaw(LAWS["poisson"], None),
            CodeLaw(LAWS["tilted"], None, apart),
            CodeLaw(LAWS["truncated"], states(4, 4)),
        ],
    )


def some_phi(law: Mixture, seed: int = 0, size: float = 1.0) -> torch.Tensor:
    noise = torch.randn(law.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return law.start + size * noise


def some_codes(law: Mixture, rows: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(size, (rows,), generator=draw) for size in law.sizes], 1)


@pytest.mark.parametrize("name", LAWS)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([0.1, 1.0, 4.0]))
@settings(max_examples=15, deadline=None)
def test_a_value_law_sums_to_one_and_its_scores_are_derivatives(name, seed, size):
    law = LAWS[name]
    parameters = law.start + size * torch.randn(
        law.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    log_p = law.log_probabilities(parameters)
    torch.testing.assert_close(log_p.exp().sum(), torch.ones((), dtype=torch.float64))
    expected = torch.func.jacrev(law.log_probabilities)(parameters)
    torch.testing.assert_close(law.scores(parameters, log_p), expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(law.score_norms(parameters, log_p), expected.square().sum(-1), rtol=1e-6, atol=1e-8)
    weights = torch.arange(1.0, 6.0, dtype=torch.float64)
    torch.testing.assert_close(law.pull(parameters, log_p, weights), weights @ expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(
        law.information(parameters, log_p), log_p.exp() @ expected.square(), rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("apart", [False, True])
def test_the_density_of_all_rows_sums_to_one(apart):
    law = mixture(apart)
    every = torch.tensor(list(itertools.product(*map(range, law.sizes))))
    for seed in range(3):
        total = law.log_density(some_phi(law, seed), every).exp().sum()
        torch.testing.assert_close(total, torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("clip", [0.5, 3.0, float("inf")])
def test_closed_form_gradients_are_those_of_torch(apart, clip):
    law = mixture(apart)
    module = MixtureLikelihood(law, some_phi(law))
    codes = some_codes(law, 25)
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
    law = mixture()
    engine = MixtureGradients(MixtureLikelihood(law, some_phi(law, seed, size)), 0.7)
    codes = some_codes(law, 9, seed)
    moved = engine.clipped_vector(codes) - engine.clipped_vector(codes[:-1])
    assert float(moved.norm()) <= 0.7 * (1 + 1e-9)
    assert torch.isfinite(moved).all()
    assert not engine.clipped_vector(codes[:0]).any()


@pytest.mark.parametrize("apart", [False, True])
def test_information_is_the_expected_curvature_of_one_component(apart):
    """With one component nothing is hidden, so it is the expected squared gradient over rows of the law."""
    laws = mixture(apart).laws[:3]
    law = Mixture(1, laws)
    phi = some_phi(law, 2)
    every = torch.tensor(list(itertools.product(*map(range, law.sizes))))
    gradients = torch.func.vmap(torch.func.grad(lambda p, row: law.log_density(p, row[None])[0]), (None, 0))(phi, every)
    chance = law.log_density(phi, every).exp()
    torch.testing.assert_close(law.information(phi), chance @ gradients.square(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("apart", [False, True])
def test_conditions_are_those_of_brute_force(apart):
    law = mixture(apart)
    phi = some_phi(law, 4, 0.8)
    fixed = {0: 5, 1: 3, 4: 0}
    every = torch.tensor(list(itertools.product(*map(range, law.sizes))))
    chance = law.log_density(phi, every).exp().numpy()
    meets = np.all([every[:, j] == code for j, code in fixed.items()], axis=0)
    drawn = law.sample(phi[None], [20_000], torch.Generator().manual_seed(0), fixed).numpy()
    for j in (2, 3):
        expected = np.bincount(every[meets, j], chance[meets], law.sizes[j]) / chance[meets].sum()
        found = np.bincount(drawn[:, j], minlength=law.sizes[j]) / len(drawn)
        np.testing.assert_allclose(found, expected, atol=0.015)
    joint = np.zeros((law.sizes[2], law.sizes[3]))
    np.add.at(joint, (every[meets, 2], every[meets, 3]), chance[meets] / chance[meets].sum())
    seen = np.zeros_like(joint)
    np.add.at(seen, (drawn[:, 2], drawn[:, 3]), 1 / len(drawn))
    assert np.abs(joint - seen).sum() / 2 < 0.03


def test_each_draw_makes_its_own_rows():
    law = mixture()
    sharp = torch.stack([some_phi(law, 5), some_phi(law, 6)])
    rows = law.sample(sharp, [2, 0], torch.Generator().manual_seed(0))
    assert rows.shape == (2, 5)
    both = law.sample(sharp, [4000, 6000], torch.Generator().manual_seed(0)).numpy()
    for phi, part in zip(sharp, (both[:4000], both[4000:]), strict=True):
        expected = (law.log_weights(phi).exp()[:, None] * law.tables(phi)[0].exp()).sum(0).numpy()
        np.testing.assert_allclose(np.bincount(part[:, 0], minlength=6) / len(part), expected, atol=0.03)
