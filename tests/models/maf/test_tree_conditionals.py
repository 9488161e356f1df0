"""The graphical model as an autoregressive one: the same distribution, in an order in which parents come first."""

import itertools

import numpy as np
import pytest
import torch

from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel, Measurement
from dpsynth.models.maf.tree_conditionals import TreeConditionals, elimination

SIZES = (2, 3, 2, 4, 2)


def model(cliques, seed=0):
    generator = np.random.default_rng(seed)
    measured = []
    for clique in cliques:
        shape = [SIZES[j] for j in clique]
        measured.append(Measurement(clique, generator.dirichlet(np.ones(np.prod(shape))).reshape(shape) * 1000, 1.0))
    return GraphicalModel.fit(SIZES, measured, total=1000.0)


@pytest.mark.parametrize("cliques", [[(0, 1), (1, 2), (2, 3), (3, 4)], [(0, 1, 2), (2, 3)], [(0, 1), (1, 2), (0, 2)]])
@pytest.mark.parametrize("label", [None, 0, 3])
def test_the_product_of_the_conditionals_is_the_joint_distribution(cliques, label):
    graph = model(cliques)
    tree = TreeConditionals(graph, label)
    rows = torch.tensor(list(itertools.product(*map(range, SIZES))))
    logs = sum(tree.logits(j, rows).gather(1, rows[:, j : j + 1])[:, 0] for j in tree.order)
    joint = graph.marginal(tuple(range(len(SIZES)))).ravel() / graph.total
    assert torch.as_tensor(logs).exp().numpy() == pytest.approx(joint, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_parents_come_first_and_lie_in_one_clique(seed):
    generator = np.random.default_rng(seed)
    pairs = [tuple(sorted(generator.choice(5, 2, replace=False).tolist())) for _ in range(4)]
    graph = model(list(dict.fromkeys(pairs)), seed)
    parents = elimination(graph.cliques, None)
    assert sorted(parents) == list(range(5))
    order = list(parents)
    for j, own in parents.items():
        assert all(order.index(p) < order.index(j) for p in own)
        assert any({j, *own} <= {*clique} for clique in graph.cliques)


def test_the_label_comes_as_late_as_the_tree_allows():
    assert list(elimination([(0, 1), (1, 2), (2, 3)], 0))[-1] == 0
    assert list(elimination([(0, 1), (1, 2), (2, 3)], 3))[-1] == 3
