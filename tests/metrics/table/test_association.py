import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, f_oneway, pearsonr, spearmanr
from scipy.stats.contingency import association, crosstab

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.association import (
    Association,
    Associations,
    association_matrix,
    corrected_v,
    cramer,
    pearson,
    ranks,
    ratios,
)

NAMES = ["pearson_gap", "spearman_gap", "cramer_gap", "correlation_ratio_gap"]


def measure(real: pd.DataFrame, evaluated: pd.DataFrame, domain: Domain):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = Association().measure(Sample(evaluated, domain), Reference(Sample(real, domain)))
    assert [score.name for score in scores] == NAMES
    return {score.name: score for score in scores}


def numbers(rows: int, seed: int, missing: float = 0.2) -> np.ndarray:
    g = np.random.default_rng(seed)
    values = g.normal(size=(rows, 4)) @ g.normal(size=(4, 4))
    values[:, 2] = np.exp(values[:, 2]).round(1)  # skewed, with ties
    values[g.random(values.shape) < missing] = np.nan
    return values


@pytest.mark.parametrize("seed", range(3))
def test_pearson_agrees_with_scipy_over_pairwise_complete_rows(seed):
    values = numbers(200, seed)
    found = pearson(values)
    for i in range(4):
        for j in range(i):
            both = ~np.isnan(values[:, [i, j]]).any(axis=1)
            assert found[i, j] == pytest.approx(pearsonr(values[both, i], values[both, j]).statistic, abs=1e-12)
    assert found == pytest.approx(pd.DataFrame(values).corr().to_numpy())


@pytest.mark.parametrize("seed", range(3))
def test_spearman_agrees_with_scipy(seed):
    values = numbers(200, seed, missing=0.0)
    assert pearson(ranks(values)) == pytest.approx(spearmanr(values).statistic)


def test_spearman_is_unmoved_by_monotone_transforms():
    values = numbers(300, 5)
    bent = np.column_stack([np.exp(values[:, 0]), values[:, 1] ** 3, values[:, 2], -1 / (5 + np.abs(values[:, 3]))])
    bent[:, 3] = np.where(values[:, 3] > 0, bent[:, 3] + 1, -bent[:, 3] - 1)
    assert pearson(ranks(bent)) == pytest.approx(pearson(ranks(values)))


@given(st.integers(2, 6), st.integers(2, 6), st.integers(20, 200), st.integers(0, 99))
def test_cramers_v_is_scipys_with_the_bias_taken_out(r, c, rows, seed):
    g = np.random.default_rng(seed)
    a = g.integers(r, size=rows)
    b = np.where(g.random(rows) < 0.4, a % c, g.integers(c, size=rows))
    found = cramer(np.column_stack([a, b]), [r + 1, c + 2])[0, 1]  # cells without rows must not count
    table = crosstab(a, b).count
    chi2 = chi2_contingency(table, correction=False).statistic
    r, c = table.shape
    if min(r, c) > 1:
        assert association(table, method="cramer") == pytest.approx(np.sqrt(chi2 / rows / (min(r, c) - 1)))
        excess = max(0.0, chi2 / rows - (r - 1) * (c - 1) / (rows - 1))
        reach = min(r - (r - 1) ** 2 / (rows - 1), c - (c - 1) ** 2 / (rows - 1)) - 1
        assert found == pytest.approx(min(np.sqrt(excess / reach), 1.0), abs=1e-6)


def test_sparse_and_dense_counting_agree():
    g = np.random.default_rng(0)
    codes = g.integers(9, size=(50, 2))
    assert cramer(codes, [9, 9]) == pytest.approx(cramer(codes * 500, [5_001, 5_001]))


def test_without_dependence_the_corrected_measures_are_near_zero_however_many_categories():
    g = np.random.default_rng(0)
    codes, values = g.integers(200, size=(2_000, 2)), g.normal(size=(2_000, 1))
    plain = np.sqrt(chi2_contingency(crosstab(*codes.T).count, correction=False).statistic / 2_000 / 199)
    assert plain > 0.25
    assert cramer(codes, [200, 200])[0, 1] < 0.06
    assert ratios(codes, [200, 200], values).max() < 0.15


@pytest.mark.parametrize("seed", range(3))
def test_correlation_ratio_agrees_with_the_analysis_of_variance(seed):
    g = np.random.default_rng(seed)
    codes = g.integers(4, size=(150, 1))
    values = (codes[:, 0] == 2) * 1.5 + g.normal(size=150)
    values[g.random(150) < 0.1] = np.nan
    there = ~np.isnan(values)
    groups = [values[there & (codes[:, 0] == k)] for k in range(4)]
    statistic, n, k = f_oneway(*groups).statistic, there.sum(), 4
    eta2 = statistic * (k - 1) / (statistic * (k - 1) + n - k)
    expected = 1 - (1 - eta2) * (n - 1) / (n - k)
    assert ratios(codes, [7], values[:, None])[0, 0] == pytest.approx(np.sqrt(max(0, expected)))


def test_full_dependence_is_one_and_signs_are_kept():
    codes = np.arange(120)[:, None] % 3
    values = np.column_stack([codes[:, 0], -2.0 * codes[:, 0] + 7])
    assert cramer(np.hstack([codes, 2 - codes]), [3, 3])[0, 1] == pytest.approx(1.0)
    assert ratios(codes, [3], values) == pytest.approx(1.0)
    assert pearson(values)[0, 1] == pytest.approx(-1.0)
    assert corrected_v(1.0, 2, 2, 100) == pytest.approx(1.0)


