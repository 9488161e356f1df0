from dpsynth.metrics.framework.metric import Score
from dpsynth.report.verdict import column_scores, folded, headline_scores


def test_main_scores_come_in_their_own_order_and_absent_ones_not(score, area):
    absent = Score.absent("tv_3way", "lower", "two columns only")
    assert [each.name for each in headline_scores([area(), score(), absent])] == ["tv_2way", "boosting_auc"]


def test_a_suite_of_unknown_scores_still_has_columns(score):
    scores = [
        score("one"),
        score("two"),
        score("three", group="joint"),
        Score.absent("four", "lower", "why", group="x"),
    ]
    assert column_scores(scores) == ["one", "three"]
    assert column_scores([*scores, score()]) == ["tv_2way"]
    assert column_scores([]) == []


def test_long_groups_are_folded_and_nothing_is_lost(score):
    scores = [score(f"s{i}") for i in range(8)] + [score()]
    shown, more = folded(scores, most=3)
    assert [each.name for each in shown] == ["s0", "s1", "tv_2way"]
    assert sorted(each.name for each in (*shown, *more)) == sorted(each.name for each in scores)
    assert folded(scores[:4], most=3) == (scores[:4], [])
