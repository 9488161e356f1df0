"""dpsynth/privacy/ledger.py and mechanism.py: what is refused, and that the noise is what was charged."""

import dataclasses
import itertools
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from dp_accounting import GaussianDpEvent

import dpsynth.privacy
from dpsynth.errors import ArtifactError, BudgetError, ConfigError
from dpsynth.privacy import (
    DPSGD,
    AdaptiveBudget,
    Budget,
    ExponentialMechanism,
    GaussianMechanism,
    GaussianQuery,
    Ledger,
    NoisyMarginals,
    Plan,
    PoissonBatches,
    RandomGenerators,
)
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches
from dpsynth.privacy.mechanisms.class_statistics import ClassHistograms, ClassScatter
from dpsynth.privacy.mechanisms.discovery import PrivateBounds, PrivateCategories, RowCount
from dpsynth.privacy.mechanisms.mean_embedding import MeanEmbedding
from dpsynth.privacy.mechanisms.nearest_votes import NearestVotes
from dpsynth.privacy.mechanisms.votes import Votes
from dpsynth.privacy.noise.integer_noise import CountMechanism
from dpsynth.privacy.noise.random import PrivacyGenerator
from dpsynth.privacy.noise_meter import NoiseMeter

from .mechanism_cases import all_mechanisms, declared_cases

BUDGET = Budget(3.0, 1e-5)
WIDE = {relation: Budget(20_000.0, 0.1, relation) for relation in ("add_remove", "replace_one")}
SGD = DPSGD.sampled("sgd", "add_remove", PoissonBatches(0.1, 10), 2.0, 1.0)
SUM = GaussianQuery(name="sum", neighbours="add_remove", noise_multiplier=20.0, bound=3.0, releases=2)
WORDS = PrivateCategories(name="words", neighbours="add_remove", sigma=40.0, threshold_delta=1e-6)
ROUNDS = AdaptiveBudget(name="rounds", neighbours="add_remove", mu=0.1)
PLAN = Plan(BUDGET, (SGD, SUM, WORDS, ROUNDS), memory_bytes=1 << 20)


def one_of_each(neighbours):
    """Every mechanism of the package, with noise that differs from its sensitivity."""
    common = {"neighbours": neighbours, "releases": 3}
    batches = PoissonBatches(0.25, 3) if neighbours == "add_remove" else FixedSizeBatches(40, 10, 3)
    return [
        GaussianQuery(name="query", noise_multiplier=1.7, bound=0.3, **common),
        DPSGD.sampled("sampled", neighbours, batches, 1.3, 0.6),
        DPSGD(name="whole", noise_multiplier=1.3, clipping_norm=2.5, **common),
        Votes(name="votes", noise_multiplier=2.2, teachers=10, queries=3, width=50, k=7, **common),
        NearestVotes(name="nearest", noise_multiplier=0.9, nearest=2, **common),
        ClassHistograms(name="histograms", noise_multiplier=3.1, bins=4, **common),
        ClassScatter(name="scatter", noise_multiplier=1.2, classes=2, width=3, radius=0.7, **common),
        MeanEmbedding(name="embedding", noise_multiplier=1.6, count_weight=0.2, **common),
        NoisyMarginals(name="marginals", sigma=4.4, marginals=3, **common),
        PrivateBounds(name="bounds", sigma=1.9, edges=(0.0, 1.0, 2.0), **common),
        PrivateCategories(name="words", sigma=3.3, threshold_delta=1e-4, limit=5, **common),
        RowCount(sigma=2.1, **common),
        ExponentialMechanism(name="choice", bound=0.7, epsilon=1.9, **common),
        *(kind(name=kind.__name__, **fields, **common) for kind, (fields, *_) in declared_cases().items()),
    ]


EACH = [*one_of_each("add_remove"), *one_of_each("replace_one")]
TITLES = [f"{each.name}-{each.neighbours}" for each in EACH]


def alone(mechanism, randomness=None):
    return Ledger(Plan(WIDE[mechanism.neighbours], (mechanism,)), randomness or RandomGenerators(5, "seeded"))


def untouched(*_):
    raise AssertionError("the query of a refused release was asked")


def test_every_mechanism_of_the_package_is_tried_here():
    """A new one declares LARGEST_MOVE in its own test: see tests/privacy/mechanism_cases.py."""
    assert all_mechanisms() == {type(each) for each in EACH}


