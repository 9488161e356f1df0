"""What noisy marginals leave open: draws from the posterior of a law, given how they were made.

A table of n rows from a law with expected marginals n mu was counted, and noise of known variance D was added:

    y = s + noise,   s about N(n mu, n Sigma(mu)),   so   y | mu about N(n mu, n Sigma + D)

the model of NAPSU-MQ (Raisa, Jaelkoe, Kaski and Honkela 2023, arXiv:2205.14485). There the posterior of the potentials
of the maximum-entropy law is sampled, or taken as normal at its mode (Laplace). Here the normal approximation is made
for the expected counts instead, in which the likelihood above is normal already; cells near zero, where potentials run
off to minus infinity, do it less harm. Write P for the projection of y onto consistent marginals, weighted by 1 / D,
which is what fitting a graphical model does. s is consistent, so the estimate is n mu + (s - n mu) + P noise, and with
a flat prior the posterior of n mu is N(P y, n Sigma + P D P'). A draw from it needs no matrix at all:

    draw n rows of the fitted law, count them, subtract what was expected: a draw of N(0, n Sigma)
    draw fresh noise of variance D for every cell
    add both to y, and fit: the fit is the projection, and keeps all cells above zero

The posterior knows the noise, the sampling of rows, and nothing of whether the law has the right cliques: what the
measured marginals cannot express is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dpsynth.marginals.graphical_model import GraphicalModel, Measurement

SHARP = 0.1  # of each sigma, when fitting: go on to the counts themselves, where a best guess would stop short


def posterior_laws(
    law: GraphicalModel,
    measured: Sequence[Measurement],
    draws: int,
    generator: np.random.Generator,
    iterations: int,
) -> Iterator[GraphicalModel]:
    """`draws` laws from the posterior given `measured`; law: a fit to it, which tells how counts of rows scatter.

    All have the cliques and the junction tree of `law`. Costs a sample of law.total rows and a fit for each.
    """
    rows = round(law.total)
    expected = law.marginals([m.clique for m in measured if m.clique])
    for _ in range(draws):
        codes = law.sample(rows, generator, method="categorical")
        moved = []
        for m in measured:
            if not m.clique:
                continue
            shape = tuple(law.sizes[j] for j in m.clique)
            cells = np.ravel_multi_index([codes[:, j] for j in m.clique], shape)
            counts = np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)
            noise = m.sigma * generator.standard_normal(shape)
            values = m.values + (counts - expected[m.clique]) + noise
            moved.append(Measurement(m.clique, values, np.multiply(SHARP, m.sigma)))
        yield GraphicalModel.fit(law.sizes, moved, law.total, iterations=iterations)
