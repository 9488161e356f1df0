"""Histograms of oriented gradients: fixed features by which a linear classifier knows images under strong privacy.

With handcrafted features a linear model learns from few noisy steps what a network would need public data for (Tramer
and Boneh 2021, arXiv:2011.11660). Histograms after Dalal and Triggs 2005. Every image is described by itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

ORIENTATIONS = 8
CELLS = 7  # along a side, roughly
_FAINT = 0.05  # norm below which a cell's edges count as none


def oriented_gradients(units: Tensor) -> Tensor:
    """(n, channels, h, w) in [0, 1] -> (n, features) float32 of norm at most sqrt(1.25).

    Edge directions in cells of a few pixels, normalised by their neighbourhood, and the coarse image at half weight.
    """
    grey, (height, width) = units.mean(1, keepdim=True), units.shape[2:]
    binomial = torch.tensor([0.25, 0.5, 0.25], device=units.device)
    smooth = F.conv2d(F.pad(grey, (2, 2, 2, 2)), (binomial[:, None] * binomial)[None, None])
    right = (smooth[..., 1:-1, 2:] - smooth[..., 1:-1, :-2])[:, 0]
    down = (smooth[..., 2:, 1:-1] - smooth[..., :-2, 1:-1])[:, 0]
    strength = (right.square() + down.square()).sqrt()
    turns = torch.atan2(down, right) / (2 * math.pi) * ORIENTATIONS
    share, first = turns - turns.floor(), turns.floor().long() % ORIENTATIONS
    histograms = strength.new_zeros(len(units), ORIENTATIONS, height, width)
    histograms.scatter_add_(1, first[:, None], (strength * (1 - share))[:, None])
    histograms.scatter_add_(1, ((first + 1) % ORIENTATIONS)[:, None], (strength * share)[:, None])
    cell = max(2, round(min(height, width) / CELLS))
    kernel = (min(cell + 2, height + 2), min(cell + 2, width + 2))
    cells = F.avg_pool2d(F.pad(histograms, (1, 1, 1, 1)), kernel, stride=cell)
    around = F.avg_pool2d(cells.square().sum(1, keepdim=True).sqrt(), 3, 1, 1)
    edges = _unit((cells / (around + _FAINT)).flatten(1))
    coarse = _unit(F.avg_pool2d(units * 2 - 1, min(cell, height, width), ceil_mode=True).flatten(1))
    return torch.cat([edges, 0.5 * coarse], 1)


def _unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=1, keepdim=True).clamp(min=1e-6)
