import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.marginals.graphical_model import junction_tree as triangulation
from dpsynth.marginals.graphical_model.junction_tree import (
    bits,
    mask_of,
    maximal_cliques,
    neighbours,
    size_estimate,
    size_estimates,
)

from .distributions import graphs


def is_chordal(columns, cliques):
    """Whether simplicial vertices can be taken away one by one until none is left."""
    graph = neighbours(columns, cliques)
    left = (1 << columns) - 1
    while left:
        for v in bits(left):
            around = graph[v] & left
            if all((around & ~(1 << u)) & ~graph[u] == 0 for u in bits(around)):
                left &= ~(1 << v)
                break
        else:
            return False
    return True


@settings(deadline=None, max_examples=40)
@given(graphs(most_columns=9))
def test_the_cliques_cover_the_marginals_and_are_chordal_and_maximal(distribution):
    sizes, cliques = distribution
    found = maximal_cliques(sizes, cliques)
    assert all(any(set(clique) <= set(node) for node in found) for clique in cliques)
    assert set().union(*found) == set(range(len(sizes)))
    assert not any(set(a) <= set(b) for a, b in itertools.permutations(found, 2))
    assert is_chordal(len(sizes), found)


@settings(deadline=None, max_examples=40)
@given(graphs(most_columns=8))
def test_the_estimate_counts_the_cells_of_the_cliques(distribution):
    sizes, cliques = distribution
    cells = sum(math.prod(sizes[j] for j in clique) for clique in maximal_cliques(sizes, cliques))
    assert size_estimate(sizes, cliques) == 8 * cells


@settings(deadline=None, max_examples=40)
@given(graphs(most_columns=7), st.data())
def test_candidates_together_cost_what_they_cost_alone(distribution, data):
    sizes, cliques = distribution
    pairs = [(j,) for j in range(len(sizes))] + list(itertools.combinations(range(len(sizes)), 2))
    candidates = data.draw(st.lists(st.sampled_from(pairs), max_size=8))
    alone = [size_estimate(sizes, [*cliques, candidate]) for candidate in candidates]
    assert size_estimates(sizes, cliques, candidates) == alone


def test_a_chordal_graph_is_left_alone():
    chain = [(j, j + 1) for j in range(9)]
    assert sorted(maximal_cliques([5] * 10, chain)) == chain


def test_fill_counts_are_kept_right():
    """The counts that elimination updates edge by edge against counting anew, on dense random graphs."""
    generator = random.Random(3)
    for _ in range(100):
        columns = generator.randint(3, 12)
        pairs = list(itertools.combinations(range(columns), 2))
        graph = neighbours(columns, generator.sample(pairs, generator.randint(1, len(pairs))))
        run = triangulation._Elimination(triangulation._Sizes((2,) * columns), graph)
        v = generator.randrange(columns)
        beside = run.around[v]
        run.eliminate(v)
        left = [u for u in range(columns) if u != v]
        assert [run.fill[u] for u in left] == [run.missing(u) for u in left]
        assert all(beside & ~run.around[u] == 1 << u for u in bits(beside))
        assert not any(run.around[u] >> v & 1 for u in left)


def test_the_order_is_near_the_best_of_all_orders():
    """Against every elimination order of small graphs: on average a few percent, never twice."""
    generator, ratios = random.Random(7), []
    for _ in range(20):
        sizes = [generator.choice([2, 3, 5, 9]) for _ in range(6)]
        pairs = list(itertools.combinations(range(6), 2))
        cliques = generator.sample(pairs, 8)
        best = min(_cells_of_order(sizes, cliques, order) for order in itertools.permutations(range(6)))
        ratios.append(size_estimate(sizes, cliques) / 8 / best)
    assert min(ratios) >= 1
    assert max(ratios) < 2
    assert sum(ratios) / len(ratios) < 1.05


def _cells_of_order(sizes, cliques, order):
    graph, left, maximal = neighbours(len(sizes), cliques), (1 << len(sizes)) - 1, []
    for v in order:
        around = graph[v] & left & ~(1 << v)
        for u in bits(around):
            graph[u] |= around & ~(1 << u)
        clique = around | 1 << v
        if not any(clique & ~other == 0 for other in maximal):
            maximal.append(clique)
        left &= ~(1 << v)
    return sum(math.prod(sizes[j] for j in bits(mask)) for mask in maximal)


@pytest.mark.parametrize("columns", [(), (0,), (3, 5), (0, 64, 200)])
def test_masks_and_columns_agree(columns):
    assert tuple(bits(mask_of(columns))) == columns


def test_a_wide_sparse_graph_is_triangulated_quickly():
    """200 columns in a chain with some cross links: no table, no trouble."""
    cliques = [(j, j + 1) for j in range(199)] + [(j, j + 17) for j in range(0, 180, 30)]
    assert size_estimate([10] * 200, cliques) < 8 * 200 * 10**4
