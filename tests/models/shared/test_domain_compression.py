"""dpsynth/models/shared/domain_compression.py and taxonomy_levels.py: what is joined, and how it parts again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data import Category, Codec, Domain, Integer
from dpsynth.data.columns.hierarchy import Hierarchy
from dpsynth.marginals.counting.counting import Engine
from dpsynth.models.marginal.method import EncodedRows
from dpsynth.models.marginal.taxonomy_levels import ColumnLevel, TaxonomyLevels
from dpsynth.models.shared.domain_compression import DomainCompression, cells_compression, rare_compression
from dpsynth.models.shared.value_cells import ValueCells

CODEC = Codec(
    Domain(
        (
            Integer("age", low=0, high=99, point_masses=(0,), missing=True),
            Category("place", categories=tuple(f"p{k}" for k in range(20)), missing=True),
            Category("sex", categories=("f", "m")),
        )
    ),
    bins=16,
)
NOISY = st.tuples(*(st.lists(st.integers(-200, 3000), min_size=n, max_size=n) for n in CODEC.sizes))


def check(compression, sizes):
    """Onto, shares that add up to one within each merged code, and nothing lost when saved."""
    restored = DomainCompression.restore(compression.tensors(), sizes)
    assert all(
        (a == b).all()
        for a, b in zip(restored.maps + restored.fractions, compression.maps + compression.fractions, strict=True)
    )
    for m, fraction, size, merged in zip(
        compression.maps, compression.fractions, sizes, compression.sizes, strict=True
    ):
        assert len(m) == len(fraction) == size
        assert sorted(set(m)) == list(range(merged))
        assert (fraction >= 0).all()
        assert np.bincount(m, fraction) == pytest.approx(np.ones(merged))


def test_one_rare_code_alone_is_moved_and_that_is_saved():
    """Nothing is merged then, but the codes have other places."""
    noisy = [np.full(size, 1000) for size in CODEC.sizes]
    noisy[1][3] = 1
    compression = rare_compression(CODEC, DomainCompression.none(CODEC.sizes), noisy, 100.0, 1000)
    check(compression, CODEC.sizes)


@given(noisy=NOISY, sigma=st.sampled_from([0.0, 5.0, 100.0, 1e5]), most=st.sampled_from([3, 1000]))
@settings(max_examples=60, deadline=None)
def test_rare_codes_are_merged_and_part_again(noisy, sigma, most):
    noisy = [np.array(counts) for counts in noisy]
    compression = rare_compression(CODEC, DomainCompression.none(CODEC.sizes), noisy, sigma, most)
    check(compression, CODEC.sizes)
    draw = np.random.default_rng(0)
    codes = np.stack([draw.integers(0, size, 200) for size in compression.sizes], axis=1)
    parted = compression.parted(codes, draw)
    assert (compression(parted.astype(np.uint8)) == codes).all()
    ages = compression.maps[0][: CODEC.columns[0].value_bins]
    assert (np.diff(ages) >= 0).all()  # neighbours only
    assert np.diff(ages).max(initial=0) <= 1
    assert compression.sizes[1] <= most
    for place in np.flatnonzero(compression.members[1] == 1):  # who stands alone stands out, or is the only rare one
        (code,) = np.flatnonzero(compression.maps[1] == place)
        assert noisy[1][code] >= 3 * sigma or place == compression.sizes[1] - 1


def test_nothing_is_merged_where_everything_stands_out():
    noisy = [np.full(size, 1000) for size in CODEC.sizes]
    compression = rare_compression(CODEC, DomainCompression.none(CODEC.sizes), noisy, 10.0, 1000)
    assert compression.sizes == CODEC.sizes
    assert compression.tensors() == {}


def test_merged_codes_part_evenly_unless_the_counts_say_more_than_noise():
    column = np.concatenate([np.full(10, 900), np.full(11, 0)])
    noise = np.random.default_rng(0).normal(0, 50, 21)
    ages, sexes = np.full(CODEC.sizes[0], 900), np.full(2, 900)
    flat = rare_compression(
        CODEC, DomainCompression.none(CODEC.sizes), [ages, (column + noise).astype(int), sexes], 400.0, 1000
    )
    assert flat.sizes[1] == 1
    assert np.ptp(flat.fractions[1]) > 0.03  # 900 against 0 is told apart, though nothing stood out of noise 400
    only_noise = rare_compression(
        CODEC, DomainCompression.none(CODEC.sizes), [ages, (20 + noise).astype(int), sexes], 100.0, 1000
    )
    assert only_noise.fractions[1] == pytest.approx(np.full(21, 1 / 21))


def test_merging_twice_is_merging_once():
    draw = np.random.default_rng(0)
    first = rare_compression(
        CODEC, DomainCompression.none(CODEC.sizes), [draw.integers(0, 99, s) for s in CODEC.sizes], 10.0, 1000
    )
    cells = np.repeat([0, 1, 2], [3, 4, 9])
    fractions = np.where(cells == 1, 0.0, draw.random(16))  # a cell that is estimated to be empty
    found = ValueCells(CODEC.columns[0].cut_places, fractions, cells, np.zeros(5), np.ones(5))
    bins = cells_compression(CODEC, {0: found})
    check(bins, CODEC.sizes)
    assert bins.sizes[0] == 3 + 2  # point mass and missing stay
    again = rare_compression(CODEC, bins, [draw.integers(0, 99, s) for s in bins.sizes], 10.0, 1000)
    both = bins.then(again)
    check(both, CODEC.sizes)
    codes = np.stack([draw.integers(0, s, 300) for s in CODEC.sizes], 1).astype(np.uint8)
    assert (both(codes) == again(bins(codes))).all()
    restored = DomainCompression.restore(both.tensors(), CODEC.sizes)
    assert all(
        (a == b).all() for a, b in zip(restored.maps + restored.fractions, both.maps + both.fractions, strict=True)
    )
    assert first(codes).flags.f_contiguous


def test_views_join_neighbouring_bins_only():
    taxonomy_levels = TaxonomyLevels(CODEC, DomainCompression.none(CODEC.sizes))
    levels = {column_level.level for column_level in taxonomy_levels.maps if column_level.column == 0}
    assert levels == {0, 1, 2, 3}  # 16 bins to 2
    assert [taxonomy_levels.sizes[ColumnLevel(0, h)] for h in range(4)] == [18, 10, 6, 4]
    assert {column_level.level for column_level in taxonomy_levels.maps if column_level.column} == {0}
    codes = np.stack([np.arange(18), np.arange(18), np.zeros(18)], 1).astype(np.uint8)
    seen = taxonomy_levels.codes(EncodedRows(CODEC, codes, DomainCompression.none(CODEC.sizes), Engine()))
    for column_level, k in taxonomy_levels.positions.items():
        assert (seen[:, k] == taxonomy_levels.maps[column_level][codes[:, column_level.column]]).all()
    assert taxonomy_levels.maps[ColumnLevel(0, 3)].tolist() == [0] * 8 + [1] * 8 + [2, 3]


@given(cells=st.floats(0.5, 2000))
def test_fitting_views_have_no_more_cells_than_allowed(cells):
    taxonomy_levels = TaxonomyLevels(CODEC, DomainCompression.none(CODEC.sizes))
    found = taxonomy_levels.fitting((0, 1), cells)
    assert (found is None) == (cells < 4 * 21)
    if found:
        assert np.prod([taxonomy_levels.sizes[column_level] for column_level in found]) <= cells


# -------------------- Hierarchies ------------------------------------------------------------


def test_rare_categories_are_joined_within_the_closest_group_that_stands_out():
    tree = {"A": {"A1": ["a", "b"], "A2": ["c", "d"]}, "B": {"B1": ["e"], "B2": ["f"]}, "C": {"C1": ["g"]}}
    column = Category("x", categories=tuple("abcdefgh"), hierarchy=Hierarchy.from_spec(tree, "here"), missing=True)
    codec = Codec(Domain((column,)), 4)
    noisy = [np.array([50, 50, 20, 20, 50, 50, 2, 1, 3])]  # of a to h, and missing
    (m,) = rare_compression(codec, DomainCompression.none(codec.sizes), noisy, 20.0, 1000).maps
    assert m[0] == m[1], "A1 stands out"
    assert m[4] == m[5], "B stands out, neither B1 nor B2 does"
    assert len({m[0], m[4], m[6]}) == 3
    assert m[2] == m[3] == m[6] == m[7] == m[8], "A2, C, h and missing are left over"


@given(noisy=st.lists(st.integers(-50, 500), min_size=31, max_size=31), sigma=st.sampled_from([0.0, 10.0, 100.0]),
       most=st.sampled_from([3, 1000]))  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_a_hierarchy_keeps_what_stands_out_and_the_limit(noisy, sigma, most):
    column = Category("x", categories=tuple(f"{n:03}" for n in range(30)), hierarchy=Hierarchy(prefixes=(1, 2)))
    codec = Codec(Domain((column.replace(missing=True),)), 4)
    compression = rare_compression(codec, DomainCompression.none(codec.sizes), [np.array(noisy)], sigma, most)
    check(compression, codec.sizes)
    assert compression.sizes[0] <= most
    rare = np.array(noisy) < max(3 * sigma, 0.5)
    if most == 1000:
        assert (compression.members[0][compression.maps[0][~rare]] == 1).all() or (~rare).sum() == 31


def test_the_levels_of_a_category_are_the_groups_of_its_hierarchy():
    column = Category("x", categories=("a1", "a2", "b1", "b2", "c"), hierarchy=Hierarchy(prefixes=(1,)))
    codec = Codec(Domain((column,)), 4)
    levels = TaxonomyLevels(codec, DomainCompression.none(codec.sizes))
    assert levels.maps[ColumnLevel(0, 1)].tolist() == [0, 0, 1, 1, 2]
    assert ColumnLevel(0, 2) not in levels.maps
    assert levels.fitting([0], 3) == (ColumnLevel(0, 1),)
    assert list(TaxonomyLevels(codec, DomainCompression.none(codec.sizes), coarsen=False).maps) == [ColumnLevel(0, 0)]
