"""Votes: every compression within its bound, one teacher moves the sum within the stated sensitivity, exact costs."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dpsynth.errors import BudgetError, ConfigError
from dpsynth.privacy.accounting.accounting import prove
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.mechanisms.votes import REFUSED, Votes, cosine_basis, rdp_2017
from dpsynth.privacy.noise.random import RandomGenerators

COMPRESSIONS = ("topk_sign", "topk_stochastic", "klevel", "clip", "project")
GRADIENTS = arrays.arrays(
    np.float32,
    st.tuples(st.just(2), st.integers(1, 3), st.integers(1, 6)),
    elements=st.one_of(st.floats(width=32, allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 1.0, -1.0])),
)


def rule(compress: str, queries: int, width: int, **fields) -> Votes:
    fields = {"noise_multiplier": 5.0, "neighbours": "add_remove", **fields}
    return Votes(name="votes", teachers=10, queries=queries, width=width, compress=compress, **fields)


@pytest.mark.parametrize("compress", COMPRESSIONS)
@given(
    gradients=GRADIENTS,
    k=st.integers(1, 8),
    levels=st.sampled_from([2, 4, 10]),
    bound=st.floats(1e-6, 1e6),
    seed=st.integers(0, 2**40),
)
@settings(max_examples=60, deadline=None)
def test_a_changed_teacher_moves_the_sum_within_the_sensitivity(compress, gradients, k, levels, bound, seed):
    """Whatever the two histories of the one teacher, not-a-number and infinity included."""
    votes = rule(compress, *gradients.shape[1:], k=k, levels=levels, bound=bound)
    before, after = votes.vote(torch.from_numpy(gradients), torch.Generator().manual_seed(seed)).double()
    assert bool(torch.isfinite(before).all())
    for vote in (before, after):
        assert vote.norm() <= votes.largest * (1 + 1e-12)
    assert (before - after).norm() <= votes.sensitivity * (1 + 1e-12)


@pytest.mark.parametrize(("k", "width", "queries"), [(1, 1, 1), (1, 3, 1), (2, 3, 1), (3, 3, 1), (1, 2, 2), (2, 2, 2)])
def test_all_pairs_of_sign_votes_keep_the_sensitivity_and_some_pair_needs_it(k, width, queries):
    votes = rule("topk_sign", queries, width, k=k)
    values = torch.tensor(list(itertools.product((-2.0, -1.0, 0.0, 1.0, 2.0), repeat=width * queries)))
    cast = votes.vote(values.view(-1, queries, width)).flatten(1).unique(dim=0)
    assert bool(torch.isin(cast, torch.tensor([-1.0, 0.0, 1.0])).all())
    farthest = torch.cdist(cast, cast).max()
    assert farthest == pytest.approx(votes.sensitivity)
    assert votes.sensitivity == pytest.approx(2 * math.sqrt(k * queries))


@pytest.mark.parametrize("compress", ["clip", "klevel"])
def test_the_sensitivity_of_the_others_is_reached_too(compress):
    votes = rule(compress, 2, 3, levels=4, bound=0.5)
    one = torch.ones(1, 2, 3)
    cast = votes.vote(torch.cat([one, -one]), torch.Generator().manual_seed(0))
    assert float((cast[0] - cast[1]).norm()) == pytest.approx(votes.sensitivity, rel=1e-6)


def test_random_votes_are_unbiased_between_their_bounds():
    gradient = torch.tensor([[[0.8, -0.2, 0.05]]]).expand(40_000, 1, 3)
    generator = torch.Generator().manual_seed(1)
    signs = rule("topk_stochastic", 1, 3, k=2, bound=1.0).vote(gradient, generator).mean(0)[0]
    torch.testing.assert_close(signs, torch.tensor([1.0, -0.25, 0.0]), atol=0.02, rtol=0)
    levels = rule("klevel", 1, 3, levels=4, bound=1.0).vote(gradient, generator).mean(0)[0]
    torch.testing.assert_close(levels, torch.tensor([2.0, -0.5, 0.125]), atol=0.02, rtol=0)


def test_no_teachers_coins_depend_on_anothers_gradient():
    gradients = torch.randn(5, 2, 4, generator=torch.Generator().manual_seed(0))
    other = gradients.clone()
    other[2] = -3 * other[2].flip(-1)
    for compress in COMPRESSIONS:
        votes = rule(compress, 2, 4, k=3)
        one, two = (votes.vote(x, torch.Generator().manual_seed(4)) for x in (gradients, other))
        kept = [0, 1, 3, 4]
        assert one[kept].equal(two[kept])


def test_a_zero_gradient_is_no_vote():
    for compress in COMPRESSIONS:
        cast = rule(compress, 2, 4, k=3).vote(torch.zeros(3, 2, 4), torch.Generator().manual_seed(0))
        assert not cast.any()


def test_aggregates_follow_their_definitions():
    noisy = torch.tensor([[-9.0, -3.0, 0.0, 3.0, 9.0]])
    assert rule("topk_sign", 1, 5, threshold=0.5).aggregated(noisy).tolist() == [[-1, 0, 0, 0, 1]]
    assert rule("topk_sign", 1, 5, aggregate="clip", threshold=0.5).aggregated(noisy).tolist() == [[-5, -3, 0, 3, 5]]
    assert rule("topk_sign", 1, 5, aggregate="linear").aggregated(noisy).equal(noisy)


def test_a_release_has_the_stated_noise_and_happens_once():
    votes = rule("clip", 40, 50, bound=0.5, noise_multiplier=3.0, releases=3)
    ledger = Ledger(Plan(Budget(9.0, 1e-5), (votes,)), RandomGenerators(0, "seeded"))
    noisy = votes.measure(2, torch.zeros(40, 50, dtype=torch.float64), ledger)
    assert float(noisy.std()) == pytest.approx(3.0 * 2 * 0.5, rel=5 / math.sqrt(2 * noisy.numel()))
    with pytest.raises(BudgetError, match="made already"):
        votes.measure(2, torch.zeros(40, 50, dtype=torch.float64), ledger)


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_the_shards_are_those_that_the_sensitivity_rests_on(neighbours):
    votes = rule("clip", 1, 2, neighbours=neighbours)
    assert votes.sharding.teachers == votes.teachers
    assert votes.sharding.neighbours == neighbours
    assert votes.sensitivity == 2 * votes.bound  # under either relation


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 10.0])
def test_sigma_of_epsilon_is_the_inverse_of_an_independent_accountant(epsilon):
    def votes(noise):
        return rule("topk_sign", 15, 784, k=200, releases=86, noise_multiplier=noise)

    budget = Budget(epsilon, 1e-5)
    noise = calibrate(lambda z: [votes(z)], budget)
    accountant = PLDAccountant(value_discretization_interval=1e-3 if epsilon > 5 else 1e-4)
    accountant.compose(votes(noise).event)
    assert accountant.get_epsilon(1e-5) == pytest.approx(epsilon, rel=0.02)
    mu = math.sqrt(86) / noise
    normal = torch.distributions.Normal(0.0, 1.0).cdf
    delta = float(
        normal(torch.tensor(-epsilon / mu + mu / 2).double())
        - math.exp(epsilon) * normal(torch.tensor(-epsilon / mu - mu / 2).double())
    )
    assert delta == pytest.approx(1e-5, rel=2e-2)
    assert delta <= 1e-5 * (1 + 1e-3)


def test_one_release_of_all_queries_costs_what_one_for_each_does():
    together = rule("topk_sign", 15, 784, k=200, releases=86)
    alone = rule("topk_sign", 1, 784, k=200, releases=86 * 15)
    budget, sigma = Budget(1.0, 1e-5), 5000.0
    same_noise = [replace(each, noise_multiplier=sigma / each.sensitivity) for each in (together, alone)]
    assert [each.deviation for each in same_noise] == pytest.approx([sigma, sigma])
    costs = [prove([each], budget).epsilon for each in same_noise]
    assert costs[0] == pytest.approx(costs[1], rel=1e-9)
    assert costs[0] == pytest.approx(0.74, abs=0.01)  # what the published setting is worth, exactly


@pytest.mark.parametrize(
    ("steps", "queries", "k", "sigma", "described"), [(86, 15, 200, 5000.0, 1.0), (40, 30, 700, 9000.0, 1.0)]
)
def test_the_published_accountant_gives_the_published_figure(steps, queries, k, sigma, described):
    assert rdp_2017(steps, queries, k, sigma, 1e-5) == pytest.approx(described, abs=0.01)


@pytest.mark.parametrize("name", REFUSED)
def test_unsound_variants_are_refused_with_the_reason(name):
    with pytest.raises(ConfigError, match="refused"):
        rule(name, 1, 4)


@pytest.mark.parametrize("fields", [{"levels": 3}, {"levels": 0}, {"bound": 0.0}, {"threshold": 2.0}, {"k": 0}])
def test_settings_outside_their_range_are_refused(fields):
    with pytest.raises(ConfigError):
        rule("clip", 1, 4, **fields)


@given(height=st.integers(2, 9), width=st.integers(2, 9), channels=st.sampled_from([1, 3]))
@settings(max_examples=25, deadline=None)
def test_cosines_are_orthonormal_and_begin_with_the_mean(height, width, channels):
    basis = cosine_basis(height, width, channels, min(height, width))
    torch.testing.assert_close(basis @ basis.T, torch.eye(len(basis)), atol=1e-5, rtol=0)
    flat = torch.ones(channels * height * width)
    mean = basis.T @ (basis @ flat)
    torch.testing.assert_close(mean, flat, atol=1e-4, rtol=0)
