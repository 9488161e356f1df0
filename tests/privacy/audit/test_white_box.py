"""The attack that sees every release: close to the truth, never beyond it, and hard on programs that cheat."""

import numpy as np
import pytest
import torch
from dpsynth.privacy.discrete import discrete_gaussian

from dpsynth.privacy import Budget, Charge, calibrate
from dpsynth.privacy.audit import WhiteBox, Workers, lower_bound
from dpsynth.privacy.audit.error_rates import gaussian_epsilon
from dpsynth.privacy.audit.reference_programs import OneRelease, sampled_batches
from dpsynth.privacy.audit.white_box import PILOTS
from dpsynth.privacy.exponential import exponential
from dpsynth.privacy.gaussian import gaussian, gaussian_event

DELTA = 1e-5
EMPTY, FULL = np.zeros(3), np.array([0.0, 0.0, 1.0])


def collected(attack, runs):
    with Workers.started(1) as workers:
        return workers.collect(attack, runs)


def bound_of(program, data=(EMPTY, FULL), runs=1200, **options):
    attack = WhiteBox.prepared(program, data, seed=0, **options)
    return attack, lower_bound(*collected(attack, runs), DELTA)


def released(streams, name, value, noise, step=0):
    return gaussian(streams.privacy, name, value, sensitivity=1.0, noise_multiplier=noise, step=step)


def test_one_gaussian_release_is_bounded_from_both_sides():
    noise = calibrate(lambda z: [Charge("one", gaussian_event(z))], Budget(8.0, DELTA))
    program = OneRelease(noise)
    attack, bound = bound_of(program, program.neighbours(), runs=3000)
    assert attack.view == "fixed"
    assert 0.8 * 8 <= bound.epsilon_by_mu <= 8


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_a_step_of_dp_sgd_is_bounded_from_both_sides(rate):
    program, mu = sampled_batches(rate, 1, 0.4), 2.5  # so strong that few runs tell
    attack = WhiteBox(program, program.neighbours(), "fixed", program.expected(), seed=0)
    bound = lower_bound(*collected(attack, 1000), DELTA, rate=rate)
    truth = gaussian_epsilon(mu, DELTA, rate)
    assert 0.5 * truth <= gaussian_epsilon(bound.mu, DELTA, rate) <= truth


def test_noise_below_the_charged_one_is_found():
    class Halved(OneRelease):
        def __call__(self, data, streams):
            return released(streams, "release", data, self.noise_multiplier / 2)

    _, bound = bound_of(Halved(1.0))
    assert bound.mu > 1.0  # of the noise that was charged


def adaptive(noise: float):
    """The second query follows from the first answer."""

    def program(data, streams):
        first = released(streams, "first", data, noise)
        turned = np.roll(data, int(np.argmax(first)))
        released(streams, "second", turned, noise)

    return program


def test_queries_that_follow_from_answers_are_followed():
    attack, bound = bound_of(adaptive(1.0))
    assert attack.view == "adaptive"
    assert attack.stop == 2
    assert 1.0 < bound.mu <= 2**0.5


def test_secret_batches_are_not_told_to_the_attacker():
    attack, _ = bound_of(adaptive(1.0), runs=200, secret_batches=True)
    assert attack.view == "average"
    assert len(attack.expected) == 2


def test_randomness_of_a_program_that_it_keeps_to_itself_does_not_help_the_attacker():
    """A secret rotation: the same law on both data sets. Told apart by its exact answers, it would look broken."""
    secret = np.random.default_rng(0)

    def program(data, streams):
        released(streams, "sums", 50.0 * np.roll(FULL, int(secret.integers(3))), 1.0)

    attack, bound = bound_of(program, runs=600)
    assert attack.view == "average"
    assert bound.mu < 0.2


def test_control_flow_that_depends_on_the_data_is_certain_proof():
    def program(data, streams):
        name = "rich" if data.sum() > 0.5 else "poor"
        released(streams, name, np.zeros(2), 1.0)

    attack, bound = bound_of(program, runs=600)
    assert attack.view == "adaptive"
    assert bound.mu > 4


def test_a_program_without_noise_is_certain_proof():
    def program(data, streams):
        streams.privacy.release("sums", data, sensitivity=1.0, norm="l2", draw=np.copy, parameters={"scale": 0.0})

    assert bound_of(program, runs=600)[1].mu > 4


def test_a_choice_is_weighed_by_its_chances():
    def program(data, streams):
        exponential(streams.privacy, "choice", data, sensitivity=1.0, epsilon=4.0)

    bound = bound_of(program, (np.zeros(2), np.array([1.0, -1.0])), runs=3000)[1]
    assert 0.7 * 2.0 < bound.epsilon <= 4.0  # from (1/2, 1/2) to (e^2, e^-2) / ...: 2 is what the record can do here


def test_integers_tensors_and_lists_are_weighed_alike():
    def program(data, streams):
        counts = data.astype(np.int64)
        discrete_gaussian(streams.privacy, "counts", counts, sensitivity=1.0, sigma=1.0)
        parts = [torch.from_numpy(data[:1]), torch.from_numpy(data[1:])]
        released(streams, "parts", parts, 1.0)

    assert 1.0 < bound_of(program)[1].mu <= 2**0.5


def test_what_follows_the_last_release_is_not_run():
    ends = []

    def program(data, streams):
        released(streams, "sums", data, 1.0)
        ends.append(data)

    attack = WhiteBox.prepared(program, (EMPTY, FULL), seed=0)
    before = len(ends)
    assert before >= 2 * PILOTS
    collected(attack, 40)
    assert len(ends) == before


def test_fresh_keys_give_fresh_noise_and_a_seed_the_same():
    fresh = WhiteBox.prepared(OneRelease(1.0), (EMPTY, FULL))
    assert fresh.trial(0, 0) != fresh.trial(0, 0)
    seeded = WhiteBox.prepared(OneRelease(1.0), (EMPTY, FULL), seed=1)
    assert seeded.trial(0, 0) == seeded.trial(0, 0) != seeded.trial(0, 1)


@pytest.mark.slow
def test_several_processes_make_the_same_trials():
    attack = WhiteBox.prepared(OneRelease(1.0), (EMPTY, FULL), seed=1)
    with Workers.started(2) as workers:
        together = workers.collect(attack, 4000)
    alone = collected(attack, 4000)
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))
