"""dpsynth/privacy/discovery.py, bounds.py, categories.py, counts.py and shares.py"""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from dp_accounting import GaussianDpEvent, SelfComposedDpEvent
from dpsynth.privacy.shares import share_noise
from scipy.stats import norm

from dpsynth.data.columns import Category, Date, Integer, Number
from dpsynth.data.domain import Domain
from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting import prove
from dpsynth.privacy.bounds import PrivateBounds, dyadic_edges
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.categories import PrivateCategories
from dpsynth.privacy.counts import count_charge, noisy_rows
from dpsynth.privacy.discovery import complete, discovery_charges
from dpsynth.privacy.ledger import Charge, Ledger, Plan
from dpsynth.privacy.random import PrivacyStream, Streams
from dpsynth.privacy.replay import AuditError, audit

ADD, REPLACE = Budget(5, 1e-5), Budget(5, 1e-5, "replace_one")
INFINITE = Budget(math.inf, 1e-5)


def ledger_for(budget, *charges):
    return Ledger(Plan(budget, charges))


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_shares_add_up(share):
    """Releases at share s and 1 - s together cost what one release of the whole costs."""
    parts = [share_noise(ADD, share, 3)] * 3 + [share_noise(ADD, 1 - share)]
    charges = [Charge(str(i), GaussianDpEvent(z)) for i, z in enumerate(parts)]
    assert prove(charges, ADD).epsilon == pytest.approx(5, rel=1e-3)
    with pytest.raises(BudgetError):
        share_noise(ADD, 1.0)


def test_rows_are_counted_with_noise_or_for_free():
    charge = count_charge(ADD, 0.01)
    counts = [noisy_rows(1000, charge, ledger_for(ADD, charge), PrivacyStream.seeded(k)) for k in range(300)]
    sigma = charge.detail["sigma"]
    assert np.mean(counts) == pytest.approx(1000, abs=5 * sigma / math.sqrt(300))
    assert np.std(counts) == pytest.approx(sigma, rel=0.2)
    assert noisy_rows(0, charge, ledger_for(ADD, charge), PrivacyStream.seeded(1)) >= 1
    assert count_charge(REPLACE, 0.01) is None
    assert noisy_rows(1000, None, ledger_for(REPLACE), PrivacyStream.fresh()) == 1000


def test_bounds_cover_the_bulk_and_only_it():
    mechanism = PrivateBounds("b", ADD, 5.0, tuple(dyadic_edges()))
    values = np.concatenate([np.random.default_rng(0).uniform(3, 900, 5000), [np.nan, np.inf, 1e12]])
    low, high = mechanism.run(values, ledger_for(ADD, mechanism.charge()), PrivacyStream.fresh())
    assert low <= 16
    assert 512 < high <= 1024


def test_bounds_of_nothing_are_still_bounds():
    mechanism = PrivateBounds("b", ADD, 5.0, tuple(dyadic_edges()))
    low, high = mechanism.run(np.array([np.nan]), ledger_for(ADD, mechanism.charge()), PrivacyStream.fresh())
    assert low < high


@pytest.mark.parametrize("delta", [0.05, 0.01])
def test_a_singleton_is_rarely_released(delta):
    mechanism = PrivateCategories("c", Budget(20, 0.1), 3.0, delta)
    rounds = 2000
    released = 0
    for k in range(rounds):
        ledger = ledger_for(Budget(20, 0.1), mechanism.charge())
        released += len(mechanism.run(["rare"], ledger, PrivacyStream.seeded(k)))
    assert released / rounds <= delta + 4 * math.sqrt(delta / rounds)


def test_threshold_bounds_the_tail_of_the_discrete_gaussian():
    for sigma in (0.5, 3.0, 40.0):
        for delta in (1e-2, 1e-5, 1e-9):
            threshold = PrivateCategories("c", ADD, sigma, delta).threshold
            support = np.arange(-int(40 * sigma) - 40, int(40 * sigma) + 41)
            weights = np.exp(-(support**2) / (2 * sigma**2))
            tail = weights[support >= threshold - 1].sum() / weights.sum()
            assert tail <= delta
            assert norm.sf((threshold - 2) / sigma) <= delta


def test_frequent_values_are_found_and_capped():
    values = ["a"] * 500 + ["b"] * 300 + [None] * 50 + [f"rare {k}" for k in range(200)]
    mechanism = PrivateCategories("c", ADD, 5.0, 1e-6)
    assert mechanism.run(values, ledger_for(ADD, mechanism.charge()), PrivacyStream.fresh()) == ("a", "b")
    capped = PrivateCategories("c", ADD, 5.0, 1e-6, limit=1)
    assert capped.run(values, ledger_for(ADD, capped.charge()), PrivacyStream.fresh()) == ("a",)