@pytest.mark.parametrize("kind", [*{type(each): 0 for each in EACH}, AdaptiveBudget, PoissonBatches, FixedSizeBatches])
def test_mechanisms_are_frozen_and_compared_by_every_field(kind):
    assert kind.__dataclass_params__.frozen
    assert kind.__eq__ is not object.__eq__
    assert all(field.compare and field.init for field in dataclasses.fields(kind))


# ---- plans ------------------------------------------------------------------------------------------------


def test_a_plan_above_its_budget_cannot_exist():
    with pytest.raises(BudgetError, match="costs epsilon"):
        Plan(Budget(0.1, 1e-5), PLAN.charges)
    with pytest.raises(BudgetError, match="share a name"):
        Plan(BUDGET, (SGD, SGD))
    with pytest.raises(BudgetError, match="share a name"):
        Plan(BUDGET, (SUM, dataclasses.replace(ROUNDS, name="sum")))


def test_a_plan_is_json_with_every_charge():
    written = json.loads(json.dumps(PLAN.to_dict(), allow_nan=False))
    assert [charge["name"] for charge in written["charges"]] == ["sgd", "sum", "words", "rounds"]
    assert written["charges"][2]["delta"] == 1e-6
    assert written["budget"] == BUDGET.to_dict()
    assert written["proven"]["epsilon"] == PLAN.proven.epsilon <= 3
    assert written["memory_bytes"] == 1 << 20


@pytest.mark.parametrize("mechanism", [SGD, SUM, WORDS, ROUNDS], ids=lambda each: each.name)
def test_a_mechanism_for_another_relation_is_refused(mechanism):
    with pytest.raises(BudgetError, match="derived for add_remove"):
        Plan(Budget(3.0, 1e-5, "replace_one"), (mechanism,))


def noiseless(mechanism):
    if isinstance(mechanism, GaussianMechanism):
        return dataclasses.replace(mechanism, noise_multiplier=0.0)
    if isinstance(mechanism, CountMechanism):
        return dataclasses.replace(mechanism, sigma=0.0)
    return dataclasses.replace(mechanism, epsilon=math.inf)


@pytest.mark.parametrize("mechanism", EACH, ids=TITLES)
def test_no_noise_needs_an_infinite_epsilon(mechanism):
    bare = noiseless(mechanism)
    assert bare.noiseless
    with pytest.raises(BudgetError, match="no noise"):
        Plan(WIDE[mechanism.neighbours], (bare,))
    assert Plan(Budget(math.inf, 1e-5, mechanism.neighbours), (bare,)).proven.epsilon == math.inf


@pytest.mark.parametrize("sensitivity", [0.0, -1.0, math.nan, math.inf])
def test_absurd_sensitivities_are_refused(sensitivity):
    for mechanism in (
        dataclasses.replace(SUM, bound=sensitivity),
        ExponentialMechanism(name="e", neighbours="add_remove", bound=sensitivity, epsilon=0.1),
    ):
        with pytest.raises(BudgetError, match="sensitivity"):
            Plan(BUDGET, (mechanism,))


@pytest.mark.parametrize("noise", [-1.0, math.nan, math.inf])
def test_absurd_noise_is_refused(noise):
    with pytest.raises(BudgetError, match="noise"):
        dataclasses.replace(SUM, noise_multiplier=noise)
    with pytest.raises(BudgetError, match="noise"):
        dataclasses.replace(WORDS, sigma=noise)


@pytest.mark.parametrize("releases", [0, -1, 1.5, math.nan, math.inf, True])
def test_the_number_of_releases_is_a_whole_one(releases):
    with pytest.raises(BudgetError, match="number of releases"):
        dataclasses.replace(SUM, releases=releases)


# ---- what the gate lets through ------------------------------------------------------------------------------


def test_a_run_may_do_less_but_never_more():
    ledger = Ledger(PLAN, RandomGenerators())
    batch = lambda rows: torch.zeros(2)  # noqa: E731
    for _ in range(4):
        ledger.release(SGD, batch, rows=8)
    assert not ledger.finished
    for _ in range(6):
        ledger.release(SGD, batch, rows=8)
    for step in (None, 10, 11, -1):
        with pytest.raises(BudgetError, match="more than was planned"):
            ledger.release(SGD, untouched, step, rows=8)


