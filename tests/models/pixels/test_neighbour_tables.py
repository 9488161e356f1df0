"""Tables of pixels and neighbours: exact counts without noise, their distribution, and how many neighbours are
counted."""

import math

import numpy as np
import pytest
import torch

import dpsynth
from dpsynth.data import ImageDomain
from dpsynth.models.pixels.neighbour_tables import NAME, NeighbourTables
from dpsynth.networks.pixel_grid import PixelGrid
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.mechanisms.marginals import NoisyMarginals
from dpsynth.privacy.noise.random import RandomGenerators

INFINITE = dpsynth.Budget(math.inf, 1e-5)


def measured(tables, grids, labels, budget=INFINITE, seed=0):
    ledger = Ledger(Plan(budget, (tables.tables,)), RandomGenerators(seed, "seeded"))
    return tables.measure(grids, labels, ledger)


def exact(grid, classes):
    """Tables without noise."""
    tables = NoisyMarginals(name=NAME, neighbours="add_remove", sigma=0.0, marginals=grid.places)
    return NeighbourTables(grid, classes, tables)


def drawn(n, grid, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=generator)
    return torch.randint(grid.levels, (n, grid.height, grid.width), generator=generator), labels


def test_without_noise_every_image_stands_once_in_every_table():
    grid = PixelGrid(3, 4, 3, 1, 2)
    grids, labels = drawn(200, grid, 2)
    counts = measured(exact(grid, 2), grids, labels)
    assert counts.shape == (2, 12, 9, 3)
    assert (counts.sum((0, 2, 3)) == 200).all()
    up, left = grids[:, 0, 2].long(), grids[:, 1, 1].long()
    one = (labels == 1) & (up == 2) & (left == 0) & (grids[:, 1, 2] == 1)
    assert counts[1, 6, 2 * 3 + 0, 1] == int(one.sum())


def test_one_image_more_moves_the_tables_by_the_stated_sensitivity():
    grid = PixelGrid(3, 3, 2, 1, 2)
    grids, labels = drawn(30, grid, 3)
    tables = exact(grid, 3)
    more, less = measured(tables, grids, labels), measured(tables, grids[:-1], labels[:-1])
    assert float((more - less).square().sum()) == grid.places
    other = measured(tables, torch.cat([grids[:-1], 1 - grids[-1:]]), labels)
    assert float((more - other).square().sum()) <= 2 * grid.places


def test_many_images_give_their_distribution_and_none_give_an_even_one():
    grid = PixelGrid(2, 2, 2, 1, 2)
    n = 40_000
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (n,), generator=generator)
    grids = torch.randint(2, (n, 2, 2), generator=generator)
    follows = torch.rand(n, generator=generator) < torch.where(labels == 0, 0.9, 0.3)
    grids[:, 1, 1] = torch.where(follows, grids[:, 0, 1], 1 - grids[:, 0, 1])  # the pixel above, often or seldom
    tables = exact(grid, 2)
    distribution = tables.distribution(measured(tables, grids, labels))
    torch.testing.assert_close(distribution.sum(-1), torch.ones_like(distribution[..., 0]))
    for label, chance in ((0, 0.9), (1, 0.3)):
        for above in (0, 1):
            for left in (0, 1):
                assert float(distribution[label, 3, 2 * above + left, above]) == pytest.approx(chance, abs=0.02)
    empty = tables.distribution(torch.zeros(2, 4, 4, 2, dtype=torch.float64))
    assert (empty == 0.5).all()


def test_means_are_the_mean_images():
    grid = PixelGrid(3, 3, 3)
    grids, labels = drawn(5000, grid, 2)
    tables = exact(grid, 2)
    means = tables.means(measured(tables, grids, labels))
    expected = torch.stack([grid.units(grids)[labels == k].mean(0) for k in (0, 1)])
    torch.testing.assert_close(means, expected, atol=2e-3, rtol=0)


def test_more_budget_and_more_images_count_more_neighbours():
    def count(rows, epsilon, levels=2):
        tables = NeighbourTables.planned((1, 14, 14), levels, 10, rows, dpsynth.Budget(epsilon, 1e-5), 0.3)
        return tables.grid.neighbours

    assert count(1500, 1.0) == 0
    assert count(60_000, 1.0) == 2 > count(60_000, 1.0, levels=4)
    assert count(60_000, 10.0) > 2
    assert count(10**9, math.inf) == 6


def test_noise_is_as_large_as_planned():
    budget = dpsynth.Budget(1.0, 1e-5)
    domain = ImageDomain(6, 6, classes=("a", "b"), rows=1000)
    tables = NeighbourTables.planned(domain.shape, 3, 2, 1000, budget, 0.9)
    grids, labels = drawn(1000, tables.grid, 2)
    noise = measured(tables, grids, labels, budget) - measured(exact(tables.grid, 2), grids, labels)
    assert np.std(noise.numpy()) == pytest.approx(tables.sigma, rel=0.2)
