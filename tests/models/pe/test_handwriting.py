"""Written digits fill the box of printed ones, are as thick as the pen, and mean the same characters."""

import numpy as np
import pytest

from dpsynth.models.pe.glyphs import BOX, FORMS, PEN, SIDE, distance_fields, written_fields

DIGITS = tuple("0123456789")


def test_only_digits_have_written_forms():
    assert set(FORMS) == set(DIGITS)
    for text in ("a", "10", ""):
        assert written_fields(text).shape == (0, SIDE, SIDE)


@pytest.mark.parametrize("digit", DIGITS)
def test_forms_fill_the_box_and_are_as_thick_as_the_pen(digit):
    fields = written_fields(digit)
    assert fields.shape == (len(FORMS[digit]), SIDE, SIDE)
    assert fields.dtype == np.float32
    inside = fields > 0
    longer = np.maximum(inside.any(axis=2).sum(axis=1), inside.any(axis=1).sum(axis=1))
    assert (np.abs(longer - BOX) <= 2).all()
    assert fields.max() <= PEN  # nowhere deeper than the pen's radius,
    assert (fields.max(axis=(1, 2)) >= PEN - 0.71 / SIDE).all()  # whose middle passes half a diagonal off, or less
    rows, columns = (np.flatnonzero(inside.any(axis=(0, axis))) for axis in (2, 1))
    for places in (rows, columns):
        assert abs(places[0] + places[-1] - (SIDE - 1)) <= 2  # centred


@pytest.mark.parametrize("digit", DIGITS)
def test_a_field_says_how_far_the_edge_is(digit):
    """It changes by at most one pixel from one pixel to the next, and off its ridges by just one across an edge."""
    for field in written_fields(digit) * SIDE:
        assert max(np.abs(np.diff(field, axis=axis)).max() for axis in (0, 1)) <= 1 + 1e-3
        assert np.median(np.hypot(*np.gradient(field))) == pytest.approx(1, abs=0.02)


def test_forms_read_as_their_digit():
    """Known truth: of the fonts' mean shapes, the nearest to most written forms is that of their own digit."""
    printed = np.clip(distance_fields(DIGITS) * SIDE / 4, -1, 1).mean(axis=1)  # a soft image of what fonts agree on
    right, forms = 0, 0
    for place, digit in enumerate(DIGITS):
        fields = np.clip(written_fields(digit) * SIDE / 4, -1, 1)
        apart = ((fields[:, None] - printed[None]) ** 2).sum(axis=(2, 3))
        right, forms = right + int((apart.argmin(axis=1) == place).sum()), forms + len(fields)
    assert right / forms > 0.8
