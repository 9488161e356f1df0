import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.belief_propagation import BeliefPropagation
from dpsynth.marginals.graphical_model.junction_tree import JunctionTree

from .distributions import graphs, joint_of, marginal_of


@settings(deadline=None, max_examples=40)
@given(graphs(), st.integers(0, 999), st.sampled_from([0.5, 5.0, 300.0]))
def test_beliefs_equal_the_full_joint(distribution, seed, spread):
    """Also for potentials hundreds of nats apart, where plain exponentials leave the range of floats."""
    sizes, cliques = distribution
    generator = np.random.default_rng(seed)
    potentials = [generator.normal(0, spread, [sizes[j] for j in clique]) for clique in cliques]
    joint = joint_of(sizes, cliques, potentials)
    inference = BeliefPropagation(JunctionTree.over(sizes, cliques), cliques)
    found = inference([torch.from_numpy(p) for p in potentials])
    for clique, table in zip(cliques, found, strict=True):
        np.testing.assert_allclose(table.numpy(), marginal_of(joint, clique), atol=1e-12)
    for clique, table in zip(inference.tree.cliques, inference.beliefs, strict=True):
        np.testing.assert_allclose(table.numpy(), marginal_of(joint, clique), atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(graphs(), st.integers(0, 999))
def test_impossible_cells_stay_impossible(distribution, seed):
    sizes, cliques = distribution
    generator = np.random.default_rng(seed)
    potentials = [generator.normal(0, 2, [sizes[j] for j in clique]) for clique in cliques]
    masks = {clique: generator.random([sizes[j] for j in clique]) < 0.3 for clique in cliques[:2]}
    forbidden = {clique: torch.where(torch.from_numpy(mask), -torch.inf, 0.0) for clique, mask in masks.items()}
    with np.errstate(invalid="ignore", divide="ignore"):
        joint = joint_of(
            sizes, [*cliques, *masks], [*potentials, *(np.where(mask, -np.inf, 0.0) for mask in masks.values())]
        )
    inference = BeliefPropagation(JunctionTree.over(sizes, cliques), cliques, forbidden)
    tensors = [torch.from_numpy(p) for p in potentials]
    if np.isnan(joint).any():
        with pytest.raises(ConfigError, match="no row is possible"):
            inference(tensors)
        return
    for clique, table in zip(cliques, inference(tensors), strict=True):
        np.testing.assert_allclose(table.numpy(), marginal_of(joint, clique), atol=1e-12)
        if clique in masks:
            assert (table.numpy()[masks[clique]] == 0).all()


def test_messages_that_outweigh_each_other_by_far():
    """A cell whose clique says e^-2000 and whose neighbour says e^+2000 is as likely as the rest."""
    first = torch.tensor([[0.0, -2000.0], [0.0, -2000.0]], dtype=torch.float64)
    second = torch.tensor([[0.0, 0.0], [2000.0, 2000.0]], dtype=torch.float64)
    inference = BeliefPropagation(JunctionTree.over((2, 2, 2), [(0, 1), (1, 2)]), [(0, 1), (1, 2)])
    for table in inference([first, second]):
        np.testing.assert_allclose(table.numpy(), 0.25)


def test_a_request_outside_the_tree_is_refused():
    with pytest.raises(ConfigError, match=r"\(0, 2\)"):
        BeliefPropagation(JunctionTree.over((2, 2, 2), [(0, 1), (1, 2)]), [(0, 2)])
