"""independent, privbayes, mst, aim: known truth, the budget, and tables at the edge of what there is."""

import itertools
import json
import math
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dpsynth
from dpsynth.data import Category, Codec, Domain, Integer, Number, Table
from dpsynth.data.sources.toy import DISTRIBUTIONS
from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.counting import Engine
from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel, Measurement
from dpsynth.models.marginal.aim import AIM, ROUNDS_NAME, _candidates, _weights
from dpsynth.models.marginal.independent import Independent
from dpsynth.models.marginal.method import EncodedRows
from dpsynth.models.marginal.mst import MST, _misfits, _spanning_tree
from dpsynth.models.marginal.privbayes import PrivBayes, _sets
from dpsynth.models.shared.domain_compression import DomainCompression
from dpsynth.privacy import Ledger, RandomGenerators
from dpsynth.privacy.mechanisms.discretizer import NAME
from dpsynth.privacy.mechanisms.marginals import misfits
from dpsynth.privacy.replay import audit
from dpsynth.training import Quiet

INFINITE = dpsynth.Budget(math.inf, 1e-5)
SMALL_AIM = AIM(rounds=8, workload=2, round_iterations=30, iterations=60)
METHODS = [Independent(), PrivBayes(), PrivBayes(estimator="ancestral"), MST(), SMALL_AIM]
NAMES = ["independent", "privbayes", "privbayes-ancestral", "mst", "aim"]
CHAIN = DISTRIBUTIONS["chain"]()


def fitted(recipe, table, epsilon=1.0, neighbours="add_remove", seed=0):
    budget = dpsynth.Budget(epsilon, 1e-5, neighbours)
    return recipe.fit(table, budget, RandomGenerators(seed, "seeded"))


def pair(frame, distribution, first, second):
    """(sizes, sizes) fractions of the pairs of values."""
    values = distribution.domain[first].values
    codes = [pd.Categorical(frame[name], categories=values).codes for name in (first, second)]
    counts = np.zeros((len(values), len(values)))
    np.add.at(counts, tuple(codes), 1)
    return counts / counts.sum()


def distance(frame, distribution, first, second):
    return 0.5 * np.abs(pair(frame, distribution, first, second) - distribution.pair(first, second)).sum()


@pytest.mark.parametrize("recipe", METHODS[1:], ids=NAMES[1:])
@pytest.mark.parametrize("epsilon", [10.0, math.inf])
def test_a_known_chain_is_recovered(recipe, epsilon):
    frame = fitted(recipe, CHAIN.sample(20_000, seed=0), epsilon).sample(20_000, seed=0).frame
    for first, second in (("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")):
        assert distance(frame, CHAIN, first, second) < 0.03


def test_the_tree_of_a_chain_is_the_chain():
    fit = fitted(MST(), CHAIN.sample(20_000, seed=0), 10.0)
    assert {tuple(sorted(clique)) for clique in fit.model.cliques} == {(0, 1), (1, 2), (2, 3)}


def test_independent_columns_lose_what_a_tree_keeps():
    table = CHAIN.sample(10_000, seed=1)
    alone, tree = (fitted(recipe, table).sample(10_000, seed=0).frame for recipe in (Independent(), MST()))
    assert distance(alone, CHAIN, "a", "b") > 5 * distance(tree, CHAIN, "a", "b")
    assert np.abs(pair(alone, CHAIN, "a", "b").sum(1) - np.array(CHAIN.start)).max() < 0.02


@pytest.mark.parametrize("recipe", METHODS[1:], ids=NAMES[1:])
def test_dependent_numbers_are_recovered(recipe):
    distribution = DISTRIBUTIONS["gaussian"]()
    table = distribution.sample(20_000, seed=0)
    frame = fitted(recipe.replace(cells=16), table, 10.0).sample(20_000, seed=0).frame
    wanted, found = (f.corr("spearman").to_numpy() for f in (table.frame, frame))
    strongest = np.unravel_index(np.argmax(np.abs(wanted - np.eye(len(wanted)))), wanted.shape)
    assert found[strongest] == pytest.approx(wanted[strongest], abs=0.08)


