"""dpsynth/testing.py: an author's check finds what is wrong with a method."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from dpsynth import Budget
from dpsynth.privacy import GaussianQuery
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
