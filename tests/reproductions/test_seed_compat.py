"""The original scores, and why each of them is blind."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from sklearn.model_selection import train_test_split

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.propensity import basis, logistic_chances, pmse
from dpsynth.reproductions.seed_compat import (
    SeedCompat,
    column_fits,
    histogram_distance,
    pmse_ratio,
    random_split_distance,
    ranking_agreement,
    scaled,
)

MIX = np.array([[1, 0, 0, 0], [0.9, 0.4, 0, 0], [0.5, 0.2, 0.8, 0], [0.2, 0.5, 0.5, 0.7]])


def real(rows, seed):
    """Four dependent normal columns."""
    return np.random.default_rng(seed).normal(size=(rows, 4)) @ MIX.T


def independent(rows, seed):
    return np.random.default_rng(seed).exponential(size=(rows, 4)) ** 2


# SRA


def test_sra_is_the_double_sum_of_the_original_code():
    g = np.random.default_rng(0)
    for _ in range(20):
        r, s = g.integers(0, 4, (2, 5)).astype(float)
        expected = sum((r[i] - r[j]) * (s[i] - s[j]) >= 0 for i in range(5) for j in range(5) if i != j) / 20
        assert ranking_agreement(r, s) == pytest.approx(expected)


def test_sra_of_collinear_columns_is_perfect_though_no_pair_is_ranked():
    """The "Basic" table of the original: every column is drawn with one seed, so all are the same z."""
    z = np.random.default_rng(42).normal(size=(1000, 1))
    fits = column_fits(scaled(z * [1.0, 20.0, 0.3, 5.0] + [0.0, 40.0, 1.0, 9.0]))
    assert (fits == 1.0).all()  # all tied
    truth = column_fits(scaled(real(1000, 0)))
    assert len(set(truth)) == 4
    assert ranking_agreement(truth, fits) == 1.0
    assert (np.diff(fits) == 0).all()  # counting only strict agreement would give 0


def test_sra_may_prefer_collinear_columns_to_real_rows():
    """Near-equal fits are ranked by chance, so fresh real rows lose to the collinear table."""
    g = np.random.default_rng(1)
    scores = [ranking_agreement(*(column_fits(g.normal(size=(500, 6))) for _ in range(2))) for _ in range(10)]
    assert np.mean(scores) < 0.75


# Wasserstein


def test_histogram_distance_is_the_documented_example_of_pyemd():
    assert histogram_distance(np.array([1, 2, 3, 4]), np.array([2, 3, 4, 5]), bins=2) == pytest.approx(0.5)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.integers(0, 99))
def test_histogram_distance_is_the_optimal_transport_of_bin_centres(n, m, bins, seed):
    g = np.random.default_rng(seed)
    first, second = g.normal(size=(n, 2)), g.normal(0.5, 1, (m, 2))
    edges = np.histogram_bin_edges(np.concatenate([first, second]), bins)
    centres = (edges[1:] + edges[:-1]) / 2
    fractions = [np.histogram(values, edges)[0] for values in (first, second)]
    found = histogram_distance(first, second, bins)
    assert found == pytest.approx(wasserstein_distance(centres, centres, *fractions), abs=1e-12)


def test_histogram_distance_agrees_with_pot():
    ot = pytest.importorskip("ot")
    first, second = real(100, 0), real(100, 1) + 0.5
    edges = np.histogram_bin_edges(np.concatenate([first, second]), 10)
    centres = ((edges[1:] + edges[:-1]) / 2)[:, None]
    fractions = [np.histogram(values, edges)[0] / values.size for values in (first, second)]
    expected = ot.emd2(*fractions, ot.dist(centres, metric="euclidean"))
    assert histogram_distance(first, second) == pytest.approx(expected)


def test_random_splits_are_those_of_the_histogram_distance():
    """All splits of few rows, one by one, against the vectorised mean over many of them."""
    x, y = real(3, 0), real(3, 1) + 1.0
    pool = np.concatenate([x, y])
    g = np.random.default_rng(0)
    slow = []
    for _ in range(4000):
        g.shuffle(pool)
        slow.append(histogram_distance(pool[:3], pool[3:]))
    fast = random_split_distance(x, y, rows=3, relabellings=4000, repeats=1)
    assert fast == pytest.approx(np.mean(slow), rel=0.05)


def test_wasserstein_does_not_see_a_shift_or_a_scale():
    x, y = real(1000, 0), real(1000, 1)
    one, two = (random_split_distance(scaled(x), scaled(other)) for other in (y, 7.0 * y + 100.0))
    assert one == pytest.approx(two)


def test_wasserstein_of_other_rows_is_what_real_rows_score():
    """Rows without any dependence score hardly otherwise, and no worse."""
    x, y = real(2000, 0), real(2000, 1)
    g = np.random.default_rng(0)
    shuffled = np.column_stack([g.permutation(column) for column in y.T])
    null = random_split_distance(scaled(x), scaled(y))
    assert random_split_distance(scaled(x), scaled(shuffled)) == pytest.approx(null, rel=0.2)
    assert histogram_distance(scaled(x), scaled(y) + 1.0) > 5 * null  # a distance of the tables themselves would tell


# pMSE


def test_pmse_does_not_change_with_a_shifted_mean():
    x, y = real(800, 0), real(800, 1)
    one, two = (pmse_ratio(scaled(x), scaled(other)) for other in (y, y + np.array([5.0, -3.0, 0.5, 100.0])))
    assert one == pytest.approx(two, rel=1e-6)


def test_pmse_would_be_zero_if_all_rows_were_fitted():
    """Own-mean scaling leaves main effects nothing to see, whatever the two distributions are."""
    x, y = scaled(real(500, 0)), scaled(independent(500, 1))
    labels = np.arange(1000) >= 500
    assert pmse(logistic_chances(basis(np.concatenate([x, y])), labels), 0.5) < 1e-12


def expected_of_any_two_distributions(n, k):
    """Chance difference of means in 67 % of the rows, and that of the fraction of synthetic rows in the fixed split."""
    training, _ = train_test_split(np.arange(2 * n) >= n, test_size=0.33, random_state=42)
    return 0.33 / 0.67 / 0.5 + (training.mean() - 0.5) ** 2 / (k * 0.5**3 / (2 * n))


@pytest.mark.parametrize(
    "distribution", [real, lambda n, seed: real(n, seed) + 3.0, independent], ids=["same", "shift", "other"]
)
def test_pmse_is_about_one_for_any_distribution_and_about_three_for_halves_scaled_alike(distribution):
    own, alike = [], []
    for seed in range(150):
        x, y = real(400, 2 * seed), distribution(400, 2 * seed + 1)
        own.append(pmse_ratio(scaled(x), scaled(y)))
        alike.append(pmse_ratio(*((table - x.mean(axis=0)) / x.std(axis=0) for table in (x, y))))
    assert np.mean(own) == pytest.approx(expected_of_any_two_distributions(400, 4), abs=0.25)
    if distribution is real:
        assert np.mean(alike) == pytest.approx(3.0, abs=0.7)
    else:
        assert np.mean(alike) > 10


# the family

SCHEMA = """
columns:
  a: {kind: number, bounds: [-10, 10]}
  b: {kind: integer, bounds: [-100, 100], missing: true}
  c: {kind: number, bounds: [-10, 10]}
  word: {kind: category, categories: [x, y]}
