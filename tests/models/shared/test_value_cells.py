"""dpsynth/models/shared/value_cells.py: fine distributions and coarse cells from noisy counts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpsynth
from dpsynth.data import Domain, Integer, Number, Table
from dpsynth.models import Independent
from dpsynth.models.shared.value_cells import _nearest, _raked, _stretches, cell_cuts, value_cells
from dpsynth.privacy.mechanisms.discretizer import Tree


def tree(edges, counts, sigma, others=(), groups=None, groups_sigma=None):
    counts = np.array(counts, dtype=np.float64)
    groups = np.arange(len(counts)) if groups is None else np.array(groups)
    return Tree(
        np.array(edges),
        counts,
        np.full(len(counts), sigma),
        np.array(others, dtype=np.float64),
        sigma,
        groups,
        np.full(groups[-1] + 1, sigma if groups_sigma is None else groups_sigma),
    )


@given(
    widths=st.lists(st.integers(1, 10**9), min_size=1, max_size=40),
    data=st.data(),
    sigma=st.sampled_from([0.0, 5.0, 300.0]),
    most=st.integers(1, 40),
    origin=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_cells_are_a_distribution_over_runs_of_leaves(widths, data, sigma, most, origin):
    edges = np.append(0, np.cumsum(widths))
    counts = data.draw(st.lists(st.integers(-500, 5000), min_size=len(widths), max_size=len(widths)))
    rows = data.draw(st.integers(1, 10**6))
    found = value_cells(tree(edges, counts, sigma, [3.0, -4.0]), 0 if origin else None, rows, most)
    assert found.cuts[0] == 0
    assert found.cuts[-1] == edges[-1]
    assert np.isin(edges, found.cuts).all()
    assert (np.diff(found.cuts) > 0).all()
    assert (found.fractions >= 0).all()
    assert found.fractions.sum() == pytest.approx(1, abs=1e-9) or found.fractions.sum() == 0
    assert found.cells[0] == 0
    assert set(np.diff(found.cells)) <= {0, 1}
    cells = found.cells[-1] + 1
    bounds = cell_cuts(found)
    assert len(bounds) == cells + 1
    assert (np.searchsorted(bounds, found.cuts[:-1], side="right") - 1 == found.cells).all()
    assert cells <= 3 * most + 3
    assert len(found.counts) == len(found.sigma) == cells + 2
    assert found.counts[:cells].sum() == pytest.approx(np.sum(counts), abs=1e-6)
    assert (found.sigma > 0).all()


def test_a_value_that_stands_out_is_a_cell_of_its_own():
    edges = [0, 1, 100, 1000, 1001, 5000]
    found = value_cells(tree(edges, [900, 800, 700, 600, 500], 10.0), 0, 3500, 8)
    for low in (0, 1000):
        leaf = int(np.flatnonzero(found.cuts == low)[0])
        assert (found.cells == found.cells[leaf]).sum() == 1


def test_cells_hold_about_equal_mass():
    draw = np.random.default_rng(0)
    edges = np.unique(np.concatenate([[0], np.geomspace(1, 10**6, 120).astype(int)]))
    values = np.exp(draw.normal(6, 1.2, 50_000)).clip(0, 10**6 - 1)
    found = value_cells(
        tree(edges, np.histogram(values, edges)[0] + draw.normal(0, 30, len(edges) - 1), 30.0), 0, 50_000, 20
    )
    masses = np.bincount(found.cells, found.fractions)
    assert 15 <= len(masses) <= 25
    assert masses.max() < 0.09


def test_a_flat_column_is_one_stretch_whatever_the_noise():
    draw = np.random.default_rng(1)
    counts, variance = 50 + draw.normal(0, 40, 100), np.full(100, 1600.0)
    starts, _ = _stretches(counts, variance, [np.full(100, 0.01)], 5_000.0)
    assert len(starts) <= 3


def test_the_partition_is_the_best_of_all():
    """Against every partition of six leaves."""
    import itertools

    draw = np.random.default_rng(2)
    counts, variance, base = draw.normal(20, 30, 6), np.full(6, 25.0), draw.random(6) + 0.1

    def cost(parts):
        total = 0.0
        for a, b in itertools.pairwise([0, *parts, 6]):
            z, m = counts[a:b], base[a:b]
            fit = max(0.0, (z * m).sum() / (m**2).sum()) * m
            total += ((z - fit) ** 2).sum() / 25.0 + 2 * np.log(6)
        return total

    every = [parts for k in range(6) for parts in itertools.combinations(range(1, 6), k)]
    starts, _ = _stretches(counts, variance, [base], 120.0)
    assert cost(starts[1:]) == pytest.approx(min(map(cost, every)))


@pytest.mark.parametrize(("rows", "numbers", "epsilon"), [(150, 10, 3.0), (300, 2, 1.0), (1000, 10, 1.0)])
def test_few_rows_are_spread_evenly_and_never_collapse_onto_a_bound(rows, numbers, epsilon):
    """A column of which noise leaves nothing to see is even between its bounds."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{i}": draw.uniform(1_000, 99_999, rows).round(2) for i in range(numbers)})
    domain = Domain(tuple(Number(name, low=0, high=100_000, decimals=2) for name in frame), rows=rows)
    fitted = Independent().fit(Table(frame, domain), dpsynth.Budget(epsilon, 1e-5))
    medians = fitted.sample(2_000, seed=0).frame.median()
    assert medians.between(25_000, 75_000).all(), medians


