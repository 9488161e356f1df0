"""Histograms by class: exact sums, and the sensitivity under both relations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dpsynth.privacy.accounting.budget import Budget, count_sensitivity
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.mechanisms.class_statistics import ClassHistograms
from dpsynth.privacy.noise.random import RandomGenerators

IMAGES = arrays.arrays(np.uint8, st.tuples(st.integers(1, 6), st.just(1), st.just(2), st.just(3)))


def exact(values, labels, bins: int = 4, classes: int = 2) -> np.ndarray:
    mechanism = ClassHistograms(name="h", neighbours="add_remove", noise_multiplier=0.0, bins=bins)
    ledger = Ledger(Plan(Budget(math.inf, 1e-5), (mechanism,)), RandomGenerators())
    released = mechanism.measure(values, labels, classes, ledger)
    assert np.array_equal(released, mechanism.exact(values, labels, classes))
    return released


@given(values=IMAGES, data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_record_moves_the_sums_within_the_sensitivity(values, data):
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(values), max_size=len(values))))
    all_rows = exact(values, labels)
    assert all_rows.sum() == pytest.approx(len(values))
    removed = exact(values[:-1], labels[:-1])
    assert np.linalg.norm(all_rows - removed) <= count_sensitivity("add_remove") + 1e-9
    other, kinds = values.copy(), labels.copy()
    other[-1], kinds[-1] = data.draw(st.integers(0, 255)), data.draw(st.integers(0, 1))
    moved = np.linalg.norm(all_rows - exact(other, kinds))
    assert moved <= count_sensitivity("replace_one") + 1e-9


def test_the_largest_replacement_needs_the_whole_sensitivity():
    black, white = np.zeros((1, 1, 2, 2), np.uint8), np.full((1, 1, 2, 2), 255, np.uint8)
    moved = np.linalg.norm(exact(black, np.array([0])) - exact(white, np.array([0])))
    assert moved == pytest.approx(count_sensitivity("replace_one"))


def test_counts_are_counts():
    assert exact(None, np.array([0, 1, 1]), bins=1).tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_the_noise_is_that_of_the_sensitivity(neighbours):
    mechanism = ClassHistograms(name="h", neighbours=neighbours, noise_multiplier=5.0, bins=64)
    ledger = Ledger(Plan(Budget(2, 1e-5, neighbours), (mechanism,)), RandomGenerators(0, "seeded"))
    noisy = mechanism.measure(np.zeros((0, 1, 2, 2), np.uint8), np.zeros(0, np.int64), 100, ledger)
    assert mechanism.sensitivity == count_sensitivity(neighbours)
    assert noisy.shape == (100, 64)
    assert noisy.std() == pytest.approx(5.0 * count_sensitivity(neighbours), rel=0.05)
