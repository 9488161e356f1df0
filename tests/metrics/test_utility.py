import numpy as np
import pandas as pd
import pytest

from dpsynth.data.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.metrics.utility import utility_scores


def by_name(scores):
    return {score.name: score for score in scores}


def test_real_rows_score_their_own_floor(domain, draw):
    train, holdout = draw(1500, 0), draw(1500, 1)
    same = by_name(utility_scores(holdout, train, domain, floor=train))
    for learner in ("boosting", "logistic"):
        assert same[f"{learner}_auc"].value == same[f"{learner}_auc"].floor
        assert same[f"{learner}_auc"].closeness == pytest.approx(1.0)
        assert same[f"{learner}_auc"].value > 0.8
        assert same[f"{learner}_auc"].baseline == 0.5
        assert same[f"{learner}_accuracy"].value > same[f"{learner}_accuracy"].baseline


@pytest.mark.parametrize("learner", ["boosting", "logistic"])
def test_shuffled_labels_score_chance_on_average(domain, draw, learner):
    holdout, areas = draw(1500, 1), []
    for seed in range(12):  # one fit to noise has a direction by chance; its mean over shuffles has none
        train = draw(1000, 10 + seed)
        lost = train.assign(bought=np.random.default_rng(seed).permutation(train["bought"]))
        scores = by_name(utility_scores(holdout, lost, domain, floor=train.head(200), learners=[learner]))
        areas.append(scores[f"{learner}_auc"].value)
    assert abs(np.mean(areas) - 0.5) < 4 * np.std(areas, ddof=1) / np.sqrt(len(areas))
    assert np.mean(areas) < 0.62


def test_same_inputs_give_the_same_scores(domain, draw):
    train, holdout = draw(300, 0), draw(300, 1)
    first, second = (utility_scores(holdout, train, domain, floor=train) for _ in range(2))
    assert [score.to_dict() for score in first] == [score.to_dict() for score in second]


@pytest.mark.parametrize("kind", ["{kind: number, bounds: [-10, 10], label: true}"])
def test_a_numeric_label_is_regressed(kind):
    domain = Domain.from_yaml(f"columns:\n  x: {{kind: number, bounds: [0, 1]}}\n  y: {kind}\n")
    g = np.random.default_rng(0)
    x = g.random(1200)
    frame = pd.DataFrame({"x": x, "y": 6 * x + g.normal(0, 0.3, 1200)})
    scores = by_name(utility_scores(frame[:400], frame[400:], domain, floor=frame[400:]))
    assert set(scores) == {"boosting_r2", "logistic_r2"}
    assert all(score.value > 0.9 and score.baseline == 0.0 for score in scores.values())
    constant = frame[400:].assign(y=1.0)
    assert all(s.value <= 0 for s in utility_scores(frame[:400], constant, domain, floor=frame[400:]))


@pytest.fixture(scope="module")
def three_classes():
    domain = Domain.from_yaml(
        "columns:\n  x: {kind: number, bounds: [0, 3], missing: true}\n"
        "  y: {kind: category, categories: [a, b, c, never], label: true, missing: true}\n"
    )
    g = np.random.default_rng(0)
    x = g.random(900) * 3
    y = np.array(["a", "b", "c"], dtype=object)[np.minimum(x.astype(int), 2)]
    return domain, pd.DataFrame({"x": x, "y": y})


@pytest.mark.parametrize("learner", ["boosting", "logistic"])
def test_several_classes(three_classes, learner):
    domain, frame = three_classes
    scores = by_name(utility_scores(frame[:300], frame[300:], domain, floor=frame[300:], learners=[learner]))
    assert scores[f"{learner}_auc"].value > 0.95
    assert scores[f"{learner}_auc"].detail["classes"] == 4
    assert scores[f"{learner}_auc"].detail["classes_in_synthetic"] == 3


@pytest.mark.parametrize("learner", ["boosting", "logistic"])
def test_a_class_missing_from_the_synthetic_rows(three_classes, learner):
    domain, frame = three_classes
    poorer = frame[300:][frame[300:]["y"] != "c"]
    scores = by_name(utility_scores(frame[:300], poorer, domain, floor=frame[300:], learners=[learner]))
    assert 0.5 < scores[f"{learner}_auc"].value < scores[f"{learner}_auc"].floor


@pytest.mark.parametrize("learner", ["boosting", "logistic"])
@pytest.mark.parametrize("damage", ["one class", "one row", "no label", "all inputs missing", "class of one row"])
def test_poor_synthetic_rows_do_not_crash(three_classes, learner, damage):
    domain, frame = three_classes
    synthetic = {
        "one class": frame.assign(y="a"),
        "one row": frame.head(1),
        "no label": frame.assign(y=None),
        "all inputs missing": frame.assign(x=np.nan),
        "class of one row": pd.concat([frame[frame["y"] != "c"], frame[frame["y"] == "c"].head(1)]),
    }[damage]
    scores = by_name(utility_scores(frame[:300], synthetic, domain, floor=frame, learners=[learner]))
    auc = scores[f"{learner}_auc"].value
    assert 0.0 <= auc <= 1.0
    if damage not in ("class of one row",):
        assert auc == pytest.approx(0.5)


def test_absent_with_a_reason(domain, draw):
    frame = draw(50, 0)
    unlabelled = Domain(tuple(column.replace(label=False) for column in domain.columns))
    assert "label" in utility_scores(frame, frame, unlabelled, floor=frame)[0].reason
    constant = frame.assign(bought="yes")
    assert "does not vary" in utility_scores(constant, frame, domain, floor=frame)[0].reason
    alone = Domain((domain["bought"],))
    assert "only column" in utility_scores(frame, frame, alone, floor=frame)[0].reason


def test_unknown_learners_are_refused(domain, draw):
    frame = draw(50, 0)
    with pytest.raises(ConfigError, match="magic"):
        utility_scores(frame, frame, domain, floor=frame, learners=["magic"])
