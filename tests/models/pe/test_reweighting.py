"""Weights meet what was measured, as closely as the noise deserves."""

import numpy as np
import pytest

from dpsynth.models.pe.table_pool import Histogram, reweighted


def cells(pool: int, sizes: list[int]) -> list[np.ndarray]:
    return [np.random.default_rng(k).integers(0, size, (pool, 1)) for k, size in enumerate(sizes)]


def test_exact_histograms_that_agree_are_met():
    pool, rows, sizes = 2000, 1000.0, [3, 5]
    found = cells(pool, sizes)
    truth = np.random.default_rng(9).gamma(5.0, size=pool)
    truth /= truth.sum()
    histograms = [
        Histogram(c, rows * np.bincount(c[:, 0], truth, minlength=size), 0.0, 3.0)
        for c, size in zip(found, sizes, strict=True)
    ]
    weights = reweighted(histograms, pool, rows)
    assert weights.sum() == pytest.approx(1)
    for histogram in histograms:
        counts = rows * np.bincount(histogram.cells[:, 0], weights, minlength=len(histogram.noisy))
        np.testing.assert_allclose(counts, histogram.noisy, atol=3)


def test_a_histogram_drowned_in_noise_moves_nothing():
    (found,) = cells(500, [20])
    noisy = np.random.default_rng(1).normal(25, 5000, 20)
    weights = reweighted([Histogram(found, noisy, 5000.0, 0.1)], 500, 500.0)
    assert np.log(weights * 500).std() < 0.1


def test_more_noise_means_smaller_moves():
    (found,) = cells(500, [4])
    noisy = np.array([300.0, 100.0, 50.0, 50.0])
    spread = [np.log(reweighted([Histogram(found, noisy, noise, 0.5)], 500, 500.0)).std() for noise in (1, 50, 1000)]
    assert spread[0] > spread[1] > spread[2]


def test_empty_cells_and_none_do_no_harm():
    found = np.array([[0, -1], [0, 1], [1, -1]])
    weights = reweighted([Histogram(found, np.array([2.0, -5.0, 90.0]), 1.0, 1.0, 2**-0.5)], 3, 10.0)
    assert np.isfinite(weights).all()
    assert weights[0] > weights[1]  # the second also counts in a cell where too much is already
