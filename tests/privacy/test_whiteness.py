"""Noise that comes back, within a release or between releases, and the meter that finds it."""

import dataclasses

import numpy as np
import pytest
import torch

from dpsynth.privacy import Budget, GaussianQuery, Ledger, NoisyMarginals, Plan, RandomGenerators
from dpsynth.privacy.noise.random import PrivacyGenerator
from dpsynth.privacy.noise_meter import NoiseMeter
from dpsynth.privacy.replay import AuditError

BUDGET = Budget(2000.0, 0.1)
SUM = GaussianQuery(name="sum", neighbours="add_remove", noise_multiplier=2.0, bound=1.5, releases=2)
COUNTS = NoisyMarginals(name="counts", neighbours="add_remove", sigma=6.0, marginals=1)


def test_the_tensors_of_a_release_have_noise_of_their_own():
    first, second = Ledger(Plan(BUDGET, (SUM,)), RandomGenerators(0, "seeded")).release(
        SUM, [torch.zeros(4000), torch.zeros(4000)]
    )
    assert abs(np.corrcoef(first, second)[0, 1]) < 6 / np.sqrt(4000)
    assert first.std().item() == pytest.approx(3.0, rel=0.1)


class Same(PrivacyGenerator):
    """Draws the noise of step 0 in every step."""

    def keystream(self, name, step=0, purpose="noise"):
        return super().keystream(name, 0 if purpose == "noise" else step, purpose)


class SameMeter(NoiseMeter, Same):
    pass


def test_the_meter_finds_noise_that_comes_back_in_another_step():
    for kind, passes in ((NoiseMeter, True), (SameMeter, False)):
        plan, meter = Plan(BUDGET, (SUM,)), kind(0)
        ledger = Ledger(plan, RandomGenerators(0, privacy=meter))
        for step in range(2):
            ledger.release(SUM, np.full(300, float(step)), step)
        if passes:
            meter.check(plan)
        else:
            with pytest.raises(AuditError, match=r"comes back|was used again"):
                meter.check(plan)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folded(NoisyMarginals):
    """Draws noise for half its cells, and uses it for the other half too."""

    def draw(self, query, noise):
        half = super().draw(np.zeros(-(-query.size // 2), dtype=np.int64), noise)
        return query + np.resize(half, query.shape)


def test_the_meter_finds_noise_that_comes_back_within_a_release():
    fields = {field.name: getattr(COUNTS, field.name) for field in dataclasses.fields(COUNTS)}
    for mechanism, passes in ((COUNTS, True), (Folded(**fields), False)):
        plan, meter = Plan(BUDGET, (mechanism,)), NoiseMeter(0)
        mechanism.measure([np.arange(400)], Ledger(plan, RandomGenerators(0, privacy=meter)))
        if passes:
            meter.check(plan)
        else:
            with pytest.raises(AuditError, match="entries further on"):
                meter.check(plan)