def test_the_matrix_is_symmetric_in_range_and_in_the_order_of_the_columns(domain, draw):
    sample = Sample(draw(2_000, 0), domain)
    matrix, found = association_matrix(sample), Associations.of(sample)
    assert matrix == pytest.approx(matrix.T)
    assert matrix.min() >= 0
    assert matrix.max() <= 1
    assert np.diag(matrix) == pytest.approx(1.0)
    order = list(domain.names)
    age, gain, region, bought = (order.index(name) for name in ("age", "gain", "region", "bought"))
    assert matrix[age, gain] == pytest.approx(abs(found.pearson[0, 1]))
    assert matrix[region, bought] == pytest.approx(found.cramer[0, 2])
    assert matrix[age, bought] == pytest.approx(found.ratio[2, 0])
    assert matrix[age, bought] > 0.3 > matrix[age, region]


def test_a_shuffled_column_is_seen_in_its_pairs_and_no_others(domain, draw):
    real = draw(4_000, 0)
    broken = real.assign(age=np.random.default_rng(0).permutation(real["age"]))
    scores = measure(real, broken, domain)
    both = real["gain"].notna()
    assert scores["spearman_gap"].parts["age x gain"] == pytest.approx(
        abs(spearmanr(real["age"][both], real["gain"][both]).statistic), abs=0.03
    )
    assert scores["correlation_ratio_gap"].parts["age x bought"] > 0.3
    assert scores["correlation_ratio_gap"].detail["max_pair"] == "age x bought"
    for score in scores.values():
        assert all(gap < 1e-9 for pair, gap in score.parts.items() if "age" not in pair.split(" x "))
        assert score.value == pytest.approx(np.mean(list(score.parts.values())))
        assert score.detail["max"] == max(score.parts.values())


def test_a_category_that_no_longer_matters_is_seen_by_cramers_v(domain, draw):
    real = draw(4_000, 0)
    broken = real.assign(bought=np.random.default_rng(0).permutation(real["bought"]))
    assert measure(real, broken, domain)["cramer_gap"].parts["region x bought"] > 0.15


def test_two_samples_of_one_distribution_are_much_closer_than_a_broken_one(domain, draw):
    real, fresh = draw(4_000, 0), draw(4_000, 1)
    broken = pd.DataFrame({name: draw(4_000, seed)[name] for seed, name in enumerate(domain.names)})
    near, far = measure(real, fresh, domain), measure(real, broken, domain)
    for name in ("spearman_gap", "cramer_gap", "correlation_ratio_gap"):
        assert near[name].value < 0.5 * far[name].value


@pytest.mark.parametrize("rows", [1, 2, 3, 40])
def test_odd_tables_give_finite_numbers_without_warnings(domain, draw, rows):
    real = draw(300, 0)
    odd = draw(rows, 1).assign(age=5, gain=np.nan, region="north")
    for a, b in ((real, odd), (odd, real), (odd, odd), (draw(rows, 2), draw(rows, 3))):
        for score in measure(a, b, domain).values():
            assert np.isfinite(score.value)
    assert all(score.value == 0.0 for score in measure(odd, odd, domain).values())
    matrix = association_matrix(Sample(odd, domain))
    assert np.isfinite(matrix).all()
    assert matrix[0, 1:].max() == 0.0


def test_numbers_that_are_constant_where_the_other_is_there_depend_on_nothing():
    values = np.array([[0.1, np.nan], [0.9, np.nan], [0.3, 0.5], [0.3, 0.6], [0.3, 0.9]])
    assert pearson(values)[0, 1] == 0.0
    tiny = np.column_stack([np.arange(5) * 1e-200, np.arange(5.0)])
    assert pearson(tiny)[0, 1] == pytest.approx(1.0)


def test_absent_where_there_is_no_pair():
    one = Domain.from_yaml("columns:\n  x: {kind: number, bounds: [0, 1]}\n")
    frame = pd.DataFrame({"x": [0.0, 1.0]})
    assert all(score.value is None and score.reason for score in measure(frame, frame, one).values())
    assert association_matrix(Sample(frame, one)).tolist() == [[1.0]]
    text = "columns:\n  c: {kind: category, categories: [a, b]}\n  d: {kind: boolean}\n"
    frame = pd.DataFrame({"c": ["a", "b"], "d": [True, False]})
    found = measure(frame, frame, Domain.from_yaml(text))
    assert [name for name in NAMES if found[name].value is None] == [NAMES[0], NAMES[1], NAMES[3]]


def test_many_categories_and_many_columns():
    wide = {f"n{k}": "{kind: number, bounds: [0, 1]}" for k in range(30)}
    many = "{kind: category, categories: [" + ", ".join(f"v{k}" for k in range(5_000)) + "]}"
    text = "columns:\n" + "".join(f"  {name}: {spec}\n" for name, spec in {**wide, "a": many, "b": many}.items())
    domain = Domain.from_yaml(text)
    g = np.random.default_rng(0)

    def rows() -> pd.DataFrame:
        frame = pd.DataFrame(g.random((400, 30)), columns=list(wide))
        return frame.assign(**{name: [f"v{k}" for k in g.integers(5_000, size=400)] for name in "ab"})

    scores = measure(rows(), rows(), domain)
    assert len(scores["pearson_gap"].parts) == 300
    assert scores["pearson_gap"].detail["pairs"] == 435
    assert min(scores["pearson_gap"].parts.values()) <= scores["pearson_gap"].value
    assert scores["cramer_gap"].value < 0.5
