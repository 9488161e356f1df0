import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dpsynth.figures.diagnostics import dependences, deviations, ks, ks_band, mardia, radius


def normal(rows, width, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, width))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.integers(0, 2**32 - 1), st.sampled_from(["normal", "uniform", "constant", "rounded"]))
def test_ks_agrees_with_scipy(rows, seed, distribution):
    drawn = np.random.default_rng(seed).standard_normal(rows)
    values = {"normal": drawn, "uniform": stats.norm.cdf(drawn), "constant": drawn * 0, "rounded": drawn.round()}[
        distribution
    ]
    expected = stats.kstest(values, "norm")
    found = ks(values)
    assert found.distance == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)


def test_radius_agrees_with_scipy_and_sees_a_wrong_scale():
    values = normal(500, 4)
    expected = stats.kstest(np.square(values).sum(axis=1), stats.chi2(4).cdf)
    assert radius(values).distance == pytest.approx(expected.statistic, abs=1e-12)
    assert radius(values).p == pytest.approx(expected.pvalue, abs=1e-9)
    assert radius(1.3 * values).p < 1e-6


def test_the_band_holds_its_level():
    band = ks_band(80)
    inside = [ks(normal(80, 1, seed)[:, 0]).distance <= band for seed in range(600)]
    assert 0.92 <= np.mean(inside) <= 0.975  # .95 with its binomial error
    assert ks_band(1000, 0.99) > ks_band(1000, 0.95) > ks_band(4000, 0.95)


def test_the_largest_deviation_is_the_distance():
    values = normal(300, 1)[:, 0] + 0.3
    points = np.sort(stats.norm.cdf(values))
    assert np.abs(deviations(values, points)).max() <= ks(values).distance + 1e-12
    fine = np.linspace(0, 1, 20_001)[1:-1]
    assert np.abs(deviations(values, fine)).max() == pytest.approx(ks(values).distance, abs=2e-3)
    # more mass to the right means fewer values below each level
    assert deviations(values, fine).mean() < -0.02


@pytest.mark.parametrize(("rows", "width"), [(40, 2), (12, 5), (3, 2), (200, 1)])
def test_mardia_is_the_mean_over_pairs_of_rows(rows, width):
    values = normal(rows, width, 3) ** 2 @ np.triu(np.ones((width, width)))
    centred = values - values.mean(axis=0)
    inner = centred @ np.linalg.inv(centred.T @ centred / rows) @ centred.T if rows > width else None
    found = mardia(values)
    assert found is not None
    if inner is not None:
        assert found.skewness == pytest.approx((inner**3).mean(), rel=1e-8)
        assert found.kurtosis == pytest.approx((np.diag(inner) ** 2).mean(), rel=1e-8)


def test_mardia_of_one_column_is_the_ordinary_skewness_and_kurtosis():
    values = np.random.default_rng(1).gamma(2.0, size=(500, 1))
    found = mardia(values)
    assert found is not None
    assert found.skewness == pytest.approx(stats.skew(values[:, 0]) ** 2)
    assert found.kurtosis == pytest.approx(stats.kurtosis(values[:, 0], fisher=False))


def test_mardia_holds_its_level_and_its_means_on_normal_rows():
    mixing = np.array([[1.0, 0.0, 0.0], [5.0, 0.1, 0.0], [-2.0, 3.0, 7.0]])  # it must not depend on mean or covariance
    found = [mardia(normal(120, 3, seed) @ mixing.T + 11) for seed in range(400)]
    assert all(each is not None for each in found)
    for name in ("skewness", "kurtosis"):
        values = np.array([getattr(each, name) for each in found])
        expected = getattr(found[0], f"{name}_expected")
        assert abs(values.mean() - expected) < 4 * values.std() / np.sqrt(len(values))
        assert 0.015 <= np.mean([getattr(each, f"{name}_p") < 0.05 for each in found]) <= 0.09


def test_mardia_sees_skewed_and_heavy_tailed_rows():
    generator = np.random.default_rng(0)
    skewed, heavy = mardia(generator.exponential(size=(400, 3))), mardia(generator.standard_t(5, size=(400, 3)))
    assert skewed is not None
    assert heavy is not None
    assert skewed.skewness_p < 1e-9
    assert heavy.kurtosis_p < 1e-9
    assert heavy.kurtosis > heavy.kurtosis_expected


def test_mardia_without_variance_or_rows():
    assert mardia(np.zeros((10, 3))) is None
    assert mardia(normal(2, 1)) is None
    assert mardia(normal(1, 4)) is None
    doubled = normal(50, 2)
    found = mardia(np.column_stack([doubled, doubled[:, 0], np.full(50, 7.0)]))
    assert found is not None
    assert found.dimensions == 2


def test_mardia_of_wide_tables_looks_at_fewer_rows(monkeypatch):
    monkeypatch.setitem(mardia.__globals__, "COST", 1e7)
    values = normal(2000, 40)
    found = mardia(values)
    assert found is not None
    assert found.rows < 2000
    assert found.rows * 40 * min(found.rows, 1600) <= 1e7
    assert found == mardia(values[: found.rows])
    assert found.kurtosis_p > 1e-4


def test_dependences_see_correlation_and_common_scale_only_where_it_is():
    values = normal(20_000, 5)
    values[:, 1] = 0.6 * values[:, 0] + 0.8 * values[:, 1]
    values[:, 3] *= np.exp(0.8 * np.sign(values[:, 2] ** 2 - 1))  # uncorrelated, yet of dependent size
    values[:, 4] = 2.0
    found = dependences(values)
    assert np.allclose(found, found.T)
    assert (np.diag(found) == 0).all()
    assert found[0, 1] == pytest.approx(0.6, abs=0.02)
    assert found[2, 3] > 0.2
    assert (found[4] == 0).all()
    assert found[0, 2] < 0.03
