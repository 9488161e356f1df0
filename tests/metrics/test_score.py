import json

import pytest

from dpsynth.metrics.score import Score


def test_round_trip_through_json():
    score = Score("tv", 0.2, "lower", floor=0.1, baseline=0.6, meaning="m", detail={"worst": [1, 2]})
    assert Score.from_dict(json.loads(json.dumps(score.to_dict()))) == score


@pytest.mark.parametrize(
    ("value", "better", "floor", "baseline", "expected"),
    [
        (0.1, "lower", 0.1, 0.6, 1.0),
        (0.6, "lower", 0.1, 0.6, 0.0),
        (0.35, "lower", 0.1, 0.6, 0.5),
        (0.7, "higher", 0.9, 0.5, 0.5),
        (0.4, "higher", 0.9, 0.5, -0.25),
        (0.7, "higher", 0.5, 0.5, None),  # real rows do no better than chance: nothing to tell
        (0.7, "higher", 0.4, 0.5, None),
        (0.7, "lower", None, 0.5, None),
    ],
)
def test_closeness_runs_from_the_baseline_to_the_floor(value, better, floor, baseline, expected):
    closeness = Score("s", value, better, floor=floor, baseline=baseline).closeness
    assert closeness == (None if expected is None else pytest.approx(expected))


def test_absent_scores_need_a_reason():
    score = Score.absent("utility", "higher", "no label")
    assert score.value is None
    assert score.closeness is None
    with pytest.raises(ValueError, match="reason"):
        Score("s", None, "lower")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_are_finite(number):
    with pytest.raises(ValueError, match="finite"):
        Score("s", number, "lower")
    with pytest.raises(ValueError, match="better"):
        Score("s", 1.0, "sideways")  # pyright: ignore[reportArgumentType]
