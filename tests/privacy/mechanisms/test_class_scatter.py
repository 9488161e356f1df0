"""dpsynth/privacy/mechanisms/class_statistics.py"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import dpsynth
from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.budget import count_sensitivity
from dpsynth.privacy.accounting.calibration import calibrate
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.mechanisms.class_statistics import COUNT_WEIGHT, ClassScatter, Scatter
from dpsynth.privacy.noise.random import RandomGenerators

ADD, REPLACE = dpsynth.Budget(1.0, 1e-5), dpsynth.Budget(1.0, 1e-5, "replace_one")
NUMBERS = st.floats(-1e6, 1e6, width=32) | st.sampled_from([math.nan, math.inf, -math.inf])
OFFSETS = arrays.arrays(np.float32, st.tuples(st.integers(2, 6), st.just(4)), elements=NUMBERS)


def scatter_of(classes, width, radius, noise, neighbours="add_remove"):
    return ClassScatter(
        name="s", neighbours=neighbours, noise_multiplier=noise, classes=classes, width=width, radius=radius
    )


EXACT = scatter_of(3, 4, 0.8, 0.0)


def measured(scatter: ClassScatter, budget: dpsynth.Budget, offsets: torch.Tensor, labels: torch.Tensor) -> Scatter:
    ledger = Ledger(Plan(budget, (scatter,)), RandomGenerators(0, "seeded"))
    return scatter.measure([(offsets, labels)], ledger)


@given(offsets=OFFSETS, data=st.data())
def test_a_record_moves_the_sum_within_the_sensitivity(offsets, data):
    rows = torch.from_numpy(offsets)
    labels = torch.tensor(data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows))))
    whole = EXACT.exact([(rows, labels)])
    removed = EXACT.exact([(rows[:-1], labels[:-1])])
    assert (whole - removed).norm() <= count_sensitivity("add_remove") + 1e-9
    swapped, codes = rows.clone(), labels.clone()
    swapped[-1] = torch.tensor(data.draw(st.lists(NUMBERS, min_size=4, max_size=4)))
    codes[-1] = data.draw(st.integers(0, 2))
    assert (whole - EXACT.exact([(swapped, codes)])).norm() <= count_sensitivity("replace_one") + 1e-9


def test_the_bounds_are_reached():
    long = torch.tensor([[5.0, 0, 0, 0]])
    one, other = (EXACT.exact([(long, torch.tensor([code]))]) for code in (0, 1))
    assert one.norm().item() == pytest.approx(1.0)
    assert (one - other).norm().item() == pytest.approx(math.sqrt(2))


def test_without_noise_it_is_the_mean_outer_product_in_any_blocks():
    rows, labels = torch.randn(50, 4, dtype=torch.float64) * 0.1, torch.arange(50) % 2
    released = measured(EXACT, dpsynth.Budget(math.inf, 1e-5), rows, labels)
    for code in (0, 1):
        own = rows[labels == code]
        assert torch.allclose(released.moments[code], own.T @ own / len(own), atol=1e-12)
    assert not released.moments[2].any()  # a class without records divides by one
    assert released.deviations.tolist() == [0.0] * 3
    blocks = EXACT.exact(zip(rows.split(7), labels.split(7), strict=True))
    assert torch.allclose(EXACT.exact([(rows, labels)]), blocks)


def test_long_offsets_keep_their_direction_and_get_the_radius():
    released = measured(EXACT, dpsynth.Budget(math.inf, 1e-5), torch.tensor([[3.0, 4.0, 0, 0]]), torch.tensor([1]))
    assert released.moments[1, 0, 0].item() == pytest.approx(0.8**2 * 0.36)
    assert released.moments[1, 0, 1].item() == pytest.approx(0.8**2 * 0.48)


@pytest.mark.parametrize("budget", [ADD, REPLACE], ids=lambda budget: budget.neighbours)
def test_the_noise_is_what_it_says_and_within_the_budget(budget):
    noise = calibrate(lambda z: [scatter_of(2, 90, 1.0, z, budget.neighbours)], budget)
    rows = 400
    scatter = scatter_of(2, 90, 1.0, noise, budget.neighbours)
    assert scatter.sensitivity == count_sensitivity(budget.neighbours)
    released = measured(scatter, budget, torch.zeros(rows, 90), torch.zeros(rows).long())
    above, beside = torch.triu_indices(90, 90, 1)
    found = released.moments[0]
    assert found.equal(found.T)
    assert found[above, beside].std().item() == pytest.approx(released.deviations[0].item(), rel=0.06)
    assert found.diagonal().std().item() == pytest.approx(math.sqrt(2) * released.deviations[0].item(), rel=0.4)
    expected = count_sensitivity(budget.neighbours) * noise / math.sqrt(2 * (1 - COUNT_WEIGHT)) / rows
    assert released.deviations[0].item() == pytest.approx(expected, rel=0.15)  # the noisy count divides


def test_it_refuses_what_makes_no_sense():
    for shape in ((0, 4, 1.0), (2, 0, 1.0), (2, 4, 0.0), (2, 4, math.nan)):
        with pytest.raises(BudgetError, match="radius"):
            scatter_of(*shape, 1.0)
