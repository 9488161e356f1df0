"""dpsynth/models/mixture/moments.py: shrinkage does what it says, and what enters sums is bounded and invertible."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dpsynth.models.mixture import moments
from dpsynth.models.mixture.moments import PixelSquares, Standardised

SHAPE = (1, 9, 7)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=25)
@given(codes=arrays(np.uint8, (3, *SHAPE)), radius=st.floats(0.05, 2))
def test_features_of_pixels_have_norm_one_at_most(codes, radius):
    rows = PixelSquares(SHAPE, 256, radius).rows(torch.from_numpy(codes))
    assert rows.shape == (3, 2 * 63)
    assert float(rows.norm(dim=1).max()) <= 1 + 1e-12


def test_without_noise_features_give_back_means_and_deviations():
    codes = torch.randint(0, 256, (500, *SHAPE), generator=generator()).to(torch.uint8)
    features = PixelSquares(SHAPE, 256, 1.0)  # no image is scaled down
    mean, deviation = features.moments(features.rows(codes).mean(0)[None], torch.zeros(1), SHAPE)
    units = codes.flatten(1).double() / 255
    torch.testing.assert_close(mean[0], units.mean(0))
    torch.testing.assert_close(deviation[0], units.std(0, correction=0))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (1, 1, 6)])
def test_slow_waves_are_orthonormal_and_span_all_when_there_are_enough(shape):
    waves, rings = moments.slow_waves(shape, 64)
    torch.testing.assert_close(waves @ waves.T, torch.eye(math.prod(shape), dtype=torch.float64))
    assert len(rings) == len(waves)
    few, _ = moments.slow_waves(shape, 3)
    assert len(few) == shape[0] * min(3, shape[1]) * min(3, shape[2])
    blocks = few.reshape(len(few), shape[0], -1).abs().sum(2) > 0
    assert (blocks.sum(1) == 1).all()  # a wave belongs to one channel


def test_standardised_images_are_projections_of_what_is_left_of_their_class():
    shape = (1, 6, 6)
    codes = torch.randint(0, 256, (20, *shape), generator=generator()).to(torch.uint8)
    mean, inverse = torch.rand(2, 36, generator=generator(1)).double(), 5 * torch.rand(2, 36).double()
    waves, _ = moments.slow_waves(shape, 4)
    found = Standardised(mean, inverse, waves, 256).rows(codes, 1)
    expected = (codes.flatten(1).double() / 255 - mean[1]) * inverse[1] @ waves.T
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def test_smooth_means_lose_noise_and_keep_what_is_smooth():
    rows, columns = torch.meshgrid(torch.linspace(0, 3, 20), torch.linspace(0, 3, 20), indexing="ij")
    truth = (torch.sin(rows) * torch.cos(columns)).double().reshape(1, 400).repeat(3, 1)
    noise = torch.tensor([0.0, 0.1, 0.3]).double()
    noisy = truth + noise[:, None] * torch.randn(3, 400, generator=generator()).double()
    errors = (moments.smooth_means(noisy, noise, (1, 20, 20)) - truth).square().mean(1).sqrt()
    assert errors[0] < 1e-6
    assert errors[1] < 0.05
    assert errors[2] < 0.15


@pytest.mark.parametrize("kind", ["all", "class"])
def test_shrunk_scatter_is_nearer_the_truth_and_has_no_negative_eigenvalues(kind):
    _, rings = moments.slow_waves((1, 12, 12), 8)
    powers = 20.0 / (1 + rings.double()) ** 2
    mixing = torch.randn(64, 6, generator=generator()).double() * powers.sqrt()[:, None] / 3
    truth = torch.diag(powers) + mixing @ mixing.T
    noise = torch.randn(64, 64, generator=generator(1)).double()
    noisy = truth + 1.5 * (noise.triu() + noise.triu(1).T + torch.diag(noise.diagonal()) * (math.sqrt(2) - 1))
    if kind == "all":
        exact, found = (moments.smooth_scatter(truth, 0.0, rings), moments.smooth_scatter(noisy, 1.5, rings))
    else:
        shared = truth.diagonal()
        exact, found = (moments.class_scatter(truth, 0.0, shared), moments.class_scatter(noisy, 1.5, shared))
    torch.testing.assert_close(exact, truth, atol=1e-6, rtol=1e-6)  # nothing is shrunk where nothing is noise
    assert (found - truth).norm() < 0.6 * (noisy - truth).norm()
    assert float(torch.linalg.eigvalsh(found).min()) > -1e-9


def test_centres_shrink_by_the_noise_of_each_and_the_scatter_of_each_direction():
    scatter = torch.diag(torch.tensor([4.0, 1.0, 0.0])).double()
    centres = torch.ones(3, 3, dtype=torch.float64)
    found = moments.shrunk_centres(centres, torch.tensor([0.0, 1.0, 100.0]).double(), scatter)
    torch.testing.assert_close(found[0], torch.tensor([1.0, 1.0, 0.0]).double(), atol=1e-6, rtol=0)
    prior = moments.BETWEEN * torch.tensor([4.0, 1.0, 0.0]).double()
    torch.testing.assert_close(found[1], prior / (prior + 1), atol=1e-6, rtol=0)
    assert float(found[2].abs().max()) < 1e-3
    assert (found[:-1] >= found[1:]).all()


def test_root_and_diagonal():
    matrix = torch.randn(5, 5, generator=generator()).double()
    matrix = matrix @ matrix.T
    factor = moments.root(matrix)
    torch.testing.assert_close(factor @ factor.T, matrix)
    directions = torch.randn(5, 8, generator=generator(1)).double()
    torch.testing.assert_close(moments.diagonal_in(directions, matrix), (directions.T @ matrix @ directions).diagonal())
