"""The attack that sees every release: close to the truth, never beyond it, and hard on programs that cheat."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from dpsynth.privacy import DPSGD, Budget, CountMechanism, ExponentialMechanism, GaussianQuery, Ledger, Plan
from dpsynth.privacy.audit import WhiteBox, Workers, lower_bound
from dpsynth.privacy.audit.error_rates import gaussian_epsilon
from dpsynth.privacy.audit.reference_programs import OneRelease, SGDSteps
from dpsynth.privacy.audit.white_box import PILOTS
from dpsynth.privacy.dpsgd.sampling import PoissonBatches
from dpsynth.privacy.mechanisms.shards import Sharding

DELTA = 1e-5
EMPTY, FULL = np.zeros(3), np.array([0.0, 0.0, 1.0])
LOOSE = Budget(200.0, DELTA)  # holds any of the plans below; bounds are compared with the mu of their mechanisms
ONE = OneRelease.spending(Budget(4.0, DELTA))


def collected(attack, runs):
    with Workers.started(1) as workers:
        return workers.collect(attack, runs)


def bound_of(program, data=(EMPTY, FULL), runs=1200, **options):
    attack = WhiteBox.prepared(program, data, seed=0, **options)
    return attack, lower_bound(*collected(attack, runs), DELTA)


def query(name, noise, kind=GaussianQuery, **fields):
    return kind(name=name, neighbours="add_remove", noise_multiplier=noise, bound=1.0, **fields)


def released(randomness, mechanism, value, step=0):
    return randomness.privacy.release(mechanism, value, step)


def test_one_gaussian_release_is_bounded_from_both_sides():
    program = OneRelease.spending(Budget(8.0, DELTA))
    attack, bound = bound_of(program, program.neighbours(), runs=3000)
    assert attack.view == "fixed"
    assert 0.8 * 8 <= bound.epsilon_by_mu <= 8


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_a_step_of_dp_sgd_is_bounded_from_both_sides(rate):
    program = SGDSteps.spending(Budget(14.0, DELTA), rate, 1)  # so loose that few runs tell
    attack = WhiteBox(program, program.neighbours(), "fixed", program.expected(), seed=0)
    bound = lower_bound(*collected(attack, 600), DELTA, rate=rate)
    assert 0.5 * 14 <= gaussian_epsilon(bound.mu, DELTA, rate) <= 14


def test_noise_below_the_charged_one_is_found():
    @dataclass(frozen=True, kw_only=True)
    class Halved(GaussianQuery):
        @property
        def deviation(self):
            return super().deviation / 2

    halved = query("release", 1.0, Halved)
    _, bound = bound_of(OneRelease(Plan(LOOSE, (halved,)), halved))
    assert bound.mu > 1.0  # of the noise that was charged


def adaptive(noise: float):
    """The second query follows from the first answer."""

    def program(data, randomness):
        first = released(randomness, query("first", noise), data)
        turned = np.roll(data, int(np.argmax(first)))
        released(randomness, query("second", noise), turned)

    return program


def test_queries_that_follow_from_answers_are_followed():
    attack, bound = bound_of(adaptive(1.0))
    assert attack.view == "adaptive"
    assert attack.stop == 2
    assert 1.0 < bound.mu <= 2**0.5


def test_secret_batches_are_not_stated_to_the_attacker():
    attack, _ = bound_of(adaptive(1.0), runs=200, secret_batches=True)
    assert attack.view == "average"
    assert len(attack.expected) == 2


def test_randomness_of_a_program_that_it_keeps_to_itself_does_not_help_the_attacker():
    """A secret rotation: the same distribution on both data sets. Told apart by its exact answers, it would look
    broken."""
    secret = np.random.default_rng(0)

    def program(data, randomness):
        released(randomness, query("sums", 1.0), 50.0 * np.roll(FULL, int(secret.integers(3))))

    attack, bound = bound_of(program, runs=600)
    assert attack.view == "average"
    assert bound.mu < 0.2


def test_control_flow_that_depends_on_the_data_is_certain_proof():
    def program(data, randomness):
        name = "rich" if data.sum() > 0.5 else "poor"
        released(randomness, query(name, 1.0), np.zeros(2))

    attack, bound = bound_of(program, runs=600)
    assert attack.view == "adaptive"
    assert bound.mu > 4


def test_a_program_without_noise_is_certain_proof():
    def program(data, randomness):
        released(randomness, query("sums", 0.0), data)

    assert bound_of(program, runs=600)[1].mu > 4


def test_a_choice_is_weighed_by_its_chances():
    choice = ExponentialMechanism(name="choice", neighbours="add_remove", bound=1.0, epsilon=4.0)

    def program(data, randomness):
        released(randomness, choice, data)

    bound = bound_of(program, (np.zeros(2), np.array([1.0, -1.0])), runs=3000)[1]
    assert 0.7 * 2.0 < bound.epsilon <= 4.0  # from (1/2, 1/2) to (e^2, e^-2) / ...: 2 is what the record can do here


def test_integers_tensors_and_lists_are_weighed_alike():
    @dataclass(frozen=True, kw_only=True)
    class Counts(CountMechanism):
        sensitivity = 1.0

    def program(data, randomness):
        released(randomness, Counts(name="counts", neighbours="add_remove", sigma=1.0), data.astype(np.int64))
        parts = [torch.from_numpy(data[:1].copy()), torch.from_numpy(data[1:].copy())]
        released(randomness, query("parts", 1.0), parts)

    assert 1.0 < bound_of(program)[1].mu <= 2**0.5


class Teachers:
    """Rows of one class vote with the sign of their teacher's number: all is decided by positions, under the key."""

    rule, votes = Sharding(2), query("votes", 1.0)

    def __call__(self, data, randomness):
        ledger = Ledger(Plan(LOOSE, (self.votes,)), randomness)
        shards, places = ledger.shards(self.rule, len(data)), ledger.uniforms("places", len(data), 1)[:, 0]
        own = np.repeat([1.0, -1.0], shards.sizes)
        ledger.release(self.votes, np.array([(own * np.sign(places[shards.order] - 0.5)).sum()]))


