"""The votes of a row have norm one, whatever the candidates; distances are exact; the noise is what was planned."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import BudgetError
from dpsynth.privacy import Budget, Ledger, Plan, RandomGenerators, calibrate
from dpsynth.privacy.accounting.budget import count_sensitivity
from dpsynth.privacy.mechanisms import nearest_votes as module
from dpsynth.privacy.mechanisms.nearest_votes import NearestVotes, Points, grid_steps, votes


def points(seed: int, n: int, d: int, groups: int, duplicates: bool = False) -> Points:
    draw = np.random.default_rng(seed)
    values = draw.uniform(-1.2, 1.2, (n, d)).astype(np.float32)
    if duplicates and n > 2:
        values[n // 2 :] = values[: n - n // 2]
    return Points(values, draw.integers(0, groups, n))


def naive(rows: Points, candidates: Points, nearest: int) -> np.ndarray:
    """The definition: every distance in whole numbers, one row after the other."""
    steps = grid_steps(candidates.values.shape[1])
    one, two = (
        np.rint(np.clip(side.values, -1, 1).astype(np.float32) * np.float32(steps)).astype(np.int64)
        for side in (rows, candidates)
    )
    found = np.zeros(len(two))
    for row, group in zip(one, rows.groups, strict=True):
        members = np.flatnonzero(candidates.groups == group)
        distances = ((two[members] - row) ** 2).sum(axis=1)
        for place in members[np.argsort(distances, kind="stable")[:nearest]]:
            found[place] += 1 / math.sqrt(nearest)
    return found


def mechanism_of(neighbours, noise, iterations=1, nearest=1):
    return NearestVotes(
        name="votes", neighbours=neighbours, noise_multiplier=noise, releases=iterations, nearest=nearest
    )


CASES = {
    "seed": st.integers(0, 2**32 - 1),
    "n": st.integers(0, 30),
    "m": st.integers(1, 20),
    "d": st.integers(1, 9),
    "groups": st.integers(1, 4),
    "nearest": st.integers(1, 5),
    "duplicates": st.booleans(),
}


@given(**CASES)
@settings(max_examples=60, deadline=None)
def test_votes_are_the_definition(seed, n, m, d, groups, nearest, duplicates):
    rows, candidates = points(seed, n, d, groups), points(seed + 1, m, d, groups, duplicates)
    np.testing.assert_allclose(votes(rows, candidates, nearest), naive(rows, candidates, nearest), rtol=1e-12)


@given(**CASES)
@settings(max_examples=60, deadline=None)
def test_sensitivity_is_one_for_a_row_more_and_root_two_for_a_row_replaced(seed, n, m, d, groups, nearest, duplicates):
    """Over generated neighbours, for every k and any groups; a replaced row may change its group."""
    rows, candidates = points(seed, n + 1, d, groups), points(seed + 1, m, d, groups, duplicates)
    fewer = Points(rows.values[:-1], rows.groups[:-1])
    other = points(seed + 2, 1, d, groups)
    replaced = Points(np.vstack([fewer.values, other.values]), np.concatenate([fewer.groups, other.groups]))
    whole, less, exchanged = (votes(each, candidates, nearest) for each in (rows, fewer, replaced))
    assert np.linalg.norm(whole - less) <= 1 + 1e-12
    assert np.linalg.norm(whole - exchanged) <= math.sqrt(2) + 1e-12


def test_the_bounds_are_reached():
    """Two far candidates in two groups: nothing smaller than 1 and sqrt(2) would do."""
    candidates = Points(np.array([[-1.0], [1.0]]), np.array([0, 1]))
    one, other = Points(np.zeros((1, 1)), np.array([0])), Points(np.zeros((1, 1)), np.array([1]))
    none = Points(np.zeros((0, 1)), np.zeros(0, dtype=np.int64))
    assert np.linalg.norm(votes(one, candidates) - votes(none, candidates)) == 1
    assert np.linalg.norm(votes(one, candidates) - votes(other, candidates)) == math.sqrt(2)


def test_chunks_change_nothing(monkeypatch):
    rows, candidates = points(0, 300, 40, 2), points(1, 50, 40, 2, duplicates=True)
    whole = votes(rows, candidates, 3)
    for at_once in (1, 53, 1024):
        monkeypatch.setattr(module, "_SCORES_AT_ONCE", at_once)
        np.testing.assert_array_equal(votes(rows, candidates, 3), whole)


@pytest.mark.parametrize("d", [1, 64, 65, 196, 784, 2048, 100_000])
def test_scores_are_whole_numbers_that_float32_holds(d):
    """Worst case: all coordinates at their bounds; halves and products together stay exact."""
    steps = grid_steps(d)
    assert steps >= 1
    assert d * steps**2 <= 2**22
    assert 3 * d * steps**2 < 2**24  # |s|^2 / 2 + |x.s| in halves
    ends = torch.full((1, d), float(steps))
    assert float(ends @ ends.T) == d * steps**2


def test_a_row_votes_alike_in_any_company():
    """Bit by bit: the vote of a row does not depend on the rows around it, nor on its place."""
    rows, candidates = points(2, 257, 33, 1), points(3, 40, 33, 1, duplicates=True)
    alone = sum(votes(Points(rows.values[i : i + 1], rows.groups[i : i + 1]), candidates) for i in range(257))
    np.testing.assert_array_equal(votes(rows, candidates), alone)


def test_rows_that_are_no_numbers_vote_too():
    candidates = points(4, 5, 3, 1)
    rows = Points(np.array([[np.nan, np.inf, -np.inf]]), np.zeros(1, dtype=np.int64))
    assert votes(rows, candidates).sum() == 1


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
@pytest.mark.parametrize("iterations", [1, 4, 29])
def test_t_iterations_cost_exactly_what_one_gaussian_of_root_t_less_noise_costs(neighbours, iterations):
    budget = Budget(1.0, 1e-5, neighbours)
    noise = calibrate(lambda z: [mechanism_of(neighbours, z, iterations)], budget)
    assert noise == pytest.approx(3.7306 * math.sqrt(iterations), rel=1e-3)
    mechanism = mechanism_of(neighbours, noise, iterations)
    plan = Plan(budget, (mechanism,))
    assert plan.proven.accountant == "analytic Gaussian"
    ledger = Ledger(plan, RandomGenerators(0, "seeded"))
    rows, candidates = points(5, 20, 2, 1), points(6, 4, 2, 1)
    for step in range(iterations):
        assert not ledger.finished
        assert mechanism.measure(rows, candidates, ledger, step).shape == (4,)
    assert ledger.finished
    with pytest.raises(BudgetError, match="more than was planned"):
        mechanism.measure(rows, candidates, ledger, iterations)


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_the_noise_has_the_stated_size(neighbours):
    budget = Budget(1.0, 1e-5, neighbours)
    mechanism = mechanism_of(neighbours, 4.0)
    ledger = Ledger(Plan(budget, (mechanism,)), RandomGenerators(1, "seeded"))
    rows, candidates = points(7, 0, 2, 1), points(8, 4000, 2, 1)
    noisy = mechanism.measure(rows, candidates, ledger, 0)
    assert mechanism.deviation == pytest.approx(4.0 * count_sensitivity(neighbours))
    assert noisy.std() == pytest.approx(mechanism.deviation, rel=0.05)


@pytest.mark.parametrize("nearest", [0, -1])
def test_a_row_votes_for_somebody(nearest):
    with pytest.raises(BudgetError, match="nearest"):
        mechanism_of("add_remove", 1.0, nearest=nearest)
