import pytest

from dpsynth.metrics.score import Score
from dpsynth.report.verdict import verdict

STATEMENT = {"private": True, "guarantee": "(1, 1e-05)-differential privacy for one row"}


def scores(pairs=0.05, area=0.9):
    return [
        Score("tv_2way", pairs, "lower", floor=0.03, baseline=0.7),
        Score("boosting_auc", area, "higher", floor=0.93, baseline=0.5, detail={"label": "income"}),
        Score.absent("missing_gap", "lower", "no column may be missing"),
    ]


@pytest.mark.parametrize(
    ("pairs", "area", "grade"),
    [(0.03, 0.93, "close"), (0.05, 0.88, "useful"), (0.05, 0.6, "far"), (0.5, 0.93, "far")],
)
def test_the_weakest_main_score_decides(pairs, area, grade):
    assert verdict(scores(pairs, area), STATEMENT).grade == grade


def test_sentences_give_value_and_floor():
    text = " ".join(verdict(scores(), STATEMENT).sentences)
    for part in ("0.050", "0.030", "0.900", "0.930", "income"):
        assert part in text


def test_losing_to_no_data_is_said():
    assert "No better than knowing the domain alone: tv_2way" in verdict(scores(0.8), STATEMENT).sentences[-1]


@pytest.mark.parametrize(
    ("statement", "private"),
    [
        (STATEMENT, True),
        (None, False),
        ({}, False),
        ({"private": "yes"}, False),
        ({"private": False, "guarantee": "not private: seeded noise"}, False),
    ],
)
def test_only_an_explicit_promise_counts(statement, private):
    result = verdict(scores(), statement)
    assert result.private is private
    assert result.guarantee


def test_no_scores_no_verdict():
    assert verdict([], STATEMENT).grade == "unknown"
