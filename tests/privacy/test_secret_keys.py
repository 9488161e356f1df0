"""Who is sampled, which teacher a row has, where it lies within its cell: the secret key decides, and nothing
public."""

import numpy as np
import pytest

from dpsynth.privacy import DPSGD, Budget, Ledger, Plan, PoissonBatches, RandomGenerators
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches
from dpsynth.privacy.mechanisms.shards import Sharding
from dpsynth.privacy.noise.random import PrivacyGenerator

ROWS, STEPS = 2000, 3
BATCHES = {"add_remove": PoissonBatches(0.25, STEPS), "replace_one": FixedSizeBatches(ROWS, ROWS // 4, STEPS)}


def ledger(seed, relation="add_remove"):
    steps = DPSGD.sampled("steps", relation, BATCHES[relation], 50.0, 1.0)
    return steps, Ledger(Plan(Budget(3.0, 1e-5, relation), (steps,)), RandomGenerators(seed, "seeded"))


def sampled(seed, relation):
    """(steps, rows) bool: who was in the batches of a run."""
    steps, gate = ledger(seed, relation)
    inside = np.zeros((STEPS, ROWS), dtype=bool)
    for t in range(STEPS):

        def query(batch, t=t):
            inside[t, batch] = True
            return np.zeros(1)

        gate.release(steps, query, t, rows=ROWS)
    return inside


@pytest.mark.parametrize("relation", BATCHES)
def test_who_is_sampled_depends_on_the_key(relation):
    one, other = sampled(1, relation), sampled(2, relation)
    both = (one & other).mean(axis=1)
    assert np.abs(both - 0.25**2).max() < 6 * np.sqrt(0.25**2 / ROWS)
    assert not (one[0] == one[1]).all()


@pytest.mark.parametrize("relation", BATCHES)
@pytest.mark.parametrize("people", [None, np.arange(ROWS)])
def test_teachers_depend_on_the_key(relation, people):
    def owners(seed):
        shards = ledger(seed)[1].shards(Sharding(4, relation), ROWS, people)
        owner = np.empty(ROWS, dtype=np.int64)
        for teacher, (start, size) in enumerate(zip(shards.starts, shards.sizes, strict=True)):
            owner[shards.order[start : start + size]] = teacher
        return owner

    assert abs((owners(1) == owners(2)).mean() - 0.25) < 6 * np.sqrt(0.25 * 0.75 / ROWS)


def test_uniforms_depend_on_the_key():
    one, other = (ledger(seed)[1].uniforms("places", ROWS, 2) for seed in (1, 2))
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 6 / np.sqrt(one.size)


@pytest.mark.parametrize("stream", [PrivacyGenerator.fresh(), PrivacyGenerator.seeded(3)])
def test_a_resumed_stream_is_as_secure_as_it_was(stream):
    again = PrivacyGenerator.from_state(stream.state())
    assert again.secure == stream.secure
    assert RandomGenerators(0, privacy=again).noise == RandomGenerators(0, privacy=stream).noise
