import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from dpsynth.data.table.domain import Domain
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.learners import CLASSES, LEARNERS, Target, areas, obstacle, predict

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def three_classes():
    domain = Domain.from_yaml(
        "columns:\n  x: {kind: number, bounds: [0, 3], missing: true}\n"
        "  y: {kind: category, categories: [a, b, c, never], label: true, missing: true}\n"
    )
    x = np.random.default_rng(0).random(900) * 3
    y = np.array(["a", "b", "c"], dtype=object)[np.minimum(x.astype(int), 2)]
    return domain, pd.DataFrame({"x": x, "y": y})


@pytest.fixture(scope="module")
def slope():
    domain = Domain.from_yaml(
        "columns:\n  x: {kind: number, bounds: [0, 1]}\n  y: {kind: number, bounds: [-10, 10], label: true}\n"
    )
    g = np.random.default_rng(0)
    x = g.random(1500)
    return domain, pd.DataFrame({"x": x, "y": 6 * x + g.normal(0, 0.3, 1500)})


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_learns_two_classes(domain, draw, learner):
    training, testing = Sample(draw(1500, 0), domain), Sample(draw(1500, 1), domain)
    target = Target.of(testing)
    chances = predict(learner, training, testing, target)
    assert chances.shape == (1500, 2)
    assert np.allclose(chances.sum(axis=1), 1)
    assert areas(target.values(testing), chances)[1] > 0.85  # the distribution itself allows about .92
    assert np.array_equal(chances, predict(learner, training, testing, target))


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_regresses_within_the_declared_range(slope, learner):
    domain, frame = slope
    training, testing = Sample(frame[:1000], domain), Sample(frame[1000:], domain)
    target = Target.of(testing)
    truth, found = target.values(testing), predict(learner, training, testing, target)
    assert target.names == ()
    assert np.mean((truth - found) ** 2) < 0.1 * np.var(truth)
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize(
    "damage", ["one class", "one row", "two rows", "no label", "no inputs", "class of one row", "no c"]
)
def test_poor_training_rows_give_chances_all_the_same(three_classes, learner, damage):
    domain, frame = three_classes
    without = frame[frame["y"] != "c"]
    training = {
        "one class": frame.assign(y="a"),
        "one row": frame.head(1),
        "two rows": frame.iloc[[np.flatnonzero(frame["y"] == "a")[0], np.flatnonzero(frame["y"] == "b")[0]]],
        "no label": frame.assign(y=None),
        "no inputs": frame.assign(x=np.nan),
        "class of one row": pd.concat([without, frame[frame["y"] == "c"].head(1)]),
        "no c": without,
    }[damage]
    testing = Sample(frame.head(300), domain)
    target = Target.of(testing)
    chances = predict(learner, Sample(training, domain), testing, target)
    assert chances.shape == (300, 4)
    assert ((chances >= 0) & (chances <= 1)).all()
    if damage in ("one class", "one row", "no label", "no inputs"):  # nothing to tell rows apart by
        assert np.ptp(chances, axis=0).max() < 1e-12
    if damage == "no c":
        assert (chances[:, 2] == 0).all()


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("rows", ["constant", "none", "one", "two", "mostly constant"])
def test_poor_training_rows_are_regressed_to_a_constant_or_a_number(slope, learner, rows):
    domain, frame = slope
    domain = Domain((domain["x"], domain["y"].replace(missing=True)))
    training = {
        "constant": frame.assign(y=1.0),
        "none": frame.assign(y=np.nan),
        "one": frame.head(1),
        "two": frame.head(2),
        "mostly constant": frame.assign(y=np.where(np.arange(len(frame)) == 3, 2.0, 1.0)),
    }[rows]
    testing = Sample(frame.head(100), domain)
    found = predict(learner, Sample(training, domain), testing, Target.of(testing))
    assert np.isfinite(found).all()
    expected = {"constant": 0.55, "none": 0.5, "one": (frame["y"].iloc[0] + 10) / 20}.get(rows)
    if expected is not None:
        assert found == pytest.approx(np.full(100, expected))


def test_classes_beyond_the_limit_are_pooled_by_the_holdout():
    names = [f"c{k}" for k in range(300)]
    domain = Domain.from_yaml(
        "columns:\n  x: {kind: number, bounds: [0, 1]}\n"
        f"  y: {{kind: category, categories: [{', '.join(names)}], label: true}}\n"
    )
    g = np.random.default_rng(0)
    often = np.array(names)[np.repeat(np.arange(100, 100 + CLASSES - 1), 20)]
    seldom = np.array(names)[g.integers(0, 100, 60)]
    y = np.concatenate([often, seldom]).astype(object)
    testing = Sample(pd.DataFrame({"x": g.random(len(y)), "y": y}), domain)
    target = Target.of(testing)
    assert target.names == (*names[100 : 100 + CLASSES - 1], "all others")
    found = target.values(testing)
    assert (found[: len(often)] == np.repeat(np.arange(CLASSES - 1), 20)).all()
    assert (found[len(often) :] == CLASSES - 1).all()
    for learner in LEARNERS:
        assert predict(learner, testing.head(200), testing, target).shape == (len(y), CLASSES)


def test_areas_agree_with_scikit_learn():
    g = np.random.default_rng(0)
    truth, chances = g.integers(0, 4, 500), g.dirichlet(np.ones(4), 500)
    chances[np.arange(500), truth] += 0.3
    chances /= chances.sum(axis=1, keepdims=True)
    expected = roc_auc_score(truth, chances, multi_class="ovr", average="macro")
    assert np.mean(list(areas(truth, chances).values())) == pytest.approx(expected)


def test_obstacles_are_named(domain, draw):
    frame = draw(50, 0)
    assert obstacle(Sample(frame, domain)) is None
    unlabelled = Domain(tuple(column.replace(label=False) for column in domain.columns))
    assert "no label" in str(obstacle(Sample(frame, unlabelled)))
    assert "only column" in str(obstacle(Sample(frame, Domain((domain["bought"],)))))
    assert "does not vary" in str(obstacle(Sample(frame.assign(bought="yes"), domain)))
