"""dpsynth/privacy/accounting/accounting.py, calibration.py and privacy_loss.py"""

import math
import time
from dataclasses import dataclass

import numpy as np
import pytest
from dp_accounting import (
    DpEvent,
    GaussianDpEvent,
    NeighboringRelation,
    NonPrivateDpEvent,
    PoissonSampledDpEvent,
    SampledWithoutReplacementDpEvent,
    SelfComposedDpEvent,
    UnsupportedDpEvent,
    ZCDpEvent,
)
from dp_accounting.dp_event import DiscreteLaplaceDpEvent
from dp_accounting.pld import privacy_loss_distribution as pld
from scipy.stats import norm

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.accounting import prove
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.accounting.privacy_loss import replaced_row
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals


@dataclass(frozen=True)
class Charge:
    """What the accountant asks of a planned release."""

    name: str
    event: DpEvent
    delta: float = 0.0


def gaussian_delta(mu, epsilon):
    return norm.cdf(-epsilon / mu + mu / 2) - math.exp(epsilon) * norm.cdf(-epsilon / mu - mu / 2)


def poisson(rate, steps, before=()):
    return lambda z: [
        *before,
        Charge("sgd", SelfComposedDpEvent(PoissonSampledDpEvent(rate, GaussianDpEvent(z)), steps)),
    ]


def subset(rows, batch, steps):
    return lambda z: [
        Charge(
            "sgd",
            SelfComposedDpEvent(SampledWithoutReplacementDpEvent(rows, batch, GaussianDpEvent(z)), steps),
        )
    ]


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
@pytest.mark.parametrize("epsilon", [0.01, 0.3, 1, 8, 50])
@pytest.mark.parametrize("steps", [1, 100])
def test_gaussians_are_exact(neighbours, epsilon, steps):
    """Units are the sensitivity under the relation, so the relation makes no difference here."""
    budget = Budget(epsilon, 1e-5, neighbours)
    z = calibrate(lambda z: [Charge("g", SelfComposedDpEvent(GaussianDpEvent(z), steps))], budget)
    assert gaussian_delta(math.sqrt(steps) / z, epsilon) <= 1e-5 * (1 + 1e-9)
    assert gaussian_delta(math.sqrt(steps) / z, epsilon) >= 1e-5 * 0.98


def test_the_known_numbers_of_the_gaussian():
    one = calibrate(lambda z: [Charge("g", GaussianDpEvent(z))], Budget(1, 1e-5))
    assert one == pytest.approx(3.731, abs=2e-3)
    ten = calibrate(lambda z: [Charge("g", GaussianDpEvent(z))], Budget(10, 1e-5))
    assert ten == pytest.approx(0.500, abs=1e-3)


GRID = [
    (epsilon, delta, rate, steps)
    for epsilon, delta in [(0.1, 1e-6), (1, 1e-5), (8, 1e-5)]
    for rate, steps in [(0.063, 1500), (0.5, 20)]
]


@pytest.mark.parametrize(("epsilon", "delta", "rate", "steps"), GRID)
@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_calibration_never_exceeds_its_target_and_is_tight(neighbours, epsilon, delta, rate, steps):
    budget = Budget(epsilon, delta, neighbours)
    charges = poisson(rate, steps) if neighbours == "add_remove" else subset(10_000, round(10_000 * rate), steps)
    z = calibrate(charges, budget)
    assert prove(charges(z), budget).epsilon <= epsilon + 1e-9
    assert prove(charges(z * 0.99), budget).epsilon > epsilon


@pytest.mark.parametrize("epsilon", [0.01, 1, 50])
def test_calibration_is_fast_at_both_ends(epsilon):
    charges, budget = poisson(0.0631, 1501), Budget(epsilon, 1.1e-5)
    start = time.process_time()
    z = calibrate(charges, budget)
    assert time.process_time() - start < 10  # about 0.6 s on an idle core
    assert prove(charges(z), budget).epsilon <= epsilon + 1e-9


