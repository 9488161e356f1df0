import numpy as np
import pandas as pd
import pytest

from dpsynth.data.table.domain import Domain
from dpsynth.errors import DataError, SchemaError
from dpsynth.metrics.framework.encoding import BinnedView, numbers, positions, unit


def test_cells_are_equal_widths_of_the_declared_bounds_and_missing_is_last():
    domain = Domain.from_yaml("columns:\n  x: {kind: number, bounds: [0, 32], missing: true}\n")
    frame = pd.DataFrame({"x": [0.0, 0.99, 1.0, 31.5, 32.0, np.nan, -5.0, 40.0]})
    view = BinnedView(domain)
    assert view.sizes == (33,)
    assert view.codes(frame)[:, 0].tolist() == [0, 0, 1, 31, 31, 32, 0, 31]


def test_every_kind_of_column_has_its_cells(domain, draw):
    frame = draw(500, 0)
    view = BinnedView(domain, bins=10)
    codes = view.codes(frame)
    assert view.sizes == (11, 11, 11, 5, 3, 3)
    assert codes.shape == (500, 6)
    assert (codes >= 0).all()
    assert (codes < np.array(view.sizes)).all()
    for j in (1, 2, 4):
        assert ((codes[:, j] == view.sizes[j] - 1) == frame.iloc[:, j].isna().to_numpy()).all()


def test_values_outside_the_domain(domain, draw):
    frame = draw(4, 0)
    frame["region"] = ["mars", "north", None, "elsewhere"]
    frame["bought"] = ["perhaps", "no", "yes", None]
    assert positions(domain["region"], frame).tolist() == [3, 0, -1, 3]
    assert positions(domain["bought"], frame).tolist() == [-1, 0, 1, -1]


def test_dates_lie_on_the_declared_range(domain):
    frame = pd.DataFrame({"day": pd.to_datetime(["2020-01-01", "2020-12-31", None])})
    assert unit(domain["day"], frame)[:2].tolist() == [0.0, 1.0]
    assert np.isnan(unit(domain["day"], frame)[2])


def test_numbers_outside_a_declared_point_mass_are_clamped():
    domain = Domain.from_yaml("columns:\n  x: {kind: integer, bounds: [0, 10], point_masses: -1}\n")
    frame = pd.DataFrame({"x": [-1, -2, 11]})
    assert numbers(domain["x"], frame).tolist() == [-1.0, 0.0, 10.0]
    assert unit(domain["x"], frame).tolist() == [0.0, 0.0, 1.0]


def test_refusals(domain, draw):
    view = BinnedView(domain)
    with pytest.raises(DataError, match="no rows"):
        view.codes(draw(3, 0).iloc[:0])
    with pytest.raises(DataError, match="age"):
        view.codes(draw(3, 0).drop(columns="age"))
    private = Domain.from_yaml("columns:\n  x: {kind: number, bounds: private}\n")
    with pytest.raises(SchemaError, match="x"):
        BinnedView(private).codes(pd.DataFrame({"x": [1.0]}))
