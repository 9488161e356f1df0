"""Noise-aware synthetic sets: what is measured, what is refused, and intervals that cover."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.data import Category, Domain, Integer
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.inference import combine
from dpsynth.models.marginal.napsu import NAPSU, named_cliques
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.noise.random import RandomGenerators

DOMAIN = Domain(
    (Category("a", ("no", "yes")), Category("b", ("no", "yes")), Integer("size", 0, 9), Category("c", ("x", "y", "z"))),
    rows=1500,
)


def table(n: int = 1500, seed: int = 0) -> Table:
    draw = np.random.default_rng(seed)
    a = draw.random(n) < 0.4
    b = draw.random(n) < np.where(a, 0.8, 0.3)
    size = np.clip(draw.binomial(9, np.where(b, 0.6, 0.4)), 0, 9)
    words = np.array(["no", "yes"])
    return Table(
        pd.DataFrame(
            {"a": words[a.astype(int)], "b": words[b.astype(int)], "size": size, "c": draw.choice(["x", "y", "z"], n)}
        ),
        DOMAIN,
    )


def fitted(epsilon: float = 1.0, **changes):
    recipe = NAPSU(**{"marginals": [["a", "b"], ["b", "size"]], "draws": 20, "iterations": 100, **changes})
    return recipe.fit(table(), Budget(epsilon, 1e-5), RandomGenerators(0, "seeded"))


def test_named_marginals_are_one_release_and_every_column_has_one():
    plan = NAPSU(marginals=[["b", "a"], ["a", "b"], ["b", "size"]]).plan(DOMAIN, Budget(1.0, 1e-5))
    _, charge = plan.charges  # the values of numbers come first
    assert charge.detail["marginals"] == 3  # the pair is named twice; c has its own
    assert named_cliques([["b", "a"], ["size", "b"]], DOMAIN) == ((0, 1), (1, 2), (3,))
    assert {"a", "b", "size", "c"} == set(fitted().sample(10, seed=0).frame)


def test_sets_scatter_by_sampling_and_noise_and_sample_is_the_middle():
    model = fitted(0.3)
    fraction = [(t.frame["a"] == "yes").mean() for t in model.sets(20, 1500, seed=0)]
    middle = [(model.sample(1500, seed=k).frame["a"] == "yes").mean() for k in range(20)]
    one = np.sqrt(0.4 * 0.6 / 1500)
    assert np.std(fraction) > 1.2 * one
    assert np.std(middle) < 0.6 * one  # rows of a sample are rounded to the distribution
    assert abs(np.mean(fraction) - 0.4) < 4 * one


def test_what_does_not_fit_is_refused_before_data_are_opened():
    for marginals, message in [
        ("pairs", "must be tree"),
        ([["a", "who"]], "no column 'who'"),
        ([["a", "a"]], "different columns"),
        ([], "at least one"),
    ]:
        with pytest.raises(ConfigError, match=message):
            NAPSU(marginals=marginals).plan(DOMAIN, Budget(1.0, 1e-5))
    with pytest.raises(ConfigError, match="most_cells=50"):
        NAPSU(marginals=[["size", "c", "a", "b"]], most_cells=50).plan(DOMAIN, Budget(1.0, 1e-5))


def test_a_difference_of_fractions_has_an_honest_interval():
    truth = 0.5  # P(b | a) - P(b | not a)
    covered = 0
    for seed in range(4):
        rows = table(seed=seed + 1)
        model = NAPSU(marginals=[["a", "b"]], draws=20, iterations=40).fit(
            rows, Budget(0.5, 1e-5), RandomGenerators(seed, "seeded")
        )
        estimates, variances = [], []
        for one in model.sets(20, 1500, seed=0):
            yes = one.frame["b"] == "yes"
            parts = [yes[one.frame["a"] == name] for name in ("yes", "no")]
            estimates.append(parts[0].mean() - parts[1].mean())
            variances.append(sum(part.mean() * (1 - part.mean()) / len(part) for part in parts))
        low, high = combine(estimates, variances).interval(0.99)
        covered += low < truth < high
    assert covered >= 3


@pytest.mark.slow
def test_intervals_of_a_regression_cover_and_naive_ones_do_not():
    """100 simulated data sets; takes some minutes."""
    path = Path(__file__).parents[3] / "benchmarks" / "interval_coverage.py"
    spec = importlib.util.spec_from_file_location("interval_coverage", path)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    found = benchmark.coverage("napsu", 0.1, rows=2000, trials=100, sets=50)
    assert found["rubin"]["covered"] >= 0.90
    assert found["as real"]["covered"] < found["rubin"]["covered"] - 0.1
    assert found["one distribution"]["covered"] < found["rubin"]["covered"] - 0.1
