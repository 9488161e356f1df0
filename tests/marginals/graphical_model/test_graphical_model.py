import itertools
import json

import numpy as np
import pytest
import torch

from dpsynth.errors import ConfigError
from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel, Measurement, size_estimate

from .distributions import counts_of, marginal_of

SIZES = (4, 2, 5, 1, 3, 2)
CLIQUES = [(0,), (0, 1), (1, 2), (2, 4), (0, 4), (3,), (4, 5)]


def measure(rows=20_000, sigma=5.0, seed=0, cliques=CLIQUES):
    generator = np.random.default_rng(seed)
    joint = generator.dirichlet(np.full(np.prod(SIZES), 0.3)).reshape(SIZES)
    return joint, [
        Measurement(c, (table := rows * marginal_of(joint, c)) + generator.normal(0, sigma, table.shape), sigma)
        for c in cliques
    ]


@pytest.fixture(scope="module")
def model():
    return GraphicalModel.fit(SIZES, measure()[1])


def test_measured_marginals_are_near_the_truth(model):
    joint, _ = measure()
    for clique in CLIQUES:
        np.testing.assert_allclose(model.marginal(clique), 20_000 * marginal_of(joint, clique), atol=25)


def test_marginals_agree_with_each_other(model):
    """Any columns, any order, within cliques or across: one distribution, its total the model's."""
    for clique in itertools.combinations(range(6), 3):
        table = model.marginal(clique)
        assert table.shape == tuple(SIZES[j] for j in clique)
        assert table.sum() == pytest.approx(model.total)
        for axis in range(3):
            rest = tuple(j for place, j in enumerate(clique) if place != axis)
            np.testing.assert_allclose(table.sum(axis), model.marginal(rest), atol=1e-6)
    np.testing.assert_allclose(model.marginal((4, 0)), model.marginal((0, 4)).T)
    assert model.marginal(()) == pytest.approx(model.total)
    several = model.marginals([(0, 5), (1,), (0, 5)])
    np.testing.assert_array_equal(several[0, 5], model.marginal((0, 5)))


def test_unmeasured_columns_are_uniform_and_independent():
    model = GraphicalModel.fit((3, 4), [Measurement((0,), np.array([50.0, 30.0, 20.0]), 1.0)])
    table = model.marginal((0, 1))
    np.testing.assert_allclose(table, np.broadcast_to(table.sum(1, keepdims=True) / 4, (3, 4)))


def test_nothing_measured_is_the_uniform_distribution():
    model = GraphicalModel.fit((2, 3), [], total=60)
    np.testing.assert_allclose(model.marginal((0, 1)), 10)
    assert model.sample(12, np.random.default_rng(0)).shape == (12, 2)


def test_the_total_is_given_or_estimated():
    _, measurements = measure()
    assert GraphicalModel.fit(SIZES, measurements).total == pytest.approx(20_000, abs=60)
    assert GraphicalModel.fit(SIZES, measurements, 123.0).total == 123


def test_tiny_and_mixed_noise_does_not_blow_up():
    joint, exact = measure(sigma=0.0)
    tiny = [Measurement(m.clique, m.values, 1e-9) for m in exact]
    mixed = [Measurement(m.clique, m.values, 1e-9 if len(m.clique) == 1 else 50.0) for m in exact]
    for measurements in (tiny, mixed):
        model = GraphicalModel.fit(SIZES, measurements)
        np.testing.assert_allclose(model.marginal((0,)), 20_000 * marginal_of(joint, (0,)), atol=3)
    np.testing.assert_allclose(model.marginal((2, 4)).sum(), 20_000, rtol=1e-4)


def test_the_estimate_is_the_allocation(model):
    assert model.bytes == size_estimate(SIZES, CLIQUES)
    assert model.bytes == 8 * sum(np.prod([SIZES[j] for j in clique]) for clique in model.cliques)


def test_a_tree_too_large_is_refused_with_its_columns():
    sizes = (1000, 1000, 2, 1000, 1000)
    cycle = [Measurement((0, 1), np.zeros((1000, 1000)), 1.0), Measurement((2,), np.zeros(2), 1.0)]
    names = ["street", "town", "sex", "job", "firm"]
    with pytest.raises(ConfigError, match=r"MiB.*street \(1000 codes\), town \(1000 codes\), job \(1000 codes\)"):
        GraphicalModel.fit(sizes, cycle, extra_cliques=[(1, 3), (0, 3)], names=names, most_bytes=2**28)


def test_measurements_are_checked():
    with pytest.raises(ConfigError, match="shape"):
        GraphicalModel.fit((2, 3), [Measurement((0, 1), np.zeros((3, 2)), 1.0)])
    with pytest.raises(ConfigError, match="ascending"):
        GraphicalModel.fit((2, 3), [], extra_cliques=[(1, 0)])
    with pytest.raises(ConfigError, match="structural zeros"):
        GraphicalModel.fit((2, 3), [], structural_zeros={(0, 1): np.zeros((3, 2), bool)})


