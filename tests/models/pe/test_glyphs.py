"""Fonts are there without a download, and their characters are distance fields."""

import numpy as np

from dpsynth.models.pe.glyphs import BOX, SIDE, distance_fields, fonts


def test_there_are_fonts_of_three_families():
    names = [path.stem for path in fonts()]
    assert len(names) >= 15
    assert {name[:2] for name in names} == {"De", "ST", "cm"}


def test_every_digit_of_every_font_has_ink_that_fills_its_box():
    fields = distance_fields(tuple("0123456789"))
    assert fields.shape == (10, len(fonts()), SIDE, SIDE)
    inside = fields > 0
    assert inside.any(axis=(2, 3)).all()
    rows, columns = inside.any(axis=3).sum(axis=2), inside.any(axis=2).sum(axis=2)
    assert (np.maximum(rows, columns) >= BOX - 4).all()
    assert (np.maximum(rows, columns) <= BOX).all()
    digits = inside.reshape(10, len(fonts()), -1)
    assert (digits[0] != digits[1]).any(axis=1).all(), "a font without digits draws the same box for all"


def test_a_field_says_how_far_the_edge_is():
    (field,) = distance_fields(("I",))[0, :1]
    steps = np.abs(np.diff(field, axis=1)) * SIDE
    assert steps.max() <= 2 + 1e-5  # one pixel on either side of an edge


def test_texts_without_ink_become_a_dot_and_long_ones_are_cut():
    fields = distance_fields((" ", "abcdef", "abc"))
    assert (fields[0] > 0).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(fields[1], fields[2])
