"""dpsynth/models/merging.py and views.py: what is joined, and how it parts again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data import Category, Codec, Domain, Integer
from dpsynth.marginals.counting import Engine
from dpsynth.models.coded_rows import CodedRows
from dpsynth.models.merging import Merging, bins_merging, rare_merging
from dpsynth.models.views import View, Views

CODEC = Codec(
    Domain(
        (
            Integer("age", low=0, high=99, spikes=(0,), missing=True),
            Category("place", categories=tuple(f"p{k}" for k in range(20)), missing=True),
            Category("sex", categories=("f", "m")),
        )
    ),
    bins=16,
)
NOISY = st.tuples(*(st.lists(st.integers(-200, 3000), min_size=n, max_size=n) for n in CODEC.sizes))


def check(merging, sizes):
    """Onto, shares that add up to one within each merged code, and nothing lost when saved."""
    restored = Merging.restore(merging.tensors(), sizes)
    assert all(
        (a == b).all() for a, b in zip(restored.maps + restored.shares, merging.maps + merging.shares, strict=True)
    )
    for m, share, size, merged in zip(merging.maps, merging.shares, sizes, merging.sizes, strict=True):
        assert len(m) == len(share) == size
        assert sorted(set(m)) == list(range(merged))
        assert (share >= 0).all()
        assert np.bincount(m, share) == pytest.approx(np.ones(merged))


def test_one_rare_code_alone_is_moved_and_that_is_saved():
    """Nothing is merged then, but the codes have other places."""
    noisy = [np.full(size, 1000) for size in CODEC.sizes]
    noisy[1][3] = 1
    merging = rare_merging(CODEC, Merging.none(CODEC.sizes), noisy, 100.0, 1000)
    check(merging, CODEC.sizes)


@given(noisy=NOISY, sigma=st.sampled_from([0.0, 5.0, 100.0, 1e5]), most=st.sampled_from([3, 1000]))
@settings(max_examples=60, deadline=None)
def test_rare_codes_are_merged_and_part_again(noisy, sigma, most):
    noisy = [np.array(counts) for counts in noisy]
    merging = rare_merging(CODEC, Merging.none(CODEC.sizes), noisy, sigma, most)
    check(merging, CODEC.sizes)
    draw = np.random.default_rng(0)
    codes = np.stack([draw.integers(0, size, 200) for size in merging.sizes], axis=1)
    parted = merging.parted(codes, draw)
    assert (merging(parted.astype(np.uint8)) == codes).all()
    ages = merging.maps[0][: CODEC.columns[0].value_bins]
    assert (np.diff(ages) >= 0).all()  # neighbours only
    assert np.diff(ages).max(initial=0) <= 1
    assert merging.sizes[1] <= most
    for place in np.flatnonzero(merging.members[1] == 1):  # who stands alone stands out, or is the only rare one
        (code,) = np.flatnonzero(merging.maps[1] == place)
        assert noisy[1][code] >= 3 * sigma or place == merging.sizes[1] - 1


def test_nothing_is_merged_where_everything_stands_out():
    noisy = [np.full(size, 1000) for size in CODEC.sizes]
    merging = rare_merging(CODEC, Merging.none(CODEC.sizes), noisy, 10.0, 1000)
    assert merging.sizes == CODEC.sizes
    assert merging.tensors() == {}


def test_merged_codes_part_evenly_unless_the_counts_say_more_than_noise():
    column = np.concatenate([np.full(10, 900), np.full(11, 0)])
    noise = np.random.default_rng(0).normal(0, 50, 21)
    ages, sexes = np.full(CODEC.sizes[0], 900), np.full(2, 900)
    flat = rare_merging(CODEC, Merging.none(CODEC.sizes), [ages, (column + noise).astype(int), sexes], 400.0, 1000)
    assert flat.sizes[1] == 1
    assert np.ptp(flat.shares[1]) > 0.03  # 900 against 0 is told apart, though nothing stood out of noise 400
    only_noise = rare_merging(CODEC, Merging.none(CODEC.sizes), [ages, (20 + noise).astype(int), sexes], 100.0, 1000)
    assert only_noise.shares[1] == pytest.approx(np.full(21, 1 / 21))


def test_merging_twice_is_merging_once():
    draw = np.random.default_rng(0)
    first = rare_merging(CODEC, Merging.none(CODEC.sizes), [draw.integers(0, 99, s) for s in CODEC.sizes], 10.0, 1000)
    cuts = {0: np.array([0, 3, 7, CODEC.columns[0].value_bins])}
    bins = bins_merging(CODEC, cuts, {0: (draw.integers(0, 50, CODEC.columns[0].value_bins), 1.0)})
    check(bins, CODEC.sizes)
    assert bins.sizes[0] == 3 + 2  # spike and missing stay
    again = rare_merging(CODEC, bins, [draw.integers(0, 99, s) for s in bins.sizes], 10.0, 1000)
    both = bins.then(again)
    check(both, CODEC.sizes)
    codes = np.stack([draw.integers(0, s, 300) for s in CODEC.sizes], 1).astype(np.uint8)
    assert (both(codes) == again(bins(codes))).all()
    restored = Merging.restore(both.tensors(), CODEC.sizes)
    assert all((a == b).all() for a, b in zip(restored.maps + restored.shares, both.maps + both.shares, strict=True))
    assert first(codes).flags.f_contiguous


def test_views_join_neighbouring_bins_only():
    views = Views(CODEC, Merging.none(CODEC.sizes))
    heights = {view.height for view in views.maps if view.column == 0}
    assert heights == {0, 1, 2, 3}  # 16 bins to 2
    assert [views.sizes[View(0, h)] for h in range(4)] == [18, 10, 6, 4]
    assert {view.height for view in views.maps if view.column} == {0}
    codes = np.stack([np.arange(18), np.arange(18), np.zeros(18)], 1).astype(np.uint8)
    seen = views.codes(CodedRows(CODEC, codes, Merging.none(CODEC.sizes), Engine()))
    for view, k in views.positions.items():
        assert (seen[:, k] == views.maps[view][codes[:, view.column]]).all()
    assert views.maps[View(0, 3)].tolist() == [0] * 8 + [1] * 8 + [2, 3]


@given(cells=st.floats(0.5, 2000))
def test_fitting_views_have_no_more_cells_than_allowed(cells):
    views = Views(CODEC, Merging.none(CODEC.sizes))
    found = views.fitting((0, 1), cells)
    assert (found is None) == (cells < 4 * 21)
    if found:
        assert np.prod([views.sizes[view] for view in found]) <= cells
