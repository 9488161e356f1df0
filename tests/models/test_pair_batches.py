"""mst counts all pairs of a wide table, so many at a time that their tables fit."""

import itertools
import math

import pytest

from dpsynth.models.marginal import mst


@pytest.mark.parametrize("sizes", [(3,), (2, 2), (9, 2, 3, 4, 2, 5), (50, 50, 2)])
def test_all_pairs_in_their_order_in_small_batches(monkeypatch, sizes):
    monkeypatch.setattr(mst, "BATCH_PAIRS", 4)
    monkeypatch.setattr(mst, "BATCH_CELLS", 40)
    batches = list(mst._batches(sizes))
    assert [pair for batch in batches for pair in batch] == list(itertools.combinations(range(len(sizes)), 2))
    for batch in batches:
        assert len(batch) <= 4
        assert len(batch) <= 1 or sum(math.prod(sizes[j] for j in pair) for pair in batch) <= 40
