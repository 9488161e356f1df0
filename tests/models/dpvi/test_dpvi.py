"""The mixture synthesizer: known distributions come back, missing values and point masses among them."""

import functools
import math

import numpy as np
import pandas as pd
import pytest
import torch

from dpsynth.data import Category, Domain, Integer, Number
from dpsynth.data.sources.toy import Mixed
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.dpvi.fitted import distributions
from dpsynth.models.dpvi.recipe import DPVI
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.noise.random import RandomGenerators

DOMAIN = Domain(
    (
        Category("kind", ("a", "b", "c"), missing=True),
        Number("level", 0.0, 10.0, missing=True, point_masses=(0.0,)),
        Integer("count", 0, 30),
        Category("flag", ("no", "yes")),
    ),
    rows=6000,
)
WEIGHTS = (0.5, 0.3, 0.2)
KINDS = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
LEVELS, POINT_MASSES, MISSING = (2.0, 5.0, 8.0), (0.5, 0.0, 0.1), (0.0, 0.3, 0.1)
COUNTS, FLAGS = (2.0, 9.0, 16.0), (0.1, 0.5, 0.9)


def rows(n: int, seed: int = 0) -> pd.DataFrame:
    """Three parts that differ in every column."""
    draw = np.random.default_rng(seed)
    part = draw.choice(3, n, p=WEIGHTS)
    kind = (draw.random(n)[:, None] > KINDS.cumsum(1)[part, :2]).sum(1)
    level = np.clip(draw.normal(np.array(LEVELS)[part], 0.5), 0, 10)
    level[draw.random(n) < np.array(POINT_MASSES)[part]] = 0.0
    level[draw.random(n) < np.array(MISSING)[part]] = np.nan
    return pd.DataFrame(
        {
            "kind": np.where(draw.random(n) < 0.05, None, np.array(["a", "b", "c"], dtype=object)[kind]),
            "level": level,
            "count": np.minimum(draw.poisson(np.array(COUNTS)[part]), 30),
            "flag": np.where(draw.random(n) < np.array(FLAGS)[part], "yes", "no"),
        }
    )


@functools.cache
def fitted(epsilon: float, file: str | None = None, missing: str = "component", steps: int = 150):
    recipe = DPVI(6, 24, file=file, missing=missing).replace(inference={"steps": steps, "batch_size": 1500})
    budget = Budget(epsilon, 1e-5)
    return recipe.fit(Table(rows(6000), DOMAIN), budget, RandomGenerators(0, "seeded"))


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.txt"
    path.write_text("# as twinify has it\nkind: Categorical\nlevel: Normal\ncount: Poisson\nflag: Bernoulli\n")
    return str(path)


def pair_error(one: pd.DataFrame, other: pd.DataFrame, first: str, second: str) -> float:
    """Total variation between pair marginals, numbers in ten bins."""

    def encoded(frame):
        parts = []
        for name in (first, second):
            column = frame[name]
            if name in ("level", "count"):
                edges = np.linspace(0, 10.0 if name == "level" else 30, 11)
                codes = np.digitize(column.astype(float), edges)
                column = np.where(column.isna(), -1, np.where(column.astype(float) == 0, -2, codes))
            parts.append(pd.Series(np.asarray(column)).astype(str).to_numpy())
        return pd.crosstab(parts[0], parts[1], normalize=True)

    a, b = encoded(one).align(encoded(other), fill_value=0.0)
    return float((a - b).abs().to_numpy().sum() / 2)


PAIRS = [("kind", "level"), ("kind", "count"), ("level", "count"), ("count", "flag"), ("kind", "flag")]


@pytest.mark.parametrize("named", [False, True], ids=["default distributions", "model file"])
def test_a_mixture_without_noise_is_recovered(named, model_file):
    model = fitted(math.inf, model_file if named else None)
    synthetic, fresh = model.sample(20_000, seed=0).frame, rows(20_000, seed=1)
    floor = max(pair_error(rows(6000), fresh, *pair) for pair in PAIRS)
    assert max(pair_error(synthetic, fresh, *pair) for pair in PAIRS) < floor + 0.035
    fractions = [part.isna().mean() for part in (synthetic["level"], fresh["level"])]
    assert abs(fractions[0] - fractions[1]) < 0.015


def test_missing_rates_depend_on_the_part_and_are_recovered():
    model = fitted(math.inf)
    for kind in ("a", "b"):
        synthetic = model.sample(8000, seed=0, where={"kind": kind}).frame
        fresh = rows(40_000, seed=1).query("kind == @kind")
        assert abs(synthetic["level"].isna().mean() - fresh["level"].isna().mean()) < 0.03
        assert abs((synthetic["level"] == 0).mean() - (fresh["level"] == 0).mean()) < 0.03


