"""dpsynth/networks/fourier_features.py"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.networks.fourier_features import CodeFeatures, ImageFeatures


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@given(seed=st.integers(0, 2**31), extreme=st.sampled_from([0.0, 0.5, 1.0]), side=st.sampled_from([1, 5, 16, 33]))
@settings(max_examples=30, deadline=None)
def test_image_features_have_norm_one(seed, extreme, side):
    features = ImageFeatures((1, side, side + 2), 37, (0.5, 0.1, 0.02), source(seed))
    codes = torch.randint(0, 256, (6, 1, side, side + 2), generator=source(seed + 1), dtype=torch.uint8)
    codes[0] = round(255 * extreme)
    codes[1] = codes[1] // 128 * 255
    images = codes / 255
    phi = features.rows(codes)
    assert phi.shape == (6, features.width) == (6, 74)
    assert torch.allclose(phi.double().norm(dim=1), torch.ones(6, dtype=torch.float64), atol=1e-5)
    means, squares = features.moments(images, 3)
    assert torch.allclose(means, phi.unflatten(0, (3, 2)).mean(1), atol=3e-5)  # angles are rounded, in `rows`
    assert squares.tolist() == [1.0] * 3


def test_image_features_are_the_mean_of_the_kernels():
    features = ImageFeatures((1, 8, 8), 40_000, (0.4, 0.1), source())
    codes = torch.randint(0, 200, (2, 1, 8, 8), generator=source(1))
    codes[1] = codes[0] + codes[1] // 10
    square = float(((codes[0] - codes[1]) / 255).square().mean())
    kernels = [math.exp(-square / (2 * width**2)) for width in (0.4, 0.1)]
    phi = features.rows(codes)
    assert float(phi[0] @ phi[1]) == pytest.approx(sum(kernels) / 2, abs=0.01)


def test_moments_of_images_and_their_derivative_are_those_of_the_plain_features():
    features = ImageFeatures((1, 5, 4), 7, (0.3,), source()).double()
    images = torch.rand(6, 1, 5, 4, dtype=torch.float64, generator=source(1), requires_grad=True)
    pull = torch.randn(3, 14, dtype=torch.float64, generator=source(2))
    angles = images.flatten(1) @ features.weights
    plain = (torch.cat([angles.cos(), angles.sin()], 1) / 7**0.5).unflatten(0, (3, 2)).mean(1)
    means, _ = features.moments(images, 3)
    torch.testing.assert_close(means, plain)
    [found], [expected] = (torch.autograd.grad(each, images, pull) for each in (means, plain))
    torch.testing.assert_close(found, expected)


def test_every_bandwidth_gets_its_fraction_and_big_images_are_averaged():
    features = ImageFeatures((3, 40, 20), 7, (1.0, 1e-3), source())
    assert features.pool == 3
    assert features.weights.shape == (3 * 14 * 7, 7)
    sizes = features.weights.norm(dim=0)
    assert (sizes[:4] < 2).all()
    assert (sizes[4:] > 100).all()
    codes = torch.randint(0, 256, (1, 3, 40, 20))
    assert features.rows(codes).norm() == pytest.approx(1, abs=1e-5)
    wide = slice(0, 4)  # the angles of the other bandwidth are too large to be followed
    pooled = torch.nn.functional.avg_pool2d(codes / 255, 3, ceil_mode=True, count_include_pad=False).flatten(1)
    expected = (pooled.double() @ features.weights[:, wide].double()).cos() / 7**0.5
    torch.testing.assert_close(features.rows(codes)[:, wide].double(), expected, atol=3e-5, rtol=0)


SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@given(sizes=SIZES, seed=st.integers(0, 2**31), fraction=st.floats(0.01, 0.99), count=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_code_features_have_norm_one_at_every_code(sizes, seed, fraction, count):
    features = CodeFeatures(sizes, [max(0, size - 2) for size in sizes], count, fraction, source(seed))
    codes = torch.stack([torch.randint(size, (8,), generator=source(seed)) for size in sizes], dim=1)
    codes[0] = torch.tensor(sizes) - 1  # missing, or the last
    codes[1] = 0
    phi = features.rows(codes)
    assert phi.shape == (8, features.width)
    assert torch.allclose(phi.double().norm(dim=1), torch.ones(8, dtype=torch.float64), atol=1e-5)


@given(sizes=SIZES, seed=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_sure_distributions_have_the_features_of_their_codes(sizes, seed):
    features = CodeFeatures(sizes, sizes, 11, 0.3, source(seed))
    codes = torch.stack([torch.randint(size, (5,), generator=source(seed)) for size in sizes], dim=1)
    sure = torch.cat([torch.nn.functional.one_hot(codes[:, j], size) for j, size in enumerate(sizes)], dim=1)
    assert torch.allclose(features.expected(sure.float()), features.rows(codes), atol=1e-5)


def test_expected_features_are_the_mean_over_all_rows():
    sizes = [3, 2, 4]
    features = CodeFeatures(sizes, [3, 0, 2], 25, 0.4, source())
    distributions = [torch.rand(size, generator=source(size)) for size in sizes]
    distributions = [distribution / distribution.sum() for distribution in distributions]
    codes = torch.cartesian_prod(*(torch.arange(size) for size in sizes))
    weights = torch.stack([distribution[codes[:, j]] for j, distribution in enumerate(distributions)]).prod(dim=0)
    mean = (weights[:, None] * features.rows(codes)).sum(dim=0)
    assert torch.allclose(features.expected(torch.cat(distributions)[None])[0], mean, atol=1e-6)


def test_pairs_are_used_evenly_and_a_lone_column_has_none():
    features = CodeFeatures([2, 2, 2], [0, 0, 0], 10, 0.5, source())
    uses = [sum(len(features.get_buffer(f"members_{side}_{j}")) for side in (0, 1)) for j in range(3)]
    assert sum(uses) == 20
    assert max(uses) - min(uses) <= 1
    alone = CodeFeatures([4], [0], 10, 0.5, source())
    assert alone.width == 4
    assert alone.rows(torch.tensor([[3]])).tolist() == [[0, 0, 0, 1]]
    assert CodeFeatures([], [], 10, 0.5, source()).rows(torch.zeros(3, 0, dtype=torch.long)).shape == (3, 1)


def test_neighbours_on_an_axis_are_alike_and_categories_are_not():
    def products(bins):
        features = CodeFeatures([30, 1], [bins, 0], 4000, 1e-6, source())
        phi = features.rows(torch.tensor([[10, 0], [11, 0], [25, 0]]))
        return float(phi[0] @ phi[1]), float(phi[0] @ phi[2])

    near, far = products(30)
    assert near > 0.35  # half of the frequencies are smooth
    assert abs(far) < near / 2
    assert max(map(abs, products(0))) < 0.1