@pytest.mark.parametrize("recipe", METHODS, ids=NAMES)
@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_the_ledger_total_is_the_budget(recipe, neighbours):
    distribution = DISTRIBUTIONS["mixed"]()
    budget = dpsynth.Budget(1.0, 1e-5, neighbours)
    plan = recipe.plan(distribution.domain, budget)
    assert 0.97 < plan.proven.epsilon <= 1 + 1e-9
    assert NAME in [charge.name for charge in plan.charges]
    assert not any(charge.name == NAME for charge in recipe.plan(CHAIN.domain, budget).charges)  # no numbers
    statement = fitted(recipe, distribution.sample(2000, seed=0), neighbours=neighbours).statement
    assert statement["finished"]
    assert statement["proven"]["epsilon"] <= 1 + 1e-9


def test_aim_spends_its_whole_budget_and_no_more(monkeypatch):
    left = []
    original = Ledger.release

    def release(self, mechanism, *args, **kwargs):
        released = original(self, mechanism, *args, **kwargs)
        if mechanism.name == ROUNDS_NAME:
            budget = self.plan.named(ROUNDS_NAME)
            left.append(self.remaining(budget) / budget.total)
        return released

    monkeypatch.setattr(Ledger, "release", release)
    fitted(SMALL_AIM, CHAIN.sample(2000, seed=0))
    assert left[0] > 0.4
    assert 0 <= left[-1] < 1e-6
    assert left == sorted(left, reverse=True)


@pytest.mark.parametrize("recipe", METHODS, ids=NAMES)
@pytest.mark.parametrize("epsilon", [1.0, math.inf])
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_tables_of_hardly_any_rows(recipe, epsilon, rows):
    table = DISTRIBUTIONS["mixed"]().sample(max(rows, 1), seed=0)
    table = Table(table.frame.head(rows), table.domain)
    assert len(fitted(recipe, table, epsilon).sample(20, seed=0)) == 20


@pytest.mark.parametrize("recipe", METHODS, ids=NAMES)
@pytest.mark.parametrize("column", [Category("x", ("a", "b", "c"), missing=True), Number("x", 0.0, 1.0)])
def test_tables_of_one_column(recipe, column):
    values = ["a", "b", None, "a"] if isinstance(column, Category) else [0.1, 0.2, 0.9, 0.3]
    table = Table(pd.DataFrame({"x": values * 500}), Domain((column,)))
    for epsilon in (1.0, math.inf):
        frame = fitted(recipe, table, epsilon).sample(2000, seed=0).frame
        if isinstance(column, Category):
            assert (frame["x"] == "a").mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("recipe", METHODS, ids=NAMES)
@pytest.mark.parametrize("epsilon", [1.0, pytest.param(math.inf, marks=pytest.mark.slow)])
def test_columns_of_thousands_of_categories(recipe, epsilon):
    """Two of them, each a handful of frequent values and a long tail; no pair of them is ever allocated in full."""
    n, wide = 20_000, 5000
    draw = np.random.default_rng(0)
    names = tuple(f"c{k}" for k in range(wide))
    one = np.where(draw.random(n) < 0.8, draw.integers(0, 3, n), draw.integers(0, wide, n))
    other = np.where(draw.random(n) < 0.8, one, draw.integers(0, wide, n))
    domain = Domain((Category("one", names), Category("other", names), Category("sex", ("f", "m"))), rows=n)
    frame = pd.DataFrame(
        {"one": np.array(names)[one], "other": np.array(names)[other], "sex": np.where(one % 2 == 0, "f", "m")}
    )
    sample = fitted(recipe, Table(frame, domain), epsilon).sample(n, seed=0).frame
    for name in ("one", "other"):
        for value in ("c0", "c1"):
            assert (sample[name] == value).mean() == pytest.approx((frame[name] == value).mean(), abs=0.06)
    if not isinstance(recipe, Independent | PrivBayes):
        least = 0.2 if isinstance(recipe, AIM) else 0.5  # of all rows; a thousand codes squared are beyond its size
        assert (sample["one"] == sample["other"]).mean() > least


