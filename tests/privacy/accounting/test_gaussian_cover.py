"""dpsynth/privacy/accounting/gaussian_cover.py: a covering Gaussian costs at least as much as what it covers."""

import math

import numpy as np
import pytest
from dp_accounting import (
    ComposedDpEvent,
    GaussianDpEvent,
    NonPrivateDpEvent,
    PoissonSampledDpEvent,
    SampledWithoutReplacementDpEvent,
    SelfComposedDpEvent,
)
from dp_accounting.dp_event import DiscreteLaplaceDpEvent

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.account import RecordedCharge, _epsilon
from dpsynth.privacy.accounting.accounting import prove
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.gaussian_cover import cover
from dpsynth.privacy.accounting.privacy_loss import gaussian_profile

SLACK = 1e-7


def charges(*events, delta=0.0):
    return [RecordedCharge(f"part {number}", event, delta) for number, event in enumerate(events)]


def sampled(rate, noise, steps):
    return SelfComposedDpEvent(PoissonSampledDpEvent(rate, GaussianDpEvent(noise)), steps)


def test_gaussians_add_up_exactly_and_need_no_delta():
    parts = charges(GaussianDpEvent(2.0), SelfComposedDpEvent(GaussianDpEvent(4.0), 3))
    squared, delta = cover(parts, "add_remove", SLACK)
    assert squared == pytest.approx(1 / 4 + 3 / 16, rel=1e-12)
    assert delta == 0
    assert _epsilon(math.sqrt(squared), 1e-5) == pytest.approx(prove(parts, Budget(1, 1e-5)).epsilon, rel=1e-9)


EVENTS = [
    (sampled(0.01, 1.0, 1000), "add_remove", 1.05),
    (sampled(0.1, 4.0, 500), "add_remove", 1.05),
    (SelfComposedDpEvent(SampledWithoutReplacementDpEvent(1000, 50, GaussianDpEvent(2.0)), 200), "replace_one", 1.1),
    (SelfComposedDpEvent(DiscreteLaplaceDpEvent(0.05, 1), 100), "add_remove", 1.1),
    (ComposedDpEvent([sampled(0.02, 1.2, 100), DiscreteLaplaceDpEvent(0.3, 1)]), "add_remove", 1.3),
]


@pytest.mark.parametrize(("event", "neighbours", "factor"), EVENTS)
def test_the_cover_costs_more_than_the_proof_but_little(event, neighbours, factor):
    """At every delta above the slack, the Gaussian and its failure cost at least what the accountant proves."""
    squared, delta = cover(charges(event), neighbours, SLACK)
    assert delta == SLACK
    for target in (2e-7, 1e-6, 1e-5, 1e-3):
        proven = prove(charges(event), Budget(1, target, neighbours)).epsilon
        assert _epsilon(math.sqrt(squared), target - delta) >= proven * (1 - 1e-6)
    assert (
        _epsilon(math.sqrt(squared), 1e-5 - delta)
        <= factor * prove(charges(event), Budget(1, 1e-5, neighbours)).epsilon
    )


def test_pure_dp_is_covered_by_its_own_gaussian():
    """For one loss of +-e, TV = tanh(e / 2) at epsilon 0, so mu is at least 2 ndtri((1 + TV) / 2), and near it."""
    squared, _ = cover(charges(DiscreteLaplaceDpEvent(0.5, 1)), "add_remove", SLACK)
    least = math.expm1(0.5) / (math.exp(0.5) + 1)
    assert gaussian_profile(1 / math.sqrt(squared), np.zeros(1))[0] >= least * (1 - 1e-3)
    assert squared < 0.5**2 * 2.5


def test_deltas_of_charges_are_failures():
    assert cover(charges(GaussianDpEvent(1.0), GaussianDpEvent(1.0), delta=1e-6), "add_remove", SLACK)[1] == 2e-6


def test_no_noise_is_infinite():
    for event in (NonPrivateDpEvent(), GaussianDpEvent(0.0), sampled(0.1, 0.0, 2)):
        assert cover(charges(event), "add_remove", SLACK)[0] == math.inf


@pytest.mark.parametrize(
    ("event", "neighbours", "slack"),
    [
        (sampled(0.01, 1.0, 10), "add_remove", 0.0),
        (sampled(0.01, 1.0, 10), "replace_one", SLACK),
        (sampled(0.9, 0.01, 1000), "add_remove", SLACK),
    ],
)
def test_what_has_no_bound_is_refused(event, neighbours, slack):
    with pytest.raises(BudgetError):
        cover(charges(event), neighbours, slack)
