"""Rows are drawn from p(own | given) of the model, exactly."""

import numpy as np
import pytest

from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel, Measurement
from dpsynth.models.database.chain import Chain

SIZES = (2, 3, 2, 3, 2)
CLIQUES = [(0, 2), (1, 3), (2, 3), (3, 4), (1, 4)]


@pytest.fixture(scope="module")
def model():
    draw = np.random.default_rng(1)
    measured = [
        Measurement(
            clique,
            1000 * draw.dirichlet(np.ones(np.prod([SIZES[j] for j in clique]))).reshape([SIZES[j] for j in clique]),
            1.0,
        )
        for clique in CLIQUES
    ]
    return GraphicalModel.fit(SIZES, measured)


@pytest.mark.parametrize("given", [(0, 1), (1,), (), (0, 1, 2)])
def test_the_conditional_distribution_is_that_of_the_model(model, given):
    joint = model.marginal(range(5)) / model.total
    chain = Chain(model, given)
    n = 60_000
    codes = np.zeros((n, 5), dtype=np.int64)
    draw = np.random.default_rng(2)
    for column in given:  # given values of another distribution than the model's
        codes[:, column] = draw.integers(SIZES[column], size=n)
    chain.fill(codes, draw)
    own = tuple(column for column in range(5) if column not in given)
    expected = joint / joint.sum(axis=own, keepdims=True) / np.prod([SIZES[j] for j in given])
    found = np.zeros(SIZES)
    np.add.at(found, tuple(codes.T), 1 / n)
    assert np.abs(found - expected).sum() / 2 < 0.02


def test_parents_that_say_least_are_left_out_where_a_table_would_be_too_large(model):
    small = Chain(model, (0, 1, 2), most_cells=9)
    assert all(np.prod([SIZES[j] for j in table.parents]) * SIZES[table.column] <= 9 for table in small.tables)
    whole = Chain(model, (0, 1, 2))
    assert any(len(table.parents) > 1 for table in whole.tables)


def test_impossible_parents_lead_to_a_row():
    counts = np.array([[100.0, 0.0], [0.0, 0.0]])
    model = GraphicalModel.fit((2, 2), [Measurement((0, 1), counts, 1e-3)])
    codes = np.array([[0, 0], [1, 0]])
    Chain(model, (0,)).fill(codes, np.random.default_rng(0))
    assert codes[0].tolist() == [0, 0]
