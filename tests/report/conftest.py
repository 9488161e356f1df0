"""Scores and a privacy statement to report on."""

import pytest

from dpsynth.metrics.framework.metric import Score


@pytest.fixture
def statement():
    """A privacy.json as the ledger writes it, for two marginals and DP-SGD."""
    gaussian = {"kind": "Gaussian", "noise_multiplier": 4.0}
    sampled = {"kind": "PoissonSampled", "sampling_probability": 0.02, "event": gaussian}
    return {
        "private": True,
        "guarantee": "(1, 1e-05)-differential privacy for one row",
        "target": {"epsilon": 1.0, "delta": 1e-05},
        "proven": {"epsilon": 0.99, "delta": 1e-05, "accountant": "PLD", "bounds": {"RDP": 1.08, "PLD": 0.99}},
        "neighbours": "add_remove",
        "unit": "one row",
        "rows_per_person": 1,
        "charges": [
            {
                "name": "marginals",
                "event": {"kind": "SelfComposed", "event": {"kind": "Gaussian", "noise_multiplier": 65.0}, "count": 2},
                "delta": 0.0,
                "detail": {"sigma": 65.0, "marginals": 1},
            },
            {"name": "dp-sgd", "event": {"kind": "SelfComposed", "event": sampled, "count": 2000}, "delta": 0.0},
        ],
        "finished": True,
        "noise": "secure",
        "rows": 30000,
    }


@pytest.fixture
def score():
    """score(name, value, ...): worse than real samples, which score .03, better than independent columns at .2."""

    def make(name="tv_2way", value=0.05, better="lower", **changes):
        facts = {
            "group": "marginals",
            "meaning": "mean of pairs",
            "low": value - 0.01,
            "high": value + 0.01,
            "real_baseline": 0.03,
            "real_baseline_low": 0.02,
            "real_baseline_high": 0.04,
            "baselines": {"uniform": 0.7, "independent": 0.2},
        }
        return Score(name, value, better, **(facts | changes))

    return make


@pytest.fixture
def area(score):
    """area(value): the AUC of a model of the label, .93 for real rows."""

    def make(value=0.9, **changes):
        facts = {
            "real_baseline": 0.93,
            "real_baseline_low": 0.92,
            "real_baseline_high": 0.94,
            "baselines": {"uniform": 0.5, "independent": 0.5},
        }
        facts |= {"group": "utility", "detail": {"label": "income"}}
        return score("boosting_auc", value, "higher", **(facts | changes))

    return make
