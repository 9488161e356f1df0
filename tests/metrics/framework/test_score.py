import json

import pytest

from dpsynth.metrics.framework.metric import Score


def test_round_trip_through_json():
    score = Score(
        "tv",
        0.2,
        "lower",
        real_baseline=0.1,
        baselines={"uniform": 0.6},
        meaning="m",
        parts={"a": 0.1},
        detail={"rows": 2},
    )
    assert Score.from_dict(json.loads(json.dumps(score.to_dict()))) == score


@pytest.mark.parametrize(
    ("value", "better", "real_baseline", "baseline", "expected"),
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
def test_closeness_runs_from_the_baseline_to_the_floor(value, better, real_baseline, baseline, expected):
    score = Score("s", value, better, real_baseline=real_baseline, baselines={"uniform": baseline})
    closeness = score.closeness()
    assert score.closeness("independent") is None
    assert closeness == (None if expected is None else pytest.approx(expected))


def test_absent_scores_need_a_reason():
    score = Score.absent("utility", "higher", "no label")
    assert score.value is None
    assert score.closeness() is None
    with pytest.raises(ValueError, match="reason"):
        Score("s", None, "lower")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_are_finite(number):
    with pytest.raises(ValueError, match="finite"):
        Score("s", number, "lower")
    with pytest.raises(ValueError, match="better"):
        Score("s", 1.0, "sideways")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("better", "value", "like"),
    [("lower", 0.05, True), ("lower", 0.13, False), ("higher", 0.07, False), ("higher", 0.2, True)],
)
def test_like_real_means_no_worse_than_the_null_band(better, value, like):
    score = Score(
        "s",
        value,
        better,
        real_baseline=0.1,
        real_baseline_low=0.08,
        real_baseline_high=0.12,
        baselines={"independent": 0.1},
    )
    assert score.like_real is like
    assert score.loses_to("independent") is (value > 0.1 if better == "lower" else value < 0.1)
    assert score.loses_to("uniform") is None
    assert Score("s", value, better).like_real is None
