import json
import math

import pytest

from dpsynth.privacy import (
    DPSGD,
    AdaptiveBudget,
    Budget,
    ExponentialMechanism,
    GaussianQuery,
    Ledger,
    NoisyMarginals,
    Plan,
    PoissonBatches,
    RandomGenerators,
)
from dpsynth.privacy.noise.exponential import choice_epsilon
from dpsynth.report.guarantee import plain, promises, releases


def test_every_fact_is_stated_in_words(statement):
    described = dict(promises(statement))
    assert described["Epsilon"] == "1 allowed, 0.99 proven"
    assert described["Delta"] == "1e-05 allowed, 1e-05 proven"
    assert "one row more or less" in described["Neighbouring tables"]
    assert described["What is protected"] == "one row"
    assert "PLD" in described["Proven by"]
    assert "RDP proves 1.08" in described["Proven by"]
    assert "cryptographic" in described["Noise"]
    assert f"{math.exp(0.99):.3g} times" in described["In other words"]
    assert not any("{" in words for words in described.values())


def test_releases_say_mechanism_noise_times_and_rows(statement):
    marginals, sgd = releases(statement)
    assert (marginals.mechanism, marginals.times, marginals.rows) == ("rounded Gaussian noise on counts", "2", "all")
    assert "65" in marginals.noise
    assert (sgd.name, sgd.times, sgd.rows) == ("dp-sgd", "2,000", "each with probability 0.02")
    assert sgd.noise.startswith("4 times")


def test_nested_counts_multiply_and_unlike_parts_have_lines_of_their_own(statement):
    parts = [
        {"kind": "SelfComposed", "count": 3, "event": {"kind": "Gaussian", "noise_multiplier": 0.1}},
        {"kind": "DiscreteLaplace", "noise_parameter": 2.0, "sensitivity": 1},
        {"kind": "NoOp"},
    ]
    event = {"kind": "SelfComposed", "count": 5, "event": {"kind": "Composed", "events": parts}}
    found = releases({"charges": [{"name": "choice", "event": event, "delta": 1e-7}]})
    assert [(each.mechanism, each.times) for each in found] == [
        ("Gaussian noise", "15"),
        ("discrete Laplace noise on counts", "5"),
    ]
    assert all("1e-07 of its own" in each.noise for each in found)


@pytest.mark.parametrize("epsilon", [1.0, math.inf])
def test_every_mechanism_of_a_ledger_has_words(epsilon):
    """What the accountant charges as Gaussian alike is told apart: counts, sums, choices, and an adaptive budget."""
    budget = Budget(epsilon, 1e-5)
    noise = 0.0 if math.isinf(epsilon) else 40.0
    names = {"neighbours": budget.neighbours}
    plan = Plan(
        budget,
        (
            NoisyMarginals(name="counts", sigma=noise, marginals=2, **names),
            GaussianQuery(name="sums", noise_multiplier=noise, bound=3.0, **names),
            ExponentialMechanism(name="choices", epsilon=choice_epsilon(noise), bound=1.0, releases=3, **names),
            AdaptiveBudget(name="rounds", mu=1 / noise if noise else math.inf, **names),
            DPSGD.sampled("sgd", budget.neighbours, PoissonBatches(0.01, 20), noise, 1.0 if noise else math.inf),
        ),
    )
    statement = Ledger(plan, RandomGenerators()).statement()
    described = {each.name: each for each in releases(json.loads(json.dumps(statement, allow_nan=False)))}
    assert [described[name].times for name in ("counts", "sums", "choices", "rounds", "sgd")] == [
        "1",
        "1",
        "3",
        "1",
        "20",
    ]
    if noise:
        words = {name: (each.mechanism, each.noise) for name, each in described.items()}
        assert words["counts"] == ("rounded Gaussian noise on counts", "standard deviation 40 rows")
        assert words["sums"] == words["sgd"] == ("Gaussian noise", "40 times what one row can change")
        assert words["choices"][0] == "exponential mechanism (a noisy choice)"
        assert words["choices"][1] == f"epsilon {choice_epsilon(noise):.4g} for each choice"
        assert words["rounds"] == ("several releases within a budget of Gaussian DP", "mu 0.025 in all")
    else:
        assert described["choices"].mechanism == described["rounds"].mechanism == "no noise: not private"
    assert described["sgd"].rows == "each with probability 0.01"


def test_without_a_promise_no_odds_are_stated(statement):
    assert "In other words" not in dict(promises({**statement, "private": False}))
    endless = {**statement, "private": False, "proven": {"epsilon": "inf", "delta": 1e-5, "accountant": "PLD"}}
    assert dict(promises(endless))["Epsilon"] == "1 allowed, inf proven"


@pytest.mark.parametrize("epsilon", [0.01, 6.0, 12.0, 400.0])
def test_any_epsilon_has_words(statement, epsilon):
    words = dict(promises({**statement, "proven": {"epsilon": epsilon, "delta": 1e-5}}))["In other words"]
    assert ("says little" in words) == (epsilon > 10)


@pytest.mark.parametrize(
    "odd", [{}, {"charges": [{}]}, {"charges": [{"event": {"kind": "New", "x": 1}}]}, {"more": [1]}]
)
def test_statements_of_other_versions_are_shown_as_they_are(odd):
    assert promises(odd)
    for release in releases(odd):
        assert release.mechanism


def test_values_are_plain_text():
    assert plain({"a_b": [1, 0.25], "c": None, "d": True}) == "a b 1, 0.25, c none, d yes"
