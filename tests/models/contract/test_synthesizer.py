"""The contract's shared half, on the model of docs/adding_a_model.md."""

import math
from dataclasses import replace

import pandas as pd
import pytest

import dpsynth
from dpsynth.data import Integer
from dpsynth.errors import BudgetError, ConfigError
from dpsynth.models.contract.synthesizer import BudgetFractions
from dpsynth.privacy.noise.random import RandomGenerators
from dpsynth.training import Checkpoint

BUDGET = dpsynth.Budget(1.0, 1e-5)


@pytest.fixture(scope="module")
def fitted(example, people):
    return example.Example().fit(people, BUDGET)


def test_a_plan_needs_no_data_and_stays_within_the_budget(example, domain):
    plan = example.Example().plan(domain, BUDGET)
    assert 0.9 < plan.proven.epsilon <= 1.0
    assert plan.proven.delta <= 1e-5
    assert plan.settings["model"] == "Example"


def test_fit_accepts_a_budget_or_a_plan_and_nothing_else(example, people):
    recipe = example.Example()
    for given in (BUDGET, recipe.plan(people.domain, BUDGET)):
        assert recipe.fit(people, given).statement["proven"]["epsilon"] <= 1
    with pytest.raises(ConfigError, match="Budget"):
        recipe.fit(people, 1.0)


def test_a_plan_for_another_public_number_of_rows_is_refused(example, people):
    """Under replace_one sampling rates follow from the exact number, so a plan for a rough one would prove too much."""
    recipe, budget = example.Example(), dpsynth.Budget(1.0, 1e-5, "replace_one")
    for rows in (399, 401, None):
        with pytest.raises(ConfigError, match="number of rows public"):
            recipe.fit(people, recipe.plan(replace(people.domain, rows=rows), budget))
    assert recipe.fit(people, recipe.plan_for(people, budget)).statement["finished"]


def test_the_statement_says_what_was_spent(fitted):
    statement = fitted.statement
    assert statement["private"]
    assert statement["finished"]
    assert statement["neighbours"] == "add_remove"
    assert [charge["name"] for charge in statement["charges"]] == ["histograms"]
    assert statement["rows"] == fitted.rows == 400


def test_one_set_of_generators_serves_one_fit(example, people):
    randomness = RandomGenerators(0)
    example.Example().fit(people, BUDGET, randomness)
    with pytest.raises(BudgetError, match="noise must not be reused"):
        example.Example().fit(people, BUDGET, randomness)


def test_two_fits_have_noise_of_their_own_unless_it_is_seeded(example, people):
    fits = [example.Example().fit(people, BUDGET, randomness) for randomness in (None, None)]
    assert not fits[0].counts.equal(fits[1].counts)
    seeded = [example.Example().fit(people, BUDGET, RandomGenerators(5, "seeded")) for _ in range(2)]
    assert seeded[0].counts.equal(seeded[1].counts)
    assert "not private" in seeded[0].statement["guarantee"]


def test_infinite_epsilon_runs_without_noise_and_says_so(example, people):
    fitted = example.Example().fit(people, dpsynth.Budget(math.inf, 1e-5))
    assert fitted.counts.sum().item() == len(people) * len(people.domain)
    assert "not private" in fitted.statement["guarantee"]
    assert not fitted.statement["private"]


def test_a_resumed_fit_makes_the_same_releases(example, people, tmp_path):
    fits = [example.Example().fit(people, BUDGET, checkpoint=Checkpoint(tmp_path)) for _ in range(2)]
    assert fits[0].counts.equal(fits[1].counts)


def test_samples_stay_inside_the_domain_and_its_constraints(fitted, people):
    table = fitted.sample(2000, seed=1)
    assert len(table) == 2000
    assert table.invalid == {}
    assert (table.frame["age"] <= table.frame["limit"]).all()
    assert list(table.frame.dtypes) == list(people.frame.dtypes)


def test_the_seed_decides_the_sample(fitted):
    first, again, other, fresh = (fitted.sample(50, seed=seed).frame for seed in (1, 1, 2, None))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    assert not first.equals(fresh)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_any_number_of_rows(fitted, n):
    assert len(fitted.sample(n)) == n
    assert len(fitted.sample(n, where={"sex": "Male"})) == n


