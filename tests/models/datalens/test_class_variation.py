"""dpsynth/models/datalens/image_postprocessing.py"""

from __future__ import annotations

import math

import pytest
import torch

from dpsynth.models.datalens.image_postprocessing import LowFrequencies, Variation, offsets
from dpsynth.privacy.mechanisms.class_statistics import Scatter

LOW = LowFrequencies((1, 16, 16), 6)


def at_point_masses() -> tuple[torch.Tensor, torch.Tensor]:
    """A covariance with two directions of variance 4 and 1.5, and the directions."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(LOW.width, 2, generator=generator, dtype=torch.float64))[0]
    return (directions * torch.tensor([4.0, 1.5]).double()) @ directions.T, directions


def noised(covariance: torch.Tensor, deviation: float, seed: int = 1) -> Scatter:
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(covariance.shape, generator=generator, dtype=torch.float64)
    noise = torch.triu(white, 1)
    noise = deviation * (noise + noise.T + math.sqrt(2) * torch.diag(white.diagonal()))
    return Scatter((covariance + noise)[None], torch.tensor([deviation], dtype=torch.float64))


def test_without_noise_the_draws_have_the_covariance():
    covariance, _ = at_point_masses()
    covariance = covariance + torch.diag(torch.linspace(0.1, 0.5, LOW.width).double())
    variation = Variation.of(noised(covariance, 0.0), LOW)
    labels = torch.zeros(40_000, dtype=torch.int64)
    drawn = variation.drawn(torch.zeros(40_000, 1, 16, 16), labels, torch.Generator().manual_seed(2))
    low = (drawn.flatten(1) @ LOW.basis().T).double()
    assert torch.allclose(low.T @ low / len(low), covariance, atol=0.12)
    assert torch.allclose(low @ LOW.basis().double(), drawn.flatten(1).double(), atol=1e-4)  # nothing else moved


def test_what_stands_out_of_the_noise_is_found_at_its_own_size():
    covariance, directions = at_point_masses()
    sizes, found = [], []
    for seed in range(20):
        root = Variation.of(noised(covariance, 0.12, seed), LOW).roots[0].double()
        values, vectors = torch.linalg.eigh(root @ root.T)
        found.append(int((values > 1e-6).sum()))
        assert abs(float(vectors[:, -1] @ directions[:, 0])) > 0.95
        sizes.append(values[-2:].tolist())
    assert found.count(2) >= 17
    weak, strong = torch.tensor(sizes).mean(0).tolist()
    assert strong == pytest.approx(4.0, rel=0.05)  # without the correction noise adds 3 % and 23 %
    assert weak == pytest.approx(1.5, rel=0.07)


def test_noise_alone_is_taken_for_nothing():
    kept, rests = [], []
    for seed in range(20):
        variation = Variation.of(noised(torch.zeros(LOW.width, LOW.width).double(), 1.0, seed), LOW)
        kept.append(int((variation.roots[0].abs().sum(0) > 0).sum()))
        rests.append(variation.deviations[0].square().sum().item())
    assert sum(kept) <= 4
    assert torch.tensor(rests).mean() < 0.5 * math.sqrt(2) * LOW.width  # of the noise's own trace, were it believed


def test_shrinkage_brings_the_diagonal_nearer_to_the_truth():
    truth = LOW.spectrum() * 3.0
    raw = shrunk = 0.0
    for seed in range(20):
        scatter = noised(torch.diag(truth), 0.3, seed)
        found = Variation.of(scatter, LOW)
        rest = found.deviations[0].double().square() + found.roots[0].double().square().sum(1)
        raw += (scatter.moments[0].diagonal().clamp_min(0) - truth).square().sum().item()
        shrunk += (rest - truth).square().sum().item()
    assert shrunk < 0.5 * raw


def test_offsets_start_at_the_nearest_centre_of_the_class():
    centres, classes = torch.tensor([[0.0, 0.0], [10.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 0, 1])
    rows, labels = torch.tensor([[9.0, 1.0], [1.0, 1.0], [1.0, 1.0], [9.0, 0.0]]), torch.tensor([0, 0, 1, 2])
    [(away, codes)] = offsets(iter([(rows, labels)]), centres, classes, 20.0)
    assert away.tolist() == [[-1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [-1.0, 0.0]]  # class 2 has no centre of its own
    assert codes.equal(labels)


def test_few_pixels_have_few_frequencies():
    small = LowFrequencies((3, 4, 9), 8)
    assert small.basis().shape == (3 * 16, 3 * 36)
    assert small.width == len(small.spectrum()) == 48
    assert torch.allclose(small.basis() @ small.basis().T, torch.eye(48), atol=1e-5)
    assert small.spectrum().sum().item() == pytest.approx(1.0)
