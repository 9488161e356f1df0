from dpsynth.metrics.framework.metric import Score
from dpsynth.report.page import weak_scores, weakest


def test_the_farthest_behind_real_samples_come_first():
    parts, real_baselines = {"a": 0.5, "b": 0.3, "c": 0.2, "d": 0.1}, {"a": 0.49, "b": 0.1, "c": 0.01, "d": 0.2}
    assert [
        weak.part for weak in weakest(Score("x", 0.2, "lower", parts=parts, part_real_baselines=real_baselines))
    ] == ["b", "c", "a"]
    parts, real_baselines = {"a": 0.5, "b": 0.9, "c": 0.99}, {"a": 0.6, "b": 0.95, "c": 0.9}
    assert [
        weak.part for weak in weakest(Score("x", 0.8, "higher", parts=parts, part_real_baselines=real_baselines))
    ] == ["a", "b"]


def test_without_floors_the_worst_values():
    assert [w.part for w in weakest(Score("x", 0.2, "lower", parts={"a": 0.1, "b": 0.4, "c": 0.0}))] == ["b", "a"]
    assert [w.part for w in weakest(Score("x", 0.2, "higher", parts={"a": 0.1, "b": 0.4, "c": 1.0}))] == ["a", "b"]


def test_scores_without_weak_parts_are_left_out(score):
    scores = [score("other", parts={"a": 0.9}), score(parts={"a": 0.9}), score("bare"), score("best", parts={"a": 0.0})]
    assert [each.name for each, _ in weak_scores(scores)] == ["other", "tv_2way"]