def test_missing_by_column_has_one_rate():
    model = fitted(math.inf, missing="column")
    whole = rows(6000)["level"].isna().mean()
    for kind in ("a", "b"):
        assert abs(model.sample(8000, seed=0, where={"kind": kind}).frame["level"].isna().mean() - whole) < 0.02


def test_noise_costs_little_at_epsilon_three():
    synthetic, fresh = fitted(3.0).sample(20_000, seed=0).frame, rows(20_000, seed=1)
    independent = pd.DataFrame(
        {name: fresh[name].sample(frac=1, random_state=k).to_numpy() for k, name in enumerate(fresh)}
    )
    errors = [np.mean([pair_error(frame, fresh, *pair) for pair in PAIRS]) for frame in (synthetic, independent)]
    assert errors[0] < errors[1] / 3


def test_the_density_integrates_to_one_and_prefers_real_rows():
    model = fitted(math.inf)
    kinds, flags = ["a", "b", "c", None], ["no", "yes"]
    middles = (np.arange(24) + 0.5) * 10 / 24
    grid = pd.MultiIndex.from_product([kinds, [*middles, 0.0, np.nan], [4], flags]).to_frame(index=False)
    grid.columns = list(DOMAIN.names)
    density = model.log_density(Table(grid, DOMAIN))
    edges = model.codec.edges("count")
    width = np.diff(edges)[model.codec["count"].encode(DOMAIN["count"].read(pd.Series([4])))[0]]
    on_axis = grid["level"].notna() & (grid["level"] != 0)
    total = (np.exp(density) * np.where(on_axis, 1 / 24, 1.0)).sum() * width
    table = model.mixture.tables(model.mean)[2].exp()
    code = int(model.codec["count"].encode(DOMAIN["count"].read(pd.Series([4])))[0][0])
    expected = (model.mixture.log_weights(model.mean).exp() * table[:, code]).sum()
    np.testing.assert_allclose(total, float(expected), rtol=1e-6)
    fresh = rows(500, seed=2)
    shuffled = pd.DataFrame(
        {name: fresh[name].sample(frac=1, random_state=k).to_numpy() for k, name in enumerate(fresh)}
    )
    assert model.log_density(Table(fresh, DOMAIN)).mean() > model.log_density(Table(shuffled, DOMAIN)).mean() + 1
    assert np.isfinite(model.log_density(Table(fresh, DOMAIN), draws=3)).all()


def test_sets_come_from_different_posterior_draws():
    model = fitted(0.3, steps=30)
    means = [table.frame["count"].mean() for table in model.sets(8, 4000, seed=0)]
    within = rows(4000)["count"].std() / math.sqrt(4000)
    assert np.std(means) > 1.3 * within
    again = model.sets(2, 100, seed=3)
    assert again[0].frame.equals(model.sets(2, 100, seed=3)[0].frame)
    with pytest.raises(ConfigError, match="sets=0"):
        model.sets(0, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Gaussian\n", "no distribution 'Gaussian'"),
        ("kind: Normal\n", "needs a number"),
        ("level: Poisson\n", "needs an integer"),
        ("kind: Bernoulli\n", "two values"),
        ("size: Normal\n", "no column 'size'"),
        ("just words\n", "a line"),
    ],
)
def test_a_model_file_that_does_not_fit_is_refused(text, message, tmp_path):
    path = tmp_path / "model.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        distributions(DOMAIN, "Categorical", path)


def test_a_posterior_spreads_more_with_more_noise():
    wide, narrow = fitted(0.3, steps=30), fitted(math.inf, steps=30)
    assert wide.scale.mean() > narrow.scale.mean()
    assert torch.isfinite(wide.mean).all()


def test_mixed_distribution_with_dates_is_learned():
    distribution = Mixed()
    budget = Budget(math.inf, 1e-5)
    recipe = DPVI(components=6, bins=24).replace(inference={"steps": 80, "batch_size": 2000})
    model = recipe.fit(distribution.sample(4000, seed=0), budget, RandomGenerators(0, "seeded"))
    for group, year in (("A", 2020), ("B", 2021)):
        joined = pd.to_datetime(model.sample(1000, seed=0, where={"group": group}).frame["joined"]).dropna()
        assert (joined.dt.year == year).mean() > 0.9
