"""Small random distributions whose full joint can be written down, to hold the graphical model against."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def graphs(draw, most_columns=6, most_size=4):
    """(sizes, cliques): any graph, also disconnected ones, empty ones, columns of one code, one column."""
    columns = draw(st.integers(1, most_columns))
    sizes = tuple(draw(st.lists(st.integers(1, most_size), min_size=columns, max_size=columns)))
    clique = st.lists(st.integers(0, columns - 1), min_size=1, max_size=min(3, columns), unique=True)
    cliques = draw(st.lists(clique.map(lambda c: tuple(sorted(c))), max_size=6, unique=True))
    return sizes, cliques


def joint_of(sizes, cliques, potentials):
    """The full table of the distribution proportional to exp(sum of potentials)."""
    log = np.zeros(sizes)
    for clique, potential in zip(cliques, potentials, strict=True):
        log = log + np.asarray(potential).reshape([n if j in clique else 1 for j, n in enumerate(sizes)])
    table = np.exp(log - log.max())
    return table / table.sum()


def marginal_of(joint, clique):
    """The sum of a full table over all columns but `clique` (ascending)."""
    return joint.sum(tuple(j for j in range(joint.ndim) if j not in clique))


def counts_of(codes, sizes, clique):
    """Counts of rows over a clique."""
    shape = tuple(sizes[j] for j in clique)
    index = np.ravel_multi_index([codes[:, j] for j in clique], shape) if clique else np.zeros(len(codes), int)
    return np.bincount(index, minlength=int(np.prod(shape))).reshape(shape).astype(float)
