"""dpsynth/privacy/gaussian.py"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import BudgetError
from dpsynth.privacy.gaussian import gaussian, grid
from dpsynth.privacy.random import PrivacyStream


def test_noise_has_the_promised_scale_over_all_tensors():
    stream = PrivacyStream.fresh()
    value = [torch.zeros(300, 400), torch.zeros(80_001)]
    out = gaussian(stream, "g", value, sensitivity=2.0, noise_multiplier=1.5)
    assert [tensor.shape for tensor in out] == [(300, 400), (80_001,)]
    assert [tensor.dtype for tensor in out] == [torch.float32] * 2
    flat = torch.cat([tensor.reshape(-1) for tensor in out])
    assert float(flat.std()) == pytest.approx(3.0, rel=0.01)
    assert float(flat.mean()) == pytest.approx(0.0, abs=0.05)
    assert not value[0].any()


def test_all_forms_get_the_same_noise():
    value = np.linspace(-3, 5, 12).reshape(3, 4)

    def outcome(form, **options):
        return gaussian(PrivacyStream.seeded(1), "g", form, sensitivity=1.0, noise_multiplier=2.0, **options)

    array = outcome(value)
    assert array.dtype == np.float64
    assert np.array_equal(array, outcome(torch.from_numpy(value)).numpy())
    assert np.array_equal(array, outcome([torch.from_numpy(value)])[0].numpy())
    written = torch.from_numpy(value.copy())
    assert outcome(written, inplace=True) is not None
    assert np.array_equal(array, written.numpy())


def test_steps_and_names_have_noise_of_their_own():
    stream = PrivacyStream.fresh()

    def noise(name, step):
        return gaussian(stream, name, np.zeros(50), sensitivity=1.0, noise_multiplier=1.0, step=step)

    draws = [noise("a", 0), noise("a", 1), noise("b", 0)]
    assert all(not np.isclose(x, y).any() for x, y in ((draws[0], draws[1]), (draws[0], draws[2])))
    with pytest.raises(BudgetError):
        noise("a", 0)


@given(st.floats(1e-6, 1e6), st.floats(-1e6, 1e6))
@settings(max_examples=50, deadline=None)
def test_outputs_lie_on_a_public_grid(scale, value):
    out = gaussian(PrivacyStream.seeded(0), "g", np.full(20, value), sensitivity=1.0, noise_multiplier=scale)
    spacing = grid(scale)
    assert spacing <= scale * 2.0**-20
    assert math.log2(spacing).is_integer()
    assert np.array_equal(np.round(out / spacing) * spacing, out)


@pytest.mark.parametrize("noise", [0.0, -1.0, math.nan, math.inf])
def test_absent_noise_is_refused(noise):
    with pytest.raises(BudgetError, match="noise"):
        gaussian(PrivacyStream.fresh(), "g", np.zeros(2), sensitivity=1.0, noise_multiplier=noise)


@pytest.mark.parametrize("sensitivity", [0.0, -1.0, math.nan, math.inf])
def test_absurd_sensitivity_is_refused(sensitivity):
    with pytest.raises(BudgetError, match="sensitivity"):
        gaussian(PrivacyStream.fresh(), "g", np.zeros(2), sensitivity=sensitivity, noise_multiplier=1.0)


def test_infinite_epsilon_returns_the_exact_value_of_an_unbounded_query():
    stream = PrivacyStream.fresh(infinite=True)
    value = [torch.randn(5)]
    out = gaussian(stream, "g", value, sensitivity=math.inf, noise_multiplier=0.0)
    assert torch.equal(out[0], value[0])
    assert out[0] is not value[0]
