"""Both networks over pixels: the order is kept, probabilities add up, and draws follow the distribution, place by
place."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from dpsynth.networks.pixel_grid import NEIGHBOURS, PixelGrid
from dpsynth.networks.pixel_network import PixelCNN, PixelMADE

KINDS = ("conv", "deep conv", "dense")


def network(kind, grid, classes=2, seed=0):
    """A network with weights far from their start, so that every path is in use."""
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(classes, grid.places, grid.context_count, grid.levels, generator=generator)
    means = torch.rand(classes, grid.height, grid.width, generator=generator) * 2 - 1
    if kind == "dense":
        made = PixelMADE(grid, table, 40, 2, generator)
        made.made.last.weight.data.mul_(20)
        return made
    reach = 1 if kind == "deep conv" else 0
    cnn = PixelCNN(grid, table, means, 6, 2, 2, 2, reach, generator)
    cnn.last.weight.data.mul_(20)
    return cnn


def all_images(grid):
    codes = itertools.product(range(grid.levels), repeat=grid.places)
    return torch.tensor(list(codes), dtype=torch.uint8).view(-1, grid.height, grid.width)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", [PixelGrid(4, 3, 3, 1, 4), PixelGrid(2, 6, 2, 3, 3)], ids=["grey", "colour"])
def test_a_place_depends_on_earlier_places_only(kind, grid):
    model = network(kind, grid)
    grids = torch.randint(grid.levels, (3, grid.height, grid.width))
    labels = torch.tensor([0, 1, 1])
    before = model.logits(grids, labels).flatten(2)
    reached = 0
    for place in range(grid.places):
        changed = grids.clone().flatten(1)
        changed[:, place] = (changed[:, place] + 1) % grid.levels
        after = model.logits(changed.view_as(grids), labels).flatten(2)
        assert torch.equal(after[:, :, : place + 1], before[:, :, : place + 1])
        reached += int((after[:, :, place + 1 :] != before[:, :, place + 1 :]).any())
    assert reached == grid.places - 1  # and every place is seen by some later one


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_alone_is_autoregressive_by_its_jacobian(kind):
    grid = PixelGrid(3, 4, 2)
    model = network(kind, grid).double()
    model.table = model.table.double()
    if kind != "dense":
        model.means, model.maps = model.means.double(), model.maps.double()
    table = torch.zeros(1, 2, 3, 4, dtype=torch.float64)

    def added(units):
        return model.network_logits(units.view(1, 3, 4), torch.zeros(1, dtype=torch.int64), table).flatten(2)[0].sum(0)

    jacobian = torch.autograd.functional.jacobian(added, torch.randn(12, dtype=torch.float64))
    assert not jacobian.triu().any()
    assert jacobian.tril(-1).any()


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_of_all_images_add_up_to_one(kind):
    grid = PixelGrid(2, 3, 3, 1, 2)
    images = all_images(grid)
    for label in (0, 1):
        labels = torch.full((len(images),), label)
        total = network(kind, grid).log_probabilities(images, labels).double().exp().sum()
        assert float(total) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_follow_the_probabilities(kind):
    grid, n = PixelGrid(2, 3, 2, 1, 2), 20_000
    model, images = network(kind, grid), all_images(grid)
    drawn = model.sample(torch.ones(n, dtype=torch.int64), torch.Generator().manual_seed(1))
    index = (drawn.flatten(1).long() * 2 ** torch.arange(5, -1, -1)).sum(1)
    found = np.bincount(index.numpy(), minlength=64)
    expected = n * model.log_probabilities(images, torch.ones(64, dtype=torch.int64)).double().exp().numpy()
    enough = expected > 5
    observed, wanted = (np.append(x[enough], x[~enough].sum()) for x in (found, expected))
    assert stats.chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("grid", [PixelGrid(4, 5, 3, 1, 6), PixelGrid(3, 6, 2, 3, 2)], ids=["grey", "colour"])
def test_place_by_place_equals_one_pass(kind, grid):
    model = network(kind, grid)
    grids = torch.randint(grid.levels, (5, grid.height, grid.width))
    labels = torch.tensor([0, 1, 0, 1, 1])
    whole = model.logits(grids, labels)
    walk, padded, contexts = model.walk(labels), grid.padded(grids), grid.contexts(grids)
    with torch.no_grad():
        for place in range(grid.places):
            row, column = divmod(place, grid.width)
            assert torch.equal(grid.context_at(padded, row, column), contexts[:, row, column])
            table = model.table[labels, place, contexts[:, row, column]]
            logits = table @ model.prior.weight[..., 0].T + walk.logits(place, table)
            torch.testing.assert_close(logits, whole[:, :, row, column], rtol=1e-4, atol=1e-4)
            walk.take(place, grid.units(grids[:, row, column]))


def test_low_temperature_takes_the_likeliest_code():
    grid = PixelGrid(2, 2, 3)
    model = network("conv", grid)
    cold = model.sample(torch.zeros(50, dtype=torch.int64), torch.Generator().manual_seed(0), temperature=1e-4)
    assert (cold == cold[0]).all()
    first = model.logits(cold[:1], torch.zeros(1, dtype=torch.int64)).argmax(1)
    assert torch.equal(first[0].to(torch.uint8), cold[0])


def test_the_grid_of_a_colour_image_keeps_its_channels_side_by_side():
    grid = PixelGrid.of((3, 2, 4), levels=5, neighbours=2)
    images = torch.randint(5, (6, 3, 2, 4), dtype=torch.uint8)
    grids = grid.flatten(images)
    assert torch.equal(grid.unflatten(grids), images)
    assert torch.equal(grids[:, :, 1::3], images[:, 1])
    up, left = images[:, 2, 0, 3].long(), images[:, 2, 1, 2].long()  # of blue at (1, 3)
    assert NEIGHBOURS[:2] == ((-1, 0), (0, -1))
    assert torch.equal(grid.contexts(grids)[:, 1, 3 * 3 + 2], up * 5 + left)
