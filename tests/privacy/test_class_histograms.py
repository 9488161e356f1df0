"""Histograms by class: exact sums, and the sensitivity under both relations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dpsynth.privacy.budget import Budget
from dpsynth.privacy.class_histograms import histogram_charge, noisy_class_histograms
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.random import PrivacyStream

IMAGES = arrays.arrays(np.uint8, st.tuples(st.integers(1, 6), st.just(1), st.just(2), st.just(3)))


def exact(values, labels, bins: int = 4, classes: int = 2) -> np.ndarray:
    ledger = Ledger(Plan(Budget(math.inf, 1e-5), (histogram_charge("h", 0.0),)))
    stream = PrivacyStream.seeded(0, infinite=True)
    return noisy_class_histograms("h", values, labels, classes, bins, 0.0, ledger, stream)


@given(values=IMAGES, data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_record_moves_the_sums_within_the_sensitivity(values, data):
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(values), max_size=len(values))))
    all_rows = exact(values, labels)
    assert all_rows.sum() == pytest.approx(len(values))
    removed = exact(values[:-1], labels[:-1])
    assert np.linalg.norm(all_rows - removed) <= Budget(1, 1e-5).count_sensitivity + 1e-9
    other, kinds = values.copy(), labels.copy()
    other[-1], kinds[-1] = data.draw(st.integers(0, 255)), data.draw(st.integers(0, 1))
    moved = np.linalg.norm(all_rows - exact(other, kinds))
    assert moved <= Budget(1, 1e-5, "replace_one").count_sensitivity + 1e-9


def test_the_largest_replacement_needs_the_whole_sensitivity():
    black, white = np.zeros((1, 1, 2, 2), np.uint8), np.full((1, 1, 2, 2), 255, np.uint8)
    moved = np.linalg.norm(exact(black, np.array([0])) - exact(white, np.array([0])))
    assert moved == pytest.approx(Budget(1, 1e-5, "replace_one").count_sensitivity)


def test_counts_are_counts():
    assert exact(None, np.array([0, 1, 1]), bins=1).tolist() == [[1.0], [2.0]]
