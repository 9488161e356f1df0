import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.membership import NOT_PRIVACY, Copying, equal_rows, nearest


def measure(evaluated, holdout, train, domain, **fields):
    reference = Reference(Sample(holdout, domain), Sample(train, domain))
    return {score.name: score for score in Copying(**fields).measure(Sample(evaluated, domain), reference)}


points = st.integers(1, 40).flatmap(lambda n: arrays(np.float64, (n, 4), elements=st.floats(0, 1, width=16)))


@given(points, points, st.integers(1, 3))
def test_nearest_distances_are_those_of_scipy(left, right, count):
    expected = np.sort(cdist(left, right), axis=1)[:, :count]
    expected = np.pad(expected, ((0, 0), (0, count - expected.shape[1])), mode="edge")
    assert nearest(left, right, count) == pytest.approx(expected, abs=2e-6)
    assert (nearest(left, left) == 0).all()


def test_rows_are_compared_in_chunks():
    g = np.random.default_rng(0)
    left, right = g.random((700, 3)), g.random((50, 3))
    assert nearest(left, right, 2) == pytest.approx(np.sort(cdist(left, right), axis=1)[:, :2])


def test_copied_training_rows_are_seen(domain, draw):
    train, holdout = draw(800, 0), draw(800, 1)
    found = measure(train.sample(frac=1, random_state=0), holdout, train, domain)
    assert found["exact_copies"].value == 1.0
    assert found["exact_copies"].detail["of_holdout_rows"] < 0.1
    assert found["dcr_fraction"].value > 0.97  # some rows of this distribution equal an unseen one: ties
    assert found["nndr_median"].value == 0.0


def test_copies_with_a_little_noise_are_seen_by_distances_alone(domain, draw):
    train, holdout = draw(800, 0), draw(800, 1)
    near = train.assign(age=np.where(train["age"] < 99, train["age"] + 1, 98))
    found = measure(near, holdout, train, domain)
    assert found["exact_copies"].value < 0.1
    assert found["dcr_fraction"].value > 0.8


def test_fresh_rows_are_no_nearer_to_training_rows(domain, draw):
    fractions, ratios = [], []
    for seed in range(12):
        found = measure(draw(500, 3 * seed), draw(500, 3 * seed + 1), draw(500, 3 * seed + 2), domain)
        fractions.append(found["dcr_fraction"].value)
        ratios.append(found["nndr_median"].value - found["nndr_median"].detail["to_holdout_rows"])
    for values, expected in ((fractions, 0.5), (ratios, 0.0)):
        assert abs(np.mean(values) - expected) < 4 * np.std(values, ddof=1) / np.sqrt(len(values))


def test_ties_count_one_half_and_equal_rows_are_equal():
    domain = Domain.from_yaml(
        "columns:\n  a: {kind: category, categories: [x, y]}\n  b: {kind: number, bounds: [-1, 1], missing: true}\n"
    )
    frame = pd.DataFrame({"a": ["x", "y", "x"], "b": [0.0, np.nan, 0.5]})
    same = measure(frame, frame, frame, domain)
    assert same["dcr_fraction"].value == 0.5
    assert same["exact_copies"].value == 1.0
    other = pd.DataFrame({"a": ["x", "y", "y"], "b": [-0.0, None, 0.5]})
    assert equal_rows(Sample(frame, domain), Sample(other, domain)).tolist() == [True, True, False]


def test_as_many_holdout_rows_as_training_rows_are_looked_at(domain, draw):
    train, holdout = draw(300, 0), draw(100, 1)
    short = measure(draw(200, 2), holdout, train.head(100), domain)
    assert measure(draw(200, 2), holdout, train, domain) == short
    assert measure(draw(200, 2), draw(300, 3), train, domain, rows=100)["dcr_fraction"].detail["real_rows"] == 100


def test_no_score_claims_to_measure_privacy(domain, draw):
    for score in measure(draw(20, 0), draw(20, 1), draw(20, 2), domain).values():
        assert "no measure of privacy" in score.meaning
        assert score.detail["caution"] == NOT_PRIVACY
        assert score.group == "copying"


def test_absent_without_unseen_rows(domain, draw):
    sample = Sample(draw(20, 0), domain)
    scores = Copying().measure(sample, Reference(sample))
    assert [score.name for score in scores] == ["exact_copies", "dcr_fraction", "nndr_median"]
    assert all("not seen" in score.reason for score in scores)
