import numpy as np
import pytest
import torch

from dpsynth.marginals.graphical_model.belief_propagation import BeliefPropagation
from dpsynth.marginals.graphical_model.estimation import descend
from dpsynth.marginals.graphical_model.junction_tree import JunctionTree

from .distributions import marginal_of

SIZES, CLIQUES = (6, 5, 4, 8), ((0, 1), (1, 2), (2, 3), (0, 3), (3,))


def problem(rows, sigma, seed, sparse=0.3):
    """A random joint, its exact marginals in rows and noisy ones; the smaller `sparse` the emptier."""
    generator = np.random.default_rng(seed)
    joint = generator.dirichlet(np.full(np.prod(SIZES), sparse)).reshape(SIZES)
    exact = [rows * marginal_of(joint, clique) for clique in CLIQUES]
    return joint, exact, [table + generator.normal(0, sigma, table.shape) for table in exact]


def run(noisy, sigma, rows, iterations=1000, start=None):
    inference = BeliefPropagation(JunctionTree.over(SIZES, CLIQUES), CLIQUES)
    counts = [torch.from_numpy(table) for table in noisy]
    weights = [torch.full_like(table, sigma**-2) for table in counts]
    descent = descend(inference, counts, weights, rows, iterations, start)
    return descent, [rows * table.numpy() for table in inference(descent.potentials)]


def misfit(tables, noisy, sigma):
    return sum(((a - b) ** 2).sum() for a, b in zip(tables, noisy, strict=True)) / (2 * sigma**2)


def converged(noisy, sigma, rows, steps=20_000):
    """The smallest loss of any distribution: exponentiated gradient on the full joint, step by line search, for
    long."""
    joint, step = np.full(SIZES, 1 / np.prod(SIZES)), sigma**2 / rows**2
    best, kept, kept_tables = np.inf, joint, []
    for _ in range(steps):
        tables = [rows * marginal_of(joint, clique) for clique in CLIQUES]
        loss = misfit(tables, noisy, sigma)
        if loss > best:
            joint, step = kept, step / 2
        else:
            best, kept, kept_tables, step = loss, joint, tables, step * 1.05
        gradient = sum(
            (rows * (found - table) / sigma**2).reshape([n if j in clique else 1 for j, n in enumerate(SIZES)])
            for found, table, clique in zip(kept_tables, noisy, CLIQUES, strict=True)
        )
        joint = kept * np.exp(-step * (gradient - gradient.min()))
        joint = joint / joint.sum()
    return best, kept_tables


def test_without_noise_the_marginals_are_recovered():
    _, exact, _ = problem(10_000, 0.0, seed=1, sparse=2.0)
    descent, tables = run(exact, 1e-3, 10_000, iterations=3000)
    for found, table in zip(tables, exact, strict=True):
        np.testing.assert_allclose(found, table, atol=0.05)
    assert descent.iterations <= 3001


@pytest.mark.parametrize("seed", range(3))
def test_sharp_counts_are_fitted_as_well_as_any_distribution_can(seed):
    """Where counts are far above the noise the stop must not come early: the loss is next to the smallest of all."""
    rows, sigma = 100_000.0, 5.0
    _, _, noisy = problem(rows, sigma, seed, sparse=3.0)
    best, _ = converged(noisy, sigma, rows)
    descent, tables = run(noisy, sigma, rows)
    assert descent.loss == pytest.approx(misfit(tables, noisy, sigma), rel=1e-6)
    assert best - 1e-6 <= descent.loss < best + 0.05 * sum(table.size for table in noisy) / 2


def test_stopping_pays_and_the_risk_is_what_it_says(monkeypatch):
    """Many cells with few rows under heavy noise, as in practice: less error than the loss's minimum has, and as
    much as the estimate tells."""
    monkeypatch.setattr(f"{__name__}.SIZES", (40, 30, 8))
    monkeypatch.setattr(f"{__name__}.CLIQUES", ((0, 1), (1, 2), (0,)))
    rows, sigma, errors, reference, described = 2000.0, 15.0, [], [], []
    for seed in range(4):
        _, exact, noisy = problem(rows, sigma, seed, sparse=0.01)
        descent, tables = run(noisy, sigma, rows)
        errors.append(2 * misfit(tables, exact, sigma))
        reference.append(2 * misfit(converged(noisy, sigma, rows, 1500)[1], exact, sigma))
        described.append(descent.risk)
    assert np.mean(errors) < 0.9 * np.mean(reference)
    assert np.mean(described) == pytest.approx(np.mean(errors), rel=0.35)


def test_a_warm_start_saves_iterations_and_loses_nothing():
    _, _, noisy = problem(5000.0, 20.0, seed=5)
    cold, _ = run(noisy, 20.0, 5000.0)
    short, _ = run(noisy, 20.0, 5000.0, iterations=12)
    warm, _ = run(noisy, 20.0, 5000.0, iterations=12, start=cold)
    assert warm.loss < short.loss
    assert warm.risk == pytest.approx(cold.risk, abs=0.1 * sum(table.size for table in noisy))
    again, _ = run(noisy, 20.0, 5000.0, start=cold)
    assert again.length < 3 * cold.length, "the descent must not add up over many fits"


def test_iterations_are_a_bound():
    _, _, noisy = problem(5000.0, 1.0, seed=6)
    assert run(noisy, 1.0, 5000.0, iterations=7)[0].iterations == 8  # and one to settle the result


def test_noise_only_gives_a_distribution_all_the_same():
    generator = np.random.default_rng(0)
    noisy = [generator.normal(-5, 3.0, [SIZES[j] for j in clique]) for clique in CLIQUES]
    descent, tables = run(noisy, 3.0, 1.0)
    assert np.isfinite(descent.loss)
    assert all(np.isfinite(t).all() and t.sum() == pytest.approx(1) for t in tables)
