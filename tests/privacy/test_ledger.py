"""dpsynth/privacy/ledger.py"""

import json
import math

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent, ZCDpEvent

from dpsynth.errors import ArtifactError, BudgetError
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.ledger import Charge, Ledger, Plan
from dpsynth.privacy.random import Streams

STEP = PoissonSampledDpEvent(0.1, GaussianDpEvent(2.0))
BUDGET = Budget(3, 1e-5)
PLAN = Plan(
    BUDGET,
    (
        Charge("sgd", SelfComposedDpEvent(STEP, 10), detail={"clip": 1.0}),
        Charge("purse", ZCDpEvent(0.01)),
        Charge("categories", GaussianDpEvent(40.0), delta=1e-6),
    ),
    {"steps": 10},
    memory_bytes=1 << 20,
)


def test_a_plan_above_its_budget_cannot_exist():
    with pytest.raises(BudgetError, match="costs epsilon"):
        Plan(Budget(0.1, 1e-5), PLAN.charges)
    with pytest.raises(BudgetError, match="share a name"):
        Plan(BUDGET, (PLAN.charges[0], PLAN.charges[0]))


def test_a_plan_survives_json():
    again = Plan.from_dict(json.loads(json.dumps(PLAN.to_dict())))
    assert again == PLAN
    assert again.proven == PLAN.proven


def test_a_run_may_do_less_but_never_more():
    ledger = Ledger(PLAN)
    for _ in range(4):
        ledger.spend("sgd", STEP)
    assert not ledger.finished
    ledger.spend("sgd", STEP, 6)
    with pytest.raises(BudgetError, match="more than was planned"):
        ledger.spend("sgd", STEP)


def test_the_whole_charge_may_be_spent_at_once():
    ledger = Ledger(PLAN)
    ledger.spend("sgd", PLAN.charges[0].event)
    with pytest.raises(BudgetError):
        ledger.spend("sgd", STEP)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("other", STEP),
        ("sgd", PoissonSampledDpEvent(0.1, GaussianDpEvent(1.0))),
        ("sgd", PoissonSampledDpEvent(0.2, GaussianDpEvent(2.0))),
        ("sgd", GaussianDpEvent(2.0)),
        ("sgd", SelfComposedDpEvent(STEP, 11)),
        ("purse", STEP),
    ],
)
def test_what_was_not_planned_is_refused(name, event):
    with pytest.raises(BudgetError):
        Ledger(PLAN).spend(name, event)


def test_a_purse_of_zcdp_is_split_freely():
    ledger = Ledger(PLAN)
    ledger.spend("purse", GaussianDpEvent(10.0))  # rho .005
    ledger.spend("purse", ZCDpEvent(0.005))
    with pytest.raises(BudgetError):
        ledger.spend("purse", GaussianDpEvent(1000.0))


def test_a_refused_spend_changes_nothing():
    ledger = Ledger(PLAN)
    with pytest.raises(BudgetError):
        ledger.spend("sgd", STEP, 11)
    ledger.spend("sgd", STEP, 10)


def test_the_statement_says_what_matters_and_is_json():
    statement = json.loads(json.dumps(Ledger(PLAN).statement(Streams())))
    assert statement["private"] is True
    assert statement["noise"] == "secure"
    assert statement["target"] == {"epsilon": 3.0, "delta": 1e-5}
    assert statement["proven"]["epsilon"] <= 3
    assert statement["neighbours"] == "add_remove"
    assert [charge["name"] for charge in statement["charges"]] == ["sgd", "purse", "categories"]


def test_seeded_noise_brands_the_statement():
    statement = Ledger(PLAN).statement(Streams(noise="seeded"))
    assert statement["private"] is False
    assert statement["guarantee"] == statement["guarantee"].strip() == "not private: seeded noise"
    assert statement["noise"] == "seeded: not private"


def test_infinite_epsilon_brands_the_statement_and_is_strict_json():
    plan = Plan(Budget(math.inf, 1e-5), (Charge("sgd", GaussianDpEvent(0.0)),))
    statement = Ledger(plan).statement(Streams().under(plan.budget))
    assert statement["guarantee"] == "not private: epsilon is infinite"
    json.dumps(statement, allow_nan=False)
    assert Plan.from_dict(plan.to_dict()) == plan


def test_streams_that_may_skip_noise_need_an_infinite_budget():
    with pytest.raises(BudgetError):
        Ledger(PLAN).statement(Streams(infinite=True))


def test_a_ledger_continues_from_its_state_under_the_same_plan_only():
    ledger = Ledger(PLAN)
    ledger.spend("sgd", STEP, 7)
    again = Ledger.from_state(json.loads(json.dumps(ledger.state())), PLAN)
    again.spend("sgd", STEP, 3)
    with pytest.raises(BudgetError):
        again.spend("sgd", STEP)
    with pytest.raises(ArtifactError):
        Ledger.from_state(ledger.state(), Plan(BUDGET, PLAN.charges[:1]))
