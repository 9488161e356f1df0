"""Histograms of oriented gradients: fixed features by which a linear classifier knows images under strong privacy.

With handcrafted features a linear model learns from few noisy steps what a network would need public data for (Tramer
and Boneh 2021, arXiv:2011.11660). Histograms after Dalal and Triggs 2005.

Every image is described by itself, to the last bit: all steps are of the kinds listed in `data/row_maps.py`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from dpsynth.data.row_maps import row_norms, smoothed, window_means, window_sums

ORIENTATIONS = 8  # one for each octant
CELLS = 7  # along a side, roughly
_FAINT = 0.05  # norm below which a cell's edges count as none
_AT_ONCE = 64  # images; what they need stays in the processor's cache
_STEPS = 1 << 16  # of a slope between 0 and 1 in the table of arcs
_ARCS = (torch.atan(torch.arange(_STEPS + 1, dtype=torch.float64) / _STEPS) * (4 / math.pi)).float()  # in octants


def oriented_gradients(units: Tensor) -> Tensor:
    """(n, channels, h, w) in [0, 1] -> (n, features) float32 of norm at most sqrt(1.25).

    Edge directions in cells of a few pixels, normalised by their neighbourhood, and the coarse image at half weight.
    """
    return torch.cat([_described(part) for part in units.split(_AT_ONCE)])


def _described(units: Tensor) -> Tensor:
    height, width = units.shape[2:]
    grey = units[:, 0]
    for channel in range(1, units.shape[1]):
        grey = grey + units[:, channel]
    smooth = smoothed(smoothed(F.pad(grey / units.shape[1], (2, 2, 2, 2)), 1), 2)
    right = smooth[:, 1:-1, 2:] - smooth[:, 1:-1, :-2]
    down = smooth[:, 2:, 1:-1] - smooth[:, :-2, 1:-1]
    strength = (right * right + down * down).sqrt()
    turns = _octants(right, down)
    below = turns.floor()
    share, first = turns - below, below.long() % ORIENTATIONS
    histograms = strength.new_zeros(len(units), ORIENTATIONS, height, width)
    histograms.scatter_(1, first[:, None], (strength * (1 - share))[:, None])
    histograms.scatter_(1, ((first + 1) % ORIENTATIONS)[:, None], (strength * share)[:, None])
    cell = max(2, round(min(height, width) / CELLS))
    kernel = (min(cell + 2, height + 2), min(cell + 2, width + 2))
    cells = window_sums(F.pad(histograms, (1, 1, 1, 1)), kernel, cell) / (kernel[0] * kernel[1])
    around = window_sums(F.pad(row_norms(cells.movedim(1, -1)), (1, 1, 1, 1)), (3, 3), 1) / 9
    edges = _unit((cells / (around + _FAINT)[:, None]).flatten(1))
    coarse = _unit(window_means(units * 2 - 1, min(cell, height, width)).flatten(1))
    return torch.cat([edges, coarse * 0.5], 1)


def _octants(right: Tensor, down: Tensor) -> Tensor:
    """Directions as numbers of eighths of a turn, in [-4, 4]: arcs of slopes between 0 and 1 come from a table."""
    level, steep = right.abs(), down.abs()
    larger = torch.maximum(level, steep)
    slope = torch.minimum(level, steep) / torch.where(larger > 0, larger, 1.0)
    turns = _ARCS.to(right.device).take((slope * _STEPS).round().long()).to(right.dtype)
    turns = torch.where(steep > level, 2 - turns, turns)
    turns = torch.where(right < 0, 4 - turns, turns)
    return torch.where(down < 0, -turns, turns)


def _unit(x: Tensor) -> Tensor:
    return x / row_norms(x)[:, None].clamp(min=1e-6)
