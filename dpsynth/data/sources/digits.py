"""Handwritten digits of scikit-learn (1,797 images of 8 x 8) as a table: 64 pixels and the label. Offline."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from dpsynth.data.columns import Category, Integer
from dpsynth.data.domain import Domain
from dpsynth.data.sources.source import Source, finish
from dpsynth.data.table import Table

DOMAIN = Domain(
    (
        *(Integer(f"pixel_{row}_{column}", 0, 16) for row in range(8) for column in range(8)),
        Category("digit", tuple(str(digit) for digit in range(10)), label=True),
    ),
    rows=1500,
)


def digits(holdout: float | None = 0.2, n_train: int | None = None, seed: int = 0) -> Source:
    """Columns pixel_0_0 .. pixel_7_7 (0 .. 16) and digit."""
    pixels, labels = load_digits(return_X_y=True)
    frame = pd.DataFrame(np.asarray(pixels), columns=list(DOMAIN.names[:-1])).assign(digit=labels)
    return finish(Table(frame, DOMAIN), holdout, n_train, seed, "digits: bundled with scikit-learn, 1,797 rows")
