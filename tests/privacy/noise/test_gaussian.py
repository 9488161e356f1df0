"""dpsynth/privacy/noise/gaussian.py"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import BudgetError
from dpsynth.privacy import Budget, GaussianQuery, Ledger, Plan, RandomGenerators
from dpsynth.privacy.noise.gaussian import grid
from dpsynth.privacy.noise.random import PrivacyGenerator


def mechanism(noise, bound=1.0, name="g", releases=1):
    return GaussianQuery(name=name, neighbours="add_remove", noise_multiplier=noise, bound=bound, releases=releases)


def ledger_of(*mechanisms, epsilon=100.0, randomness=None):
    return Ledger(Plan(Budget(epsilon, 1e-5), mechanisms), randomness or RandomGenerators())


def test_noise_has_the_promised_scale_over_all_tensors():
    one = mechanism(1.5, 2.0)
    value = [torch.zeros(300, 400), torch.zeros(80_001)]
    out = ledger_of(one).release(one, value)
    assert [tensor.shape for tensor in out] == [(300, 400), (80_001,)]
    assert [tensor.dtype for tensor in out] == [torch.float32] * 2
    flat = torch.cat([tensor.reshape(-1) for tensor in out])
    assert float(flat.std()) == pytest.approx(3.0, rel=0.01)
    assert float(flat.mean()) == pytest.approx(0.0, abs=0.05)
    assert one.deviation == 3.0


def test_all_forms_get_the_same_noise():
    value = np.linspace(-3, 5, 12).reshape(3, 4)

    def outcome(form):
        one = mechanism(2.0)
        return ledger_of(one, randomness=RandomGenerators(1, "seeded")).release(one, form)

    array = outcome(value)
    assert array.dtype == np.float64
    assert np.array_equal(value, np.linspace(-3, 5, 12).reshape(3, 4))  # an array is left as it was
    assert np.array_equal(array, outcome(torch.from_numpy(value.copy())).numpy())
    assert np.array_equal(array, outcome([torch.from_numpy(value.copy())])[0].numpy())
    written = torch.from_numpy(value.copy())
    assert outcome(written) is written
    assert np.array_equal(array, written.numpy())


def test_steps_and_names_have_noise_of_their_own():
    one, other = mechanism(5.0, name="a", releases=2), mechanism(5.0, name="b")
    ledger = ledger_of(one, other)
    draws = [ledger.release(one, np.zeros(50), 0), ledger.release(one, np.zeros(50), 1)]
    draws.append(ledger.release(other, np.zeros(50), 0))
    assert all(not np.isclose(x, y).any() for x, y in ((draws[0], draws[1]), (draws[0], draws[2])))
    with pytest.raises(BudgetError):
        ledger.release(one, np.zeros(50), 0)


@given(st.floats(1e-6, 1e6), st.floats(-1e6, 1e6))
@settings(max_examples=50, deadline=None)
def test_outputs_lie_on_a_public_grid(scale, value):
    out = mechanism(scale).draw(np.full(20, value), PrivacyGenerator.seeded(0).keystream("g"))
    spacing = grid(scale)
    assert spacing <= scale * 2.0**-20
    assert math.log2(spacing).is_integer()
    assert np.array_equal(np.round(out / spacing) * spacing, out)


@pytest.mark.parametrize("noise", [-1.0, math.nan, math.inf])
def test_noise_without_a_meaning_makes_no_mechanism(noise):
    with pytest.raises(BudgetError, match="noise"):
        mechanism(noise)


def test_absent_noise_is_refused():
    with pytest.raises(BudgetError, match="no noise"):
        ledger_of(mechanism(0.0))


@pytest.mark.parametrize("sensitivity", [0.0, -1.0, math.nan, math.inf])
def test_absurd_sensitivity_is_refused(sensitivity):
    with pytest.raises(BudgetError, match="sensitivity"):
        ledger_of(mechanism(1.0, sensitivity))


def test_infinite_epsilon_returns_the_exact_value_of_an_unbounded_query():
    one = mechanism(0.0, math.inf)
    value = [torch.randn(5)]
    exact = value[0].clone()
    out = ledger_of(one, epsilon=math.inf).release(one, value)
    assert torch.equal(out[0], exact)
    assert one.deviation == 0.0


def test_noise_too_small_for_a_float_is_refused():
    """0.4 times the smallest float is 0, which once meant: no noise."""
    with pytest.raises(BudgetError, match="too small"):
        Plan(Budget(1e4, 1e-5), (mechanism(0.4, 5e-324),))


def test_gaussian_noise_goes_with_euclidean_distances_alone():
    class Largest(GaussianQuery):
        norm = "linf"

    with pytest.raises(BudgetError, match="l2 sensitivity, not for one in linf"):
        Plan(Budget(3.0, 1e-5), (Largest(name="g", neighbours="add_remove", noise_multiplier=5.0, bound=1.0),))
