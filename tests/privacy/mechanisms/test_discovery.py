"""dpsynth/privacy/mechanisms/discovery.py, discovery.py, discovery.py, discovery.py and calibration.py"""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from dpsynth.data.columns import Category, Date, Integer, Number
from dpsynth.data.table.domain import Domain
from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.accounting import prove
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.calibration import fraction_noise
from dpsynth.privacy.ledger import Ledger, Plan
from dpsynth.privacy.mechanisms.discovery import (
    PrivateBounds,
    PrivateCategories,
    RowCount,
    complete,
    discovery,
    dyadic_edges,
    refuse_unnamed,
)
from dpsynth.privacy.noise.gaussian import GaussianQuery
from dpsynth.privacy.noise.random import PrivacyGenerator, RandomGenerators
from dpsynth.privacy.replay import AuditError, audit

ADD, REPLACE = Budget(5, 1e-5), Budget(5, 1e-5, "replace_one")
INFINITE = Budget(math.inf, 1e-5)


def ledger_for(budget, *mechanisms, randomness=None):
    return Ledger(Plan(budget, mechanisms), randomness or RandomGenerators())


def bounds_of(sigma=5.0, edges=None, budget=ADD):
    edges = tuple(dyadic_edges()) if edges is None else edges
    return PrivateBounds(name="b", neighbours=budget.neighbours, sigma=sigma, edges=edges)


def categories_of(sigma, delta, budget=ADD, **options):
    return PrivateCategories(name="c", neighbours=budget.neighbours, sigma=sigma, threshold_delta=delta, **options)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
def test_fractions_add_up(fraction):
    """Releases at fractions s and 1 - s together cost what one release of the whole costs."""
    parts = [fraction_noise(ADD, fraction, 3)] * 3 + [fraction_noise(ADD, 1 - fraction)]
    charges = [
        GaussianQuery(name=str(i), neighbours="add_remove", noise_multiplier=z, bound=1.0) for i, z in enumerate(parts)
    ]
    assert prove(charges, ADD).epsilon == pytest.approx(5, rel=1e-3)
    assert fraction_noise(INFINITE, fraction) == 0.0
    for wrong in (0.0, 1.0, -0.1, math.nan):
        with pytest.raises(BudgetError, match="fraction"):
            fraction_noise(ADD, wrong)


def test_rows_are_counted_with_noise_or_for_free():
    count = RowCount.planned(ADD, 0.01)
    counts = [count.measure(1000, ledger_for(ADD, count, randomness=RandomGenerators(k, "seeded"))) for k in range(300)]
    sigma = count.detail["sigma"]
    assert np.mean(counts) == pytest.approx(1000, abs=5 * sigma / math.sqrt(300))
    assert np.std(counts) == pytest.approx(sigma, rel=0.2)
    assert count.measure(0, ledger_for(ADD, count, randomness=RandomGenerators(1, "seeded"))) >= 1
    assert RowCount.planned(REPLACE, 0.01) is None  # public there: nothing is charged and nothing released


def test_bounds_cover_the_bulk_and_only_it():
    mechanism = bounds_of()
    values = np.concatenate([np.random.default_rng(0).uniform(3, 900, 5000), [np.nan, np.inf, 1e12]])
    low, high = mechanism.measure(values, ledger_for(ADD, mechanism))
    assert low <= 16
    assert 512 < high <= 1024


def test_bounds_of_nothing_are_still_bounds():
    mechanism = bounds_of()
    low, high = mechanism.measure(np.array([np.nan]), ledger_for(ADD, mechanism))
    assert low < high


@pytest.mark.parametrize("delta", [0.05, 0.01])
def test_a_singleton_is_rarely_released(delta):
    mechanism = categories_of(3.0, delta)
    rounds = 2000
    released = 0
    for k in range(rounds):
        ledger = ledger_for(Budget(20, 0.1), mechanism, randomness=RandomGenerators(k, "seeded"))
        released += len(mechanism.measure(["rare"], ledger))
    assert released / rounds <= delta + 4 * math.sqrt(delta / rounds)


def test_threshold_bounds_the_tail_of_the_rounded_gaussian():
    """A value of one row is released with chance P[1 + X >= threshold] <= delta; one less would not do."""
    for sigma in (0.5, 3.0, 40.0):
        for delta in (1e-2, 1e-5, 1e-9):
            threshold = categories_of(sigma, delta).threshold
            x = np.arange(threshold - 1, threshold + 100 * math.ceil(sigma))
            tail = (
                norm.sf((x - 0.5) / sigma) - norm.sf((x + 0.5) / sigma)
            ).sum()  # P[X >= threshold - 1], term by term
            assert tail <= delta
            assert norm.sf((threshold - 2.5) / sigma) > delta


