"""Levels: a coarser column counts what its groups count together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.counting import count
from dpsynth.models.marginal.taxonomy_levels import CoarserColumn, append_levels


@given(st.lists(st.integers(0, 5), min_size=1, max_size=300), st.integers(0, 99), st.sampled_from(["C", "F"]))
def test_a_coarse_marginal_is_the_fine_one_added_up(groups, seed, order):
    generator = np.random.default_rng(seed)
    sizes = (len(groups), 3)
    codes = np.stack([generator.integers(0, size, 200) for size in sizes], axis=1).astype(np.uint16, order=order)
    decade, half = (
        CoarserColumn(0, tuple(groups)),
        CoarserColumn(2, tuple(code // 2 for code in range(max(groups) + 1))),
    )
    wide, wide_sizes = append_levels(codes, sizes, [decade, half])
    assert wide_sizes == (*sizes, max(groups) + 1, max(groups) // 2 + 1)
    assert np.array_equal(wide[:, :2], codes)
    counts = count(wide, wide_sizes, [(0, 1), (2, 1), (3, 1)])
    for position, table in ((2, decade.table), (3, half.table[decade.table])):
        coarse = np.zeros((wide_sizes[position], 3), dtype=np.int64)
        np.add.at(coarse, table, counts[0, 1])
        assert np.array_equal(counts[position, 1], coarse)


@pytest.mark.parametrize(
    "level",
    [CoarserColumn(2, (0, 1)), CoarserColumn(0, (0,)), CoarserColumn(0, (0, -1)), CoarserColumn(0, (0, 70_000))],
)
def test_tables_that_do_not_fit_are_refused(level):
    with pytest.raises(ConfigError, match="level of column"):
        append_levels(np.zeros((3, 2), dtype=np.uint8), (2, 2), [level])