def test_opacus_agrees():
    from opacus.accountants.analysis import rdp

    charges, budget = poisson(0.01, 1000), Budget(100, 1e-5)
    proven = dict(prove(charges(1.1), budget).bounds)
    orders = [1 + x / 10 for x in range(1, 100)] + list(range(11, 64))
    cost = rdp.compute_rdp(q=0.01, noise_multiplier=1.1, steps=1000, orders=orders)
    expected, _ = rdp.get_privacy_spent(orders=orders, rdp=cost, delta=1e-5)
    assert proven["RDP"] == pytest.approx(expected, rel=0.01)
    assert 0.85 * proven["RDP"] < proven["PLD"] < proven["RDP"]


def test_a_pure_discrete_laplace_costs_its_epsilon():
    assert prove([Charge("l", DiscreteLaplaceDpEvent(0.5, 1))], Budget(1, 1e-9)).epsilon <= 0.5 + 1e-3


@pytest.mark.parametrize("delta", [1e-5, 1e-12])
def test_pure_privacy_composes_with_gaussians(delta):
    """Pure epsilon-DP is epsilon^2 / 2-zCDP; below delta = 1e-10 the proof falls back to Renyi DP."""
    charges = [Charge("l", DiscreteLaplaceDpEvent(0.1, 1)), Charge("g", GaussianDpEvent(10.0))]
    proven = prove(charges, Budget(5, delta))
    rho = 0.5 * 0.1**2 + 0.5 / 100
    assert proven.accountant == ("RDP" if delta < 1e-10 else "PLD")
    assert proven.epsilon <= rho + 2 * math.sqrt(rho * math.log(1 / delta))
    assert proven.epsilon >= prove([Charge("g", GaussianDpEvent(10.0))], Budget(5, delta)).epsilon


@pytest.mark.parametrize(("neighbours", "cells"), [("add_remove", 2), ("replace_one", 4)])
def test_counts_cost_exactly_what_the_continuous_gaussian_does(neighbours, cells):
    budget = Budget(5, 1e-5, neighbours)
    counts = [NoisyMarginals(name="c", neighbours=neighbours, sigma=20.0, marginals=2)]
    exact = prove([Charge("g", SelfComposedDpEvent(GaussianDpEvent(20.0), cells))], budget)
    assert prove(counts, budget).epsilon == pytest.approx(exact.epsilon, rel=1e-12)
    assert prove(counts, budget).accountant == "analytic Gaussian"


def test_own_deltas_come_out_of_the_budget():
    charges = [Charge("g", GaussianDpEvent(5.0)), Charge("c", GaussianDpEvent(50.0), delta=6e-6)]
    plain = [Charge(charge.name, charge.event) for charge in charges]
    assert prove(charges, Budget(2, 1e-5)).epsilon == pytest.approx(prove(plain, Budget(2, 4e-6)).epsilon)
    with pytest.raises(BudgetError, match="delta"):
        prove(charges, Budget(2, 6e-6))


def test_person_level_is_proven_at_the_row_level():
    person = Budget(1, 1e-6, rows_per_person=4)
    z = calibrate(poisson(0.05, 200), person)
    assert z == calibrate(poisson(0.05, 200), person.row_level)
    proven = prove(poisson(0.05, 200)(z), person)
    assert proven.epsilon <= 1 + 1e-9
    assert proven.delta == 1e-6
    assert prove(poisson(0.05, 200)(z * 0.9), person).delta > 1e-6


@pytest.mark.parametrize(
    ("event", "neighbours"),
    [
        (SampledWithoutReplacementDpEvent(100, 10, GaussianDpEvent(1.0)), "add_remove"),
        (PoissonSampledDpEvent(0.1, GaussianDpEvent(1.0)), "replace_one"),
        (PoissonSampledDpEvent(0.1, ZCDpEvent(0.1)), "add_remove"),
        (ZCDpEvent(0.1), "add_remove"),
        (UnsupportedDpEvent(), "add_remove"),
    ],
)
def test_pairs_without_a_proof_are_refused(event, neighbours):
    with pytest.raises(BudgetError):
        prove([Charge("x", event)], Budget(1, 1e-5, neighbours))


