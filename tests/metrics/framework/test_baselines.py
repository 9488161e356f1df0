import numpy as np
import pytest

from dpsynth.metrics.framework.encoding import BinnedView
from dpsynth.metrics.framework.sample import independent_rows, uniform_rows


def test_uniform_rows_lie_in_the_domain_and_are_uniform(domain):
    rows = uniform_rows(domain, 20_000, np.random.default_rng(0))
    for column in domain.columns:
        assert column.parse(rows[column.name], invalid="error")[1] == 0
    codes = BinnedView(domain, bins=10).codes(rows)
    age = np.bincount(codes[:, 0], minlength=11) / len(rows)
    assert abs(age[:10] - 0.1).max() < 0.02
    assert age[10] == 0.0
    flag = np.bincount(codes[:, 4], minlength=3) / len(rows)
    assert abs(flag - 1 / 3).max() < 0.02


@pytest.mark.parametrize("rows", [40, 100, 250])
def test_independent_rows_keep_every_column_and_no_dependence(draw, rows):
    frame = draw(100, 0).assign(twin=lambda each: each["age"])
    shuffled = independent_rows(frame, rows, np.random.default_rng(0))
    assert len(shuffled) == rows
    assert list(shuffled.columns) == list(frame.columns)
    counts, most = shuffled["age"].value_counts(), frame["age"].value_counts() * -(-rows // 100)
    assert (counts <= most[counts.index]).all()
    assert (shuffled["age"] != shuffled["twin"]).mean() > 0.8
    assert (shuffled.dtypes == frame.dtypes).all()
