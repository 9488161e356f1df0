import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.learners import LEARNERS
from dpsynth.metrics.table.utility import Ranking, agreement

scores = st.lists(st.integers(0, 5), min_size=6, max_size=6)


@given(scores, scores)
def test_agreement_is_the_mean_over_pairs_with_ties_one_half(real, evaluated):
    expected = []
    for i, j in itertools.combinations(range(6), 2):
        product = (real[i] - real[j]) * (evaluated[i] - evaluated[j])
        expected.append(1.0 if product > 0 else 0.5 if product == 0 else 0.0)
    assert agreement(real, evaluated) == pytest.approx(np.mean(expected))


@given(st.permutations(range(6)))
def test_agreement_of_orders(order):
    assert agreement(order, order) == 1.0
    assert agreement(order, [-place for place in order]) == 0.0
    assert agreement(order, [7] * 6) == 0.5  # all models alike: the ties of the original count as agreement


def test_the_training_rows_themselves_agree_fully(domain, draw):
    train, holdout = Sample(draw(600, 0), domain), Sample(draw(600, 1), domain)
    score = Ranking().measure(train, Reference(holdout, train))[0]
    assert score.value == 1.0
    assert score.detail["models"] == len(LEARNERS) >= 6
    assert score.detail["pairs"] == 15
    assert score.detail["real"] == score.detail["evaluated"]


def test_lost_labels_agree_like_chance(domain, draw):
    train, holdout = Sample(draw(250, 0), domain), Sample(draw(250, 1), domain)
    found = []
    for seed in range(3):
        frame = draw(250, 2 + seed)
        lost = frame.assign(bought=np.random.default_rng(seed).permutation(frame["bought"]))
        found.append(Ranking().measure(Sample(lost, domain), Reference(holdout, train))[0].value)
    assert np.mean(found) < 0.8


def test_absent_without_unseen_rows(domain, draw):
    sample = Sample(draw(50, 0), domain)
    assert "not seen" in Ranking().measure(sample, Reference(sample))[0].reason


def test_poor_rows_give_a_number_or_a_reason(domain, draw):
    sound = Sample(draw(100, 0), domain)
    one, constant = Sample(draw(1, 1), domain), Sample(draw(100, 1).assign(bought="yes"), domain)
    assert Ranking().measure(one, Reference(sound, sound))[0].detail["rows"] == 1
    assert Ranking().measure(constant, Reference(sound, sound))[0].value == 0.5  # nothing ranks, all ties
    assert "does not vary" in Ranking().measure(sound, Reference(constant, sound))[0].reason
