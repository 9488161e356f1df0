"""dpsynth/data/table/row_sample.py: every row has the same chance, and the sample is exactly as large as asked for."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.table.row_sample import RowSample


def sample_of(rows, most, blocks, seed=0):
    sample = RowSample(most, seed)
    for part in np.array_split(np.arange(rows), blocks):
        sample.add(pd.DataFrame({"row": part, "text": part.astype(str)}, index=part))
    return sample


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 300), st.integers(1, 100), st.integers(1, 20))
def test_the_sample_has_its_size_and_keeps_the_order(rows, most, blocks):
    sample = sample_of(rows, most, blocks)
    frame = sample.frame()
    assert len(frame) == min(rows, most)
    assert frame["row"].is_monotonic_increasing
    assert frame["row"].is_unique
    assert (frame["row"].astype(str) == frame["text"]).all()
    assert sample.partial == (rows > most)
    assert sample.rows == rows


@pytest.mark.parametrize("blocks", [1, 3, 40])
def test_blocks_make_no_difference(blocks):
    assert sample_of(200, 30, blocks).frame().equals(sample_of(200, 30, 1).frame())
    assert not sample_of(200, 30, blocks, seed=1).frame().equals(sample_of(200, 30, 1).frame())


def test_every_row_has_the_same_chance():
    """Of 320 samples of 5 of 40 rows each row is in about an eighth: 40, standard deviation 6."""
    counts = np.zeros(40)
    for seed in range(320):
        counts[sample_of(40, 5, 4, seed).frame()["row"]] += 1
    assert abs(counts - 40).max() < 5 * 6


def test_memory_holds_little_more_than_the_sample():
    sample = RowSample(100)
    for _ in range(200):
        sample.add(pd.DataFrame({"row": np.arange(100)}))
        assert sum(map(len, sample._frames)) <= 250