@pytest.mark.parametrize("step", [0.5, 1.0, True, "0"])
def test_a_step_is_a_whole_number(step):
    """Between two whole steps there would be room for any number of releases."""
    ledger = Ledger(PLAN, RandomGenerators())
    before = ledger.state_dict()
    with pytest.raises(BudgetError, match="whole number"):
        ledger.release(SUM, np.zeros(2), step)
    assert ledger.state_dict() == before


def changed(value):
    """Other values that a field might have held."""
    if isinstance(value, str):
        return ["add_remove", "replace_one", "linear", "clip", "topk_stochastic", "elsewhere"]
    if isinstance(value, int):
        return [value + 1, value - 1, 2 * value]
    if isinstance(value, float):
        return [value / 2, 0.999 * value, math.nextafter(value, 0.0), 2 * value]
    if isinstance(value, tuple):
        return [value[:-1], (*value, 9.0)]
    if dataclasses.is_dataclass(value):
        return [
            None,
            *(
                dataclasses.replace(value, **{field.name: other})
                for field in dataclasses.fields(value)
                for other in changed(getattr(value, field.name))
                if field.name != "steps"
            ),
        ]
    return [PoissonBatches(0.5, 3), FixedSizeBatches(10, 2, 3)]


@pytest.mark.parametrize("mechanism", EACH, ids=TITLES)
def test_a_release_that_differs_from_the_plan_in_any_field_is_refused(mechanism):
    ledger = alone(mechanism)
    before = ledger.state_dict()
    for field in dataclasses.fields(mechanism):
        tried = 0
        for value in changed(getattr(mechanism, field.name)):
            if value == getattr(mechanism, field.name):
                continue
            try:
                other = dataclasses.replace(mechanism, **{field.name: value})
            except (BudgetError, ConfigError):
                continue  # makes no mechanism at all
            tried += 1
            with pytest.raises(BudgetError, match=r"not the release that was planned|nothing called"):
                ledger.release(other, untouched, rows=40)
        tied = isinstance(mechanism, DPSGD) and mechanism.sampling and field.name in ("releases", "neighbours")
        assert tried or tied  # batches have a number of steps and a relation of their own
    assert ledger.state_dict() == before


@pytest.mark.parametrize("steps", [1, 9, 11])
def test_other_numbers_of_sampled_steps_are_refused(steps):
    other = DPSGD.sampled("sgd", "add_remove", PoissonBatches(0.1, steps), 2.0, 1.0)
    with pytest.raises(BudgetError, match="not the release that was planned"):
        Ledger(PLAN, RandomGenerators()).release(other, untouched, rows=4)
    with pytest.raises(BudgetError, match="batches"):
        dataclasses.replace(SGD, releases=steps)


