"""dpsynth/privacy/replay.py: the audit passes honest programs and catches planted bugs."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.privacy import DPSGD, Budget, ExponentialMechanism, GaussianQuery, Ledger, NoisyMarginals, Plan
from dpsynth.privacy.dpsgd.clipping import SUM_SLACK
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches, PoissonBatches
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.privacy.replay import AuditError, Coupling, audit, same

STEPS, CLIP, NOISE = 6, 1.0, 2.0
BUDGET = Budget(1000.0, 1e-5)


def release(mechanism, query, randomness, budget=BUDGET):
    return Ledger(Plan(budget, (mechanism,)), randomness).release(mechanism, query)


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
    replace: bool = False

    def __call__(self, data, randomness: RandomGenerators):
        rows, width = data.shape
        batches = FixedSizeBatches(rows, 3, STEPS) if self.replace else PoissonBatches(0.3, STEPS)
        noise = NOISE + (1e-3 * rows if self.scale_from_data else 0.0)
        relation = "replace_one" if self.replace else "add_remove"
        # What a row is stated to move; a row that is replaced moves a sum by two clips.
        norm = self.sensitivity / 2 if self.replace else self.sensitivity
        mechanism = DPSGD.sampled("sgd", relation, batches, noise, norm)
        ledger = Ledger(Plan(Budget(1000.0, 1e-5, relation), (mechanism,)), randomness)
        weights = torch.zeros(width, dtype=torch.float64)
        half, sizes = width // 2, []

        def query(indices):
            sizes.append(indices.size)
            batch = torch.from_numpy(data[indices])
            gradient = torch.nan_to_num(batch - weights, posinf=0.0, neginf=0.0)
            if self.clip:
                norms = gradient.norm(dim=1, keepdim=True)
                gradient = gradient * (CLIP / norms.clamp(min=CLIP))
            return [gradient[:, :half].sum(0), gradient[:, half:].sum(0)]

        for step in range(STEPS - rows % 2 if self.steps_from_data else STEPS):
            if self.skip_empty and not rows:
                continue
            released = ledger.release(mechanism, query, step, rows=rows)
            divisor = max(1, sizes[-1]) if self.realised_divisor else 3.0
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
        assert report.summary.startswith("sgd: 6 releases, at most ")
        assert report.summary.endswith(" of the sensitivity")
        assert report.releases[0].mechanism.sensitivity == pytest.approx(CLIP * (1 + SUM_SLACK))
    assert audit(lambda data, randomness: 0, data, data).summary == "no private release"


def test_a_release_that_writes_in_place_is_replayed_in_place(data):
    """A program that goes on with the tensor it handed over sees the noisy sum in both runs."""

    def run(rows, randomness):
        query = torch.from_numpy(rows).clamp(-1, 1).mul(0.5).sum(0)
        mechanism = GaussianQuery(name="sum", neighbours="add_remove", noise_multiplier=1.0, bound=1.0)
        assert release(mechanism, query, randomness) is query
        return query

    report = audit(run, data, more(data), seed=3)
    assert report.releases[0].inplace
    assert not np.array_equal(report.releases[0].query.numpy(), report.releases[0].output.numpy())


@pytest.mark.parametrize("place", [0, 5, 11])
def test_a_row_removed_anywhere_is_coupled(data, place):
    rest, coupling = np.delete(data, place, axis=0), Coupling.without(place, len(data))
    audit(Program(), data, rest, seed=3, couplings=(None, coupling))
    audit(Program(), rest, data, seed=3, couplings=(coupling, None))
    if place == 0:  # every row behind it stands elsewhere then
        with pytest.raises(AuditError):
            audit(Program(), data, rest, seed=3)


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
    ("bug", "command"),
    [
        (Program(sensitivity=CLIP / 2), "more than its declared l2 sensitivity"),
        (Program(clip=False), "more than its declared"),
        (Program(steps_from_data=True), "control flow"),
        (Program(scale_from_data=True), "data-dependent parameters"),
        (Program(realised_divisor=True), "publish different|more than its declared|not sampled"),
        (Program(peek=True), "still publish different results"),
    ],
)
def test_planted_bugs_are_caught_both_ways(data, bug, command):
    for one, other in ((data, more(data)), (more(data), data)):
        with pytest.raises(AuditError, match=command):
            audit(bug, one, other, seed=3)


def test_skipping_empty_batches_is_caught():
    empty, single = np.zeros((0, 4)), np.zeros((1, 4))
    with pytest.raises(AuditError, match="control flow"):
        audit(Program(skip_empty=True), empty, single, seed=3)


@pytest.mark.parametrize(
    "change",
    [{"noise_multiplier": 2.1}, {"bound": 1.5}, {"releases": 2}],
)
def test_mechanisms_are_compared_field_by_field(change):
    """Also where noise and sensitivity change together and their product would not show it."""

    def run(data, randomness):
        fields = {"noise_multiplier": 2.0, "bound": 1.0, **(change if data.sum() > 0 else {})}
        return release(GaussianQuery(name="q", neighbours="add_remove", **fields), np.zeros(3), randomness)

    for one, other in ((np.zeros(2), np.ones(2)), (np.ones(2), np.zeros(2))):
        with pytest.raises(AuditError, match="data-dependent parameters of 'q' step 0"):
            audit(run, one, other)


def test_a_release_under_another_name_is_a_data_dependent_control_flow():
    def run(data, randomness):
        name = "a" if data.sum() > 0 else "b"
        mechanism = GaussianQuery(name=name, neighbours="add_remove", noise_multiplier=2.0, bound=1.0)
        return release(mechanism, np.zeros(3), randomness)

    with pytest.raises(AuditError, match="control flow: release 0 is 'b' step 0 on the data, but 'a' step 0"):
        audit(run, np.zeros(2), np.ones(2))


def test_counts_of_different_lengths_are_a_data_dependent_shape():
    def run(data, randomness):
        mechanism = NoisyMarginals(name="counts", neighbours="add_remove", sigma=2.0, marginals=1)
        return release(mechanism, np.bincount(data), randomness)

    with pytest.raises(AuditError, match="shape"):
        audit(run, np.array([0, 1, 1]), np.array([0, 1, 1, 2]))
    audit(run, np.array([0, 1, 1]), np.array([0, 1, 1, 0]))


def test_scores_are_measured_in_their_own_norm():
    def run(data, randomness):
        return release(
            ExponentialMechanism(name="pick", neighbours="add_remove", bound=1.0, epsilon=1.0), data, randomness
        )

    audit(run, np.zeros(5), np.ones(5))  # each score moves by one, l2 would be 2.2
    with pytest.raises(AuditError, match="linf"):
        audit(run, np.zeros(5), np.full(5, 1.1))


def test_a_query_that_is_not_finite_is_caught():
    def run(data, randomness):
        return release(
            GaussianQuery(name="sum", neighbours="add_remove", noise_multiplier=1.0, bound=1.0), data, randomness
        )

    with pytest.raises(AuditError, match="moves by inf"):
        audit(run, np.zeros(3), np.array([0.0, math.nan, 0.0]))


def test_randomness_from_elsewhere_is_caught(data):
    def run(data, randomness):
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
