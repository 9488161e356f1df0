"""The fit to noisy marginals: its cells are the flow's own, and with exact counts it finds the truth."""

import copy

import numpy as np
import pytest
import torch

from dpsynth.data import Category, Codec, Domain, Integer
from dpsynth.models.maf.marginal_fit import MOST_CELLS, Coarsening, MarginalFit, total_rows
from dpsynth.networks.conditionals import Layout, Softmax
from dpsynth.networks.flow import TabularFlow

SIZES = (3, 4)


def flow(order=(0, 1), seed=0):
    conditionals = [Softmax(Layout(size, torch.linspace(0, 1, size + 1), on_axis=False)) for size in SIZES]
    return TabularFlow(conditionals, order, 16, 1, generator=torch.Generator().manual_seed(seed))


def plain(pairs=((0, 1),)):
    return Coarsening(tuple(np.arange(size) for size in SIZES), pairs)


def fit(model, table, sigma=5.0, steps=300, rate=1e-2, **options):
    target = MarginalFit(
        model,
        plain(),
        [table.sum(1), table.sum(0)],
        sigma,
        [table],
        sigma,
        torch.Generator().manual_seed(0),
        **options,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for t in range(steps):
        target.step(t)
        optimizer.step()
    return target


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_exact_counts_are_met_in_either_order(order):
    distribution = np.random.default_rng(0).dirichlet(np.full(12, 4.0)).reshape(SIZES)
    model = flow(order)
    fit(model, distribution * 1e5)
    codes, _ = model.sample(50_000, torch.Generator().manual_seed(1))
    found = np.histogram2d(codes[:, 0], codes[:, 1], bins=(range(4), range(5)))[0] / len(codes)
    assert 0.5 * np.abs(found - distribution).sum() < 0.02


def test_few_rows_and_much_noise_move_nothing():
    model, before = flow(), flow()
    distribution = np.random.default_rng(0).dirichlet(np.full(12, 4.0)).reshape(SIZES)
    fit(model, distribution * 20, sigma=500.0, steps=100, rate=1e-3)
    codes, _ = before.sample(2000, torch.Generator().manual_seed(1))
    for p, q in zip(model.probabilities(codes), before.probabilities(codes), strict=True):
        assert 0.5 * (p - q).abs().sum(1).mean() < 0.02


def test_groups_cover_all_codes_and_keep_specials_apart():
    domain = Domain(
        (
            Integer("age", low=0, high=99, point_masses=(0,), missing=True),
            Category("sex", categories=("f", "m"), label=True),
            Integer("few", low=0, high=5),
        )
    )
    codec = Codec(domain, 100)
    coarse = Coarsening.of(codec, 10, label=1)
    assert coarse.sizes == (12, 2, 6)
    age = codec["age"]
    assert (np.diff(coarse.maps[0][: age.value_bins]) >= 0).all()
    assert set(np.unique(coarse.maps[0])) == set(range(12))
    specials = coarse.maps[0][age.value_bins :]
    assert list(specials) == [10, 11]
    assert coarse.pairs[:2] == ((0, 1), (1, 2))


def test_pairs_are_chosen_within_the_cells_and_never_with_huge_columns():
    columns = [Integer(f"x{k}", low=0, high=60) for k in range(40)]
    huge = Category("huge", categories=tuple(map(str, range(500))))
    codec = Codec(Domain((*columns, huge)), 64)
    coarse = Coarsening.of(codec, 64, label=None)
    assert 0 < sum(coarse.sizes[i] * coarse.sizes[j] for i, j in coarse.pairs) <= MOST_CELLS
    assert all(40 not in pair for pair in coarse.pairs)
    assert all(j - i <= 10 for i, j in coarse.pairs)


def test_the_number_of_rows_comes_from_the_sharpest_totals():
    sharp, blunt = np.array([60.0, 40.0]), np.array([900.0] * 50)
    assert total_rows([sharp, blunt], [0.1, 100.0]) == pytest.approx(100, abs=1)
    assert total_rows([-sharp], [1.0]) == 1.0


def test_a_fit_that_was_interrupted_goes_on_as_if_it_was_not(tmp_path):
    distribution = np.full(SIZES, 1000.0)

    def run(stops):
        model = flow()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        noisy = [distribution], 5.0
        target = MarginalFit(
            model,
            plain(),
            [distribution.sum(1), distribution.sum(0)],
            5.0,
            *noisy,
            torch.Generator().manual_seed(0),
            samples=64,
        )
        for t in range(15):
            if t == stops:
                kept = [part.state_dict() for part in (model, optimizer, target)], target.generator.get_state()
                kept = copy.deepcopy(kept)
                reference = target.reference
                generator = torch.Generator()
                model = flow(seed=9)
                optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
                target = MarginalFit(
                    model, plain(), [distribution.sum(1), distribution.sum(0)], 5.0, *noisy, generator, samples=64
                )
                for part, state in zip((model, optimizer, target), kept[0], strict=True):
                    part.load_state_dict(state)
                generator.set_state(kept[1])
                target.reference = reference
            target.step(t)
            optimizer.step()
        return model.network.last.bias

    assert torch.equal(run(stops=None), run(stops=7))
