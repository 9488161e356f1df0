"""dpsynth/data/table/value_grid.py: the public grid on which a number is first counted."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data import Codec, Date, Datetime, Domain, Integer, Number
from dpsynth.data.table.codec import ColumnCodes
from dpsynth.data.table.value_grid import FEW, grid, origin

COLUMNS = [
    Integer("few", 1, 99),
    Integer("signed", -1000, 10**6),
    Integer("huge", -(2**44), 2**44 - 1),
    Integer("below", -(10**9), -5),
    Integer("spiked", 0, 10**6, point_masses=(0, 17)),
    Number("lattice", 0.0, 16.0, decimals=4),
    Number("real", -2.0, 1e9),
    Number("log", 1e-3, 1e6, scale="log"),
    Date("day", dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
    Datetime("time", dt.datetime(1970, 1, 1), dt.datetime(2038, 1, 1)),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_edges_rise_over_the_whole_column(column):
    codes = ColumnCodes(column, 1)
    edges = grid(codes)
    assert edges[0] == 0
    assert edges[-1] == codes.places
    assert (np.diff(edges) > 0).all()
    assert len(edges) < 600
    if codes.places <= FEW:
        assert (np.diff(edges) == 1).all()


@given(low=st.integers(-(10**9), 10**9), width=st.integers(1, 10**9))
@settings(max_examples=50, deadline=None)
def test_zero_and_the_bounds_are_counted_alone(low, width):
    column = ColumnCodes(Integer("i", low, low + width), 1)
    edges = grid(column)
    for value in (low, low + width, 0, 999, -1, 10_000):
        if low <= value <= low + width:
            place = int(column.place(np.array([float(value)]))[0])
            assert {place, place + 1} <= set(edges.tolist())


def test_cells_grow_with_the_distance_from_zero():
    column = ColumnCodes(Integer("i", 0, 10**6), 1)
    edges, zero = grid(column), origin(column)
    assert zero == 0
    widths = np.diff(edges)
    assert (widths[edges[:-1] < 4] == 1).all()
    assert (widths <= np.maximum(1, 0.25 * edges[:-1]) + 1).all()


@pytest.mark.parametrize(
    ("column", "value"),
    [(Number("x", -5.0, 1e7), value) for value in (0.0, 1.0, -1.0, 999.0, 10.0, -5.0, 1e7)]
    + [(Number("x", 0.5, 1e4, scale="log"), value) for value in (0.5, 1.0, 9.0, 1000.0, 1e4)],
)
def test_a_single_value_of_a_continuum_comes_back_exactly(column, value):
    domain = Domain((column,))
    codec = Codec(domain, 1, {"x": grid(ColumnCodes(column, 1))})
    encoded = codec.encode(pd.DataFrame({"x": [value] * 3}))
    drawn = codec.decode(type(encoded)(encoded.codes), np.random.default_rng(0))["x"]
    assert drawn.tolist() == [value] * 3
