import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.figures.histograms import MOST, calendar_ticks, compact


def seconds(moment):
    return float(np.datetime64(moment, "s").astype(np.int64))


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        ("2020-01-01", "2021-12-31", ["2020-01", "2020-07", "2021-01", "2021-07"]),
        ("0001-01-01", "9999-12-31", ["2000", "4000", "6000", "8000"]),
        ("1969-12-31T23:59:58", "1970-01-01T00:00:05", ["01-01", "00:00:05"]),
        ("2020-01-01", "2020-01-02", ["01-01", "12:00", "01-02"]),
        ("1900-03-02", "2030-01-01", ["1950", "2000"]),
        ("2020-02-03", "2020-02-03", ["02-03"]),
    ],
)
def test_round_dates(low, high, labels):
    places, found = calendar_ticks(seconds(low), seconds(high))
    assert found == labels
    assert len(places) == len(labels)


@settings(max_examples=200, deadline=None)
@given(st.integers(-(2**35), 2**37), st.integers(0, 2**37))
def test_ticks_lie_within_the_bounds_in_order_and_are_few(low, span):
    places, labels = calendar_ticks(float(low), float(low + span))
    assert len(places) == len(labels) <= MOST
    assert all(low <= place <= low + span for place in places)
    assert places == sorted(set(places))
    if span > 60:  # whatever the range, there is something to read
        assert places


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1500.0, "1500"), (25e3, "25k"), (1.5e6, "1.5M"), (-2e9, "-2G"), (0.25, "0.25")],
)
def test_compact_numbers(value, text):
    assert compact(value) == text
