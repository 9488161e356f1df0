import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.propensity import Propensity, basis, effects, logistic_chances, null, pmse, tree_chances


def fitted(real, synthetic):
    inputs = np.concatenate([real, synthetic])
    labels = np.arange(len(inputs)) >= len(real)
    features = basis(inputs)
    return pmse(logistic_chances(features, labels), labels.mean()), features.shape[1]


@pytest.mark.parametrize(("n_real", "n_synthetic"), [(900, 300), (500, 500)])
def test_both_nulls_by_simulation(n_real, n_synthetic):
    """Fresh rows of the distribution, and rows of a distribution fitted to the real rows (Snoke), 6 columns, so k =
    7."""
    g, draws = np.random.default_rng(0), 400
    mix = np.linalg.cholesky(0.5 * np.ones((6, 6)) + 0.5 * np.eye(6))
    found = np.empty((draws, 2))
    for i in range(draws):
        real = g.normal(size=(n_real, 6)) @ mix.T
        fresh = g.normal(size=(n_synthetic, 6)) @ mix.T
        model = g.multivariate_normal(real.mean(axis=0), np.cov(real.T), n_synthetic)
        found[i] = [fitted(real, other)[0] for other in (fresh, model)]
    fraction = n_synthetic / (n_real + n_synthetic)
    mean, deviation = null(7, fraction, n_real + n_synthetic)
    for values, factor in zip(found.T, (1.0, 1.0 - fraction), strict=True):
        assert values.mean() == pytest.approx(factor * mean, rel=0.12)
        assert values.std() == pytest.approx(factor * deviation, rel=0.2)


def test_the_fit_is_that_of_an_unpenalised_logistic_regression():
    g = np.random.default_rng(1)
    inputs = g.normal(size=(400, 3)) * [1.0, 30.0, 0.01] + [0.0, 500.0, 7.0]
    labels = g.random(400) < 1 / (1 + np.exp(-inputs[:, 0] - 0.05 * (inputs[:, 1] - 500)))
    scale = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    expected = LogisticRegression(C=1e9, tol=1e-10, max_iter=5000).fit(scale, labels).predict_proba(scale)[:, 1]
    np.testing.assert_allclose(logistic_chances(basis(inputs), labels), expected, atol=2e-4)


def test_constant_and_dependent_columns_are_no_parameters():
    x = np.random.default_rng(0).normal(size=(50, 2))
    wide = np.column_stack([x, x @ [2.0, -1.0] + 3.0, np.full(50, 4.0), x[:, 0], np.zeros(50)])
    features = basis(wide)
    assert features.shape == (50, 3)
    np.testing.assert_allclose(features.T @ features / 50, np.eye(3), atol=1e-8)
    assert basis(np.zeros((5, 2))).shape == (5, 1)


@given(st.integers(3, 60), st.integers(3, 60), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_separable_rows_reach_the_greatest_pmse(n, m, seed):
    g = np.random.default_rng(seed)
    value, _ = fitted(g.normal(-9, 1, (n, 1)), g.normal(9, 1, (m, 1)))
    fraction = m / (n + m)
    assert value == pytest.approx(fraction * (1 - fraction), rel=0.01)


@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 60), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_pmse_stays_in_range_and_chances_keep_the_fraction(n, m, width, seed):
    g = np.random.default_rng(seed)
    inputs = g.integers(0, 3, (n + m, width)).astype(float)
    labels = np.arange(n + m) >= n
    chances = logistic_chances(basis(inputs), labels)
    fraction = m / (n + m)
    assert chances.mean() == pytest.approx(fraction, abs=1e-3)
    assert -1e-9 <= pmse(chances, fraction) <= fraction * (1 - fraction) + 1e-6


def test_a_tree_gives_the_fraction_of_each_leaf():
    g = np.random.default_rng(0)
    inputs, labels = g.integers(0, 4, (500, 1)).astype(float), g.random(500) < 0.3
    chances = tree_chances(inputs, labels, leaf_rows=1)
    for value in range(4):
        assert chances[inputs[:, 0] == value] == pytest.approx(labels[inputs[:, 0] == value].mean())
    assert (tree_chances(inputs, np.ones(500, dtype=bool), 1) == 1.0).all()


def test_main_effects_have_one_column_for_each_level_but_one(domain, draw):
    evaluated, real = Sample(draw(200, 0), domain), Sample(draw(200, 1), domain)
    matrix = effects(evaluated, real, levels=100)
    # age, gain + missing, day + missing, region, flag + missing, bought
    assert basis(matrix).shape[1] == 1 + 1 + 2 + 2 + 3 + 2 + 1
    few = effects(evaluated, real, levels=1)
    assert basis(few).shape[1] == 1 + 1 + 2 + 2 + 1 + 1 + 1


def test_fresh_rows_score_one_with_a_z_of_zero(domain, draw):
    family = Propensity(permutations=5)
    found = [
        family.measure(Sample(draw(600, 2 * seed), domain), Reference(Sample(draw(300, 2 * seed + 1), domain)))
        for seed in range(25)
    ]
    logistic, tree = zip(*found, strict=True)
    k = logistic[0].detail["parameters"]
    near = 4 * np.sqrt(2 / (k - 1) / 25)
    assert np.mean([score.value for score in logistic]) == pytest.approx(1.0, abs=near)
    assert abs(np.mean([score.detail["z"] for score in logistic])) < 4 / 5
    assert np.mean([score.value for score in tree]) == pytest.approx(1.0, abs=0.15)
    # a third of the rows is real, so Snoke's mean is a third of the fresh one
    assert all(score.detail["snoke_ratio"] == pytest.approx(3 * score.value) for score in logistic)


def test_the_tree_sees_dependence_and_the_logistic_model_does_not():
    domain = Domain.from_yaml("columns:\n  a: {kind: integer, bounds: [0, 9]}\n  b: {kind: number, bounds: [0, 1]}\n")

    def rows(seed, dependent):
        g = np.random.default_rng(seed)
        a = g.integers(0, 10, 3000)
        b = np.abs((a % 2) - g.random(3000) / 2)
        return Sample(pd.DataFrame({"a": a, "b": b if dependent else g.permutation(b)}), domain)

    logistic, tree = Propensity().measure(rows(1, False), Reference(rows(0, True)))
    assert logistic.value < 4
    assert tree.value > 5
    assert tree.detail["z"] > 10


def test_both_see_a_shifted_mean(domain, draw):
    moved = draw(3000, 1).assign(age=lambda f: (f["age"] + 10).clip(upper=99))
    for score in Propensity().measure(Sample(moved, domain), Reference(Sample(draw(3000, 0), domain))):
        assert score.value > 2
        assert score.detail["z"] > 5


def test_wide_designs_are_reduced_and_keep_their_null(domain, draw):
    family = Propensity(width=4)
    values = []
    for seed in range(20):
        pair = Sample(draw(400, 2 * seed), domain), Reference(Sample(draw(400, 2 * seed + 1), domain))
        score = family.measure(*pair)[0]
        assert score.detail["parameters"] == 5
        values.append(score.value)
    assert np.mean(values) == pytest.approx(1.0, abs=4 * np.sqrt(2 / 4 / 20))