def test_frequent_values_are_found_and_capped():
    values = ["a"] * 500 + ["b"] * 300 + [None] * 50 + [f"rare {k}" for k in range(200)]
    mechanism = categories_of(5.0, 1e-6)
    assert mechanism.measure(values, ledger_for(ADD, mechanism)) == ("a", "b")
    capped = categories_of(5.0, 1e-6, limit=1)
    assert capped.measure(values, ledger_for(ADD, capped)) == ("a",)


def test_the_threshold_is_part_of_what_leaves_the_gate():
    """Rare values must stay unnamed: the gate hands out only what reached the threshold."""
    mechanism = categories_of(5.0, 1e-6)
    released = ledger_for(ADD, mechanism).release(mechanism, {"a": 500, **{f"rare {k}": 1 for k in range(300)}})
    assert set(released) == {"a"}
    assert mechanism.delta == 1e-6
    assert prove([mechanism], ADD).epsilon > prove([bounds_of(5.0)], ADD).epsilon  # delta is taken from the budget's


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-9, math.nan])
def test_categories_need_a_delta_of_their_own(delta):
    with pytest.raises(BudgetError, match="delta of their own"):
        categories_of(5.0, delta)


@pytest.mark.parametrize("budget", [ADD, REPLACE])
def test_a_replaced_row_costs_two_cells(budget):
    for mechanism in (bounds_of(9.0, (0.0, 1.0), budget), categories_of(9.0, 1e-7, budget)):
        assert mechanism.sensitivity == pytest.approx(math.sqrt(2) if budget is REPLACE else 1.0)
        assert mechanism.release_event.noise_multiplier == pytest.approx(9.0 / mechanism.sensitivity)


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
def test_a_domain_is_completed_within_its_fraction(budget):
    charges = discovery(DOMAIN, budget, 0.3)
    assert [charge.name for charge in charges] == [
        "bounds/age", "bounds/pay", "bounds/hired", "categories/town", "categories/job",
    ]  # fmt: skip
    assert prove(charges, budget).epsilon < budget.epsilon * math.sqrt(0.3) * 1.1
    ledger = ledger_for(budget, *charges)
    domain = complete(DOMAIN, frame(4000), charges, ledger)
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


@pytest.mark.parametrize("missing", [False, True])
def test_categories_that_are_all_too_rare_are_refused(missing):
    """Else the column would come back as a constant. The columns that were open are released all the same."""
    domain = Domain((Category("id", missing=missing), Category("town")))
    rows = pd.DataFrame({"id": [str(k) for k in range(2000)], "town": ["Oulu", "Turku"] * 1000})
    charges = discovery(domain, ADD, 0.3)
    ledger = ledger_for(ADD, *charges)
    with pytest.raises(BudgetError, match=r"^column 'id' \(a noisy count of \d+ is needed\): no category .*ignore"):
        refuse_unnamed(complete(domain, rows, charges, ledger), charges)
    assert ledger.finished
    charges = discovery(DOMAIN, ADD, 0.3)
    refuse_unnamed(complete(DOMAIN, frame(4000), charges, ledger_for(ADD, *charges)), charges)


def test_nothing_open_costs_nothing():
    closed = Domain((Category("sex", ("f", "m")),))
    assert discovery(closed, ADD, 0.1) == ()
    assert complete(closed, frame(5), (), ledger_for(ADD)) == closed


def test_infinite_epsilon_finds_what_is_there():
    charges = discovery(DOMAIN, INFINITE, 0.1)
    domain = complete(DOMAIN, frame(50), charges, ledger_for(INFINITE, *charges))
    assert domain["town"].categories == ("Espoo", "Oulu", "Turku")


def run(budget):
    charges = discovery(DOMAIN, budget, 0.3)

    def publish(data, randomness):
        return complete(DOMAIN, data, charges, ledger_for(budget, *charges, randomness=randomness)).to_dict()

    return publish


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

    class Spy(PrivacyGenerator):
        def release(self, mechanism, query, step):
            seen.update(query)
            return super().release(mechanism, query, step)

    values = ["a", "b", "a", None]
    mechanism = categories_of(3.0, 1e-6)
    mechanism.measure(
        values, ledger_for(ADD, mechanism, randomness=RandomGenerators(privacy=Spy(bytes(32), secure=False)))
    )
    assert seen == Counter(["a", "b", "a"])