@pytest.mark.parametrize("mechanism", EACH, ids=TITLES)
def test_a_mechanism_of_another_class_is_refused(mechanism):
    """Same fields, another draw."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Quiet(type(mechanism)):
        def draw(self, query, noise):
            return query

    fields = {field.name: getattr(mechanism, field.name) for field in dataclasses.fields(mechanism)}
    with pytest.raises(BudgetError, match="not the release that was planned"):
        alone(mechanism).release(Quiet(**fields), untouched, rows=40)


def test_an_unplanned_name_is_refused():
    ledger = Ledger(PLAN, RandomGenerators())
    with pytest.raises(BudgetError, match="nothing called 'other' was planned; the plan holds sgd, sum, words, rounds"):
        ledger.release(dataclasses.replace(SUM, name="other"), untouched)
    with pytest.raises(BudgetError, match="nothing called"):
        ledger.leave_out(dataclasses.replace(SUM, name="other"))


class Watched(PrivacyGenerator):
    """Keeps what is drawn from it."""

    def __init__(self):
        super().__init__(bytes(32), secure=False)
        self.drawn = []

    def keystream(self, name, step=0, purpose="noise"):
        self.drawn.append((name, step, purpose))
        return super().keystream(name, step, purpose)


REFUSED = {
    "unplanned": lambda ledger: ledger.release(dataclasses.replace(SUM, name="other"), untouched),
    "another noise": lambda ledger: ledger.release(dataclasses.replace(SUM, noise_multiplier=19.0), untouched),
    "a repeated step": lambda ledger: ledger.release(SUM, untouched, 0),
    "a step beyond the plan": lambda ledger: ledger.release(SUM, untouched, 2),
    "no number of rows": lambda ledger: ledger.release(SGD, untouched),
    "no function of the batch": lambda ledger: ledger.release(SGD, torch.zeros(2), rows=4),
    "more than the filter holds": lambda ledger: ledger.release(
        GaussianQuery(name="rounds", neighbours="add_remove", noise_multiplier=9.9, bound=1.0), untouched
    ),
    "a repeated step of the filter": lambda ledger: ledger.release(
        GaussianQuery(name="rounds", neighbours="add_remove", noise_multiplier=99.0, bound=1.0), untouched, 0
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_refused_release_draws_nothing_and_spends_nothing(reason):
    stream = Watched()
    ledger = Ledger(PLAN, RandomGenerators(privacy=stream))
    ledger.release(SUM, np.zeros(3), 0)
    ledger.release(
        GaussianQuery(name="rounds", neighbours="add_remove", noise_multiplier=30.0, bound=1.0), np.zeros(3), 0
    )
    before, drawn = ledger.state_dict(), list(stream.drawn)
    with pytest.raises(BudgetError):
        REFUSED[reason](ledger)
    assert ledger.state_dict() == before
    assert stream.drawn == drawn


def test_a_failed_query_is_charged_all_the_same():
    """What was asked once must not be asked again with the same noise."""
    ledger = Ledger(PLAN, RandomGenerators())
    with pytest.raises(AssertionError):
        ledger.release(SGD, untouched, rows=4)
    with pytest.raises(BudgetError, match="made already"):
        ledger.release(SGD, untouched, 0, rows=4)


def test_noise_is_not_reused_by_a_second_ledger_of_the_same_generators():
    randomness = RandomGenerators()
    Ledger(PLAN, randomness).release(SUM, np.zeros(3))
    with pytest.raises(BudgetError, match="made already"):
        Ledger(PLAN, randomness).release(SUM, np.zeros(3))


def test_a_sampled_mechanism_asks_for_the_rows_of_its_batch():
    randomness, asked = RandomGenerators(3, "seeded"), []
    ledger = Ledger(PLAN, randomness)

    def query(rows):
        asked.append(rows)
        return torch.zeros(2)

    for step in (0, 1, 7):
        ledger.release(SGD, query, step, rows=500)
        key = PrivacyGenerator.seeded(3).keystream("sgd", step, "rows")
        np.testing.assert_array_equal(asked[-1], SGD.sampling.indices(key, 500))
        assert asked[-1].dtype == np.int64
    assert not np.array_equal(asked[0], asked[1])


# ---- the noise is what was charged -----------------------------------------------------------------------------


def drawn(mechanism, ledger, size=4000):
    """(releases, size) noise: the releases of a query of zeros."""

    def zeros():
        if isinstance(mechanism, CountMechanism):
            return np.zeros(size, dtype=np.int64)
        return torch.zeros(size, dtype=torch.float64)

    def release(step):
        if isinstance(mechanism, PrivateCategories):  # so many that all of them reach the threshold
            noisy = ledger.release(mechanism, {f"{k:05d}": 10**6 for k in range(size)}, step)
            return np.array([noisy[key] for key in sorted(noisy)]) - 10.0**6
        if mechanism.batches is not None:
            return np.asarray(ledger.release(mechanism, lambda rows: zeros(), step, rows=40))
        return np.asarray(ledger.release(mechanism, zeros(), step))

    return np.stack([release(step) for step in range(mechanism.releases)])


def charged(mechanism):
    """Standard deviation that the event states, in units of the query."""
    event = getattr(mechanism.release_event, "event", mechanism.release_event)
    assert isinstance(event, GaussianDpEvent)
    deviation = event.noise_multiplier * mechanism.sensitivity
    stated = mechanism.sigma if isinstance(mechanism, CountMechanism) else mechanism.deviation
    assert deviation == pytest.approx(stated, rel=1e-12)
    return math.hypot(deviation, math.sqrt(1 / 12) if isinstance(mechanism, CountMechanism) else 0.0)


NOISY = [each for each in EACH if isinstance(each, GaussianMechanism | CountMechanism)]


@pytest.mark.parametrize("mechanism", NOISY, ids=lambda each: f"{each.name}-{each.neighbours}")
def test_the_drawn_noise_has_the_charged_scale_and_is_white(mechanism):
    noise, deviation = drawn(mechanism, alone(mechanism)), charged(mechanism)
    assert noise.std(axis=1) == pytest.approx([deviation] * 3, rel=5 / math.sqrt(2 * noise.shape[1]))
    assert np.abs(noise.mean(axis=1)).max() < 5 * deviation / math.sqrt(noise.shape[1])
    assert np.abs(np.corrcoef(noise) - np.eye(3)).max() < 5 / math.sqrt(noise.shape[1])
    lagged = [np.corrcoef(row[:-1], row[1:])[0, 1] for row in noise]
    assert np.abs(lagged).max() < 5 / math.sqrt(noise.shape[1])


def test_noise_of_different_names_is_independent_under_one_key():
    randomness = RandomGenerators(5, "seeded")
    noises = []
    for mechanism in NOISY[: len(NOISY) // 2]:
        noises.append(drawn(mechanism, alone(mechanism, randomness))[0])
    assert np.abs(np.corrcoef(noises) - np.eye(len(noises))).max() < 5 / math.sqrt(4000)
    for one, other in itertools.combinations(noises, 2):
        assert not np.isclose(one / one.std(), other / other.std()).mean() > 0.3


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
def test_choices_are_as_likely_as_their_charge_says(neighbours):
    """A lead of 2 x sensitivity x log 3 / epsilon makes the leader three times as likely."""
    mechanism = ExponentialMechanism(name="e", neighbours=neighbours, bound=0.7, epsilon=1.9, releases=2000)
    ledger = alone(mechanism)
    scores = np.array([0.0, 2 * 0.7 * math.log(3) / 1.9])
    found = np.mean([ledger.release(mechanism, scores) for _ in range(2000)])
    assert found == pytest.approx(0.75, abs=5 * math.sqrt(0.1875 / 2000))


@pytest.mark.parametrize("mechanism", NOISY, ids=lambda each: f"{each.name}-{each.neighbours}")
def test_the_noise_meter_agrees(mechanism):
    meter = NoiseMeter(1)
    ledger = alone(mechanism, RandomGenerators(1, privacy=meter))
    drawn(mechanism, ledger, 500)
    meter.check(ledger.plan)


# ---- statements and state ----------------------------------------------------------------------------------------


def carried_out(plan=PLAN, randomness=None, but=()):
    ledger = Ledger(plan, randomness or RandomGenerators())
    releases = {
        "sgd": [lambda: ledger.release(SGD, lambda rows: torch.zeros(2), rows=4)] * 10,
        "sum": [lambda: ledger.release(SUM, np.zeros(2))] * 2,
        "words": [lambda: ledger.release(WORDS, {"a": 5})],
        "rounds": [
            lambda: ledger.release(
                GaussianQuery(name="rounds", neighbours="add_remove", noise_multiplier=30.0, bound=1.0), np.zeros(2)
            )
        ],
    }
    for name, calls in releases.items():
        for k, call in enumerate(calls):
            if (name, k) not in but:
                call()
    return ledger


def test_the_statement_says_what_matters_and_is_json():
    statement = json.loads(json.dumps(carried_out().statement()))
    assert statement["private"] is True
    assert statement["finished"] is True
    assert statement["noise"] == "secure"
    assert statement["target"] == {"epsilon": 3.0, "delta": 1e-5}
    assert statement["proven"]["epsilon"] <= 3
    assert statement["neighbours"] == "add_remove"
    assert [charge["name"] for charge in statement["charges"]] == ["sgd", "sum", "words", "rounds"]
    assert "differential privacy for one row" in statement["guarantee"]


@pytest.mark.parametrize("missing", [("sgd", 9), ("sgd", 0), ("sum", 1), ("words", 0), ("rounds", 0)])
def test_nothing_is_stated_before_every_planned_release_was_made_or_left_out(missing):
    """Whichever release is missing; leaving it out, by a public rule, states the guarantee again."""
    name = missing[0]
    ledger = carried_out(but=[missing])
    assert ledger.unmade == (name,)
    statement = ledger.statement()
    assert statement["private"] is False
    assert statement["finished"] is False
    assert statement["guarantee"] == f"not stated: the plan was not carried out; not released: {name}"
    ledger.leave_out(PLAN.named(name))
    assert ledger.finished
    assert ledger.statement()["private"] is True


def test_a_fresh_ledger_states_nothing():
    assert Ledger(PLAN, RandomGenerators()).statement()["private"] is False
    assert Ledger(PLAN, RandomGenerators()).unmade == ("sgd", "sum", "words", "rounds")
    assert Ledger(Plan(BUDGET, ()), RandomGenerators()).statement()["private"] is True  # an empty plan releases nothing


def test_seeded_noise_brands_the_statement():
    statement = carried_out(randomness=RandomGenerators(noise="seeded")).statement()
    assert statement["private"] is False
    assert statement["guarantee"] == "not private: seeded noise"
    assert statement["noise"] == "seeded: not private"


def test_infinite_epsilon_brands_the_statement_and_is_strict_json():
    bare = dataclasses.replace(SUM, noise_multiplier=0.0, bound=math.inf)
    ledger = Ledger(Plan(Budget(math.inf, 1e-5), (bare,)), RandomGenerators())
    value = torch.randn(5)
    for _ in range(2):
        assert torch.equal(ledger.release(bare, value.clone()), value)
    statement = ledger.statement()
    assert statement["private"] is False
    assert statement["guarantee"] == "not private: epsilon is infinite"
    json.dumps(statement, allow_nan=False)
    json.dumps(ledger.plan.to_dict(), allow_nan=False)


def test_a_ledger_continues_from_its_state_under_the_same_plan_only():
    ledger = carried_out(but=[("sgd", 7), ("sgd", 8), ("sgd", 9), ("words", 0)])
    ledger.leave_out(WORDS)
    state = json.loads(json.dumps(ledger.state_dict()))
    again = Ledger(PLAN, RandomGenerators())
    again.load_state_dict(state)
    assert again.state_dict() == ledger.state_dict()
    assert again.unmade == ("sgd",)
    with pytest.raises(BudgetError, match="made already"):
        again.release(SGD, untouched, 3, rows=4)
    for _ in range(3):
        again.release(SGD, lambda rows: torch.zeros(2), rows=4)
    assert again.finished
    with pytest.raises(BudgetError):
        again.release(SGD, untouched, rows=4)
    quieter = dataclasses.replace(SGD, noise_multiplier=2.1)
    for charges in (PLAN.charges[:1], (quieter, *PLAN.charges[1:])):
        with pytest.raises(ArtifactError, match="another privacy plan"):
            Ledger(Plan(BUDGET, charges), RandomGenerators()).load_state_dict(state)


def test_the_package_offers_its_gate():
    assert {"Ledger", "Plan", "Mechanism"} <= set(dpsynth.privacy.__all__)
    assert "PrivacyGenerator" not in dpsynth.privacy.__all__


def test_a_mechanism_that_was_changed_after_the_proof_is_refused():
    ledger, query = Ledger(PLAN, RandomGenerators(0)), dataclasses.replace(SUM)
    own = Ledger(Plan(BUDGET, (query,)), RandomGenerators(0))
    object.__setattr__(query, "noise_multiplier", 1e-3)
    with pytest.raises(BudgetError, match="was changed since it was planned"):
        own.release(query, np.zeros(3))
    assert ledger.release(SUM, np.zeros(3)).any()


def test_a_budget_that_grew_after_the_proof_is_refused():
    rounds = dataclasses.replace(ROUNDS)
    ledger = Ledger(Plan(BUDGET, (rounds,)), RandomGenerators(0))
    object.__setattr__(rounds, "mu", 10.0)
    with pytest.raises(BudgetError, match="was changed since it was planned"):
        ledger.release(NoisyMarginals(name="rounds", neighbours="add_remove", sigma=1.0, marginals=1), np.zeros(3, int))


def test_threads_pass_the_filter_one_at_a_time():
    """Two releases that fit only singly, at once: each must see what the other has spent."""
    ledger = Ledger(Plan(BUDGET, (ROUNDS,)), RandomGenerators(0))

    class Slow(NoisyMarginals):
        def check(self):
            time.sleep(0.05)
            super().check()

    def release(step):
        slow = Slow(name="rounds", neighbours="add_remove", sigma=ROUNDS.counts_sigma(0.6 * ROUNDS.total), marginals=1)
        try:
            ledger.release(slow, np.zeros(3, dtype=np.int64), step)
        except BudgetError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(release, range(2))) == [False, True]
