import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.attacks import (
    advantage,
    gaussian_advantage,
    gaussian_mu,
    gaussian_power,
    posterior,
    power,
)

EPSILONS, DELTAS = st.floats(1e-3, 20), st.floats(0, 0.5)
ALPHA = np.linspace(0, 1, 10_001)


@given(EPSILONS, DELTAS)
def test_advantage_is_the_largest_gap_of_the_curve(epsilon, delta):
    assert advantage(epsilon, delta) == pytest.approx(float((power(ALPHA, epsilon, delta) - ALPHA).max()), abs=2e-3)


@given(EPSILONS, DELTAS)
def test_the_curve_is_that_of_the_definition(epsilon, delta):
    """Both inequalities of (epsilon, delta)-DP hold with equality somewhere, none is broken."""
    limit = power(ALPHA, epsilon, delta)
    first = math.exp(epsilon) * ALPHA + delta - limit
    second = math.exp(epsilon) * (1 - limit) + delta - (1 - ALPHA)
    assert min(first.min(), second.min()) >= -1e-9 * math.exp(epsilon)
    assert ((first < 1e-9) | (second < 1e-9 * math.exp(epsilon)) | (limit == 1)).all()


@given(st.floats(0.05, 8), st.floats(1e-9, 1e-2))
def test_a_gaussian_release_stays_below_the_curve_and_touches_it(epsilon, delta):
    mu = gaussian_mu(epsilon, delta)
    tight = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
    assert tight == pytest.approx(delta, rel=1e-3)
    alpha = norm.cdf(-epsilon / mu - mu / 2)  # where the tangent of slope e^epsilon touches
    assert float(gaussian_power(alpha, mu)) == pytest.approx(float(power(alpha, epsilon, delta)), rel=1e-6)
    assert (gaussian_power(ALPHA, mu) <= power(ALPHA, epsilon, delta) + 1e-9).all()
    assert gaussian_advantage(mu) <= advantage(epsilon, delta) + 1e-9


@given(st.floats(0.001, 0.999), EPSILONS)
def test_the_odds_grow_by_e_to_the_epsilon(prior, epsilon):
    after = posterior(prior, epsilon)
    assert after / (1 - after + 1e-300) == pytest.approx(math.exp(epsilon) * prior / (1 - prior), rel=1e-5)


def test_no_guarantee_limits_nothing():
    assert advantage(math.inf, 1e-5) == 1.0
    assert power(0.0, math.inf, 1e-5) == 1.0


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 1e-5), (-1.0, 1e-5), (math.nan, 1e-5), (1.0, 1.0), (1.0, -0.1)])
def test_impossible_budgets_are_refused(epsilon, delta):
    with pytest.raises(BudgetError):
        advantage(epsilon, delta)
    with pytest.raises(BudgetError):
        gaussian_mu(epsilon, delta)
