"""Selection from noisy votes: never a division by zero, and exactly as many parents as wanted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dpsynth.models.pe.generations import apportioned, evenly, parents, weights

VOTES = arrays.arrays(np.float64, st.integers(1, 30), elements=st.floats(-50, 50))


@given(noisy=VOTES, seed=st.integers(0, 99), threshold=st.floats(0, 60), groups=st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_weights_are_a_distribution_of_each_label(noisy, seed, threshold, groups):
    """Also when all votes are negative, or none exceeds the threshold."""
    labels = np.random.default_rng(seed).integers(0, groups, len(noisy))
    fractions = weights(noisy, labels, threshold)
    assert (fractions >= 0).all()
    for label in np.unique(labels):
        assert fractions[labels == label].sum() == pytest.approx(1)


@given(noisy=VOTES, seed=st.integers(0, 99), how=st.sampled_from(["sample", "rank"]), wanted=st.integers(0, 40))
@settings(max_examples=80, deadline=None)
def test_so_many_parents_as_wanted_and_of_their_label(noisy, seed, how, wanted):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, len(noisy))
    chosen = parents(noisy, labels, np.array([wanted, 2 * wanted]), how, 0.0, generator)
    for label, count in ((0, wanted), (1, 2 * wanted)):
        assert (labels[chosen] == label).sum() == (count if (labels == label).any() else 0)


def test_below_the_threshold_nobody_is_a_parent():
    noisy, labels = np.array([5.0, 40.0, -3.0, 20.0]), np.zeros(4, dtype=np.int64)
    chosen = parents(noisy, labels, np.array([30]), "sample", 10.0, np.random.default_rng(0))
    assert set(chosen) == {1, 3}
    assert np.bincount(chosen)[1] == pytest.approx(30 * 30 / 40, abs=1)


def test_without_any_vote_the_best_quarter_stands_in():
    noisy = -np.arange(8.0)
    np.testing.assert_array_equal(weights(noisy, np.zeros(8), 0.0), [0.5, 0.5, 0, 0, 0, 0, 0, 0])


def test_rank_takes_the_first_once_each():
    noisy = np.array([1.0, 9.0, 5.0, -2.0])
    chosen = parents(noisy, np.zeros(4, dtype=np.int64), np.array([2]), "rank", 0.0, np.random.default_rng(0))
    assert list(chosen) == [1, 2]


@given(fractions=arrays.arrays(np.float64, st.integers(1, 9), elements=st.floats(0.01, 1)), n=st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_even_draws_and_whole_fractions_are_within_one_of_the_exact_numbers(fractions, n):
    exact = fractions / fractions.sum() * n
    drawn = np.bincount(evenly(fractions, n, np.random.default_rng(n)), minlength=len(fractions))
    assert (abs(drawn - exact) <= 1 + 1e-9).all()
    whole = apportioned(n, fractions)
    assert whole.sum() == n
    assert (abs(whole - exact) <= 1 + 1e-9).all()
