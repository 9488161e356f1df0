import matplotlib.colors
import numpy as np
import pytest

from dpsynth.figures.overview import FAR, WAY, score_overview
from dpsynth.figures.style import ACCENT, SYNTHETIC, render
from dpsynth.metrics.framework.metric import Score

pytestmark = pytest.mark.filterwarnings("error")
BAND = {"real_baseline": 0.1, "real_baseline_low": 0.08, "real_baseline_high": 0.12}
BASELINES = {"uniform": 0.9, "independent": 0.5}


def dots(axes):
    """(x, y, colour) of every score's mark."""
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]), line.get_color())
        for line in axes.lines
        if line.get_marker() in ("o", "D", "<", ">")
    ]


def test_places_on_the_way_are_what_is_left_of_it():
    scores = [
        Score("real_baseline", 0.1, "lower", "a", **BAND, baselines=BASELINES),
        Score("half", 0.5, "lower", "a", **BAND, baselines=BASELINES),
        Score("blind", 0.9, "lower", "b", **BAND, baselines=BASELINES),
        Score(
            "high",
            0.9,
            "higher",
            "b",
            real_baseline=0.9,
            real_baseline_low=0.8,
            real_baseline_high=1.0,
            baselines={"uniform": 0.5},
        ),
    ]
    (axes,) = score_overview(scores).axes
    assert [x for x, _, _ in dots(axes)] == pytest.approx([0, -0.5, -1, 0])
    same = [matplotlib.colors.same_color(color, SYNTHETIC) for _, _, color in dots(axes)]
    assert same == [True, False, False, True]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["real_baseline", "half", "blind", "high"]


def test_scores_without_a_baseline_stand_in_band_widths():
    scores = [
        Score("inside", 0.11, "lower", "copying", **BAND),
        Score("outside", 0.18, "lower", "copying", **BAND),
        Score("better", 0.18, "higher", "copying", **BAND),
    ]
    (axes,) = score_overview(scores).axes
    assert [x for x, _, _ in dots(axes)] == pytest.approx([-0.25, -2, 2])
    colors = [matplotlib.colors.to_hex(color) for _, _, color in dots(axes)]
    assert colors == [SYNTHETIC, ACCENT, SYNTHETIC]


def test_what_lies_off_the_axis_stays_on_the_page():
    far = [
        Score("far", 9.0, "lower", "a", low=8.0, high=10.0, **BAND, baselines={"uniform": 0.2}),
        Score("no width", 1.0, "lower", "b", real_baseline=0.0, real_baseline_low=0.0, real_baseline_high=0.0),
    ]
    first, second = score_overview(far).axes
    assert dots(first)[0][0] == WAY[0]
    assert dots(second)[0][0] == -FAR
    assert first.lines[-1].get_marker() == "<"


def test_the_legend_counts():
    scores = [
        Score("in", 0.1, "lower", "a", **BAND, baselines=BASELINES),
        Score("out", 0.5, "lower", "a", **BAND, baselines=BASELINES),
        Score("alone", 0.5, "lower", "a"),
        Score.absent("image", "lower", "no images"),
    ]
    legend = score_overview(scores).legends[0]
    texts = [text.get_text() for text in legend.get_texts()]
    assert "like a real sample: 1" in texts
    assert "unlike one: 1" in texts
    assert "2 scores" in legend.get_title().get_text()
    assert "not applicable: 1" in legend.get_title().get_text()


@pytest.mark.parametrize(
    "scores",
    [
        [],
        [Score.absent("a", "lower", "nothing")],
        [Score("a", 1.0, "lower")],
        [Score("a", 1.0, "lower", real_baseline=1.0, baselines={"uniform": 1.0})],
        [Score("a", 0.0, "higher", real_baseline=0.5, baselines={"independent": 0.1})],
        [
            Score(f"a_very_long_name_of_a_score_{i}", i / 60, "lower", f"g{i % 7}", **BAND, baselines=BASELINES)
            for i in range(60)
        ],
    ],
    ids=["none", "absent", "alone", "flat", "without band", "sixty"],
)
def test_odd_lists_are_drawn_without_warnings(scores):
    assert render(score_overview(scores), "png", 60).startswith(b"\x89PNG")


def test_every_score_has_a_line_of_its_own():
    scores = [Score(f"s{i}", np.sin(i) ** 2, "lower", f"g{i % 3}", **BAND, baselines=BASELINES) for i in range(12)]
    (axes,) = score_overview(scores).axes
    heights = [y for _, y, _ in dots(axes)]
    assert len(set(heights)) == 12