class Sampled:
    """The number of rows in a Poisson batch, by the gate's own sampling."""

    steps = DPSGD.sampled("steps", "add_remove", PoissonBatches(0.5, 2), 1.0, 1.0)

    def __call__(self, data, randomness):
        ledger = Ledger(Plan(LOOSE, (self.steps,)), randomness)
        for t in range(2):
            ledger.release(self.steps, lambda batch: np.array([data[batch].sum()]), t, rows=len(data))


@pytest.mark.parametrize(("program", "mu"), [(Teachers(), 1.0), (Sampled(), 2**0.5)])
def test_other_rows_keep_their_batches_and_teachers_when_the_first_row_goes(program, mu):
    data = np.ones(20), np.ones(21)
    attack, bound = bound_of(program, data, runs=600, first_of=21)
    assert attack.view == "adaptive"
    assert 0.4 * mu < bound.mu <= mu
    assert bound_of(program, data, runs=600, first_of=30)[1].mu <= mu


def test_what_a_batch_holds_is_not_stated_where_batches_are_secret():
    attack, bound = bound_of(Sampled(), (np.ones(20), np.ones(21)), runs=600, secret_batches=True)
    assert attack.view == "average"
    assert bound.mu < 0.8


def test_what_follows_the_last_release_is_not_run():
    ends = []

    def program(data, randomness):
        released(randomness, query("sums", 1.0), data)
        ends.append(data)

    attack = WhiteBox.prepared(program, (EMPTY, FULL), seed=0)
    before = len(ends)
    assert before >= 2 * PILOTS
    collected(attack, 40)
    assert len(ends) == before


def test_fresh_keys_give_fresh_noise_and_a_seed_the_same():
    fresh = WhiteBox.prepared(ONE, (EMPTY, FULL))
    assert fresh.trial(0, 0) != fresh.trial(0, 0)
    seeded = WhiteBox.prepared(ONE, (EMPTY, FULL), seed=1)
    assert seeded.trial(0, 0) == seeded.trial(0, 0) != seeded.trial(0, 1)


@pytest.mark.slow
def test_several_processes_make_the_same_trials():
    attack = WhiteBox.prepared(ONE, (EMPTY, FULL), seed=1)
    with Workers.started(2) as workers:
        together = workers.collect(attack, 4000)
    alone = collected(attack, 4000)
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))
