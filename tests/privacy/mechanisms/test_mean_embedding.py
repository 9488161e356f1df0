"""dpsynth/privacy/mechanisms/mean_embedding.py"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dpsynth
from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.mechanisms.mean_embedding import MeanEmbedding
from dpsynth.privacy.noise.random import RandomGenerators

ADD, REPLACE = (dpsynth.Budget(1.0, 1e-5, relation) for relation in ("add_remove", "replace_one"))
WILD = st.floats(width=32, allow_nan=True, allow_infinity=True)
ROW = st.tuples(st.lists(WILD, min_size=3, max_size=3), st.integers(0, 2))


def embedding(weight=0.1, neighbours="add_remove", noise=1.0):
    return MeanEmbedding(name="m", neighbours=neighbours, noise_multiplier=noise, count_weight=weight)


def query(rows, classes=3, weight=0.1):
    if not rows:
        return embedding(weight).exact([], classes, 3)
    features = torch.tensor([row[0] for row in rows], dtype=torch.float32)
    return embedding(weight).exact([(features, torch.tensor([row[1] for row in rows]))], classes, 3)


@given(base=st.lists(ROW, max_size=5), row=ROW, other=ROW, weight=st.floats(0.01, 0.99))
@settings(max_examples=100, deadline=None)
def test_neighbours_move_the_sum_by_at_most_its_sensitivity(base, row, other, weight):
    one, without, replaced = (query(rows, weight=weight) for rows in ([*base, row], base, [*base, other]))
    assert torch.isfinite(one).all()
    assert (one - without).norm() <= embedding(weight).sensitivity * (1 + 1e-12)
    assert (one - replaced).norm() <= embedding(weight, "replace_one").sensitivity * (1 + 1e-12)


def test_the_sensitivities_are_reached():
    long, opposite = ([7.0, 0.0, 0.0], 0), ([-9.0, 0.0, 0.0], 0)
    assert (query([long]) - query([])).norm() == pytest.approx(embedding().sensitivity)
    assert (query([long]) - query([opposite])).norm() == pytest.approx(embedding(neighbours="replace_one").sensitivity)
    mostly_counts = embedding(0.9, "replace_one")
    moved = query([long], weight=0.9) - query([([7.0, 0.0, 0.0], 1)], weight=0.9)
    assert moved.norm() == pytest.approx(mostly_counts.sensitivity) == pytest.approx(math.sqrt(2))


def test_blocks_do_not_matter_and_short_rows_are_left_as_they_are():
    features = torch.randn(50, 8, dtype=torch.float64) / 10
    labels = torch.randint(3, (50,))
    release = embedding(0.2)
    whole = release.exact([(features, labels)], 3, 8)
    blocks = [(features[:7], labels[:7]), (features[7:7], labels[7:7]), (features[7:], labels[7:])]
    parts = release.exact(blocks, 3, 8)
    assert torch.allclose(whole, parts, atol=1e-14)
    naive = torch.stack([features[labels == c].sum(0) for c in range(3)]) * math.sqrt(0.8)
    assert torch.allclose(whole[:, 1:], naive, atol=1e-14)
    assert torch.allclose(whole[:, 0] / math.sqrt(0.2), labels.bincount(minlength=3).double())


def measured(budget, noise, features, labels, classes):
    release = embedding(0.1, budget.neighbours, noise)
    ledger = Ledger(Plan(budget, (release,), 1), RandomGenerators(0, "seeded"))
    return release, release.measure([(features, labels)], classes, features.shape[1], ledger)


def test_without_noise_it_is_the_exact_mean():
    features, labels = torch.rand(40, 5) / 5, torch.arange(40) % 2
    _, released = measured(dpsynth.Budget(math.inf, 1e-5), 0.0, features, labels, 3)
    assert released.counts.tolist() == pytest.approx([20, 20, 0], abs=1e-12)
    for c in (0, 1):
        assert torch.allclose(released.means[c], features[labels == c].double().mean(0), atol=1e-12)
    assert not released.means[2].any()  # a class without rows divides by one, not by none
    assert released.deviation == 0


@pytest.mark.parametrize("budget", [ADD, REPLACE], ids=lambda budget: budget.neighbours)
def test_the_noise_is_what_it_says_and_within_the_budget(budget):
    noise = calibrate(lambda z: [embedding(0.1, budget.neighbours, z)], budget)
    release, released = measured(budget, noise, torch.zeros(1, 500), torch.tensor([0]), 40)
    assert released.deviation == pytest.approx(noise * release.sensitivity / math.sqrt(0.9))
    assert float(released.sums.std()) == pytest.approx(released.deviation, rel=0.03)
    assert float(released.counts[1:].std()) == pytest.approx(released.count_deviation, rel=0.5)
    assert (released.divisors >= released.count_deviation).all()


def test_it_refuses_what_makes_no_sense():
    for weight in (0.0, 1.0, math.nan):
        with pytest.raises(BudgetError, match="count_weight"):
            embedding(weight)
    with pytest.raises(ValueError, match="expected"):
        embedding().exact([(torch.zeros(4, 3), torch.zeros(4).long())], 2, 5)
    with pytest.raises(ValueError, match="expected"):
        embedding().exact([(torch.zeros(4, 3), torch.zeros(3).long())], 2, 3)
