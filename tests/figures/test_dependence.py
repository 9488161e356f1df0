import numpy as np
import pandas as pd
import pytest

from dpsynth.data.sources.toy import Mixed
from dpsynth.data.table.domain import Domain
from dpsynth.figures.dependence import REACH, dependence, dependence_maps
from dpsynth.figures.style import render
from dpsynth.metrics.framework.sample import Sample

pytestmark = pytest.mark.filterwarnings("error")


def matrix(width, seed):
    values = np.random.default_rng(seed).random((width, width))
    return (values + values.T) / 2


def images(picture):
    return [axes.images[0] for axes in picture.axes[:3]]


def test_three_maps_with_the_difference_in_the_third():
    real, synthetic = matrix(5, 0), matrix(5, 1)
    shown = [image.get_array() for image in images(dependence_maps(real, synthetic, list("abcde")))]
    off = ~np.eye(5, dtype=bool)
    assert np.allclose(shown[0][off], real[off])
    assert np.allclose(shown[1][off], synthetic[off])
    assert np.allclose(shown[2][off], (synthetic - real)[off])
    assert all(np.ma.getmaskarray(each).diagonal().all() or np.isnan(each.diagonal()).all() for each in shown)


def test_the_note_tells_mean_and_largest_gap_of_all_pairs():
    real = np.eye(4)
    synthetic = real.copy()
    synthetic[0, 1] = synthetic[1, 0] = 0.6
    picture = dependence_maps(real, synthetic, list("abcd"))
    assert picture.axes[2].get_title(loc="right") == "gap: mean 0.100, largest 0.600"
    assert images(picture)[2].get_clim() == (-REACH, REACH)


def test_equal_tables_look_equal():
    picture = dependence_maps(np.eye(3), np.eye(3), list("abc"))
    assert images(picture)[2].get_clim() == (-REACH, REACH)


def test_wide_tables_show_the_columns_with_the_largest_gaps():
    real = matrix(90, 0)
    synthetic = real.copy()
    synthetic[80, 85] = synthetic[85, 80] = real[80, 85] + 1
    picture = dependence_maps(real, synthetic, [f"c{j}" for j in range(90)])
    shown = [text.get_text() for text in picture.axes[0].get_yticklabels()]
    assert len(shown) == 64
    assert {"c80", "c85"} <= set(shown)
    assert "64 of 90" in picture.axes[0].get_title(loc="right")


@pytest.mark.parametrize("width", [1, 2, 64])
def test_widths_are_drawn(width):
    real = matrix(width, 0)
    real[0, :] = np.nan  # a pair without a measure
    picture = dependence_maps(real, matrix(width, 1), [f"a rather long column name {j}" for j in range(width)])
    assert render(picture, "png", 60).startswith(b"\x89PNG")


def test_tables_of_every_kind_of_column_are_drawn():
    table = Mixed().sample(300)
    one, two = Sample(table.frame, table.domain), Sample(table.frame.sample(200, random_state=1), table.domain)
    assert render(dependence(one, two), "png", 60).startswith(b"\x89PNG")


def test_constant_missing_and_many_categories_are_drawn():
    names = [f"name {j}" for j in range(5000)]
    domain = Domain.from_dict(
        {
            "columns": {
                "many": {"kind": "category", "categories": names},
                "same": {"kind": "integer", "bounds": [0, 9]},
                "gone": {"kind": "number", "bounds": [0, 1], "missing": True},
                "flag": {"kind": "boolean"},
            }
        }
    )
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"many": generator.choice(names, 300), "same": 4, "gone": np.nan, "flag": generator.random(300) < 0.5}
    )
    one, two = Sample(frame.head(200), domain), Sample(frame.tail(100), domain)
    assert render(dependence(one, two), "png", 60).startswith(b"\x89PNG")
    assert render(dependence(one, Sample(frame.head(1), domain)), "png", 60).startswith(b"\x89PNG")
