"""Every engine computes the clipped sum as it is defined: worked out here by plain autograd, row after row."""

from typing import get_args

import pytest
import torch
from torch import nn

from dpsynth.models.shared.class_rejection import ClassifierOptions, ClassifierTraining, RejectionClassifier
from dpsynth.privacy import Budget, Ledger, Plan, RandomGenerators
from dpsynth.privacy.dpsgd.gradients import Mode, clipped_gradients
from dpsynth.privacy.noise.random import PrivacyGenerator


class Loss(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.hidden, self.out = nn.Linear(3, 5), nn.Linear(5, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x))).squeeze(1).square()


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("norm", [0.05, 1.0, float("inf")])
def test_the_sum_is_that_of_the_definition(mode, norm):
    module, rows = Loss(), 3 * torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
    rows[2] = 0.01
    total = torch.zeros(sum(p.numel() for p in module.parameters()))
    for row in rows:
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(module(row[None]).sum(), module.parameters())])
        total += gradient * min(1.0, norm / gradient.norm().item())
    found = torch.cat([part.flatten() for part in clipped_gradients(mode, module, norm).clipped_sum(rows)])
    torch.testing.assert_close(found.float(), total, rtol=1e-4, atol=1e-5 * total.abs().max().item())


def test_the_image_classifier_is_trained_in_float64_and_kept_in_float32():
    budget, classifier, seen = Budget(1.0, 1e-5), RejectionClassifier((1, 8, 8), 3), []

    class Watched(PrivacyGenerator):
        def release(self, mechanism, query, step):
            seen.append((classifier.linear.weight.dtype, query.dtype))
            return super().release(mechanism, query, step)

    training = ClassifierTraining.planned(budget, ClassifierOptions(fraction=0.5, steps=3))
    assert training is not None
    ledger = Ledger(Plan(budget, (training.sgd,)), RandomGenerators(0, privacy=Watched(bytes(32), secure=False)))
    training.fit(classifier, [torch.rand(6, 1, 8, 8)], torch.arange(6) % 3, 6, ledger)
    assert seen == [(torch.float64, torch.float64)] * 3
    assert classifier.linear.weight.dtype == torch.float32
