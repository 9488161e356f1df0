"""dpsynth/privacy/replay.py: the audit passes honest programs and catches planted bugs."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from dpsynth.privacy.discrete import discrete_gaussian
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.privacy.exponential import exponential
from dpsynth.privacy.gaussian import gaussian
from dpsynth.privacy.random import Streams
from dpsynth.privacy.replay import AuditError, audit, same
from dpsynth.privacy.sampling import FixedSizeBatches, PoissonBatches

STEPS, CLIP, NOISE = 6, 1.0, 2.0


@dataclass(frozen=True)
class Program:
    """A small DP-SGD, and the bugs that can be planted in it. Data: (n, d) float64."""

    sensitivity: float = CLIP
    clip: bool = True
    steps_from_data: bool = False
    scale_from_data: bool = False
    realised_divisor: bool = False
    skip_empty: bool = False
    peek: bool = False
    inplace: bool = False
    replace: bool = False

    def __call__(self, data, streams: Streams):
        rows, width = data.shape
        batches = FixedSizeBatches(rows, 3, STEPS) if self.replace else PoissonBatches(0.3, STEPS)
        weights = torch.zeros(width, dtype=torch.float64)
        steps = STEPS + rows % 2 if self.steps_from_data else STEPS
        for step in range(steps):
            indices = batches.indices(streams.privacy, step, rows)
            if self.skip_empty and not indices.size:
                continue
            batch = torch.from_numpy(data[indices])
            gradient = torch.nan_to_num(batch - weights, posinf=0.0, neginf=0.0)
            if self.clip:
                norms = gradient.norm(dim=1, keepdim=True)
                gradient = gradient * (CLIP / norms.clamp(min=CLIP))
            half = width // 2
            query = [gradient[:, :half].sum(0), gradient[:, half:].sum(0)]
            noise = NOISE + (1e-3 * rows if self.scale_from_data else 0.0)
            released = gaussian(
                streams.privacy,
                "sgd",
                query,
                sensitivity=self.sensitivity,
                noise_multiplier=noise,
                step=step,
                inplace=self.inplace,
            )
            divisor = max(1, indices.size) if self.realised_divisor else 3.0
            weights = weights + torch.cat(released) / divisor
        return {"weights": weights, "mean": float(data.sum()) if self.peek else 0.0}


@pytest.fixture
def data():
    return np.random.default_rng(0).normal(size=(12, 4))


def more(data):
    """A neighbour with one extreme row at the end."""
    return np.vstack([data, np.full(data.shape[1], 1e6)])


def test_an_honest_program_passes_both_ways(data):
    for one, other in ((data, more(data)), (more(data), data)):
        report = audit(Program(), one, other, seed=3)
        assert len(report.releases) == STEPS
        assert 0 < report.used["sgd"] <= 1 + 1e-5
        assert "sgd: 6 releases" in report.story


def test_an_honest_program_that_writes_in_place_passes(data):
    audit(Program(inplace=True), data, more(data), seed=3)


@given(st.integers(0, 2**32), st.integers(0, 8), st.lists(st.floats(), min_size=4, max_size=4))
@settings(max_examples=25, deadline=None)
def test_an_honest_program_passes_for_any_row(seed, rows, extra):
    data = np.random.default_rng(seed).normal(size=(rows, 4)) * 10
    audit(Program(), data, np.vstack([data, [extra]]), seed=seed)


def test_a_replaced_row_moves_the_sum_by_two_clips(data):
    swapped = data.copy()
    swapped[4] = -1e3 * data[4]
    report = audit(Program(replace=True, sensitivity=2 * CLIP), data, swapped, seed=1)
    assert report.used["sgd"] > 0.6
    with pytest.raises(AuditError, match="more than its declared"):
        audit(Program(replace=True, sensitivity=CLIP), data, swapped, seed=1)


@pytest.mark.parametrize(
    ("bug", "story"),
    [
        (Program(sensitivity=CLIP / 2), "more than its declared l2 sensitivity"),
        (Program(clip=False), "more than its declared"),
        (Program(steps_from_data=True), "control flow"),
        (Program(scale_from_data=True), "data-dependent parameters"),
        (Program(realised_divisor=True), "publish different|more than its declared"),
        (Program(peek=True), "still publish different results"),
    ],
)
def test_planted_bugs_are_caught_both_ways(data, bug, story):
    for one, other in ((data, more(data)), (more(data), data)):
        with pytest.raises(AuditError, match=story):
            audit(bug, one, other, seed=3)


def test_skipping_empty_batches_is_caught():
    empty, single = np.zeros((0, 4)), np.zeros((1, 4))
    with pytest.raises(AuditError, match="control flow"):
        audit(Program(skip_empty=True), empty, single, seed=3)


def test_counts_of_different_lengths_are_a_data_dependent_shape():
    def run(data, streams):
        counts = np.bincount(data)
        return discrete_gaussian(streams.privacy, "counts", counts, sensitivity=1.0, sigma=2.0)

    with pytest.raises(AuditError, match="shape"):
        audit(run, np.array([0, 1, 1]), np.array([0, 1, 1, 2]))
    audit(run, np.array([0, 1, 1]), np.array([0, 1, 1, 0]))


def test_scores_are_measured_in_their_own_norm():
    def run(data, streams, sensitivity=1.0):
        return exponential(streams.privacy, "pick", data, sensitivity=sensitivity, epsilon=1.0)

    audit(run, np.zeros(5), np.ones(5))  # each score moves by one, l2 would be 2.2
    with pytest.raises(AuditError, match="linf"):
        audit(run, np.zeros(5), np.full(5, 1.1))


def test_a_query_that_is_not_finite_is_caught():
    def run(data, streams):
        return gaussian(streams.privacy, "sum", data, sensitivity=1.0, noise_multiplier=1.0)

    with pytest.raises(AuditError, match="moves by inf"):
        audit(run, np.zeros(3), np.array([0.0, math.nan, 0.0]))


def test_randomness_from_elsewhere_is_caught(data):
    def run(data, streams):
        return np.random.default_rng().random(3)

    with pytest.raises(AuditError, match="publish different"):
        audit(run, data, data)


def test_same_looks_into_everything():
    value = {"a": [np.array([1.0, math.nan]), (torch.zeros(2), "x")], "b": Program()}
    again = {"a": [np.array([1.0, math.nan]), (torch.zeros(2), "x")], "b": Program()}
    assert same(value, again)
    again["a"][1][0][1] = 1e-12
    assert not same(value, again)
    assert not same(np.zeros(2), np.zeros(2, dtype=np.float32))
    assert not same(1, 1.0)
