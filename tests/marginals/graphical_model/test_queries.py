import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model import calibrated_tree as queries
from dpsynth.marginals.graphical_model.belief_propagation import BeliefPropagation
from dpsynth.marginals.graphical_model.junction_tree import JunctionTree

from .distributions import graphs, joint_of, marginal_of


@settings(deadline=None, max_examples=40)
@given(graphs(), st.integers(0, 999))
def test_any_columns_equal_the_full_joint(distribution, seed):
    """All subsets of up to four columns, within cliques and across them, zeros in the distribution included."""
    sizes, cliques = distribution
    generator = np.random.default_rng(seed)
    potentials = [generator.normal(0, 2, [sizes[j] for j in clique]) for clique in cliques]
    for potential in potentials[:1]:
        potential.flat[1:][generator.random(potential.size - 1) < 0.3] = -np.inf
    joint = joint_of(sizes, cliques, potentials)
    tree = JunctionTree.over(sizes, cliques)
    inference = BeliefPropagation(tree, cliques)
    inference([torch.from_numpy(p) for p in potentials])
    asked = [c for r in range(5) for c in itertools.combinations(range(len(sizes)), r)]
    found = queries.marginals(tree, inference.beliefs, asked)
    assert set(found) == set(asked)
    for clique in asked:
        np.testing.assert_allclose(found[clique].numpy(), marginal_of(joint, clique), atol=1e-12)


def test_a_table_beyond_memory_is_refused(monkeypatch):
    monkeypatch.setattr(queries, "MOST_CELLS", 10)
    tree = JunctionTree.over((4, 4, 4), [(0, 1), (1, 2)])
    inference = BeliefPropagation(tree, [])
    inference([])
    with pytest.raises(ConfigError, match=r"columns \(0, 2\).*16 cells"):
        queries.marginals(tree, inference.beliefs, [(0, 2)])
