"""Posterior draws of distributions: they scatter as the sampling of rows and the noise together do, overlaps
reconciled."""

import numpy as np
import pytest

from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel, Measurement
from dpsynth.models.marginal.napsu import posterior_distributions

P = np.array([[[0.18, 0.12], [0.1, 0.1]], [[0.1, 0.15], [0.05, 0.2]]])  # of three yes-no columns
N, SIGMA, DRAWS = 2000, 25.0, 150


def counts(distribution: GraphicalModel, cliques) -> np.ndarray:
    found = distribution.marginals(cliques)
    return np.concatenate([found[clique].ravel() for clique in cliques])


def covariance(cliques) -> np.ndarray:
    """n Sigma + P D P' by matrices: the projection is onto marginals that some table of eight cells has."""
    cells = np.array(list(np.ndindex(2, 2, 2)))
    columns = []
    for clique in cliques:
        place = np.ravel_multi_index([cells[:, j] for j in clique], (2,) * len(clique))
        columns.append(np.eye(2 ** len(clique))[place])
    marginal = np.concatenate(columns, 1)  # (8 cells, statistics)
    p = P.ravel()
    if len(cliques) == 2:  # the maximum-entropy distribution of the two pairs: 0 and 2 independent given 1
        pair, other = P.sum(2), P.sum(0)
        p = np.einsum("ab,bc->abc", pair, other / other.sum(1, keepdims=True)).ravel()
    mean = p @ marginal
    sampling = N * ((marginal * p[:, None]).T @ marginal - np.outer(mean, mean))
    centred = marginal - marginal.mean(0)  # totals are known
    u, s, _ = np.linalg.svd(centred.T, full_matrices=False)
    basis = u[:, s > 1e-9]
    return sampling + SIGMA**2 * basis @ basis.T


@pytest.mark.parametrize("cliques", [[(0, 1, 2)], [(0, 1), (1, 2)]], ids=["one table", "two that overlap"])
def test_draws_have_the_posterior_mean_and_covariance(cliques):
    exact = {clique: N * P.sum(tuple(j for j in range(3) if j not in clique)) for clique in cliques}
    measured = [Measurement(clique, exact[clique], SIGMA) for clique in cliques]
    distribution = GraphicalModel.fit((2, 2, 2), measured, N)
    draws = np.array(
        [
            counts(one, cliques)
            for one in posterior_distributions(distribution, measured, DRAWS, np.random.default_rng(0), 150)
        ]
    )
    centre = np.concatenate([exact[clique].ravel() for clique in cliques])
    expected = covariance(cliques)
    deviation = np.sqrt(np.diag(expected))
    assert (np.abs(draws.mean(0) - centre) < 4 * deviation / np.sqrt(DRAWS) + 1).all()
    np.testing.assert_allclose(draws.std(0), deviation, rtol=0.25)
    found = np.corrcoef(draws.T)
    assert np.abs(found - expected / np.outer(deviation, deviation)).max() < 0.3
