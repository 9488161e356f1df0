import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.learners import LEARNERS, Target, predict
from dpsynth.metrics.table.utility import Utility

pytestmark = pytest.mark.filterwarnings("error")


def measured(holdout, evaluated, domain, **fields):
    scores = Utility(**fields).measure(Sample(evaluated, domain), Reference(Sample(holdout, domain)))
    return {score.name: score for score in scores}


def test_names_for_two_classes(domain, draw):
    found = measured(draw(300, 0), draw(300, 1), domain)
    assert list(found) == [
        *(f"boosting_{measure}" for measure in ("auc", "accuracy", "f1", "auprc")),
        *(f"logistic_{measure}" for measure in ("auc", "accuracy", "f1")),
        *(f"{learner}_auc" for learner in ("tree", "forest", "mlp", "bayes")),
    ]
    assert all(score.group == "utility" and score.better == "higher" for score in found.values())
    assert list(measured(draw(300, 0), draw(300, 1), domain, learners=["boosting"])) == list(found)[:4]


def test_real_rows_beat_chance_and_shuffled_labels_do_not_on_average(domain, draw):
    holdout = draw(1000, 1)
    areas = {learner: [] for learner in LEARNERS}
    for seed in range(6):  # one fit to noise has a direction by chance; its mean over shuffles has none
        train = draw(300, 10 + seed)
        lost = train.assign(bought=np.random.default_rng(seed).permutation(train["bought"]))
        found = measured(holdout, lost, domain)
        for learner in LEARNERS:
            areas[learner].append(found[f"{learner}_auc"].value)
    real = measured(holdout, draw(1500, 0), domain)
    for learner, values in areas.items():
        assert abs(np.mean(values) - 0.5) < 4 * np.std(values, ddof=1) / np.sqrt(len(values))
        assert real[f"{learner}_auc"].value > 0.85
    assert real["boosting_auc"].detail["chance"] == 0.5
    assert real["boosting_accuracy"].value > real["boosting_accuracy"].detail["chance"] + 0.1


def test_lost_dependence_costs_every_learner(domain, draw):
    holdout, train = draw(1500, 1), draw(1500, 0)
    broken = train.assign(age=np.random.default_rng(0).permutation(train["age"]))
    good, bad = measured(holdout, train, domain), measured(holdout, broken, domain)
    assert all(bad[name].value < good[name].value - 0.1 for name in good if name.endswith("_auc"))


def test_average_precision_is_of_the_second_class(domain, draw):
    training, testing = Sample(draw(400, 0), domain), Sample(draw(400, 1), domain)
    score = Utility(["boosting"]).measure(training, Reference(testing))[3]
    chances = predict("boosting", training, testing, Target.of(testing))
    assert score.value == average_precision_score(testing.frame["bought"] == "yes", chances[:, 1])
    assert score.detail["chance"] == pytest.approx((testing.frame["bought"] == "yes").mean())


def test_a_numeric_label_is_regressed():
    domain = Domain.from_yaml(
        "columns:\n  x: {kind: number, bounds: [0, 1]}\n"
        "  y: {kind: number, bounds: [-10, 10], label: true, missing: true}\n"
    )
    g = np.random.default_rng(0)
    x = g.random(1200)
    frame = pd.DataFrame({"x": x, "y": np.where(g.random(1200) < 0.1, np.nan, 6 * x + g.normal(0, 0.3, 1200))})
    found = measured(frame[:400], frame[400:], domain)
    assert list(found) == [f"{learner}_r2" for learner in LEARNERS]
    assert all(score.value > 0.9 for score in found.values())
    assert found["boosting_r2"].detail["chance"] == 0.0
    assert all(s.value <= 0 for s in measured(frame[:400], frame[400:].assign(y=1.0), domain).values())


def test_several_classes_and_one_that_is_lost():
    domain = Domain.from_yaml(
        "columns:\n  x: {kind: number, bounds: [0, 3]}\n"
        "  y: {kind: category, categories: [a, b, c, never], label: true}\n"
    )
    x = np.random.default_rng(0).random(900) * 3
    y = np.array(["a", "b", "c"], dtype=object)[np.minimum(x.astype(int), 2)]
    frame = pd.DataFrame({"x": x, "y": y})
    full = measured(frame[:300], frame[300:], domain)
    poorer = measured(frame[:300], frame[300:][frame[300:]["y"] != "c"], domain)
    assert "boosting_auprc" not in full
    for learner in LEARNERS:
        score, worse = full[f"{learner}_auc"], poorer[f"{learner}_auc"]
        if learner != "logistic":  # the middle class is no half-line
            assert score.value > 0.93
        assert set(score.parts) == {"a", "b", "c"}
        assert worse.parts["c"] == 0.5
        assert 0.5 < worse.value < score.value
    assert full["boosting_f1"].detail["classes"] == 4
    assert full["boosting_f1"].detail["classes_in_evaluated"] == 3
    assert poorer["boosting_f1"].detail["classes_in_evaluated"] == 2


def test_no_more_than_the_limit_is_learnt_from(domain, draw):
    holdout, evaluated = draw(300, 0), draw(300, 1)
    short = measured(holdout.head(100), evaluated.head(100), domain, learners=["bayes"])
    assert measured(holdout, evaluated, domain, learners=["bayes"], rows=100) == short


def test_unknown_learners_are_refused():
    with pytest.raises(ConfigError, match="magic"):
        Utility(["magic"])
