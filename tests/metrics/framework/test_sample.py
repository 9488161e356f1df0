import numpy as np
import pytest
import scipy.sparse as sparse

from dpsynth.errors import DataError
from dpsynth.metrics.framework.sample import Sample

VIEWS = ("codes", "units", "coordinates", "raw", "one_hot")


@pytest.mark.parametrize("view", VIEWS)
def test_rows_fraction_the_views_of_their_sample(domain, draw, view):
    whole, index = Sample(draw(60, 0), domain), np.array([5, 5, 0, 59, 7])
    taken = whole.rows(index).rows(np.array([0, 3, 1]))
    apart = Sample(taken.frame, domain)
    one, two = getattr(taken, view), getattr(apart, view)
    if sparse.issparse(one):
        one, two = one.toarray(), two.toarray()
    np.testing.assert_array_equal(one, two)


def test_coordinates_make_distances_of_the_declared_ranges(domain, draw):
    frame = draw(2, 0)
    for name in domain.names:
        frame.loc[1, name] = frame.loc[0, name]
    frame.loc[0, ["age", "region"]] = [0, "north"]
    frame.loc[1, ["age", "region"]] = [99, "south"]
    x = Sample(frame, domain).coordinates
    ages = (frame["age"] + 0.5) / 100 if x[0, 0] else frame["age"] / 99  # cells of integers or plain ends
    assert np.sum((x[0] - x[1]) ** 2) == pytest.approx((ages[1] - ages[0]) ** 2 + 1, abs=0.03)
    assert np.isfinite(x).all()


def test_head_and_joined(domain, draw):
    sample = Sample(draw(10, 0), domain)
    assert sample.head(20) is sample
    assert len(sample.head(3)) == 3
    joined = Sample.joined([sample.head(3), sample])
    assert len(joined) == 13
    np.testing.assert_array_equal(joined.codes[3:], sample.codes)


def test_a_table_without_rows_or_columns_is_refused(domain, draw):
    with pytest.raises(DataError, match="no rows"):
        Sample(draw(1, 0).iloc[:0], domain)
    with pytest.raises(DataError, match="lacks the columns: age"):
        Sample(draw(1, 0).drop(columns="age"), domain)
