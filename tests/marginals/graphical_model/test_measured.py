import numpy as np
import pytest

from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.estimation import Measurement, merged, noisy_total

SIZES = (2, 3)


@pytest.mark.parametrize(
    ("measurement", "message"),
    [
        (Measurement((1, 0), np.zeros((3, 2)), 1.0), "strictly ascending"),
        (Measurement((0, 0), np.zeros((2, 2)), 1.0), "strictly ascending"),
        (Measurement((0, 2), np.zeros((2, 2)), 1.0), "below 2"),
        (Measurement((0, 1), np.zeros((3, 2)), 1.0), r"shape \(3, 2\)"),
        (Measurement((0,), np.zeros(2), np.ones(3)), "shape"),
        (Measurement((0,), np.array([1.0, np.nan]), 1.0), "finite"),
        (Measurement((0,), np.zeros(2), 0.0), "above 0"),
        (Measurement((0,), np.zeros(2), np.array([1.0, 0.0])), "above 0"),
    ],
)
def test_contradictions_are_refused(measurement, message):
    with pytest.raises(ConfigError, match=message):
        measurement.check(SIZES)


def test_repeats_merge_by_inverse_variance():
    """Twice at sigma 1 and once at sigma sqrt(2) is once at the mean with weight 2.5; per cell where sigma says so."""
    values = [np.array([10.0, 0.0]), np.array([14.0, 2.0]), np.array([20.0, 6.0])]
    sigmas = [1.0, 1.0, np.array([2**0.5, 1.0])]
    [(mean, weight)] = merged([Measurement((0,), v, s) for v, s in zip(values, sigmas, strict=True)]).values()
    np.testing.assert_allclose(mean, [(10 + 14 + 20 / 2) / 2.5, 8 / 3])
    np.testing.assert_allclose(weight, [2.5, 3.0])


def test_the_total_weighs_tables_by_their_noise():
    """10 cells at sigma 1 say as much about the total as one cell at sigma sqrt(10); a plain count joins in."""
    measurements = [
        Measurement((0,), np.full(10, 11.0), 1.0),
        Measurement((1,), np.array([90.0]), 10**0.5),
        Measurement((), np.array(103.0), 10**0.5),
    ]
    assert noisy_total(measurements) == pytest.approx((110 + 90 + 103) / 3)


def test_the_total_is_unbiased_and_as_sharp_as_its_variance_says():
    generator = np.random.default_rng(0)
    sigmas, cells = [3.0, 10.0], [20, 5]
    drawn = []
    for _ in range(2000):
        tables = [np.full(c, 1000 / c) + generator.normal(0, s, c) for s, c in zip(sigmas, cells, strict=True)]
        drawn.append(
            noisy_total([Measurement((j,), t, s) for j, (t, s) in enumerate(zip(tables, sigmas, strict=True))])
        )
    sd = (1 / sum(1 / (c * s**2) for s, c in zip(sigmas, cells, strict=True))) ** 0.5
    assert abs(np.mean(drawn) - 1000) < 4 * sd / 2000**0.5
    assert np.std(drawn) == pytest.approx(sd, rel=0.1)


def test_the_total_is_at_least_one_row():
    assert noisy_total([]) == 1
    assert noisy_total([Measurement((0,), np.array([-50.0, 3.0]), 4.0)]) == 1


def test_no_noise_stays_finite():
    """A sigma next to zero counts as a thousandth of the largest: weights never leave the range of floats."""
    measurements = [Measurement((0,), np.ones(2), 1e-200), Measurement((1,), np.ones(3), 5.0)]
    assert all(np.isfinite(w).all() for _, w in merged(measurements).values())
    assert np.isfinite(noisy_total(measurements))
