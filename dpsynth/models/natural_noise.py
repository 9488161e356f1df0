"""Noise with the falling spectrum of natural images; public, it knows no data."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def falling_spectrum(height: int, width: int) -> Tensor:
    """(height, width) float32 amplitudes of cosines, which fall with the frequency as those of natural images do."""
    up, aside = torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32)
    return (1 + (up[:, None] ** 2 + aside**2) / 4).rsqrt()


def natural_noise(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """(n, channels, height, width) noise of mean square 1 with that spectrum."""
    n, channels, height, width = shape
    tall, wide = _waves(height), _waves(width)
    power = falling_spectrum(height, width)
    power *= math.sqrt(height * width) / power.norm()
    white = torch.randn(n, channels, height, width, generator=generator) * power
    return tall.T @ white @ wide


def _waves(size: int) -> Tensor:
    """(size, size) orthonormal cosines as rows."""
    side = torch.arange(size, dtype=torch.float32)
    waves = torch.cos(math.pi / size * side[:, None] * (side + 0.5)) * math.sqrt(2 / size)
    waves[0] /= math.sqrt(2)
    return waves
