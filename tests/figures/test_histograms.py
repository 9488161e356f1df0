import numpy as np
import pandas as pd
import pytest

from dpsynth.data.table.domain import Domain
from dpsynth.figures.dependence import dependence_maps
from dpsynth.figures.histograms import _Cells, histograms, pages
from dpsynth.figures.style import render

pytestmark = pytest.mark.filterwarnings("error")

SCHEMA = """
columns:
  age:    {kind: integer, bounds: [0, 99]}
  rooms:  {kind: integer, bounds: [1, 6], missing: true}
  gain:   {kind: number, bounds: [0, 1000], point_masses: 0, missing: true}
  day:    {kind: date, bounds: [2020-01-01, 2020-12-31], missing: true}
  moment: {kind: datetime, bounds: [2020-01-01 00:00:00, 2020-01-02 00:00:00]}
  region: {kind: category, categories: [north, south, east], other: elsewhere, missing: true}
  flag:   {kind: boolean}
"""


@pytest.fixture(scope="module")
def domain():
    return Domain.from_yaml(SCHEMA)


def rows(count, seed):
    g = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": g.integers(0, 100, count),
            "rooms": pd.array(g.integers(1, 7, count), dtype="Int64"),
            "gain": np.where(g.random(count) < 0.95, 0.0, g.random(count) * 1000),
            "day": np.datetime64("2020-01-01") + g.integers(0, 366, count).astype("timedelta64[D]"),
            "moment": np.datetime64("2020-01-01") + g.integers(0, 86400, count).astype("timedelta64[s]"),
            "region": g.choice(["north", "south", None], count),
            "flag": g.random(count) < 0.5,
        }
    )


def panels(picture):
    return [axes for axes in picture.axes if axes.axison]


def test_one_titled_panel_for_each_column(domain):
    picture = histograms(rows(500, 0), rows(300, 1), domain)
    assert [axes.get_title(loc="left") for axes in panels(picture)] == list(domain.names)
    assert "real, 500 rows" in picture.legends[0].get_texts()[0].get_text()


def test_the_axis_turns_logarithmic_for_a_pile_of_zeros(domain):
    scales = {
        axes.get_title(loc="left"): axes.get_yscale()
        for axes in panels(histograms(rows(2000, 0), rows(2000, 1), domain))
    }
    assert scales["gain"] == "log"
    assert scales["age"] == "linear"


def test_bars_show_fractions_of_rows_with_missing_apart(domain):
    real, synthetic = rows(400, 0), rows(100, 1).assign(region=None)
    axes = panels(histograms(real, synthetic, domain))[5]
    assert [text.get_text() for text in axes.get_yticklabels()][-1] == "missing"
    widths = [bar.get_width() for bar in axes.patches]
    assert sum(widths[: len(widths) // 2]) == pytest.approx(1.0)
    assert widths[-1] == 1.0


def test_fractions_of_bins_point_masses_and_missing_add_up(domain):
    frame = rows(1000, 0)
    frame.loc[:99, "gain"] = np.nan
    binned, apart = _Cells.of(domain["gain"]).fractions(frame["gain"].to_numpy())
    assert binned.sum() + apart.sum() == pytest.approx(1.0)
    assert apart[-1] == pytest.approx(0.1)
    assert apart[0] > 0.8


def test_integer_bins_hold_equal_numbers_of_values(domain):
    edges = _Cells.of(domain["age"]).edges
    assert edges[0] == -0.5
    assert (np.diff(edges) == 3).all()
    assert edges[-1] >= 99.5
    assert len(_Cells.of(domain["rooms"]).edges) == 7


@pytest.mark.parametrize("damage", ["one row", "all missing", "constant"])
def test_edge_tables_are_drawn(domain, damage):
    frame = rows(50, 0)
    if damage == "one row":
        frame = frame.head(1)
    elif damage == "all missing":
        frame = frame.assign(rooms=pd.array([pd.NA] * 50, dtype="Int64"), gain=np.nan, day=pd.NaT, region=None)
    else:
        frame = pd.concat([frame.head(1)] * 50)
    assert render(histograms(rows(60, 1), frame, domain)).startswith(b"<?xml")
    assert render(histograms(frame, rows(60, 1), domain)).startswith(b"<?xml")


def test_wide_tables_take_several_pages():
    domain = Domain.from_dict({"columns": {f"c{i}": {"kind": "boolean"} for i in range(30)}})
    frame = pd.DataFrame({f"c{i}": [True, False] for i in range(30)})
    assert pages(domain) == 2
    first, second = (histograms(frame, frame, domain, title="mst $a_$", page=page) for page in (1, 2))
    assert [len(panels(picture)) for picture in (first, second)] == [24, 6]
    names = [axes.get_title("left") for picture in (first, second) for axes in panels(picture)]
    assert names == [f"c{i}" for i in range(30)]
    assert second.legends[0].get_title().get_text().startswith("mst")
    assert "columns 25 to 30 of 30" in second.legends[0].get_title().get_text()
    assert render(second).startswith(b"<?xml")


def test_columns_of_one_value_and_of_thousands_are_drawn():
    names = [f"name {j}" for j in range(5000)]
    domain = Domain.from_dict({"columns": {"many": {"kind": "category", "categories": names}}})
    frame = pd.DataFrame({"many": np.random.default_rng(0).choice(names, 200)})
    picture = histograms(frame, frame.head(1), domain)
    labels = [text.get_text() for text in panels(picture)[0].get_yticklabels()]
    assert len(labels) == 10
    assert labels[-1] == "4991 others"
    assert render(picture).startswith(b"<?xml")


def test_names_are_never_read_as_formulas():
    """A lone dollar sign, or what would be a broken formula, is drawn as it stands."""
    column = {"kind": "category", "categories": ["$a_$", "$", "\\frac{"]}
    domain = Domain.from_dict({"columns": {"$x_$": column, "$y^$": {"kind": "integer", "bounds": [0, 9]}}})
    frame = pd.DataFrame({"$x_$": ["$a_$", "$", "\\frac{"], "$y^$": [1, 2, 3]})
    assert render(histograms(frame, frame, domain, title="$b_$")).startswith(b"<?xml")
    maps = dependence_maps(np.eye(2), np.eye(2), ["$x_$", "\\frac{"], "$b_$")
    assert render(maps).startswith(b"<?xml")
