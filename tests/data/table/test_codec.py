"""Two views of a table: exact inverses, total on garbage, bins that are public and never empty."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data import Boolean, Category, Codec, Date, Datetime, Domain, Encoded, Integer, Number
from dpsynth.errors import ConfigError, SchemaError

MIXED = Domain(
    (
        Integer("age", 17, 90),
        Integer("gain", 0, 99_999, point_masses=(0,), scale="log", missing=True),
        Integer("few", -3, 3, point_masses=(1, 3, 99)),
        Number("exact", 0.076, 11.122, decimals=3),
        Number("log", 0.01, 900.0, decimals=2, point_masses=(0.0,), scale="log"),
        Number("wide", 1e-3, 1e6, scale="log", missing=True),
        Number("real", -2.0, 3.0, point_masses=(0.0,)),
        Date("day", dt.date(1960, 1, 1), dt.date(2026, 12, 31), missing=True),
        Datetime("time", dt.datetime(2020, 1, 1), dt.datetime(2020, 2, 1), resolution=15),
        Boolean("flag", missing=True),
        Category("word", ("a", "b"), other="rest", missing=True, label=True),
    )
)


@given(seed=st.integers(0, 2**32 - 1), bins=st.sampled_from([1, 2, 7, 64, 200, 3000]))
@settings(max_examples=40, deadline=None)
def test_decode_then_encode_then_decode_is_exact(seed, bins):
    codec = Codec(MIXED, bins)
    generator = np.random.default_rng(seed)
    codes = np.column_stack([generator.integers(size, size=60) for size in codec.sizes]).astype(codec.dtype)
    frame = codec.decode(Encoded(codes), generator)
    encoded = codec.encode(frame)
    assert (encoded.codes == codes).all()  # every code, point masses and missing too, comes back
    assert encoded.units is not None
    assert ((encoded.units >= 0) & (encoded.units <= 1)).all()
    again = codec.decode(encoded)
    for name in MIXED.names:
        if name in ("wide", "real"):  # a continuum comes back to rounding error
            pd.testing.assert_series_equal(again[name], frame[name], rtol=1e-12)
        else:
            assert again[name].equals(frame[name]), name


@pytest.mark.parametrize("scale", ["linear", "log"])
@given(low=st.integers(-(10**9), 10**9), width=st.integers(1, 10**9), data=st.data())
@settings(max_examples=60, deadline=None)
def test_every_integer_round_trips_and_units_keep_the_order(scale, low, width, data):
    domain = Domain((Integer("i", low, low + width, scale=scale),))
    codec = Codec(domain, data.draw(st.integers(1, 300)))
    values = sorted(data.draw(st.lists(st.integers(low, low + width), min_size=1, max_size=20)))
    frame = pd.DataFrame({"i": values})
    encoded = codec.encode(frame)
    assert codec.decode(encoded)["i"].tolist() == values
    assert encoded.units is not None
    assert (np.diff(encoded.units[:, 0]) >= 0).all()
    assert (np.diff(encoded.codes[:, 0].astype(int)) >= 0).all()


@given(bins=st.integers(1, 500))
@settings(max_examples=40, deadline=None)
def test_edges_rise_from_0_to_1_and_no_bin_is_empty(bins):
    codec = Codec(MIXED, bins)
    for column in codec.columns:
        edges = column.edges
        assert len(edges) == column.value_bins + 1
        assert (np.diff(edges) > 0).all()
        assert edges[0] == 0
        if not isinstance(column.column, Category):
            assert edges[-1] == 1
            assert column.value_bins <= bins
        counts = codec.values_in_bin(column.name)
        if counts is not None:
            assert (counts >= 1).all()
            assert counts.sum() == column.cells
            assert column.value_bins == column.cells or column.cells > bins


def test_a_value_lies_in_its_bin():
    codec = Codec(MIXED, 32)
    frame = codec.decode(Encoded(np.zeros((1, 11), codec.dtype)))
    frame = pd.concat([frame] * 200, ignore_index=True)
    frame["gain"] = np.geomspace(1, 99_999, 200).astype(int)
    encoded = codec.encode(frame)
    edges, codes = codec.edges("gain"), encoded.codes[:, 1].astype(int)
    assert encoded.units is not None
    assert (edges[codes] <= encoded.units[:, 1]).all()
    assert (encoded.units[:, 1] <= edges[codes + 1]).all()


def test_layout_of_codes():
    codec = Codec(MIXED, 64)
    gain, few, word = codec["gain"], codec["few"], codec["word"]
    assert gain.point_mass_codes == (gain.value_bins,)
    assert gain.missing_code == gain.value_bins + 1 == gain.size - 1
    assert few.value_bins == 5  # -3 .. 3 without 1 and 3
    assert few.point_mass_codes == (5, 6, 7)
    assert few.missing_code is None
    assert (word.value_bins, word.missing_code, word.size) == (3, 3, 4)
    assert codec.sizes == tuple(column.size for column in codec.columns)
    assert codec["age"].value_bins == 64
    assert Codec(MIXED, 74)["age"].value_bins == 74  # one bin for every age
    assert Codec(MIXED, 74).values_in_bin("age").tolist() == [1] * 74  # pyright: ignore


def test_integers_stand_in_the_middle_of_their_cell():
    codec = Codec(Domain((Integer("i", 10, 13),)))
    units = codec.encode(pd.DataFrame({"i": [10, 11, 12, 13]})).units
    assert units is not None
    assert units[:, 0].tolist() == [0.125, 0.375, 0.625, 0.875]


def test_types_of_codes():
    assert Codec(Domain((Category("c", tuple(map(str, range(256)))),))).dtype == np.uint8
    assert Codec(Domain((Category("c", tuple(map(str, range(256))), missing=True),))).dtype == np.uint16
    big = Codec(Domain((Category("c", tuple(map(str, range(5000)))),)))
    frame = pd.DataFrame({"c": [str(value) for value in range(5000)]})
    assert big.decode(big.encode(frame)).equals(frame)
    with pytest.raises(SchemaError, match="column 'c' has 70000 codes"):
        Codec(Domain((Category("c", tuple(map(str, range(70_000)))),)))


def test_what_a_codec_refuses():
    with pytest.raises(SchemaError, match="completed first: i"):
        Codec(Domain((Integer("i"),)))
    for bins in (0, -1, 1.5, True, 10**9):
        with pytest.raises(ConfigError, match="bins"):
            Codec(MIXED, bins)  # pyright: ignore


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_decode_is_total_and_legal(seed):
    codec = Codec(MIXED, 16)
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 256, (50, len(MIXED))).astype(np.uint16)
    units = generator.choice([0.0, 1.0, 0.5, -3.0, 7.0, np.nan, np.inf, -np.inf], (50, len(MIXED)))
    for frame in (
        codec.decode(Encoded(codes, units)),
        codec.decode(Encoded(codes)),
        codec.decode(Encoded(codes), generator),
    ):
        for column in MIXED:
            again, changed = column.parse(frame[column.name])
            assert changed == 0
            assert again.equals(frame[column.name])


def test_draws_within_a_bin_are_even_over_its_values():
    codec = Codec(Domain((Integer("i", 0, 29, point_masses=(4,)),)), bins=3)
    codes = np.zeros((20_000, 1), np.uint8)
    drawn = codec.decode(Encoded(codes), np.random.default_rng(0))["i"]
    counts = drawn.value_counts()
    assert sorted(counts.index) == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert counts.min() > 1800


def test_empty_frames_pass():
    codec = Codec(MIXED)
    frame = codec.decode(Encoded(np.zeros((0, 11), np.uint8)))
    assert len(codec.encode(frame)) == 0


@given(data=st.data(), seed=st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_bins_begin_at_the_cuts_that_are_given(data, seed):
    """Codes follow the places, every bin gives values of its own, and point masses and missing come after."""
    cuts, draw = {}, np.random.default_rng(seed)
    for column in Codec(MIXED, 1).columns:
        if column.on_axis and data.draw(st.booleans()):
            inner = draw.integers(1, column.places, 20) if column.places > 1 else []
            cuts[column.name] = np.unique([0, *inner, column.places])
    codec = Codec(MIXED, 8, cuts)
    for name, places in cuts.items():
        assert codec[name].value_bins == len(places) - 1
        assert codec[name].cut_places.tolist() == places.tolist()
    codes = np.column_stack([draw.integers(size, size=80) for size in codec.sizes]).astype(codec.dtype)
    frame = codec.decode(Encoded(codes), draw)
    assert (codec.encode(frame).codes == codes).all()
    for j, name in enumerate(MIXED.names):
        if name in cuts:
            reading = MIXED[name].read(frame[name])
            at, others = codec[name].places_and_others(reading)
            values = others < 0
            assert (np.searchsorted(cuts[name], at[values], side="right") - 1 == codes[values, j]).all()
            assert (codec[name].value_bins + others[~values] == codes[~values, j]).all()


@pytest.mark.parametrize("cuts", [(0,), (0, 5), (1, 74), (0, 9, 9, 74), (0, 30, 20, 74)])
def test_cuts_that_are_no_bins_are_refused(cuts):
    with pytest.raises(ConfigError, match="column 'age': cuts must rise from 0 to 74"):
        Codec(MIXED, 8, {"age": cuts})
