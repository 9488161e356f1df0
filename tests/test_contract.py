"""What every method must keep, run for every config in configs/model/: a new file is tested once it is there.

Methods are run small: `SMALL` lowers public settings that only cost time.  A method that is not named there
runs as its config says.
"""

import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path

import hydra
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import dpsynth
from dpsynth.data import Category, Domain, Integer, Number
from dpsynth.data.table.table import Table
from dpsynth.models.contract.registry import build
from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.models.datalens.options import OWN_CHOICES
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.privacy.replay import audit
from dpsynth.testing import check_noise, check_replay, example_rows
from dpsynth.training import Checkpoint

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "model"
MODELS = sorted(
    path.stem
    for path in CONFIGS.glob("*.yaml")
    if "table" in hydra.utils.get_class(OmegaConf.load(path)["_target_"]).modalities
)
SMALL = {
    "maf": {
        "dp_sgd_fraction": 0.5, "hidden": 16, "training": {"steps": 4, "batch_size": 40, "averaging": 0.9},
        "marginals": {"rounds": 4, "workload": 2, "round_iterations": 10, "iterations": 20},
    },
    "datalens": {
        "rounds": 2, "queries": 6, "bins": 4, "teacher": {"count": 6, "at_once": 4, "hidden": 8},
        "student": {"steps": 2, "last_steps": 2, "width": 16}, "published": asdict(replace(OWN_CHOICES, keep=True)),
    },
    "merf": {
        "bins": 8, "embedding": {"frequencies": 40}, "generator": {"hidden": 16},
        "training": {"steps": 4, "batch_size": 16},
    },
    "aim": {"rounds": 4, "workload": 2, "round_iterations": 10, "iterations": 20},
    "dpvi": {"components": 3, "bins": 8, "inference": {"steps": 4, "batch_size": 40}},
    "napsu": {"draws": 2, "iterations": 10, "cells": 8},
    "pe": {
        "evolution": {
            "phases": [{"iterations": 1}, {"iterations": 2, "selection": "rank", "variations": 2, "keep": True}],
        },
        "population": 12, "proposal": {"rows": 200}, "pool": {"variants": 50},
    },
}  # fmt: skip
RELATIONS = ("add_remove", "replace_one")
TARGETS = [("add_remove", 0.3), ("add_remove", 1.0), ("replace_one", 1.0), ("replace_one", 8.0)]
# Relation, and the rows that the domain declares; replace_one makes the number of rows public, so they are declared.
REPLAYED = [("add_remove", 60), ("add_remove", None), ("replace_one", "all")]


def recipe_of(model: str) -> Synthesizer:
    config = OmegaConf.merge(OmegaConf.load(CONFIGS / f"{model}.yaml"), SMALL.get(model, {}))
    return build(OmegaConf.to_container(config), Synthesizer, "model")


def budget_of(neighbours: str = "add_remove", epsilon: float = 1.0) -> dpsynth.Budget:
    return dpsynth.Budget(epsilon, 1e-5, neighbours)


@pytest.fixture(scope="module", params=MODELS)
def recipe(request):
    return recipe_of(request.param)


@pytest.fixture(scope="module")
def fitted(recipe, people):
    return recipe.fit(people, budget_of(), RandomGenerators(0))


@pytest.mark.parametrize(("neighbours", "epsilon"), TARGETS)
def test_a_plan_needs_no_data_and_keeps_to_the_budget(recipe, domain, neighbours, epsilon):
    plan = recipe.plan(domain, budget_of(neighbours, epsilon))
    assert 0.9 * epsilon < plan.proven.epsilon <= epsilon + 1e-9
    assert plan.proven.delta <= 1e-5 * (1 + 1e-9)
    assert plan.memory_bytes > 0
    json.dumps(plan.to_dict())


