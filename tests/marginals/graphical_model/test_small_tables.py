"""The compiled loop over small tables gives what belief propagation on tensors gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.belief_propagation import BeliefPropagation
from dpsynth.marginals.graphical_model.junction_tree import JunctionTree
from dpsynth.marginals.graphical_model.small_tables import SmallTables, propagation

from .distributions import graphs


@settings(deadline=None, max_examples=60)
@given(graphs(), st.integers(0, 999), st.sampled_from([0.5, 5.0, 300.0]), st.booleans())
def test_the_same_beliefs_as_on_tensors(distribution, seed, spread, zeros):
    sizes, cliques = distribution
    generator = np.random.default_rng(seed)
    potentials = [torch.from_numpy(generator.normal(0, spread, [sizes[j] for j in clique])) for clique in cliques]
    masks = {c: torch.from_numpy(generator.random([sizes[j] for j in c]) < 0.3) for c in cliques[:2] if zeros}
    forbidden = {c: torch.zeros(m.shape, dtype=torch.float64).masked_fill_(m, -torch.inf) for c, m in masks.items()}
    tree = JunctionTree.over(sizes, cliques)
    reference, small = BeliefPropagation(tree, cliques, forbidden), SmallTables(tree, cliques, forbidden)
    try:
        expected = reference(potentials)
    except ConfigError as error:
        with pytest.raises(ConfigError, match=str(error)[:20]):
            small(potentials)
        return
    for found, table in zip(small(potentials), expected, strict=True):
        assert found.shape == table.shape
        torch.testing.assert_close(found, table, atol=1e-12, rtol=1e-9)
    for found, table in zip(small.beliefs, reference.beliefs, strict=True):
        assert found.shape == table.shape
        torch.testing.assert_close(found, table, atol=1e-12, rtol=1e-9)
    if cliques:
        theta = torch.cat([each.reshape(-1) for each in potentials])
        torch.testing.assert_close(small.flat(theta), reference.flat(theta), atol=1e-12, rtol=1e-9)


def test_many_small_tables_are_looped_over_and_large_ones_are_not():
    chain = [(j, j + 1) for j in range(49)]
    assert isinstance(propagation(JunctionTree.over((2,) * 50, chain), chain), SmallTables)
    assert isinstance(propagation(JunctionTree.over((200, 200), [(0, 1)]), [(0, 1)]), BeliefPropagation)


def test_a_request_that_no_clique_holds_is_refused():
    with pytest.raises(ConfigError, match="lie in no clique"):
        SmallTables(JunctionTree.over((2, 2, 2), [(0, 1), (1, 2)]), [(0, 2)])