@pytest.mark.parametrize(
    "event", [NonPrivateDpEvent(), GaussianDpEvent(0.0), SelfComposedDpEvent(GaussianDpEvent(0.0), 3)]
)
def test_no_noise_is_infinitely_expensive(event):
    assert prove([Charge("x", event)], Budget(1, 1e-5)).epsilon == math.inf


def test_infinite_epsilon_needs_no_proof():
    budget = Budget(math.inf, 1e-5)
    assert calibrate(poisson(0.1, 10), budget) == 0.0
    proven = prove(poisson(0.1, 10)(0.0), budget)
    assert (proven.epsilon, proven.accountant) == (math.inf, "none")


def test_a_budget_that_others_have_taken_is_refused_with_the_reason():
    with pytest.raises(BudgetError, match="other charges"):
        calibrate(poisson(0.05, 100, [Charge("counts", GaussianDpEvent(3.0))]), Budget(1, 1e-5))


@pytest.mark.parametrize("noise", [1e-3, 1e-2, 1e4, 1e8])
def test_extreme_noise_neither_hangs_nor_crashes(noise):
    start = time.process_time()
    assert prove(poisson(0.063, 1500)(noise), Budget(1, 1e-5)).epsilon >= 0
    assert time.process_time() - start < 10


# ---- sampling without replacement under replace_one -------------------------------------------------------


@pytest.mark.parametrize(("rate", "noise", "steps"), [(0.1, 2.0, 50), (0.02, 0.7, 400), (0.5, 5.0, 10)])
def test_replaced_row_bound_lies_between_a_real_attack_and_rdp(rate, noise, steps):
    """Lower: all other rows zero, +C against -C, a pair of neighbours. Upper: Wang et al. 2019.

    dp_accounting's REPLACE_ONE Gaussian takes noise in units of C, ours in units of 2 C.
    """
    interval = 1e-3
    ours = replaced_row(rate, noise, interval).self_compose(steps).get_epsilon_for_delta(1e-5)
    attack = pld.from_gaussian_mechanism(
        2 * noise,
        sampling_prob=rate,
        neighboring_relation=NeighboringRelation.REPLACE_ONE,
        pessimistic_estimate=False,
        use_connect_dots=False,
        value_discretization_interval=interval / 10,
    )
    lower = attack.self_compose(steps).get_epsilon_for_delta(1e-5)
    bounds = dict(prove(subset(1000, round(1000 * rate), steps)(noise), Budget(1, 1e-5, "replace_one")).bounds)
    assert lower * 0.98 <= ours <= bounds["RDP"]


def test_replaced_row_of_a_full_batch_is_the_gaussian():
    for epsilon in (0.1, 1.0):
        ours = replaced_row(1.0, 2.0, 1e-4).get_delta_for_epsilon(epsilon)
        assert ours == pytest.approx(gaussian_delta(0.5, epsilon), rel=1e-3)
        assert ours >= gaussian_delta(0.5, epsilon) * (1 - 1e-6)


def test_replaced_row_of_one_step_is_amplification_by_subsampling():
    """Balle, Barthe, Gaboardi 2018, Theorem 11: delta' = q delta(eps), eps' = log(1 + q (e^eps - 1))."""
    rate, noise, epsilon = 0.2, 1.3, 0.8
    amplified = math.log1p(rate * math.expm1(epsilon))
    distribution = replaced_row(rate, noise, 1e-4)
    assert distribution.get_delta_for_epsilon(amplified) == pytest.approx(
        rate * gaussian_delta(1 / noise, epsilon), rel=1e-3
    )
    mass = np.asarray(distribution._pmf_remove._probs)
    assert mass.sum() == pytest.approx(1.0, abs=1e-6)
