"""dpsynth/privacy/dpsgd/sampling.py"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.accounting import prove
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.dpsgd.dp_sgd import DPSGD
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches, PoissonBatches
from dpsynth.privacy.noise.random import PrivacyGenerator

STREAM = PrivacyGenerator.seeded(5)


def indices(batches, step, rows):
    return batches.indices(STREAM.keystream("batches", step, "rows"), rows)


def padded(batches, step, rows, capacity):
    return batches.padded(STREAM.keystream("batches", step, "rows"), rows, capacity)


def inclusion(batches, steps, rows):
    table = np.zeros((steps, rows))
    for step in range(steps):
        table[step, indices(batches, step, rows)] = 1
    return table


def test_poisson_inclusion_is_independent_with_the_stated_rate():
    rate, steps, rows = 0.1, 2000, 400
    table = inclusion(PoissonBatches(rate, steps), steps, rows)
    spread = math.sqrt(rate * (1 - rate))
    assert abs(table.mean() - rate) < 5 * spread / math.sqrt(table.size)
    assert np.abs(table.mean(axis=0) - rate).max() < 5 * spread / math.sqrt(steps)
    assert table.sum(axis=1).var() == pytest.approx(rows * spread**2, rel=0.25)
    across_rows = np.corrcoef(table[:, ::2].ravel(), table[:, 1::2].ravel())[0, 1]
    across_steps = np.corrcoef(table[::2].ravel(), table[1::2].ravel())[0, 1]
    assert max(abs(across_rows), abs(across_steps)) < 5 / math.sqrt(table.size / 2)


def test_fixed_size_is_exact_uniform_and_independent_over_steps():
    batches = FixedSizeBatches(60, 15, 3000)
    table = inclusion(batches, 3000, 60)
    assert (table.sum(axis=1) == 15).all()
    assert np.abs(table.mean(axis=0) - 0.25).max() < 5 * math.sqrt(0.25 * 0.75 / 3000)
    pairs = (table[:, 0] * table[:, 1]).mean()
    assert abs(pairs - 15 * 14 / (60 * 59)) < 5 * math.sqrt(pairs / 3000)


@given(st.floats(1e-9, 1.0), st.integers(1, 10_000))
@settings(max_examples=50, deadline=None)
def test_event_and_sampler_fraction_rate_and_steps(rate, steps):
    batches = PoissonBatches(rate, steps)
    event = batches.event(2.0)
    assert event.count == steps
    assert event.event.sampling_probability == batches.rate == batches.threshold / 2**32
    assert event.event == batches.step_event(2.0)
    assert abs(batches.rate - rate) <= 2.0**-32


def test_fixed_size_event():
    event = FixedSizeBatches(100, 7, 30).event(2.0)
    assert (event.count, event.event.source_dataset_size, event.event.sample_size) == (30, 100, 7)
    mechanism = DPSGD.sampled("x", "replace_one", FixedSizeBatches(100, 7, 30), 2.0, 1.0)
    assert mechanism.event == event
    prove([mechanism], Budget(5, 1e-5, "replace_one"))
    with pytest.raises(BudgetError, match="add_remove"):
        prove([mechanism], Budget(5, 1e-5))


def test_poisson_batches_are_accounted_for_under_add_remove_alone():
    mechanism = DPSGD.sampled("x", "replace_one", PoissonBatches(0.1, 3), 2.0, 1.0)
    with pytest.raises(BudgetError, match="add_remove"):
        prove([mechanism], Budget(5, 1e-5, "replace_one"))


def test_a_row_more_changes_no_other_row():
    batches = PoissonBatches(0.3, 5)
    for step in range(5):
        longer = indices(batches, step, 1001)
        assert np.array_equal(longer[longer < 1000], indices(batches, step, 1000))


def test_blocks_make_no_difference(monkeypatch):
    batches = PoissonBatches(0.3, 1)
    whole = indices(batches, 0, 1000)
    monkeypatch.setattr("dpsynth.privacy.dpsgd.sampling._BLOCK", 64)
    assert np.array_equal(whole, indices(batches, 0, 1000))


@pytest.mark.parametrize("rows", [0, 1])
def test_empty_batches_are_batches(rows):
    found = indices(PoissonBatches(2.0**-32, 1), 0, rows)
    assert found.shape == (0,)
    assert found.dtype == np.int64
    batch, mask = padded(PoissonBatches(1e-9, 1), 0, rows, 4)
    assert batch.shape == mask.shape == (4,)
    assert not mask.any()


def test_rate_one_takes_everybody():
    assert np.array_equal(indices(PoissonBatches(1.0, 1), 0, 9), np.arange(9))


def test_padding_keeps_the_batch_and_a_fixed_shape():
    batches = PoissonBatches(0.1, 50)
    capacity = batches.capacity(1000)
    assert binom.sf(capacity, 1000, batches.rate) < 1e-12 <= binom.sf(capacity - 2, 1000, batches.rate)
    for step in range(50):
        batch, mask = padded(batches, step, 1000, capacity)
        assert batch.shape == mask.shape == (capacity,)
        assert np.array_equal(batch[mask], indices(batches, step, 1000))
        assert not batch[~mask].any()


def test_overflow_keeps_a_uniform_subset_and_is_paid_for():
    batches = PoissonBatches(1.0, 4000)
    kept = np.zeros(10)
    for step in range(4000):
        batch, mask = padded(batches, step, 10, 3)
        assert mask.all()
        assert len(set(batch)) == 3
        kept[batch] += 1
    assert np.abs(kept / 4000 - 0.3).max() < 5 * math.sqrt(0.3 * 0.7 / 4000)
    batches = PoissonBatches(0.1, 100)
    surcharge = batches.overflow_delta(1000, 140, 1.0)
    assert surcharge == pytest.approx(100 * binom.sf(140, 1000, batches.rate) * (1 + math.e))
    assert batches.overflow_delta(1000, batches.capacity(1000), 1.0) < 1e-9
    assert batches.overflow_delta(1000, 1000, 50.0) == 0.0


@pytest.mark.parametrize("make", [lambda: PoissonBatches(0.0, 1), lambda: PoissonBatches(1.5, 1)])
def test_impossible_rates_are_refused(make):
    with pytest.raises(BudgetError):
        make()


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_impossible_step_counts_are_refused(steps):
    with pytest.raises(BudgetError):
        PoissonBatches(0.1, steps)
    with pytest.raises(BudgetError):
        FixedSizeBatches(10, 2, steps)


def test_fixed_size_needs_its_declared_rows():
    with pytest.raises(BudgetError):
        FixedSizeBatches(10, 11, 1)
    with pytest.raises(BudgetError, match="planned for 10 rows"):
        indices(FixedSizeBatches(10, 2, 1), 0, 11)