"""


def table(values, word="x"):
    frame = pd.DataFrame({"a": values[:, 0], "b": np.round(10 * values[:, 1]), "c": values[:, 2], "word": word})
    return Sample(frame.assign(b=frame["b"].mask(frame["b"] == 3)), Domain.from_yaml(SCHEMA))


def test_only_numeric_columns_complete_rows_and_as_many_as_real_ones_count():
    holdout, evaluated = table(real(200, 0)), table(real(400, 1))
    scores = SeedCompat().measure(evaluated, Reference(holdout))
    assert [score.name for score in scores] == ["seed_sra", "seed_wasserstein", "seed_pmse"]
    complete = holdout.frame["b"].notna().sum()
    assert complete < 200
    assert all(score.detail["columns"] == ["a", "b", "c"] for score in scores)
    assert all(score.detail["rows"] == score.detail["holdout_rows"] == complete for score in scores)
    other = SeedCompat().measure(table(real(400, 1), "y"), Reference(holdout))
    assert [score.value for score in other] == [score.value for score in scores]


def test_a_table_that_is_shifted_inside_its_bounds_scores_the_same():
    holdout, y = table(real(300, 0)), real(300, 1)
    y[:, 1] = 1.0
    one, two = (SeedCompat().measure(table(y + shift), Reference(holdout)) for shift in (0.0, 1.0))
    assert [score.value for score in one] == pytest.approx([score.value for score in two])


def test_too_few_numbers_are_absent(domain, draw):
    holdout, evaluated = (Sample(draw(100, seed), domain) for seed in (0, 1))
    assert all(score.value is not None for score in SeedCompat().measure(evaluated, Reference(holdout)))
    for score in SeedCompat().measure(evaluated.head(5), Reference(holdout)):
        assert score.value is None
        assert "fewer than 20 rows" in score.reason
