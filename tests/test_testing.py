"""dpsynth/testing.py: an author's check finds what is wrong with a method."""

import dataclasses
import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from dp_accounting import GaussianDpEvent

from dpsynth import Budget
from dpsynth.data.table.table import Table
from dpsynth.errors import BudgetError
from dpsynth.privacy import DPSGD, GaussianQuery, Mechanism, PoissonBatches, calibrate
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches
from dpsynth.privacy.replay import AuditError
from dpsynth.testing import check_model, check_noise, check_release, check_replay, example_rows, removed

BUDGET = Budget(1.0, 1e-5)


def broken(example, **methods):
    """The example method with some of its methods replaced."""
    return dataclasses.dataclass(frozen=True)(type("Broken", (example.Example,), methods))()


def counts_of(table):
    from dpsynth.data import Codec

    codec = Codec(table.domain, 16)
    codes = codec.encode(table.frame).codes
    return np.concatenate([np.bincount(codes[:, j], minlength=size) for j, size in enumerate(codec.sizes)])


def test_a_sound_method_passes_every_check(example):
    check_model(example.Example(bins=4), rows=20, epsilons=(1.0,))


def test_noise_drawn_by_a_mechanism_of_ones_own_is_refused(example):
    def _fit(self, table, rows, plan, ledger, run):
        half = dataclasses.replace(plan.histograms, noise_multiplier=plan.histograms.noise_multiplier / 2)
        noisy = ledger.release(half, counts_of(table).astype(float))
        return example.FittedExample(table.domain, 16, torch.from_numpy(noisy))

    with pytest.raises(Exception, match="is not the release that was planned"):
        check_noise(broken(example, _fit=_fit), example_rows(20), BUDGET)


def test_a_mechanism_that_draws_half_its_noise_is_found(example):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Half(GaussianQuery):
        @property
        def deviation(self):
            return super().deviation / 2

    def _plan(self, domain, budget, before):
        plan = example.Example._plan(self, domain, budget, before)
        fields = {field.name: getattr(plan.histograms, field.name) for field in dataclasses.fields(GaussianQuery)}
        return dataclasses.replace(plan, histograms=Half(**fields))

    with pytest.raises(AuditError, match="standard deviation"):
        check_noise(broken(example, _plan=_plan), example_rows(20), BUDGET)


def test_a_mechanism_whose_noise_cannot_be_measured_is_refused(example):
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Free(Mechanism):
        noise_multiplier: float
        bound: float

        @property
        def sensitivity(self):
            return self.bound

        @property
        def release_event(self):
            return GaussianDpEvent(self.noise_multiplier)

        def draw(self, query, noise):
            return query

    def _plan(self, domain, budget, before):
        plan = example.Example._plan(self, domain, budget, before)
        fields = {field.name: getattr(plan.histograms, field.name) for field in dataclasses.fields(GaussianQuery)}
        return dataclasses.replace(plan, histograms=Free(**fields))

    with pytest.raises(AuditError, match="draws of Free cannot be measured"):
        check_noise(broken(example, _plan=_plan), example_rows(20), BUDGET)


def test_noise_that_a_fit_takes_back_is_found(example):
    def _fit(self, table, rows, plan, ledger, run):
        object.__setattr__(plan.histograms, "noise_multiplier", 1e-3)
        return example.Example._fit(self, table, rows, plan, ledger, run)

    with pytest.raises(BudgetError, match="was changed since it was planned"):
        check_noise(broken(example, _fit=_fit), example_rows(20), BUDGET)


@pytest.mark.parametrize("neighbours", ["add_remove", "replace_one"])
@pytest.mark.parametrize("sound", [True, False])
def test_a_sampled_release_that_looks_at_all_rows_is_found(example, neighbours, sound):
    """Its sum moves by no more than the sensitivity, but in every step; only the sampled steps are charged."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Sampled(example.ExamplePlan):
        sums: DPSGD

    def _plan(self, domain, budget, before):
        plan = example.Example._plan(self, domain, budget, before)

        batches = PoissonBatches(0.1, 3) if neighbours == "add_remove" else FixedSizeBatches(domain.rows, 2, 3)

        def sums(noise):
            return DPSGD.sampled("sums", neighbours, batches, noise, math.sqrt(len(domain)))

        noise = calibrate(lambda z: (*before, sums(z)), budget)
        return Sampled(**{**vars(plan), "histograms": None, "sums": sums(noise)})

    def _fit(self, table, rows, plan, ledger, run):
        def query(batch):
            rows = table.frame.iloc[batch].reset_index(drop=True) if sound else table.frame
            return torch.from_numpy(counts_of(Table(rows, table.domain)).astype(float))

        for step in range(3):
            noisy = ledger.release(plan.sums, query, step, rows=len(table))
        return example.FittedExample(table.domain, 16, noisy)

    method, budget = broken(example, _plan=_plan, _fit=_fit), Budget(1.0, 1e-5, neighbours)
    with nullcontext() if sound else pytest.raises(AuditError, match="rows that were not sampled"):
        check_replay(method, example_rows(20), budget)


def test_a_sensitivity_without_its_root_is_found(example):
    def _plan(self, domain, budget, before):
        plan = example.Example._plan(self, domain, budget, before)
        return dataclasses.replace(plan, histograms=dataclasses.replace(plan.histograms, bound=1.0))

    with pytest.raises(AuditError, match="more than its declared l2 sensitivity"):
        check_replay(broken(example, _plan=_plan), example_rows(20), BUDGET)


def test_exact_answers_that_leak_past_the_gate_are_found(example):
    def _fit(self, table, rows, plan, ledger, run):
        fitted = example.Example._fit(self, table, rows, plan, ledger, run)
        fitted.counts[0] = float(len(table))
        return fitted

    with pytest.raises(AuditError, match="publish different results"):
        check_replay(broken(example, _fit=_fit), example_rows(20), BUDGET)


def test_a_method_that_prints_what_it_saw_is_found(example):
    def _fit(self, table, rows, plan, ledger, run):
        print(f"{len(table)} rows")
        return example.Example._fit(self, table, rows, plan, ledger, run)

    with pytest.raises(AuditError, match="publish different results"):
        check_replay(broken(example, _fit=_fit), example_rows(20), BUDGET)


def test_a_method_that_skips_its_release_is_not_stated_to_be_private(example):
    def _fit(self, table, rows, plan, ledger, run):
        return example.FittedExample(table.domain, 16, torch.from_numpy(counts_of(table).astype(float)))

    with pytest.raises(AuditError, match="not released: histograms"):
        check_release(broken(example, _fit=_fit), example_rows(20))


def test_made_up_rows_have_an_extreme_one(example):
    table = example_rows(20)
    assert len(removed(table, 0)) == 19
    assert table.frame["weight"].iloc[-1] == 1000.0  # clamped
    assert math.isfinite(table.frame["weight"].max())