@given(values=st.lists(st.floats(-1e3, 1e4), min_size=1, max_size=30), total=st.floats(1, 1e5), data=st.data())
@settings(max_examples=60, deadline=None)
def test_nearest_masses_meet_the_conditions_of_the_minimum(values, total, data):
    """Not negative, the right sum, and one multiplier for all that are above zero (Karush, Kuhn, Tucker)."""
    values = np.array(values)
    variance = np.array(data.draw(st.lists(st.floats(0.5, 1e3), min_size=len(values), max_size=len(values))))
    found = _nearest(values, variance, total)
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(total, rel=1e-6)
    multiplier = (values - found) / variance
    above = found > 1e-9 * total
    assert np.ptp(multiplier[above]) <= 1e-6 * (1 + np.abs(multiplier).max())
    assert (multiplier[~above] <= multiplier[above].max() + 1e-6 * (1 + np.abs(multiplier).max())).all()


def test_the_tail_of_a_wide_column_falls_as_it_should():
    """Little mass over decades: the mean is not that of a flat tail."""
    draw = np.random.default_rng(3)
    edges = np.unique(np.concatenate([[0], np.geomspace(1, 10**8, 160).astype(int)]))
    values = (100 * draw.pareto(1.6, 20_000)).clip(0, 10**8 - 1)
    counts = np.histogram(values, edges)[0] + draw.normal(0, 40, len(edges) - 1)
    found = value_cells(tree(edges, counts, 40.0), 0, 20_000, 20)
    centre = (found.cuts[:-1] + found.cuts[1:]) / 2
    mean = (centre * found.fractions).sum()
    assert values.mean() / 5 < mean < 10 * values.mean()  # a flat tail of noise would put it at hundreds of thousands


@given(data=st.data(), sigma=st.floats(0.5, 500), cells=st.integers(1, 40), size=st.integers(1, 10))
@settings(max_examples=60, deadline=None)
def test_raked_masses_keep_their_sum_and_do_not_turn_from_their_groups(data, sigma, cells, size):
    """What differs by less than noise stays; what differs by more moves towards the count, never past it."""
    counts = np.array(data.draw(st.lists(st.integers(-300, 5000), min_size=cells, max_size=cells)), dtype=float)
    masses = np.array(data.draw(st.lists(st.floats(0.01, 5000), min_size=cells, max_size=cells)))
    groups = np.arange(cells) // size
    made = tree(np.arange(cells + 1), counts, sigma, groups=groups)
    found = _raked(masses, made, np.ones(cells))
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(masses.sum())
    held, counted, moved = (np.bincount(groups, each) for each in (masses, counts, found))
    if (np.abs(counted - held) <= sigma).all():
        assert moved == pytest.approx(held)
    # up to the common factor that restores the sum, every group lies between its mass and its count
    low, high = np.minimum(held, np.maximum(counted, 0)), np.maximum(held, counted)
    factor = np.maximum(low, 1e-9) / np.maximum(moved, 1e-9), np.maximum(high, 1e-9) / np.maximum(moved, 1e-9)
    assert factor[0].max() <= factor[1].min() * (1 + 1e-6) or not moved.all()


def test_a_thin_tail_keeps_its_mass_within_noise():
    """Half a percent of the rows, far from all others: no estimate loses them, and they stay where they are."""
    draw = np.random.default_rng(0)
    rows = 40_000
    values = np.where(draw.random(rows) < 0.005, draw.integers(150, 190, rows), draw.integers(20, 60, rows))
    frame = pd.DataFrame({"x": values, "y": draw.integers(0, 40, rows)})
    domain = Domain((Integer("x", 0, 200), Integer("y", 0, 40)), rows=rows)
    shares = []
    for seed in range(4):
        fitted = Independent().fit(Table(frame, domain), dpsynth.Budget(1.0, 1e-5))
        drawn = fitted.sample(40_000, seed=seed).frame["x"]
        shares.append(((drawn >= 140) & (drawn < 195)).mean())
        assert (drawn.between(70, 140)).mean() < 0.01
    assert min(shares) > 0.002, shares
    assert 0.003 < np.mean(shares) < 0.008, shares


def test_wide_gaps_and_tails_have_coarse_cells_of_their_own():
    draw = np.random.default_rng(0)
    values = np.concatenate([draw.integers(100, 200, 20_000), draw.integers(800, 1_000, 150)])
    edges = np.arange(0, 1_001, 5)
    found = value_cells(tree(edges, np.histogram(values, edges)[0], 5.0), 0, len(values), 20)
    bounds = cell_cuts(found)
    assert ((bounds > 250) & (bounds <= 810)).any(), bounds
