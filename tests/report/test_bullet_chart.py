import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.metrics.framework.metric import Score
from dpsynth.report.bullet_chart import WIDTH, description, mark

numbers = st.floats(-1e6, 1e6)


def dot(score):
    return float(ET.fromstring(mark(score)).find("circle").get("cx"))


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_the_better_value_is_further_right(score, better):
    places = [dot(score(value=value, better=better)) for value in (0.05, 0.1, 0.15)]
    assert places == sorted(places, reverse=better == "lower")


@given(
    value=numbers,
    real_baseline=numbers,
    reach=st.floats(0, 10),
    uniform=numbers,
    independent=numbers,
    better=st.sampled_from(["lower", "higher"]),
)
def test_everything_stays_inside_the_picture(value, real_baseline, reach, uniform, independent, better):
    baselines = {"uniform": uniform, "independent": independent}
    bounds = {
        "low": value - reach,
        "high": value + reach,
        "real_baseline_low": real_baseline - reach,
        "real_baseline_high": real_baseline + reach,
    }
    drawn = mark(Score("x", value, better, real_baseline=real_baseline, baselines=baselines, **bounds))
    if not drawn:
        assert len({value, real_baseline, uniform, independent}) == 1
        return
    for element in ET.fromstring(drawn).iter():
        for key in ("x", "x1", "x2", "cx"):
            assert 0 <= float(element.get(key, 0)) <= WIDTH
        assert float(element.get("x", 0)) + float(element.get("width", 0)) <= WIDTH


def test_it_has_a_text_alternative_with_all_numbers(score):
    made = mark(score())
    [label] = re.findall(r'aria-label="([^"]*)"', made)
    assert 'role="img"' in made
    for part in ("0.0500", "0.0300", "0.0200 to 0.0400", "0.7000", "0.2000", "outside the band"):
        assert part in label
    assert "in the band" in description(score(value=0.03))


def test_names_are_escaped(score):
    assert "<b>" not in mark(score('<b>"x"'))
    ET.fromstring(mark(score('<b>"x"')))


def test_nothing_to_compare_with_nothing_to_see():
    assert mark(Score("x", 0.5, "lower")) == ""
    assert mark(Score("x", 1.0, "higher", real_baseline=1.0)) == ""
    assert mark(Score.absent("x", "lower", "why")) == ""
