"""Handwritten digits of scikit-learn: 1,797 images of 8 x 8 in 17 levels. Offline. As images, or as a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category, Integer
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images
from dpsynth.data.selection import Selection
from dpsynth.data.sources.source import Source, finish
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError

FORMS = ("images", "table")
CLASSES = tuple(str(digit) for digit in range(10))
LEVELS = 17  # the values 0 .. 16 of a pixel
ROWS = 1500
IMAGES = ImageDomain(8, 8, classes=CLASSES, rows=ROWS, levels=LEVELS)
TABLE = Domain(
    (
        *(Integer(f"pixel_{row}_{column}", 0, LEVELS - 1) for row in range(8) for column in range(8)),
        Category("digit", CLASSES, label=True),
    ),
    rows=ROWS,
)


def digits_domain(form: str = "images", size: int | None = None, levels: int | None = None) -> Domain | ImageDomain:
    """The public domain of one of the two forms; `ConfigError` for another word."""
    if form not in FORMS:
        raise ConfigError(f"data.form={form}: choose images or table")
    return TABLE if form == "table" else replace(IMAGES, size=size, levels=levels or LEVELS)


def digits(
    form: str = "images",
    size: int | None = None,
    levels: int | None = None,
    holdout: float | None = 0.2,
    n_train: int | None = None,
    selection: Selection | None = None,
) -> Source:
    """form: images, or a table of the columns pixel_0_0 .. pixel_7_7 (0 .. 16) and digit.

    size, levels: working resolution and depth of image methods; null takes all 17 levels.
    """
    domain = digits_domain(form, size, levels)
    from sklearn.datasets import load_digits  # takes a second to import, which all other data are spared

    pixels, labels = (np.asarray(part) for part in load_digits(return_X_y=True))
    text = "digits: bundled with scikit-learn, 1,797 images"
    if isinstance(domain, Domain):
        frame = pd.DataFrame(pixels, columns=list(domain.names[:-1])).assign(digit=labels)
        return finish(Table(frame, domain), holdout, n_train, selection, text)
    grey = np.round(pixels * (255 / (LEVELS - 1))).astype(np.uint8).reshape(-1, 1, 8, 8)
    return finish(Images(grey, labels, domain), holdout, n_train, selection, text)
