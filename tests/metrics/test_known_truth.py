"""The suite against tables whose relation to the real ones is known: fresh samples, and planted damage."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dpsynth.evaluation.suite import FAMILIES, Settings, evaluate
from dpsynth.metrics.framework.comparison import Comparison, Counts

QUICK = ("validity", "marginals", "columns", "association", "divergence", "queries", "coefficients", "copying")
SMALL = Settings(replicates=8, costly_replicates=4, costly_draws=1, threads=1)
ROWS, HELD = 400, 300


def misses(domain, draw, families, seeds, settings=SMALL):
    """How often each score of a fresh sample fell outside its confidence band, and how often it had one."""
    outside, tried = Counter(), Counter()
    for seed in seeds:
        tables = draw(ROWS, 3 * seed), draw(HELD, 3 * seed + 1), draw(ROWS, 3 * seed + 2)
        for score in evaluate(*tables, domain, Settings(**{**vars(settings), "families": families, "seed": seed})):
            if score.real_baseline_low is not None:
                tried[score.name] += 1
                slack = 1e-9 + 1e-9 * abs(score.value)  # a score that cannot vary has a band of width zero
                outside[score.name] += (
                    not score.real_baseline_low - slack <= score.value <= score.real_baseline_high + slack
                )
    return outside, tried


def most_misses(trials, chance=1e-4):
    return stats.binom.ppf(1 - chance, trials, 0.05)


def test_fresh_samples_score_inside_the_null_bands(domain, draw):
    outside, tried = misses(domain, draw, QUICK, range(12))
    assert len(tried) > 12
    for name, trials in tried.items():
        assert outside[name] <= most_misses(trials), name


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_score_of_fresh_samples_falls_inside_its_null_band_as_often_as_it_says(domain, draw):
    families = tuple(name for name in FAMILIES if not name.startswith("image"))
    outside, tried = misses(domain, draw, families, range(100))
    rates = {name: outside[name] / trials for name, trials in tried.items()}
    print("fraction of fresh samples outside the 95 % band:", rates)
    for name, trials in tried.items():
        assert outside[name] <= most_misses(trials), rates
    assert np.mean(list(rates.values())) < 0.08


def shuffled_column(real: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """`age` no longer goes with anything."""
    return fresh.assign(age=fresh["age"].sample(frac=1, random_state=0).to_numpy())


def dropped_mode(real: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """Nobody in the commonest region."""
    return fresh.assign(region=fresh["region"].where(fresh["region"] != "north", "south"))


def shifted_mean(real: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """Everyone is fifteen years older."""
    return fresh.assign(age=(fresh["age"] + 15).clip(upper=99))


def memorised_rows(real: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """The training rows themselves."""
    return real.reset_index(drop=True)


DAMAGE = [
    (
        shuffled_column,
        ("marginals", "divergence", "columns", "association", "two_sample", "utility", "coefficients"),
        {"tv_2way", "kl_2way", "correlation_ratio_gap", "c2st_auc", "boosting_auc", "coefficient_overlap"},
        {"tv_1way", "wasserstein", "ks", "kl_1way"},
    ),
    (
        dropped_mode,
        ("marginals", "divergence", "columns", "association", "two_sample", "propensity", "queries"),
        {"tv_1way", "tv_2way", "kl_1way", "cramer_gap", "c2st_auc", "tree_pmse_ratio", "query_error"},
        {"wasserstein", "ks", "missing_gap"},
    ),
    (
        shifted_mean,
        ("marginals", "divergence", "columns", "association", "two_sample", "propensity", "randomisation", "queries"),
        {"tv_1way", "wasserstein", "ks", "kl_1way", "c2st_auc", "pmse_ratio", "wasserstein_ratio", "query_error"},
        {"missing_gap", "cramer_gap"},
    ),
    (
        memorised_rows,
        ("marginals", "columns", "copying", "membership"),
        {"exact_copies", "dcr_fraction", "membership_density_auc", "membership_distance_auc"},
        {"tv_1way", "tv_2way", "wasserstein"},
    ),
]


@pytest.mark.parametrize(("damage", "families", "seen", "unseen"), DAMAGE, ids=[each[0].__name__ for each in DAMAGE])
def test_planted_damage_is_seen_by_the_metrics_that_claim_to(domain, draw, damage, families, seen, unseen):
    train, holdout, fresh = draw(1500, 0), draw(1000, 1), draw(1500, 2)
    comparison = Comparison.of(train, holdout, [damage(train, fresh)], domain, bins=12)
    settings = Settings(learners=("boosting",))
    counts = Counts(replicates=12, costly_replicates=5, costly_draws=1)
    scores = {s.name: s for s in comparison.scores([FAMILIES[name](settings) for name in families], counts)}
    assert {name for name in seen if scores[name].like_real} == set()
    assert {name for name in unseen if not scores[name].like_real} == set()