def test_structural_zeros_are_never_sampled_and_have_no_mass():
    generator = np.random.default_rng(0)
    zeros = {(0, 2): generator.random((4, 5)) < 0.4, (1, 5): np.array([[True, False], [False, False]])}
    model = GraphicalModel.fit(SIZES, measure()[1], structural_zeros=zeros)
    for method in ("round", "categorical"):
        codes = model.sample(5000, generator, method=method)
        for (i, j), mask in zeros.items():
            assert not mask[codes[:, i], codes[:, j]].any()
            assert (model.marginal((i, j))[mask] == 0).all()
    with pytest.raises(ConfigError, match="no row is possible"):
        GraphicalModel.fit((2, 3), [], structural_zeros={(0,): np.ones(2, bool)})


def test_conditions_give_the_conditional_distribution(model):
    """Rows under conditions against the model's own joint, cut down and renormalised: exact, not approximate."""
    joint = model.marginal(range(6)) / model.total
    where = {2: [1, 3], 5: 1}
    cut = np.zeros_like(joint)
    cut[:, :, [1, 3], :, :, 1] = joint[:, :, [1, 3], :, :, 1]
    cut /= cut.sum()
    n = 40_000
    codes = model.sample(n, np.random.default_rng(1), where=where, method="categorical")
    assert set(codes[:, 2]) <= {1, 3}
    assert set(codes[:, 5]) == {1}
    for pair in itertools.combinations([0, 1, 2, 4], 2):
        expected = n * marginal_of(cut, pair)
        assert (np.abs(counts_of(codes, SIZES, pair) - expected) < 5 * np.sqrt(expected) + 1).all()


def test_rare_and_impossible_conditions():
    """A code of tiny probability can be asked for; one that cannot be is refused, as is one that does not exist."""
    values = np.array([[1e6, 1e6], [0.0, 0.0]])
    model = GraphicalModel.fit((2, 2), [Measurement((0, 1), values, 1e-3)])
    assert (model.sample(50, np.random.default_rng(0), where={0: 1})[:, 0] == 1).all()
    barred = GraphicalModel.fit((2, 2), [], structural_zeros={(0,): np.array([False, True])})
    with pytest.raises(ConfigError, match="no row is possible"):
        barred.sample(5, np.random.default_rng(0), where={0: 1})
    with pytest.raises(ConfigError, match="codes 0 to 1"):
        barred.sample(5, np.random.default_rng(0), where={0: 2})


def test_warm_starts_reach_the_fit_in_fewer_passes():
    """Another measurement joins, also when it changes the tree: a few passes from there do more than from zero."""
    _, measurements = measure()
    before = GraphicalModel.fit(SIZES, measurements[:-2])
    cold = GraphicalModel.fit(SIZES, measurements, iterations=6)
    warm = GraphicalModel.fit(SIZES, measurements, iterations=6, warm_start=before)
    assert warm.loss < cold.loss


@pytest.mark.parametrize("zeros", [None, {(0, 2): np.arange(20).reshape(4, 5) % 3 == 0}])
def test_saved_and_restored_it_is_the_same(zeros):
    model = GraphicalModel.fit(SIZES, measure()[1], structural_zeros=zeros)
    config, tensors = model.state()
    again = GraphicalModel.restore(json.loads(json.dumps(config)), tensors)
    assert again.cliques == model.cliques
    assert (again.total, again.loss, again.bytes) == (model.total, model.loss, model.bytes)
    for clique in itertools.combinations(range(6), 2):
        np.testing.assert_array_equal(again.marginal(clique), model.marginal(clique))
    samples = [m.sample(500, np.random.default_rng(3), where={5: 0}) for m in (model, again)]
    np.testing.assert_array_equal(*samples)


def test_the_result_does_not_depend_on_the_order_of_columns():
    """Inside, columns are sorted by size; outside nothing of that shows."""
    order = [5, 2, 0, 4, 1, 3]
    _, measurements = measure()
    turned = []
    for m in measurements:
        axes = sorted(range(len(m.clique)), key=lambda axis: order.index(m.clique[axis]))
        clique = tuple(order.index(m.clique[axis]) for axis in axes)
        turned.append(Measurement(clique, np.transpose(m.values, axes), m.sigma))
    one, other = GraphicalModel.fit(SIZES, measurements), GraphicalModel.fit([SIZES[j] for j in order], turned)
    for i, j in itertools.combinations(range(6), 2):
        np.testing.assert_allclose(one.marginal((i, j)), other.marginal((order.index(i), order.index(j))), atol=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_the_gpu_it_is_the_same_distribution(model):
    other = GraphicalModel.fit(SIZES, measure()[1], device="cuda")
    for clique in CLIQUES:
        np.testing.assert_allclose(other.marginal(clique), model.marginal(clique), atol=1)
