"""Weighted counts are what a person-by-person sum gives, after codes are merged, too."""

import itertools

import numpy as np
import pandas as pd

from dpsynth.data import Category, Codec, Domain, Table
from dpsynth.marginals.counting.counting import Engine
from dpsynth.models.database.weighted import WeightedRows
from dpsynth.models.shared.domain_compression import DomainCompression
from dpsynth.privacy.mechanisms.weights import row_weights


def test_counts_are_sums_of_weights():
    draw = np.random.default_rng(0)
    domain = Domain(tuple(Category(name, ("x", "y", "z")) for name in "abc"))
    person = np.sort(draw.integers(0, 20, 70))
    codes = draw.integers(0, 3, (70, 3))
    frame = pd.DataFrame(np.array(["x", "y", "z"], dtype=object)[codes], columns=list("abc"))
    rows = WeightedRows.weighted(Codec(domain), Table(frame, domain), person, 20, Engine())
    weights = row_weights(person, 20)
    cliques = [(0,), (1, 2), (0, 1, 2)]
    for clique, table in zip(cliques, rows.counts(cliques), strict=True):
        for cell in itertools.product(range(3), repeat=len(clique)):
            assert table[cell] == weights[(codes[:, clique] == cell).all(1)].sum()
    joined = DomainCompression(
        (np.array([0, 1, 1]), np.arange(3), np.arange(3)), tuple(np.array(f) for f in ([1, 0.5, 0.5], [1] * 3, [1] * 3))
    )
    before, after = rows.counts([(0,)])[0], rows.merged(joined).counts([(0,)])[0]
    assert after.tolist() == [before[0], before[1] + before[2]]


def test_a_table_without_rows_is_counted():
    domain = Domain((Category("a", ("x", "y")),))
    nobody = np.zeros(0, dtype=np.int64)
    rows = WeightedRows.weighted(
        Codec(domain), Table(pd.DataFrame({"a": []}, dtype=object), domain), nobody, 4, Engine()
    )
    assert rows.counts([(0,)])[0].tolist() == [0, 0]
