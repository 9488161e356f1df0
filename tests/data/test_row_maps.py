"""dpsynth/data/row_maps.py: what the building blocks compute, and that nothing is rounded where nothing may be."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from dpsynth.data.row_maps import (
    ExactProduct,
    nearest,
    row_norms,
    row_sums,
    smoothed,
    window_means,
    window_sums,
    windows,
)


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(rows=st.integers(0, 5), width=st.integers(0, 70), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_sums_and_norms_of_rows(rows, width, seed):
    x = torch.randn(rows, width, generator=source(seed), dtype=torch.float64)
    before = x.clone()
    torch.testing.assert_close(row_sums(x), x.sum(1))
    torch.testing.assert_close(row_norms(x), x.norm(dim=1))
    assert torch.equal(x, before)


@given(height=st.integers(1, 12), width=st.integers(1, 12), size=st.integers(1, 5), stride=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_windows_are_those_of_pooling(height, width, size, stride):
    x = torch.randn(2, 3, height, width, generator=source(size), dtype=torch.float64)
    torch.testing.assert_close(
        window_means(x, size), functional.avg_pool2d(x, size, ceil_mode=True, count_include_pad=False)
    )
    kernel = (min(size, height), min(size + 1, width))
    expected = functional.avg_pool2d(x, kernel, stride, divisor_override=1)
    torch.testing.assert_close(window_sums(x, kernel, stride), expected)
    fewer = (max(1, height - 2), max(1, width // 2))
    tall, wide = windows(height, fewer[0]), windows(width, fewer[1])
    means = tall @ x @ wide.T / (tall.sum(1)[:, None] * wide.sum(1))
    torch.testing.assert_close(means, functional.adaptive_avg_pool2d(x, fewer))


def test_binomial_weights():
    assert smoothed(torch.tensor([[0.0, 4.0, 0.0, 0.0, 8.0]]), 1).tolist() == [[2.0, 1.0, 2.0]]


@given(
    inputs=st.integers(1, 40), outputs=st.integers(1, 5), seed=st.integers(0, 999),
    largest=st.sampled_from([1, 255, 1020, 65_025]), size=st.sampled_from([1e-6, 1.0, 1e6]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_products_are_exact(inputs, outputs, seed, largest, size):
    """In rational numbers, at the largest rows too; and the matrix hardly moves."""
    matrix = size * torch.randn(inputs, outputs, generator=source(seed), dtype=torch.float64)
    matrix[:, 0] = matrix[:, 0].abs()
    product = ExactProduct(matrix, largest)
    rows = torch.randint(-largest, largest + 1, (3, inputs), generator=source(seed))
    rows[0], rows[1] = largest, largest * matrix[:, -1].sign()
    found = product(rows)
    for i, row in enumerate(rows.tolist()):
        for j, column in enumerate(product.matrix.T.tolist()):
            assert found[i, j].item() == sum(Fraction(a) * b for a, b in zip(column, row, strict=True))
    most = (matrix.abs().sum(0).max() * largest).item()
    assert (product.matrix - matrix).abs().max().item() <= most * 2.0**-51
    orders = torch.randperm(inputs, generator=source(seed))
    assert torch.equal(rows[:, orders].double() @ product.matrix[orders], found)


def test_products_that_could_not_be_exact_are_refused():
    with pytest.raises(ValueError, match="too large for exact products"):
        ExactProduct(torch.ones(1 << 20, 1), 1 << 32)
    assert ExactProduct(torch.zeros(3, 2), 255)(torch.ones(4, 3)).tolist() == [[0.0, 0.0]] * 4


@given(rows=st.integers(0, 40), points=st.integers(1, 60), width=st.integers(1, 30), seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_the_nearest_point_is_the_nearest(rows, points, width, seed):
    draw = source(seed)
    x, s = (torch.rand(n, width, generator=draw, dtype=torch.float64) * 2 - 1 for n in (rows, points))
    far = (x[:, None] - s).square().sum(2)
    found = nearest(x, s, 1.0)
    assert torch.all(far.gather(1, found[:, None])[:, 0] <= far.min(1).values + 1e-5)
    twice = torch.cat([s, s])
    assert torch.equal(nearest(x, twice, 1.0), found), "the first of equals"


def test_no_number_and_too_large_numbers_find_a_nearest_point_too():
    points = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.0, 0.0]])
    rows = torch.tensor([[math.inf, 7.0], [-9.0, -math.inf], [math.nan, math.nan]])
    assert nearest(rows, points, 1.0).tolist() == [1, 0, 2]
