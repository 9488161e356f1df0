import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.membership import Attack, Membership

NAMES = ["membership_density_auc", "membership_distance_auc"]


def measure(evaluated, holdout, train, domain, **fields):
    reference = Reference(Sample(holdout, domain), Sample(train, domain))
    return Membership(**fields).measure(Sample(evaluated, domain), reference)


guesses = st.integers(1, 30).flatmap(lambda n: arrays(np.float64, n, elements=st.integers(0, 9)))


@given(guesses, guesses)
def test_auc_agrees_with_scikit_learn_and_hits_keep_the_rate(members, others):
    attack = Attack.of(members, others)
    truth = np.repeat([1, 0], [len(members), len(others)])
    assert attack.auc == pytest.approx(roc_auc_score(truth, np.concatenate([members, others])))
    assert 0 <= attack.low <= attack.auc <= attack.high <= 1
    for rate, fraction in attack.hits.items():
        allowed = [t for t in (*np.unique(others), -1) if (others > t).mean() <= rate]
        assert fraction == pytest.approx(max((members > t).mean() for t in allowed))


def test_interval_is_delongs():
    """The formula over all pairs, written out."""
    g = np.random.default_rng(0)
    members, others = g.normal(0.5, 1, 40).round(1), g.normal(0, 1, 60).round(1)
    wins = (members[:, None] > others) + 0.5 * (members[:, None] == others)
    error = np.sqrt(wins.mean(axis=1).var(ddof=1) / 40 + wins.mean(axis=0).var(ddof=1) / 60)
    attack = Attack.of(members, others)
    assert (attack.low, attack.high) == pytest.approx((wins.mean() - 1.959964 * error, wins.mean() + 1.959964 * error))


def test_interval_holds_the_truth_as_often_as_it_says():
    g, held = np.random.default_rng(0), 0
    truth = 0.6382  # P(X + .5 > Y) of two standard normals: Phi(.5 / sqrt(2))
    for _ in range(600):
        attack = Attack.of(g.normal(0.5, 1, 150), g.normal(0, 1, 100))
        held += attack.low <= truth <= attack.high
    assert 0.92 < held / 600 < 0.98


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_memorised_rows_are_found(domain, draw, fraction):
    train, holdout = draw(600, 0), draw(1200, 1)
    evaluated = train.sample(frac=fraction, random_state=0)
    for score in measure(evaluated, holdout, train, domain):
        assert score.value > 0.97 if fraction == 1.0 else 0.68 < score.value < 0.85
        assert score.detail["auc_low"] > 0.5
        assert score.detail["verdict"].startswith("evidence")
        assert score.detail["hits_at_0.1_false_alarms"] > 0.95 * fraction


def test_fresh_rows_give_no_evidence(domain, draw):
    inside, areas = [], []
    for seed in range(20):
        train, holdout, evaluated = (draw(count, 100 + 3 * seed + k) for k, count in enumerate((300, 600, 300)))
        scores = measure(evaluated, holdout, train, domain)
        areas.append([score.value for score in scores])
        inside.append([score.detail["auc_low"] <= 0.5 <= score.detail["auc_high"] for score in scores])
        if scores[0].detail["auc_low"] <= 0.5:
            assert scores[0].detail["verdict"].startswith("no evidence")
    assert np.mean(inside) > 0.85
    reach = 4 * np.std(areas, axis=0, ddof=1) / np.sqrt(len(areas))
    assert (np.abs(np.mean(areas, axis=0) - 0.5) < reach).all()


def test_members_and_others_are_equally_many_and_the_attackers_rows_are_different_ones(domain, draw):
    score = measure(draw(80, 0), draw(101, 1), draw(90, 2), domain)[0]
    assert score.detail["members"] == score.detail["non_members"] == 50
    assert score.detail["population_rows"] == 51
    assert measure(draw(80, 0), draw(101, 1), draw(90, 2), domain, targets=10)[0].detail["members"] == 10
    assert "proof" in score.meaning
    assert (score.group, score.better) == ("attack", "lower")


def test_absent_with_a_reason(domain, draw):
    sample = Sample(draw(20, 0), domain)
    scores = Membership().measure(sample, Reference(sample))
    assert [score.name for score in scores] == NAMES
    assert all("not seen" in score.reason for score in scores)
    scores = measure(draw(20, 0), draw(1, 1), draw(20, 2), domain)
    assert [score.name for score in scores] == NAMES
    assert all("one holdout row" in score.reason for score in scores)
