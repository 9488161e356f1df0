import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.marginals.graphical_model.belief_propagation import Projections


@st.composite
def requests(draw):
    sizes = draw(st.lists(st.sampled_from([1, 2, 3, 17, 20]), min_size=1, max_size=5))
    subsets = [c for r in range(len(sizes) + 1) for c in itertools.combinations(range(len(sizes)), r)]
    return sizes, draw(st.lists(st.sampled_from(subsets), max_size=8)), draw(st.integers(0, 99))


@settings(deadline=None, max_examples=40)
@given(requests())
def test_down_sums_and_up_adds(case):
    sizes, targets, seed = case
    columns = tuple(range(len(sizes)))
    plan = Projections(sizes, columns, targets, "cpu")
    generator = np.random.default_rng(seed)
    table = generator.normal(size=sizes)
    for target, found in zip(targets, plan.down(torch.from_numpy(table)), strict=True):
        expected = table.sum(tuple(j for j in columns if j not in target))
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)
    pieces = [generator.normal(size=[sizes[j] for j in target]) for target in targets]
    before = [piece.copy() for piece in pieces]
    added = table.copy()
    for target, piece in zip(targets, pieces, strict=True):
        added += piece.reshape([n if j in target else 1 for j, n in enumerate(sizes)])
    found = plan.up([torch.from_numpy(piece) for piece in pieces], torch.from_numpy(table))
    np.testing.assert_allclose(found.numpy(), added, atol=1e-9)
    assert all((a == b).all() for a, b in zip(pieces, before, strict=True)), "pieces are read, not written"


def test_few_passes_over_the_big_table():
    """All 20 triples of six columns need the whole table four times, not twenty."""
    triples = list(itertools.combinations(range(6), 3))
    plan = Projections([4] * 6, tuple(range(6)), triples, "cpu")
    assert sum(step.source == 0 for step in plan.steps) <= 4


@settings(deadline=None, max_examples=40)
@given(requests())
def test_peaks_are_the_largest_cells(case):
    sizes, targets, seed = case
    table = np.random.default_rng(seed).normal(size=sizes)
    plan = Projections(sizes, tuple(range(len(sizes))), targets, "cpu")
    for target, found in zip(targets, plan.peaks(torch.from_numpy(table)), strict=True):
        np.testing.assert_array_equal(found.numpy(), table.max(tuple(j for j in range(len(sizes)) if j not in target)))
