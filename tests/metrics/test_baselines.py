import numpy as np

from dpsynth.metrics.baselines import draw_rows, uniform_rows
from dpsynth.metrics.binned import BinnedView


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


def test_drawn_rows_are_without_replacement(draw):
    frame = draw(100, 0)
    drawn = draw_rows(frame, 30, np.random.default_rng(0))
    assert len(drawn) == 30
    assert drawn.index.is_unique
    assert draw_rows(frame, 100, np.random.default_rng(0)) is frame
