import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.marginals.graphical_model import calibrated_tree as ancestral
from dpsynth.marginals.graphical_model.belief_propagation import BeliefPropagation
from dpsynth.marginals.graphical_model.calibrated_tree import draw
from dpsynth.marginals.graphical_model.junction_tree import JunctionTree

from .distributions import counts_of, graphs, joint_of, marginal_of


def distribution_of(sizes, cliques, seed, zeros=0.0):
    generator = np.random.default_rng(seed)
    potentials = [generator.normal(0, 1.5, [sizes[j] for j in clique]) for clique in cliques]
    for potential in potentials:
        potential.flat[1:][generator.random(potential.size - 1) < zeros] = -np.inf
    inference = BeliefPropagation(JunctionTree.over(sizes, cliques), cliques)
    inference([torch.from_numpy(p) for p in potentials])
    return inference, joint_of(sizes, cliques, potentials)


@settings(deadline=None, max_examples=40)
@given(graphs(), st.integers(0, 999), st.integers(0, 50), st.sampled_from(["round", "categorical"]))
def test_rows_lie_in_the_domain_and_where_the_distribution_does(distribution, seed, n, method):
    sizes, cliques = distribution
    inference, joint = distribution_of(sizes, cliques, seed, zeros=0.4)
    codes = draw(inference.tree, inference.beliefs, n, np.random.default_rng(seed), method)
    assert codes.shape == (n, len(sizes))
    assert ((codes >= 0) & (codes < sizes)).all()
    assert (joint[tuple(codes.T)] > 0).all()


SIZES, CLIQUES = (4, 3, 5, 2, 6), [(0, 1), (1, 2), (2, 3), (1, 3), (4,)]


def test_categorical_rows_follow_the_distribution():
    """Chi-square of all cells of every pair over 40,000 independent rows."""
    inference, joint = distribution_of(SIZES, CLIQUES, seed=4)
    n = 40_000
    codes = draw(inference.tree, inference.beliefs, n, np.random.default_rng(1), "categorical")
    for pair in itertools.combinations(range(5), 2):
        expected = n * marginal_of(joint, pair)
        statistic = ((counts_of(codes, SIZES, pair) - expected) ** 2 / expected).sum()
        freedom = expected.size - 1
        assert statistic < freedom + 6 * (2 * freedom) ** 0.5


def test_rounded_rows_are_as_even_as_whole_numbers_allow():
    """First columns within one row of the distribution; a column given its parents within one row per group of
    parents."""
    inference, joint = distribution_of(SIZES, CLIQUES, seed=4)
    tree, n = inference.tree, 5000
    codes = draw(tree, inference.beliefs, n, np.random.default_rng(2), "round")
    drawn: list[int] = []
    for clique, separator in zip(tree.cliques, tree.separators, strict=True):
        known = list(separator)
        for column in [c for c in clique if c not in separator]:
            together = tuple(sorted([*known, column]))
            axis = together.index(column)
            distribution = marginal_of(joint, together)
            given = distribution / distribution.sum(axis, keepdims=True)
            counts = counts_of(codes, SIZES, together)
            assert np.abs(counts - counts.sum(axis, keepdims=True) * given).max() < 1 + 1e-9
            known.append(column)
            drawn.append(column)
    assert sorted(drawn) == list(range(5))


def test_rounding_is_unbiased():
    """Few rows, many repeats: every cell of the joint comes as often as the distribution says."""
    sizes, cliques = (2, 3, 2), [(0, 1), (1, 2)]
    inference, joint = distribution_of(sizes, cliques, seed=9)
    repeats, n, total = 4000, 5, np.zeros(sizes)
    generator = np.random.default_rng(3)
    for _ in range(repeats):
        total += counts_of(draw(inference.tree, inference.beliefs, n, generator, "round"), sizes, (0, 1, 2))
    expected = repeats * n * joint
    assert (np.abs(total - expected) < 5 * np.sqrt(expected) + 1).all()


def test_rows_come_in_no_order():
    """Neighbouring rows are as different as any two: the first half has the distribution of the second."""
    inference, joint = distribution_of(SIZES, CLIQUES, seed=4)
    codes = draw(inference.tree, inference.beliefs, 4000, np.random.default_rng(5), "round")
    for column in range(5):
        first = np.bincount(codes[:2000, column], minlength=SIZES[column])
        expected = 2000 * marginal_of(joint, (column,))
        assert (np.abs(first - expected) < 6 * np.sqrt(expected) + 2).all()


@pytest.mark.parametrize("method", ["round", "categorical"])
def test_blocks_change_nothing_but_the_memory(monkeypatch, method):
    inference, joint = distribution_of(SIZES, CLIQUES, seed=4)
    monkeypatch.setattr(ancestral, "CELLS_AT_ONCE", 7)
    codes = draw(inference.tree, inference.beliefs, 3000, np.random.default_rng(5), method)
    expected = 3000 * marginal_of(joint, (1, 2))
    assert (np.abs(counts_of(codes, SIZES, (1, 2)) - expected) < 6 * np.sqrt(expected) + 2).all()


def test_the_generator_decides():
    inference, _ = distribution_of(SIZES, CLIQUES, seed=4)
    first, again, other = (
        draw(inference.tree, inference.beliefs, 100, np.random.default_rng(seed), "round") for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()