NUMBERS = Domain(
    (
        Number("tail", 0.0, 1e6),
        Integer("gain", 0, 10**7),
        Number("rate", 0.0, 100.0, decimals=2, missing=True),
        Integer("code", -(10**6), 10**6),
    )
)


def numbers(n=20_000):
    """A heavy tail, many zeros, a heaped number with missing values, and a sentinel."""
    draw = np.random.default_rng(0)
    gain = np.where(draw.random(n) < 0.8, 0, np.exp(draw.normal(8, 1.5, n))).clip(0, 10**7).astype(int)
    rate = np.where(draw.random(n) < 0.3, 40.0, draw.uniform(0, 100, n).round(2))
    frame = pd.DataFrame({"tail": draw.pareto(1.5, n).clip(0, 1e6), "gain": gain, "rate": rate})
    frame["code"] = np.where(draw.random(n) < 0.1, -77_777, draw.integers(0, 100, n) * 1000)
    frame.loc[draw.random(n) < 0.05, "rate"] = np.nan
    return Table(frame, NUMBERS)


@pytest.mark.parametrize("recipe", METHODS, ids=NAMES)
def test_numbers_are_drawn_as_they_are_distributed(recipe):
    table = numbers()
    frame = fitted(recipe, table).sample(len(table), seed=0).frame
    for name in NUMBERS.names:
        real, drawn = table.frame[name].dropna(), frame[name].dropna()
        assert stats.ks_2samp(real, drawn.astype(float)).statistic < 0.06, name
    for name, value in (("gain", 0), ("rate", 40.0), ("code", -77_777)):
        assert (frame[name] == value).mean() == pytest.approx((table.frame[name] == value).mean(), abs=0.02)
    assert frame["rate"].isna().mean() == pytest.approx(0.05, abs=0.02)
    assert frame["tail"].mean() < 30 * table.frame["tail"].mean()  # no even spread up to the bound


def test_the_seed_of_a_sample_decides_it_across_saving(tmp_path):
    for name, recipe in zip(NAMES, METHODS, strict=True):
        fit = fitted(recipe, DISTRIBUTIONS["mixed"]().sample(3000, seed=0))
        fit.save(tmp_path / name)
        again = dpsynth.load(tmp_path / name)
        pd.testing.assert_frame_equal(again.sample(50, seed=2).frame, fit.sample(50, seed=2).frame)


@pytest.mark.parametrize("recipe", METHODS[1:], ids=NAMES[1:])
def test_conditions_change_what_depends_on_them(recipe):
    fit = fitted(recipe, CHAIN.sample(20_000, seed=0), 10.0)
    frame = fit.sample(4000, seed=0, where={"b": "v2"}).frame
    found = frame["a"].value_counts(normalize=True)
    distribution = CHAIN.pair("a", "b")[:, 2]
    for k, fraction in enumerate(distribution / distribution.sum()):
        assert found.get(f"v{k}", 0.0) == pytest.approx(fraction, abs=0.04)


def test_the_workload_decides_what_aim_looks_at():
    recipe = SMALL_AIM.replace(workload=[["a", "d"]], rounds=4)
    fit = fitted(recipe, CHAIN.sample(10_000, seed=0), 5.0)
    assert set(fit.model.cliques) <= {(0,), (1,), (2,), (3,), (0, 3)}
    with pytest.raises(ConfigError, match="no column 'z'"):
        recipe.replace(workload=[["a", "z"]]).plan(CHAIN.domain, dpsynth.Budget(1, 1e-5))


def test_candidates_and_their_weights():
    cliques = _candidates([(0, 1, 2), (2, 3)], (2, 3, 4, 5))
    assert set(cliques) == {(0,), (1,), (2,), (3,), (0, 1), (0, 2), (1, 2), (0, 1, 2), (2, 3)}
    weights = dict(zip(cliques, _weights(cliques, [(0, 1, 2), (2, 3)]), strict=True))
    assert weights[0, 1, 2] == 3 + 1
    assert weights[2, 3] == 1 + 2
    assert weights[(0,)] == 1
    assert len(_candidates([(0, 1, 2)], (1000, 1000, 1000))) == 6  # a billion cells are left out


