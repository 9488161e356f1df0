"""The neighbours differ in one row, which stands alone in every column."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dpsynth.data import Category, Domain, ImageDomain, Number
from dpsynth.privacy.audit import neighbours_in


@pytest.mark.parametrize(("relation", "more"), [("add_remove", 1), ("replace_one", 0)])
@pytest.mark.parametrize("rows", [1, 5])
def test_tables_differ_in_the_last_row_and_it_differs_in_every_column(domain, relation, more, rows):
    pair = neighbours_in(domain, rows, relation)
    without, with_record, record = pair.without.frame, pair.with_record.frame, pair.record.frame
    assert len(with_record) == len(without) + more
    pd.testing.assert_frame_equal(with_record.head(rows), without.head(rows))
    assert not pair.with_record.invalid
    for name in domain.names:
        assert not (without[name] == record[name].iloc[0]).any()
    assert pair.domain.rows == (len(without) if more else rows + 1)


def test_columns_that_are_still_to_be_private_have_two_values():
    domain = Domain((Category("kind"), Number("size"), Category("missing", ("one",), missing=True)))
    frame = neighbours_in(domain, 2).with_record.frame
    assert (frame.iloc[-1][["kind", "size"]] != frame.iloc[0][["kind", "size"]]).all()
    assert frame["missing"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("classes", [(), ("a", "b", "c")])
def test_images_differ_in_the_last_one(classes):
    pair = neighbours_in(ImageDomain(6, 4, 3, classes), 3)
    assert len(pair.without) == 3
    assert not pair.without.pixels.any()
    assert len(np.unique(pair.record.pixels)) > 10
    assert np.array_equal(pair.with_record.pixels[3], pair.record.pixels[0])
    if classes:
        assert pair.with_record.labels.tolist() == [0, 0, 0, 2]
        replaced = neighbours_in(replace(pair.domain), 3, "replace_one")
        assert replaced.without.labels.tolist() == [0, 0, 0, 0]
