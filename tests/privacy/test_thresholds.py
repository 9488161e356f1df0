"""Counts at a threshold: a row that takes them across it shows in nothing but the noisy counts."""

import numpy as np
import pytest

from dpsynth.privacy import Budget, Ledger, Plan
from dpsynth.privacy.mechanisms.discovery import PrivateBounds, PrivateCategories
from dpsynth.privacy.replay import audit

BUDGET = Budget(20.0, 1e-3)
BOUNDS = PrivateBounds(name="bounds", neighbours="add_remove", sigma=2.0, edges=(0.0, 1.0, 2.0, 3.0))
WORDS = PrivateCategories(name="words", neighbours="add_remove", sigma=2.0, threshold_delta=1e-4)


@pytest.mark.parametrize("mechanism", [BOUNDS, WORDS], ids=["bounds", "categories"])
def test_a_row_that_crosses_a_threshold_shows_in_the_noisy_counts_alone(mechanism):
    values = {"bounds": np.array([0.5, 2.5]), "words": np.array(["a", "b"])}[mechanism.name]

    def publish(rows, randomness):
        return mechanism.measure(rows, Ledger(Plan(BUDGET, (mechanism,)), randomness))

    for count in range(1, 16):  # of the second value, beside forty of the first
        rows = np.repeat(values, [40, count])
        audit(publish, rows, rows[:-1])
        audit(publish, rows[:-1], rows)