def test_without_n_the_declared_number_of_rows_is_drawn(fitted):
    assert len(fitted.sample()) == 400


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("sex", "Female", "Female"),
        ("sex", None, None),
        ("age", 42, 42),
        ("age", "42", 42),
        ("gain", 0, 0.0),
        ("member", "yes", True),
        ("joined", "2001-02-03", pd.Timestamp("2001-02-03")),
    ],
)
def test_where_fixes_values_given_in_any_spelling(fitted, column, value, expected):
    frame = fitted.sample(30, seed=0, where={column: value}).frame
    assert frame[column].isna().all() if expected is None else (frame[column] == expected).all()


def test_where_holds_together_with_the_constraints(fitted):
    frame = fitted.sample(200, seed=0, where={"age": 90}).frame
    assert (frame["limit"] >= 90).all()
    frame = fitted.sample(200, seed=0, where={"age": 90, "limit": 90}).frame
    assert (frame["age"] == 90).all()
    with pytest.raises(ConfigError, match="no rows found that keep the conditions and the constraints"):
        fitted.sample(5, where={"age": 90, "limit": 17})


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"height": 1}, "no column 'height'; the columns are sex, age"),
        ({"sex": "Other"}, "'Other' is outside the domain of column 'sex'.*Female, Male"),
        ({"age": 16}, "outside the domain of column 'age'.*17 to 90"),
        ({"age": "old"}, "outside the domain of column 'age'"),
        ({"age": None}, "outside the domain of column 'age'"),
        ({"gain": math.nan}, "outside the domain of column 'gain'"),
        ({"income": "50K"}, "outside the domain of column 'income'"),
    ],
)
def test_impossible_conditions_name_the_column_and_its_domain(fitted, where, message):
    with pytest.raises(ConfigError, match=message):
        fitted.sample(5, where=where)


@pytest.mark.parametrize("bad", [{"n": -1}, {"n": 1.5}, {"n": True}, {"seed": -1}, {"seed": "x"}])
def test_impossible_numbers_are_refused(fitted, bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        fitted.sample(**{"n": 1, **bad})


def test_sampling_costs_nothing_and_leaves_the_model_alone(fitted):
    before = (fitted.counts.clone(), dict(fitted.statement))
    fitted.sample(100)
    assert fitted.counts.equal(before[0])
    assert fitted.statement == before[1]


def test_recipes_are_public_facts_only(example):
    recipe = example.Example()
    with pytest.raises(AttributeError):
        recipe.bins = 3
    assert recipe.replace(bins=3).bins == 3


@pytest.mark.parametrize("fractions", [{"count": 0.0}, {"discovery": 1.0}, {"count": 0.5, "discovery": 0.5}])
def test_fractions_must_leave_something_for_the_method(fractions):
    with pytest.raises(ConfigError, match="_fraction"):
        BudgetFractions(**fractions)


def test_the_unit_of_the_budget_and_how_the_table_was_bounded_belong_together(example):
    frame = pd.DataFrame({"n": range(60), "who": [k // 3 for k in range(60)]})
    table = dpsynth.Table(frame, dpsynth.Domain((Integer("n", 0, 59),), rows=60), person="who")
    bounded = table.bound_contributions("who", 2, bytes(32))
    recipe = example.Example()
    for given in (bounded, bounded.head(30), bounded.redeclare(bounded.domain), bounded.split(0.3, bytes(32))[0]):
        for most in (2, 3):
            statement = recipe.fit(given, replace(BUDGET, rows_per_person=most)).statement
            assert statement["unit"] == f"one person (at most {most} rows)"
            assert "at most 2 rows of each person" in statement["covers"]
        with pytest.raises(ConfigError, match="up to 2 rows of a person"):
            recipe.fit(given, replace(BUDGET, rows_per_person=1))
        with pytest.raises(ConfigError, match=r"Budget\(rows_per_person=2\)"):
            recipe.fit(given, BUDGET)
        with pytest.raises(ConfigError, match="neighbours='add_remove'"):
            recipe.fit(given, replace(BUDGET, rows_per_person=2, neighbours="replace_one"))
    for most in (1, 2):
        with pytest.raises(ConfigError, match="bound_contributions"):
            recipe.fit(table, replace(BUDGET, rows_per_person=most))
    assert recipe.fit(table, BUDGET).statement["covers"] == "every row of the data, all used in training"
