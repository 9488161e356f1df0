import matplotlib.colors
import numpy as np
import pytest

from dpsynth.figures.diagnostics import base_marginals, base_pairs, base_quantiles, diagnostics
from dpsynth.figures.style import ACCENT, render

pytestmark = pytest.mark.filterwarnings("error")


def base(rows, width, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, width))


def names(width):
    return [f"column number {j}" for j in range(width)]


def words(axes):
    return " ".join([axes.get_title(loc=loc) for loc in ("left", "right")] + [text.get_text() for text in axes.texts])


CASES = {
    "normal": base(500, 3),
    "one column": base(300, 1),
    "one row": base(1, 3),
    "two rows": base(2, 2),
    "all zero": np.zeros((50, 3)),
    "one constant": np.column_stack([base(80, 1), np.full(80, 4.7)]),
    "far tails": base(400, 3) * 3,
    "many rows": base(20_000, 4),
    "two alike": np.repeat(base(200, 1), 2, axis=1),
}


@pytest.mark.parametrize("case", CASES)
def test_odd_tables_are_drawn_without_warnings(case):
    values = CASES[case]
    found = diagnostics(values, names(values.shape[1]))
    assert len(found) == (2 if values.shape[1] == 1 else 3)
    for caption, picture in found.items():
        assert caption.endswith(".")
        assert len(caption) > 60
        assert render(picture, "png", 60).startswith(b"\x89PNG")


def test_captions_name_the_column_that_is_wrong_and_the_pair():
    values = base(4000, 5)
    values[:, 2] = 0.4 * values[:, 2] + 0.5
    values[:, 4] = 0.9 * values[:, 1] + np.sqrt(1 - 0.81) * values[:, 4]
    marginals, quantiles, pairs = diagnostics(values, ["a", "b", "wrong", "c", "d"])
    assert "wrong is farthest" in marginals
    assert "4 of 5 columns stay within" in quantiles
    assert "0.90, is between b and d" in pairs


def test_marginals_mark_columns_beyond_the_band_and_no_others():
    values = base(5000, 3)
    values[:, 1] += 0.2
    picture = base_marginals(values, ["right", "shifted", "also right"])
    marked = {}
    for axes in picture.axes:
        (text,) = axes.texts
        marked[axes.get_title(loc="left")] = matplotlib.colors.same_color(text.get_color(), ACCENT)
    assert marked == {"right": False, "shifted": True, "also right": False}


def test_histograms_are_densities_of_all_rows():
    axes = base_marginals(base(3000, 2) * 4, ["a", "b"]).axes[0]
    heights, edges, _ = axes.patches[0].get_data()
    assert (heights * np.diff(edges)).sum() == pytest.approx(1.0)  # tails stand in the last bins


def test_many_columns_are_cut_to_the_worst_in_table_order():
    values = base(400, 70)
    values[:, [3, 69]] += 2
    picture = base_marginals(values, [f"c{j}" for j in range(70)])
    shown = [axes.get_title(loc="left") for axes in picture.axes if axes.get_visible()]
    assert len(shown) == 64
    assert {"c3", "c69"} <= set(shown)
    assert shown == sorted(shown, key=lambda name: int(name[1:]))
    assert "of 70" in picture.legends[0].get_title().get_text()


def test_pairs_show_the_columns_with_most_dependence():
    values = base(1000, 12)
    values[:, 9] = values[:, 2]
    picture = base_pairs(values, [f"c{j}" for j in range(12)])
    labels = {axes.get_xlabel() for axes in picture.axes} | {axes.get_ylabel() for axes in picture.axes}
    assert {"c2", "c9"} <= labels
    assert sum(axes.get_visible() for axes in picture.axes) == 28  # all pairs of eight columns
    assert "1.00" in [axes.get_title(loc="right") for axes in picture.axes]


def test_quantiles_state_mardia_and_the_distance_of_lengths():
    axes = base_quantiles(base(800, 3), names(3)).axes
    assert "Mardia's skewness" in words(axes[2])
    assert "KS 0." in words(axes[2])
    assert axes[1].get_yticklabels()[0].get_text().startswith("column number")


def test_points_of_a_true_model_stay_in_their_band():
    """The shaded band of |u|^2 covers nearly all points of normal rows, and few of wrong ones."""

    def inside(values):
        axes = base_quantiles(values, names(5)).axes[2]
        points = axes.collections[1].get_offsets()
        low_and_high = axes.collections[0].get_paths()[0].vertices
        count = 0
        for x, y in points:
            ends = low_and_high[np.isclose(low_and_high[:, 0], x), 1]
            count += ends.min() <= y <= ends.max()
        return count / len(points)

    assert inside(base(2000, 5, seed=2)) > 0.8
    assert inside(1.2 * base(2000, 5)) < 0.2


def test_shapes_that_do_not_fit_are_refused():
    for values, given in ((base(5, 2), ["a"]), (np.zeros((0, 2)), ["a", "b"]), (np.zeros(4), ["a"])):
        with pytest.raises(ValueError, match="give \\(rows, columns\\)"):
            base_marginals(values, given)
    with pytest.raises(ValueError, match="two columns"):
        base_pairs(base(5, 1), ["a"])