def test_a_plan_is_public_so_it_is_the_same_twice(recipe, domain):
    assert recipe.plan(domain, budget_of()).to_dict() == recipe.plan(domain, budget_of()).to_dict()


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_a_fit_spends_what_was_planned(recipe, people, neighbours):
    plan = recipe.plan(people.domain, budget_of(neighbours))
    statement = recipe.fit(people, plan).statement
    assert statement["charges"] == plan.to_dict()["charges"]
    assert statement["finished"]
    assert statement["private"]
    assert statement["neighbours"] == neighbours
    json.dumps(statement, allow_nan=False)


def test_samples_are_inside_the_domain_and_its_constraints(fitted, people):
    table = fitted.sample(500, seed=0)
    assert len(table) == 500
    assert Table(table.frame, people.domain, "error").frame.equals(table.frame)
    assert (table.frame["age"] <= table.frame["limit"]).all()
    assert list(table.frame.dtypes) == list(people.frame.dtypes)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_rows_are_possible(fitted, n):
    assert len(fitted.sample(n)) == n


def test_the_seed_decides_the_sample(fitted):
    one, same, other = (fitted.sample(40, seed=seed).frame for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)


CONDITIONS = [
    {"sex": "Female"},
    {"sex": None},
    {"income": ">50K"},
    {"age": 40},
    {"gain": 0.0, "member": True},
]


@pytest.mark.parametrize("where", CONDITIONS, ids=str)
def test_conditions_hold_in_every_row(fitted, where):
    frame = fitted.sample(20, seed=0, where=where).frame
    assert len(frame) == 20
    for name, value in where.items():
        assert frame[name].isna().all() if value is None else (frame[name] == value).all()


def test_conditional_rows_are_distributed_as_those_that_meet_the_condition(recipe, people):
    """Writing the wanted value over a column would meet the condition, and break what the others have to do with it."""
    fitted = recipe.fit(people, dpsynth.Budget(1000.0, 1e-5), RandomGenerators(0))
    drawn = fitted.sample(6000, seed=1).frame
    values = drawn["income"].value_counts()
    value = values.index[-1] if values.iloc[-1] >= 300 else values.index[0]
    filtered = drawn[drawn["income"] == value]
    wanted = fitted.sample(2000, seed=2, where={"income": value}).frame
    for name in ("sex", "member", "age", "gain"):
        one, two = (frame[name] for frame in (filtered, wanted))
        if one.dtype.kind in "if":
            middle = drawn[name].median()
            one, two = one > middle, two > middle
        kinds = sorted(set(one.dropna().astype(str)))[:4]
        for kind in kinds:
            p, q = (float((each.astype(str) == kind).mean()) for each in (one, two))
            noise = np.sqrt(0.25 * (1 / len(one) + 1 / len(two)))
            assert abs(p - q) < 5 * noise, f"{name} {kind}: {p:.3f} of those filtered, {q:.3f} of those asked for"


def test_saved_and_loaded_is_the_same_model(fitted, tmp_path):
    fitted.save(tmp_path / "release")
    again = dpsynth.load(tmp_path / "release")
    assert type(again) is type(fitted)
    assert again.statement == fitted.statement
    pd.testing.assert_frame_equal(again.sample(60, seed=3).frame, fitted.sample(60, seed=3).frame)


def test_seeded_fits_repeat_and_secure_fits_do_not(recipe, people):
    def learned(noise):
        tensors = recipe.fit(people, budget_of(), RandomGenerators(1, noise)).tensors()
        return {name: tensor.clone() for name, tensor in tensors.items()}

    first, again = learned("seeded"), learned("seeded")
    assert all(first[name].equal(again[name]) for name in first)
    first, again = learned("secure"), learned("secure")
    assert first.keys() != again.keys() or not all(first[name].equal(again[name]) for name in first)


def test_a_resumed_fit_is_the_uninterrupted_one(recipe, people, tmp_path):
    first = recipe.fit(people, budget_of(), checkpoint=Checkpoint(tmp_path)).tensors()
    again = recipe.fit(people, budget_of(), checkpoint=Checkpoint(tmp_path)).tensors()
    assert all(first[name].equal(again[name]) for name in first)


def test_infinite_epsilon_runs_and_says_so(recipe, people):
    fitted = recipe.fit(people, budget_of(epsilon=math.inf))
    assert fitted.statement["guarantee"] == "not private: epsilon is infinite"
    assert len(fitted.sample(30, seed=0)) == 30


