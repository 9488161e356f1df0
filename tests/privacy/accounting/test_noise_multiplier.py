"""The noise multiplier of DP-SGD for a budget, against the accountant of dp_accounting."""

import math

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from scipy.stats import norm

import dpsynth
from dpsynth.errors import BudgetError


def spent(noise, rate, steps, delta):
    """What dp_accounting computes with its own, pessimistic discretisation."""
    accountant = PLDAccountant(value_discretization_interval=1e-4)
    step = PoissonSampledDpEvent(rate, GaussianDpEvent(noise)) if rate < 1 else GaussianDpEvent(noise)
    return accountant.compose(SelfComposedDpEvent(step, steps)).get_epsilon(delta)


@pytest.mark.parametrize(
    ("epsilon", "delta", "rate", "steps"), [(1.0, 1e-5, 0.01, 1_000), (3.0, 1e-6, 0.05, 200), (8.0, 1e-5, 1.0, 10)]
)
def test_another_accountant_confirms_it_and_less_noise_is_not_enough(epsilon, delta, rate, steps):
    noise = dpsynth.noise_multiplier_for(epsilon, delta, rate, steps)
    assert spent(noise, rate, steps, delta) == pytest.approx(epsilon, rel=5e-3)
    assert spent(0.98 * noise, rate, steps, delta) > epsilon


def test_a_single_release_is_the_analytic_gaussian():
    noise = dpsynth.noise_multiplier_for(1.0, 1e-5)
    delta = norm.cdf(0.5 / noise - noise) - math.e * norm.cdf(-0.5 / noise - noise)
    assert delta == pytest.approx(1e-5, rel=1e-2)
    assert delta <= 1e-5
    assert dpsynth.noise_multiplier_for(1.0, 1e-5, steps=9) == pytest.approx(3 * noise, rel=1e-3)


def test_nothing_is_needed_where_nothing_is_promised():
    assert dpsynth.noise_multiplier_for(math.inf, 1e-5, 0.1, 100) == 0


@pytest.mark.parametrize(
    "wrong", [{"epsilon": 0}, {"delta": 1.0}, {"sampling_rate": 0.0}, {"sampling_rate": 1.5}, {"steps": 0},
              {"steps": 2.5}, {"steps": True}, {"sampling_rate": math.nan}],
)  # fmt: skip
def test_what_has_no_answer_is_refused(wrong):
    with pytest.raises(BudgetError):
        dpsynth.noise_multiplier_for(**{"epsilon": 1.0, "delta": 1e-5, **wrong})