@pytest.mark.parametrize("budget", [ADD, REPLACE])
def test_a_replaced_row_costs_two_cells(budget):
    for mechanism in (PrivateBounds("m", budget, 9.0, (0.0, 1.0)), PrivateCategories("m", budget, 9.0, 1e-7)):
        event = mechanism.charge().event
        assert isinstance(event, SelfComposedDpEvent) == (budget is REPLACE)


DOMAIN = Domain(
    (
        Integer("age"),
        Number("pay", decimals=2, missing=True),
        Date("hired"),
        Category("town"),
        Category("job", other="else"),
        Category("sex", ("f", "m")),
    )
)


def frame(rows):
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows),
            "pay": np.where(rng.random(rows) < 0.1, np.nan, rng.lognormal(7, 1, rows).round(2)),
            "hired": pd.Timestamp("2001-05-05") + pd.to_timedelta(rng.integers(0, 4000, rows), unit="D"),
            "town": rng.choice(["Oulu", "Turku", "Espoo"], rows),
            "job": rng.choice(["cook", "nurse"], rows),
            "sex": rng.choice(["f", "m"], rows),
        }
    )


@pytest.mark.parametrize("budget", [ADD, REPLACE])
def test_a_domain_is_completed_within_its_share(budget):
    charges = discovery_charges(DOMAIN, budget, 0.3)
    assert [charge.name for charge in charges] == [
        "bounds/age", "bounds/pay", "bounds/hired", "categories/town", "categories/job",
    ]  # fmt: skip
    assert prove(charges, budget).epsilon < budget.epsilon * math.sqrt(0.3) * 1.1
    ledger = ledger_for(budget, *charges)
    domain = complete(DOMAIN, frame(4000), budget, 0.3, ledger, Streams())
    assert not domain.undeclared
    assert ledger.finished
    assert domain["age"].low <= 32
    assert 64 <= domain["age"].high <= 128
    assert domain["pay"].high >= 2000
    assert domain["hired"].low.year == 2001
    assert domain["town"].categories == ("Espoo", "Oulu", "Turku")
    assert domain["town"].other == "other"
    assert domain["job"].values == ("cook", "nurse", "else")
    assert Domain.from_dict(domain.to_dict()) == domain


def test_nothing_open_costs_nothing():
    closed = Domain((Category("sex", ("f", "m")),))
    assert discovery_charges(closed, ADD, 0.1) == ()
    assert complete(closed, frame(5), ADD, 0.1, ledger_for(ADD), Streams()) == closed


def test_infinite_epsilon_finds_what_is_there():
    charges = discovery_charges(DOMAIN, INFINITE, 0.1)
    domain = complete(DOMAIN, frame(50), INFINITE, 0.1, ledger_for(INFINITE, *charges), Streams().under(INFINITE))
    assert domain["town"].categories == ("Espoo", "Oulu", "Turku")


def run(budget):
    charges = discovery_charges(DOMAIN, budget, 0.3)
    return lambda data, streams: complete(DOMAIN, data, budget, 0.3, ledger_for(budget, *charges), streams).to_dict()


ODD = [
    {"town": "Nowhere", "age": 10**15, "pay": math.inf, "hired": pd.Timestamp("1700-01-01")},
    {"town": None, "age": -5, "pay": math.nan, "hired": pd.NaT},
]


@pytest.mark.parametrize("odd", ODD)
def test_discovery_passes_the_replay_audit(odd):
    data = frame(30).astype({"age": "Int64", "town": object})
    extra = frame(1).astype({"age": "Int64", "town": object})
    for name, value in odd.items():
        extra[name] = pd.Series([value], dtype=extra[name].dtype)
    longer = pd.concat([data, extra], ignore_index=True)
    audit(run(ADD), data, longer)
    audit(run(ADD), longer, data)
    swapped = pd.concat([data.iloc[:-1], extra], ignore_index=True)
    report = audit(run(REPLACE), data, swapped)
    assert max(report.used.values()) == pytest.approx(1.0)
    with pytest.raises(AuditError):
        audit(run(ADD), data, swapped)


def test_values_are_counted_as_they_are():
    """The exact counts are those of the column, missing values apart."""
    seen = {}

    class Spy(PrivacyStream):
        def release(self, name, query, **options):
            seen.update(query)
            return super().release(name, query, **options)

    values = ["a", "b", "a", None]
    mechanism = PrivateCategories("c", ADD, 1.0, 1e-6)
    mechanism.run(values, ledger_for(ADD, mechanism.charge()), Spy(bytes(32), secure=False))
    assert seen == Counter(["a", "b", "a"])
