from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from scipy import stats

from dpsynth.metrics.framework.comparison import Comparison, Counts, interval
from dpsynth.metrics.framework.metric import Reference, Score
from dpsynth.metrics.framework.sample import Sample
from dpsynth.metrics.table.marginals import Marginals

FEW = Counts(replicates=5, costly_replicates=3, costly_draws=2, threads=2)


@dataclass(frozen=True)
class MeanAge:
    """A plain statistic, so that its distribution under the null is known."""

    needs_train: ClassVar[bool] = False
    costly: ClassVar[bool] = False
    baselines: ClassVar[bool] = True

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        gap = evaluated.units[:, 0].mean() - reference.holdout.units[:, 0].mean()
        detail = {"rows": len(evaluated), "holdout": len(reference.holdout)}
        return [Score("age_gap", float(gap), "lower", parts={"age": float(gap)}, limits=(None, None), detail=detail)]


@dataclass(frozen=True)
class Overlap:
    """Which rows a family gets to see, by a column that numbers them."""

    needs_train: ClassVar[bool] = True
    costly: ClassVar[bool] = True
    baselines: ClassVar[bool] = False

    def measure(self, evaluated: Sample, reference: Reference) -> list[Score]:
        if reference.train is None:
            return [Score.absent("overlap", "lower", "no unseen rows")]
        tables = [set(sample.frame.index) for sample in (evaluated, reference.holdout, reference.train)]
        shared = [len(a & b) for a, b in ((tables[0], tables[1]), (tables[0], tables[2]), (tables[1], tables[2]))]
        return [Score("overlap", float(sum(shared)), "lower", detail={"sizes": [len(table) for table in tables]})]


@pytest.mark.parametrize("count", [3, 5, 20])
def test_interval_holds_one_more_value_as_often_as_it_says(count):
    generator = np.random.default_rng(0)
    hits = 0
    for values in generator.normal(size=(4000, count + 1)):
        low, high = interval(values[:-1])
        hits += low <= values[-1] <= high
    assert abs(hits / 4000 - 0.95) < 0.015


def test_no_interval_around_one_value():
    assert interval([1.0]) == (None, None)


def test_intervals_end_where_scores_do():
    low, high = interval([0.0, 0.1, 0.9])
    assert low < 0
    assert high > 1
    assert interval([0.0, 0.1, 0.9], (0.0, None)) == (0.0, high)
    assert interval([0.0, 0.1, 0.9], (0.0, 1.0)) == (0.0, 1.0)


def test_null_bands_cover_fresh_samples_as_often_as_they_say(domain, draw):
    inside = []
    for seed in range(100):
        train, holdout, fresh = draw(200, 3 * seed), draw(100, 3 * seed + 1), draw(200, 3 * seed + 2)
        comparison = Comparison.of(train, holdout, [fresh], domain, seed=seed)
        (score,) = comparison.scores([MeanAge()], Counts(replicates=10, threads=1))
        inside.append(score.real_baseline_low <= score.value <= score.real_baseline_high)
    misses = len(inside) - sum(inside)
    assert stats.binom.ppf(0.001, len(inside), 0.05) <= misses <= stats.binom.ppf(0.999, len(inside), 0.05)


def test_scores_carry_floors_baselines_intervals_and_parts(domain, draw):
    draws = [draw(300, seed) for seed in (10, 11, 12)]
    comparison = Comparison.of(draw(300, 0), draw(150, 1), draws, domain)
    (score,) = comparison.scores([MeanAge()], FEW)
    alone = [comparison.scores([MeanAge()], Counts(costly_draws=1, replicates=5))[0].value for _ in range(2)]
    assert alone[0] == alone[1]
    assert score.low < score.value < score.high
    assert set(score.baselines) == {"uniform", "independent"}
    assert score.parts == {"age": pytest.approx(score.value)}
    assert set(score.part_real_baselines) == {"age"}
    assert score.detail == {"rows": 300, "holdout": 150, "draws": 3, "null_samples": 5, "rows compared": 150}


def test_one_draw_has_no_interval(domain, draw):
    (score,) = Comparison.of(draw(50, 0), draw(50, 1), [draw(50, 2)], domain).scores([MeanAge()], FEW)
    assert score.low is None
    assert score.high is None


def test_real_sets_are_disjoint_and_equally_large_where_training_rows_are_looked_at(domain, draw):
    train, holdout = draw(101, 0), draw(40, 1)
    holdout.index += 1000
    synthetic = draw(90, 2)
    synthetic.index += 2000
    comparison = Comparison.of(train, holdout, [synthetic], domain)
    comparison.real.frame.index = range(5000, 5141)
    (score,) = comparison.scores([Overlap()], FEW)
    assert score.value == score.real_baseline == score.real_baseline_high == 0
    assert score.detail["sizes"] == [50, 40, 50]


def test_without_unseen_rows_traces_of_training_rows_are_not_looked_for(domain, draw):
    comparison = Comparison.of(draw(100, 0), None, [draw(100, 2)], domain)
    (score,) = comparison.scores([Overlap()], FEW)
    assert score.value is None
    assert score.reason == "no unseen rows"


def test_the_order_of_families_and_the_number_of_threads_do_not_matter(domain, draw):
    comparison = Comparison.of(draw(100, 0), draw(100, 1), [draw(100, 2)], domain)
    families = [MeanAge(), Marginals({1: None, 2: None})]
    one = comparison.scores(families, FEW)
    two = comparison.scores(families[::-1], Counts(5, 3, 2, threads=1))
    assert {score.name: score.to_dict() for score in one} == {score.name: score.to_dict() for score in two}
    assert [score.name for score in one] == ["age_gap", "tv_1way", "tv_2way"]


def test_progress_ends_where_it_says(domain, draw):
    seen = []
    comparison = Comparison.of(draw(50, 0), draw(50, 1), [draw(50, 2)], domain)
    comparison.scores([MeanAge(), Overlap()], FEW, lambda *step: seen.append(step))
    assert [done for done, _, _ in seen] == list(range(1, len(seen) + 1))
    assert {whole for _, whole, _ in seen} == {len(seen)}
    assert {name for _, _, name in seen} == {"MeanAge", "Overlap"}