def test_no_row_and_no_exact_count_is_in_the_files(recipe, canaries, tmp_path):
    """B32: planted values that nothing public names must not be found, however they are written. A noisy number may
    come out as the exact one, but not every time."""
    code = int(canaries.frame["code"].iloc[0])
    traces = [b"canary", str(code).encode()]
    traces += [np.array([code]).astype(kind).tobytes() for kind in ("<i4", "<i8", "<f4", "<f8")]

    def counted(turn: int) -> bool:
        folder = tmp_path / f"release-{turn}"
        recipe.fit(Table(canaries.frame.head(9_876), canaries.domain), budget_of()).save(folder)
        content = b"".join(path.read_bytes() for path in folder.iterdir())
        for trace in traces:
            assert trace not in content, trace
        return re.search(rb"(?<!\d)9876(?!\d)", content) is not None

    assert not all(counted(turn) for turn in range(4))


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_open_bounds_and_categories_are_private_within_the_budget(recipe, people, neighbours):
    columns = [column for column in people.domain if column.name not in ("gain", "sex")]
    columns += [Number("gain"), Category("sex", missing=True)]
    table = Table(people.frame, Domain(tuple(columns)))
    fitted = recipe.fit(table, budget_of(neighbours, 4.0))
    assert fitted.statement["finished"]
    assert fitted.statement["proven"]["epsilon"] <= 4
    assert not fitted.domain.undeclared
    assert len(fitted.sample(20)) == 20


@pytest.mark.parametrize("neighbours", RELATIONS)
def test_what_is_drawn_is_what_is_charged(recipe, neighbours):
    check_noise(recipe, example_rows(60), budget_of(neighbours))


@pytest.mark.parametrize("epsilon", [1.0, 100.0])
@pytest.mark.parametrize("neighbours", RELATIONS)
def test_replay_without_the_first_the_middle_and_the_last_row(recipe, neighbours, epsilon):
    check_replay(recipe, example_rows(60), budget_of(neighbours, epsilon))


NARROW = Domain(
    (
        Category("kind", categories=("a", "b", "never"), missing=True),
        Integer("size", low=0, high=40, point_masses=(0,), missing=True),
        Category("label", categories=("no", "yes"), label=True),
    ),
    rows=60,
)
RAW = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["a", "b", "never", None, "unheard of"]),
        "size": st.sampled_from([0, 1, 40, -(10**9), 10**18, math.nan, math.inf, -math.inf, 3.7]),
        "label": st.sampled_from(["no", "yes"]),
    }
)

# Few sizes, because every number of rows that is public has a plan of its own.
RAW_ROWS = st.sampled_from([0, 1, 3, 12]).flatmap(lambda n: st.lists(RAW, min_size=n, max_size=n))


def narrow(records: list[dict]) -> Table:
    return Table(pd.DataFrame(records, columns=list(NARROW.names), dtype=object), NARROW, unreadable="missing")


@pytest.mark.parametrize(("neighbours", "rows"), REPLAYED)
@given(base=RAW_ROWS, extra=RAW, other=RAW)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_replay_on_a_neighbouring_table(recipe, neighbours, rows, base, extra, other):
    """Same control flow, every query within its sensitivity, bit-identical post-processing."""
    first = [*base, extra]
    second = base if neighbours == "add_remove" else [*base, other]
    if neighbours == "replace_one":
        rows = len(first)
    domain = Domain(NARROW.columns, rows=rows)
    plan = recipe.plan(domain, budget_of(neighbours))

    def publish(table, randomness):
        fitted = recipe.fit(table, plan, randomness)
        return fitted.config(), fitted.tensors(), fitted.sample(5, seed=0).frame, json.dumps(fitted.statement)

    audit(publish, narrow(first).redeclare(domain), narrow(second).redeclare(domain))
    if neighbours == "add_remove":  # and the other way round: a row that comes
        audit(publish, narrow(second).redeclare(domain), narrow(first).redeclare(domain))
