"""Rows as vectors: exact inverse on codes, always inside the domain, and a layout that is public."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data import Boolean, Category, Date, Domain, Encoded, Integer, Number
from dpsynth.data.table.table import Table
from dpsynth.models.contract.fitted import Generators
from dpsynth.models.shared.row_vectors import VectorView

MIXED = Domain(
    (
        Integer("gain", 0, 99_999, point_masses=(0,), scale="log", missing=True),
        Number("real", -2.0, 3.0, point_masses=(0.0, 9.0)),
        Category("word", ("a", "b"), other="rest", missing=True, label=True),
        Date("day", dt.date(1960, 1, 1), dt.date(2026, 12, 31), missing=True),
        Boolean("flag", missing=True),
        Integer("few", -3, 3),
    )
)
PLAIN = Domain(tuple(replace(column, label=False) for column in MIXED))


def table_of(domain: Domain, bins: int, n: int, seed: int) -> Table:
    codec = VectorView(domain, bins).codec
    draw = np.random.default_rng(seed)
    codes = np.column_stack([draw.integers(size, size=n) for size in codec.sizes]).astype(codec.dtype)
    return Table(codec.decode(Encoded(codes), draw), domain)


@given(seed=st.integers(0, 2**32 - 1), bins=st.sampled_from([1, 2, 7, 32, 300]), label=st.booleans())
@settings(max_examples=30, deadline=None)
def test_decoding_a_one_hot_vector_gives_back_its_codes(seed, bins, label):
    domain = MIXED if label else PLAIN
    view = VectorView(domain, bins)
    table = table_of(domain, bins, 40, seed)
    vectors, labels = view.encode(table)
    assert vectors.dtype == np.float32
    assert vectors.shape == (40, view.width)
    assert (vectors.sum(axis=1) == len(view.blocks)).all()
    frame = view.decode(vectors, labels, Generators.seeded(seed))
    again, same = view.codes(Table(frame, domain, "error"))
    assert (again == view.codes(table)[0]).all()
    assert (same == labels).all()


def test_blocks_cover_the_vector_and_leave_out_the_label():
    view = VectorView(MIXED, 8)
    assert [block.column for block in view.blocks] == ["gain", "real", "day", "flag", "few"]
    assert [block.start for block in view.blocks] == [0, *np.cumsum(view.sizes)[:-1]]
    assert view.blocks[-1].stop == view.width == sum(view.sizes)
    assert view.classes == 4  # a, b, rest, missing
    few = view.blocks[-1]
    assert (few.size, few.value_bins, few.on_axis) == (7, 7, True)
    flag = view.blocks[-2]
    assert (flag.size, flag.value_bins, flag.on_axis) == (3, 2, False)


def test_labels_are_the_codes_of_their_column():
    view = VectorView(MIXED, 8)
    frame = table_of(MIXED, 8, 4, 0).frame.assign(word=["a", "b", "rest", None])
    assert view.codes(Table(frame, MIXED))[1].tolist() == [0, 1, 2, 3]
    assert VectorView(PLAIN, 8).classes == 1
    assert VectorView(PLAIN, 8).width == view.width + 4


def test_a_label_with_an_axis_is_a_block():
    view = VectorView(Domain((Integer("y", 0, 9, label=True), Boolean("x"))))
    assert (view.classes, len(view.blocks)) == (1, 2)


def test_a_table_of_labels_alone_has_empty_vectors():
    domain = Domain((Boolean("y", label=True),))
    view = VectorView(domain)
    vectors, labels = view.encode(Table(pd.DataFrame({"y": [True, False]}), domain))
    assert vectors.shape == (2, 0)
    assert view.decode(vectors, labels, Generators.seeded(0))["y"].tolist() == [True, False]


WILD = st.floats(width=32, allow_nan=True, allow_infinity=True)


@given(data=st.data(), n=st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_any_vector_whatever_is_decoded_inside_the_domain(data, n):
    view = VectorView(MIXED, 2)
    flat = data.draw(st.lists(WILD, min_size=n * view.width, max_size=n * view.width))
    labels = data.draw(st.lists(st.integers(-3, 9), min_size=n, max_size=n))
    vectors = np.array(flat, np.float32).reshape(n, view.width)
    frame = view.decode(vectors, np.array(labels, np.int64), Generators.seeded(0))
    assert Table(frame, MIXED, "error").frame.equals(frame)
    for distribution in view.distributions(vectors):
        assert np.allclose(distribution.sum(axis=1), 1)


def test_codes_are_drawn_by_their_mass():
    domain = Domain((Category("c", ("a", "b", "c")),))
    vectors = np.tile(np.float32([0.5, 0.0, 1.5]), (40_000, 1))  # distributions need not be normalised
    frame = VectorView(domain).decode(vectors, np.zeros(40_000, np.int64), Generators.seeded(0))
    fractions = frame["c"].value_counts(normalize=True)
    assert "b" not in fractions
    assert fractions["a"] == pytest.approx(0.25, abs=0.01)


def test_conditions_become_codes():
    view = VectorView(MIXED, 8)
    fixed, label = view.fixed({"word": None, "flag": True, "gain": 0})
    assert label == 3
    assert fixed == {3: 1, 0: view.codec["gain"].point_mass_codes[0]}
