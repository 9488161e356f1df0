"""Phases follow each other, and degrees fall from the first to the last."""

import pytest

from dpsynth.errors import ConfigError
from dpsynth.models.pe.generations import Degrees, Phase, Timetable


def test_phases_follow_each_other():
    timetable = Timetable.of([{"iterations": 2}, {"iterations": 3, "selection": "rank", "keep": True}], {})
    assert timetable.iterations == 5
    assert [timetable.phase(step).selection for step in range(5)] == ["sample"] * 2 + ["rank"] * 3
    with pytest.raises(IndexError):
        timetable.phase(5)


def test_degrees_are_those_of_tab_pe():
    timetable = Timetable.of([Phase(29)], Degrees())
    expected = [0.5 - 0.49 * (t / 29) ** 0.2 for t in range(1, 30)]
    assert [timetable.degree(step) for step in range(29)] == pytest.approx(expected)
    assert timetable.degree(28) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("phases", "degrees"),
    [
        ([], {}),
        ([{"iterations": 0}], {}),
        ([{"iterations": 1, "selection": "best"}], {}),
        ([{"iterations": 1, "variations": 0}], {}),
        ([{"iterations": 1, "folds": 2}], {}),
        ([3], {}),
        ([{"iterations": 1}], {"first": 2.0}),
        ([{"iterations": 1}], {"power": 0}),
        ([{"iterations": 1}], {"slope": 1}),
    ],
)
def test_what_makes_no_sense_is_refused(phases, degrees):
    with pytest.raises(ConfigError, match=r"evolution\.(phases|degrees)|^(first|power)="):
        Timetable.of(phases, degrees)
