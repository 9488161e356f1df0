"""Images in memory: one image more is one more in one part, wherever it stands."""

from collections import Counter

import numpy as np
import pytest

from dpsynth.data import ImageDomain, Images

DOMAIN = ImageDomain(1, 2, classes=("a", "b"), rows=60)
KEY = bytes(range(32))


def images(rows):
    pixels = np.array([[[[row // 7, row % 7]]] for row in rows], dtype=np.uint8)
    return Images(pixels, np.array([row % 2 for row in rows]), DOMAIN)


def content(part):
    return Counter((int(code), image.tobytes()) for code, image in zip(part.labels, part.pixels, strict=True))


def apart(one, other):
    return ((one - other) + (other - one)).total()


@pytest.mark.parametrize("place", [0, 30, 59])
def test_an_image_removed_moves_no_other(place):
    rows = [k // 2 for k in range(60)]  # every image twice
    rest = rows[:place] + rows[place + 1 :]
    whole, other = (images(each).split(0.4, KEY) for each in (rows, rest))
    assert sum(apart(content(one), content(two)) for one, two in zip(whole, other, strict=True)) == 1
    assert 10 < len(whole[1]) < 50
    assert apart(content(images(rows).subset(30, KEY)), content(images(rest).subset(30, KEY))) <= 1


@pytest.mark.parametrize("place", [0, 30, 59])
def test_an_image_replaced_changes_no_size(place):
    rows = list(range(60))
    other = [*rows[:place], 77, *rows[place + 1 :]]
    parts = [images(each).split(0.4, KEY, "replace_one") for each in (rows, other)]
    assert [len(part) for part in parts[0]] == [len(part) for part in parts[1]] == [36, 24]
    assert sum(apart(content(one), content(two)) for one, two in zip(*parts, strict=True)) == 2
