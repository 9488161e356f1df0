"""A fit that the machine cannot hold is refused in one line, before the budget is touched;
what a model file asks for has a limit.
"""

import sys

import numpy as np
import pandas as pd
import pytest
import torch

import dpsynth
from dpsynth.data import Category, Domain, Table
from dpsynth.errors import ConfigError
from dpsynth.models import Independent
from dpsynth.models.contract.machine_limits import available_memory, limited, refuse_beyond_hours, refuse_beyond_memory
from dpsynth.training import TrainerSettings

DOMAIN = Domain((Category("x", categories=("a", "b")),), rows=10)
TABLE = Table(pd.DataFrame({"x": ["a", "b"] * 5}), DOMAIN)
BUDGET = dpsynth.Budget(1.0, 1e-5)
HUGE = 3 * 2**30  # bytes, never touched
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux keeps such a limit")


def test_the_memory_that_is_left_is_a_sum_that_a_machine_may_have():
    free = available_memory()
    assert free is None or 2**20 < free < 2**50
    held = np.ones(2**24)  # memory in use is not free
    assert free is None or (available_memory() or 0) < free + held.nbytes


def test_a_fit_beyond_the_memory_is_refused_before_the_ledger_opens(monkeypatch):
    plan = Independent().plan(DOMAIN, BUDGET)
    monkeypatch.setattr("dpsynth.models.contract.machine_limits.available_memory", lambda: plan.memory_bytes - 1)
    monkeypatch.setattr("dpsynth.models.contract.synthesizer.Ledger", None)
    with pytest.raises(ConfigError, match=r"takes about .* GiB of memory, and .* GiB are free: use fewer") as refused:
        Independent().fit(TABLE, plan)
    assert "\n" not in str(refused.value)


def test_a_fit_within_the_memory_and_an_unknown_memory_are_no_obstacle(monkeypatch):
    plan = Independent().plan(DOMAIN, BUDGET)
    for free in (plan.memory_bytes, None):
        monkeypatch.setattr("dpsynth.models.contract.machine_limits.available_memory", lambda free=free: free)
        refuse_beyond_memory(plan, TrainerSettings())


def test_hours_up_to_the_limit_are_allowed():
    refuse_beyond_hours(24.0, 24.0, "reason", "advice")
    with pytest.raises(ConfigError, match="reason, about 25 hours of work, more than"):
        refuse_beyond_hours(25.0, 24.0, "reason", "advice")


@linux
def test_an_allocation_beyond_the_limit_fails_at_once():
    with limited(0):
        np.ones(2**20)
        with pytest.raises(MemoryError):
            np.empty(HUGE, dtype=np.uint8)
        with pytest.raises(RuntimeError, match="allocate"):
            torch.empty(HUGE, dtype=torch.uint8)
    np.empty(HUGE, dtype=np.uint8)


@linux
def test_what_is_asked_for_may_be_had():
    with limited(HUGE):
        np.empty(HUGE, dtype=np.uint8)


@linux
def test_a_stricter_limit_stays():
    import resource

    with limited(0):
        inside = resource.getrlimit(resource.RLIMIT_DATA)
        with limited(HUGE):
            assert resource.getrlimit(resource.RLIMIT_DATA) == inside
    assert resource.getrlimit(resource.RLIMIT_DATA) != inside
