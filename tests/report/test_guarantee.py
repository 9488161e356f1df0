import math

import pytest

from dpsynth.report.guarantee import plain, promises, releases


def test_every_fact_is_told_in_words(statement):
    told = dict(promises(statement))
    assert told["Epsilon"] == "1 allowed, 0.99 proven"
    assert told["Delta"] == "1e-05 allowed, 1e-05 proven"
    assert "one row more or less" in told["Neighbouring tables"]
    assert told["What is protected"] == "one row"
    assert "PLD" in told["Proven by"]
    assert "RDP proves 1.08" in told["Proven by"]
    assert "cryptographic" in told["Noise"]
    assert f"{math.exp(0.99):.3g} times" in told["In other words"]
    assert not any("{" in words for words in told.values())


def test_releases_say_mechanism_noise_times_and_rows(statement):
    marginals, sgd = releases(statement)
    assert (marginals.mechanism, marginals.times, marginals.rows) == ("discrete Gaussian noise on counts", "2", "all")
    assert "65" in marginals.noise
    assert (sgd.name, sgd.times, sgd.rows) == ("dp-sgd", "2,000", "each with probability 0.02")
    assert sgd.noise.startswith("4 times")


def test_nested_counts_multiply_and_unlike_parts_have_lines_of_their_own(statement):
    parts = [
        {"kind": "SelfComposed", "count": 3, "event": {"kind": "Exponential", "epsilon": 0.1}},
        {"kind": "Laplace", "noise_multiplier": 2.0},
        {"kind": "NoOp"},
    ]
    event = {"kind": "SelfComposed", "count": 5, "event": {"kind": "Composed", "events": parts}}
    found = releases({"charges": [{"name": "choice", "event": event, "delta": 1e-7}]})
    assert [(each.mechanism, each.times) for each in found] == [
        ("exponential mechanism (a noisy choice)", "15"),
        ("Laplace noise", "5"),
    ]
    assert all("1e-07 of its own" in each.noise for each in found)


def test_without_a_promise_no_odds_are_told(statement):
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
