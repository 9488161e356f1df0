import numpy as np
import pytest

from dpsynth.metrics.framework.metric import Reference
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.propensity import TwoSample, cross_fitted_areas, stacked


def area(evaluated, real, domain):
    [score] = TwoSample().measure(Sample(evaluated, domain), Reference(Sample(real, domain)))
    return score.value


def test_stacked_rows_have_no_gaps_and_evaluated_rows_first(domain, draw):
    evaluated, real = Sample(draw(50, 0), domain), Sample(draw(30, 1), domain)
    inputs, labels = stacked(evaluated, real)
    assert inputs.shape == (80, 6)
    assert np.isfinite(inputs).all()
    assert labels.tolist() == [True] * 50 + [False] * 30
    gone = np.isnan(np.concatenate([evaluated.units, real.units]))
    gain, flag = domain.names.index("gain"), domain.names.index("flag")
    assert set(inputs[gone[:, gain], gain]) == {-1.0}  # below every value
    assert set(inputs[gone[:, flag], flag]) == {2.0}  # after the two values of a boolean
    assert (inputs[~gone[:, gain], gain] >= 0).all()


def test_samples_of_one_distribution_cannot_be_stated_apart(domain, draw):
    areas = [area(draw(400, 2 * seed), draw(400, 2 * seed + 1), domain) for seed in range(10)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.025)  # standard deviation of one is about .02


def test_a_broken_dependence_is_seen(domain, draw):
    broken = draw(2000, 1)
    broken["age"] = np.random.default_rng(0).permutation(broken["age"])
    assert area(broken, draw(2000, 0), domain) > 0.6  # standard deviation of one distribution is about .01


def test_rows_without_overlap_score_one(domain, draw):
    assert area(draw(300, 0).assign(region="east"), draw(300, 1).assign(region="north"), domain) == 1.0


def test_the_label_is_looked_at(domain, draw):
    assert area(draw(1000, 1).assign(bought="yes"), draw(1000, 0), domain) > 0.6


def test_each_fold_is_scored_by_a_model_that_has_not_seen_it():
    """Labels at random: a model tested on its own rows would rank them well."""
    g = np.random.default_rng(0)
    inputs, labels = g.normal(size=(3000, 5)), g.random(3000) < 0.5
    areas = cross_fitted_areas(inputs, labels, np.arange(3000) % 3, np.zeros(5, dtype=bool), iterations=50)
    assert areas.shape == (3,)
    assert areas.mean() == pytest.approx(0.5, abs=0.04)
