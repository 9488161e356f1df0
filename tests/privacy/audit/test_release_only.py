"""The attack on what is shared learns on some runs and is evaluated on others."""

from types import SimpleNamespace

import numpy as np
import torch

from dpsynth.data import Category, Domain
from dpsynth.privacy.audit import ReleaseOnly, Workers, discriminated, lower_bound, neighbours_in
from dpsynth.privacy.noise.gaussian import GaussianQuery

DOMAIN = Domain((Category("kind", ("a", "b")), Category("size", ("s", "m", "l"))))
PAIR = neighbours_in(DOMAIN, 3)


def program(noise: float):
    """Releases a noisy count of the odd rows, in a tensor, beside one whose shape varies; samples are the table's."""

    def run(data, randomness):
        odd = np.array([float((data.frame["kind"] == "b").sum()), 0.0])
        count = GaussianQuery(name="count", neighbours="add_remove", noise_multiplier=noise, bound=1.0)
        noisy = randomness.privacy.release(count, odd, 0)
        length = 1 + int(abs(noisy[1]))
        tensors = {"count": torch.from_numpy(noisy), "other": torch.zeros(length)}
        return SimpleNamespace(tensors=lambda: tensors, statement={"rows": 3}, sample=lambda n, seed: PAIR.without)

    return run


def bound_of(noise: float, runs: int = 500):
    attack = ReleaseOnly.prepared(program(noise), PAIR.data, PAIR.record, seed=0)
    with Workers.started(1) as workers:
        return attack, lower_bound(*discriminated(*workers.collect(attack, runs)), 1e-5)


def test_a_count_in_the_model_is_found_and_never_beyond_its_mu():
    attack, bound = bound_of(0.5)
    assert "count" in attack.shapes
    assert "other" not in attack.shapes
    assert 1.0 < bound.mu <= 2.0


def test_a_model_that_says_nothing_gives_nothing():
    assert bound_of(1e6)[1].mu < 0.3


def test_what_is_seen_of_a_sample_is_how_often_the_record_comes_out():
    attack = ReleaseOnly(program(1.0), PAIR.data, PAIR.record, {})
    assert attack.trial(0, 0).tolist() == [3.0, 0.0, 0.0, 0.0]  # rows, each column, all columns together


def test_the_discriminant_is_learned_on_runs_that_are_not_scored():
    draw = np.random.default_rng(0)
    zero, one = draw.standard_normal((500, 50)), draw.standard_normal((500, 50))
    without, with_record = discriminated(zero, one)
    assert len(without) == len(with_record) == 300
    assert abs(without.mean() - with_record.mean()) < 0.25 * without.std()
    one[:, 7] += 2.0
    without, with_record = discriminated(zero, one)
    assert with_record.mean() - without.mean() > 1.5 * without.std()