@pytest.mark.parametrize(
    ("recipe", "change", "words"),
    [
        (MST(), {"one_way_fraction": 0.97}, "leave something"),
        (PrivBayes(), {"estimator": "magic"}, "model.estimator"),
        (PrivBayes(), {"theta": 0.0}, "theta"),
        (AIM(), {"workload": 0}, "model.workload"),
        (AIM(), {"choice_fraction": 1.0}, "model.choice_fraction"),
        (Independent(), {"summary_fraction": 1.0}, "model.summary_fraction"),
        (Independent(), {"cells": 0}, "model.cells"),
        (Independent(), {"counting": {"engin": "numpy"}}, "engin"),
        (Independent(), {"counting": {"threads": 0}}, "counting.threads=0"),
        (Independent(), {"counting": {"engine": "abacus"}}, "abacus"),
    ],
)
def test_what_cannot_be_is_refused_before_the_data(recipe, change, words):
    with pytest.raises(ConfigError, match=words):
        recipe.replace(**change).plan(CHAIN.domain, dpsynth.Budget(1, 1e-5))


def test_wide_tables_stay_small():
    """60 columns: triples and sets of parents are far too many, so less is looked at; nothing grows without bound."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{k}": draw.integers(0, 4, 300) for k in range(60)})
    table = Table(frame, Domain(tuple(Integer(name, low=0, high=3) for name in frame), rows=300))
    for recipe in (PrivBayes(), MST()):
        assert len(fitted(recipe, table).sample(10, seed=0)) == 10


def binary(columns, rows=40):
    draw = np.random.default_rng(0)
    walk = draw.normal(size=(rows, columns)).cumsum(1)
    frame = pd.DataFrame({f"x{j}": np.where(walk[:, j] > 0, "1", "0") for j in range(columns)})
    return Table(frame, Domain(tuple(Category(name, categories=("0", "1")) for name in frame), rows=rows))


@pytest.mark.parametrize("pairs", [1, 4, 1000])
def test_scores_of_pairs_in_batches_are_those_of_the_model(pairs, monkeypatch):
    """Also of columns of different sizes, and of tables larger than a batch."""
    monkeypatch.setattr("dpsynth.models.marginal.mst.BATCH_PAIRS", pairs)
    monkeypatch.setattr("dpsynth.models.marginal.mst.BATCH_CELLS", 20)
    sizes, draw = (2, 3, 7, 2, 5), np.random.default_rng(1)
    domain = Domain(tuple(Category(f"x{j}", categories=tuple(map(str, range(s)))) for j, s in enumerate(sizes)))
    frame = pd.DataFrame({f"x{j}": draw.integers(0, s, 50).astype(str) for j, s in enumerate(sizes)})
    rows = EncodedRows(Codec(domain), Codec(domain).encode(frame).codes, DomainCompression.none(sizes), Engine())
    ones = [(j,) for j in range(len(sizes))]
    noisy = [counts + draw.normal(0, 3, counts.shape) for counts in rows.counts(ones)]
    model = GraphicalModel.fit(sizes, [Measurement(c, y, 3.0) for c, y in zip(ones, noisy, strict=True)])
    every = list(itertools.combinations(range(len(sizes)), 2))
    expected = model.marginals(every)
    reference = misfits(rows.counts(every), [expected[pair] for pair in every])
    found = _misfits(rows, model.marginals(ones), model.total, Quiet())
    np.testing.assert_allclose(found, reference, rtol=1e-9, atol=1e-9)


def test_a_tree_without_noise_is_a_maximum_spanning_tree():
    """Choices drop the pairs that lie within one part; the sum of scores is that of the simple algorithm."""
    columns, scores = 9, np.random.default_rng(2).random(36)
    choice = MST().plan(binary(columns).domain, INFINITE).method.method.choice
    released = SimpleNamespace(release=lambda mechanism, query, step=None: int(np.argmax(query)))
    pairs = list(itertools.combinations(range(columns), 2))
    found = _spanning_tree(columns, scores, choice, released, Quiet())
    part, best = list(range(columns)), []
    for k in np.argsort(-scores):
        i, j = pairs[k]
        if part[i] != part[j]:
            best.append(pairs[k])
            part = [part[i] if each == part[j] else each for each in part]
    assert found == sorted(best)


def test_progress_of_a_tree_is_stated_without_figures():
    described = []
    listener = SimpleNamespace(
        start=lambda title, first, steps: described.append((title, steps)),
        update=lambda step, figures: described.append((step, figures)),
        stop=lambda: None,
    )
    MST().fit(binary(4), dpsynth.Budget(1, 1e-5), RandomGenerators(0, "seeded"), progress=listener)
    assert described == [("counting pairs", 1), (1, {}), ("choice of pairs", 3), (1, {}), (2, {}), (3, {})]


@pytest.mark.parametrize(("recipe", "columns"), [(AIM(), 400), (AIM(workload=2), 1000), (PrivBayes(), 1000)])
def test_what_would_take_days_is_refused_when_planned(recipe, columns):
    """Before anything of that size is listed: the triples of 1,000 columns take 40 GB."""
    domain = Domain(tuple(Category(f"x{j}", categories=("0", "1")) for j in range(columns)), rows=600)
    begun = time.process_time()
    with pytest.raises(ConfigError, match=r"about [\d,]+ hours of work, more than model.most_hours=24"):
        recipe.plan(domain, dpsynth.Budget(1, 1e-5))
    assert time.process_time() - begun < 10


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
@pytest.mark.parametrize("sizes", [(2, 3, 4), (5,), (2, 2, 3, 7, 4)])
def test_candidates_are_counted_as_they_are_listed(degree, sizes):
    names = [f"x{j}" for j in range(len(sizes))]
    recipe = AIM(workload=degree)
    listed = _candidates(recipe._targets(names), sizes)
    assert recipe._closure(sizes, names) == (len(listed), sum(math.prod(sizes[j] for j in c) for c in listed))


def test_sets_of_parents_are_counted_as_they_are_weighed():
    columns, degree = 7, 2
    weighed = sum(
        (columns - used) * len([c for k in range(degree + 1) for c in itertools.combinations(range(used), k)])
        for used in range(1, columns)
    )
    assert _sets(columns, degree) == weighed


@pytest.mark.parametrize(
    "recipe",
    [
        PrivBayes(estimator="ancestral"),
        PrivBayes(estimator="ancestral", cells=4),
        MST(cells=4),
        SMALL_AIM.replace(cells=4, workload=3),
        Independent(cells=100, summary_fraction=0.5),
    ],
    ids=lambda recipe: f"{type(recipe).__name__}-{recipe.cells}",
)
@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
@pytest.mark.parametrize("rows", [1, 12])
def test_replay_of_what_the_configs_do_not_choose(recipe, neighbours, rows):
    distribution = DISTRIBUTIONS["mixed"]()
    frame = distribution.sample(rows + 1, seed=rows).frame
    other = frame.head(rows)
    if neighbours == "replace_one":
        other = pd.concat([other, distribution.sample(50, seed=7).frame.tail(1)], ignore_index=True)
    plan = recipe.plan_for(Table(frame, distribution.domain), dpsynth.Budget(1.0, 1e-5, neighbours))

    def publish(data, randomness):
        fit = recipe.fit(Table(data, distribution.domain), plan, randomness)
        return fit.config(), fit.tensors(), fit.sample(5, seed=0).frame

    audit(publish, frame, other)
    audit(publish, other, frame)


def test_the_adaptive_budget_is_one_line_of_the_plan():
    plan = AIM().plan(CHAIN.domain, dpsynth.Budget(1, 1e-5))
    assert [charge.name for charge in plan.charges] == [ROUNDS_NAME]


@pytest.mark.parametrize("recipe", METHODS, ids=NAMES)
def test_statements_without_privacy_are_json_all_the_same(recipe):
    fit = fitted(recipe, DISTRIBUTIONS["mixed"]().sample(500, seed=0), math.inf)
    json.dumps(fit.statement, allow_nan=False)
    assert not fit.statement["private"]
