"""Images by class as released moments describe them: means, deviations of pixels, and what varies together.

Everything here is post-processing of noisy sums, apart from `PixelSquares` and `Standardised`, which say how an image
enters such a sum: each by itself, to the last bit (`data/row_maps.py`).

Noise is white, images are not: they are smooth, alike in their classes, and empty in many places. So each noisy moment
is shrunk towards what is known already, by the fraction of its expected square that is not noise (Wiener):

    means               to zero, ring by ring of spatial frequencies; its power is that of the noisy ring less the noise
    scatter of all      entry by entry in cosine waves, by the powers of its two waves
    scatter of a class  entry by entry to that of all classes, in the leading directions of that
    centre of a cluster to the mean of its class, by the scatter of the class, which is its prior covariance
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dpsynth.data.row_maps import ExactProduct, row_norms

Shape = Sequence[int]  # (channels, height, width)
MIDDLE = 0.3  # grey from which pixels are measured: about the mean of what is often dark
SHORTEST = 0.05  # deviation that every pixel is taken to have at least, so that dividing by it does not blow up noise
FAINT = 0.02  # deviation of a pixel at which half of what is seen there is taken for noise
POWER_SPREAD = 0.35  # expected covariance of two cosine waves, in units of the root of their powers
CLASS_SPREAD = 0.6  # the same of two directions within a class, beside what all classes share
BETWEEN = 0.8  # part of a class's scatter that its centres are expected to have


class PixelSquares:
    """Pixels and their squares as features of norm at most 1, for the means and variances of pixels.

    radius: root mean square of a pixel's distance from `MIDDLE`, and of its square, beyond which an image is scaled.
    """

    SHARE = 0.55  # of the squared norm for the pixels, the rest for their squares

    def __init__(self, shape: Shape, levels: int, radius: float) -> None:
        self.pixels, self.levels = math.prod(shape), levels
        self.radius = radius * math.sqrt(self.pixels)

    def rows(self, codes: Tensor) -> Tensor:
        """(n, 2 pixels) float64 features of (n, ...) whole numbers in [0, levels)."""
        units = codes.flatten(1).to(torch.float64) / max(self.levels - 1, 1)
        parts = []
        for numbers, share in ((units - MIDDLE, self.SHARE), (units * units, 1 - self.SHARE)):
            parts.append(numbers / row_norms(numbers).clamp(min=self.radius)[:, None] * math.sqrt(share))
        return torch.cat(parts, 1)

    def moments(self, means: Tensor, deviations: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
        """Means and deviations of pixels, (classes, pixels), from noisy means of the features.

        deviations: (classes,) of the noise of an entry of `means`.
        """
        found = []
        for part, share in zip(means.split(self.pixels, 1), (self.SHARE, 1 - self.SHARE), strict=True):
            scale = self.radius / math.sqrt(share)
            found.append(smooth_means(part * scale, deviations * scale, shape))
        mean = (found[0] + MIDDLE).clamp(0, 1)
        return mean, (found[1] - mean.square()).clamp(0, 0.25).sqrt()


@dataclass(frozen=True)
class Standardised:
    """Images less the mean of their class, over the deviations of the class, in cosine waves: as private sums see them.

    mean, inverse: (classes, pixels). waves: (numbers, pixels) the rows on which an image is projected.
    """

    mean: Tensor
    inverse: Tensor
    waves: Tensor
    levels: int

    def rows(self, codes: Tensor, label: int) -> Tensor:
        """(n, numbers) float64 of images of one class, (n, ...) whole numbers in [0, levels)."""
        weights = self.inverse[label][:, None] * self.waves.T
        product = ExactProduct(weights / max(self.levels - 1, 1), max(self.levels - 1, 1))
        return product(codes.flatten(1)) - self.mean[label] @ weights


def cosines(side: int) -> Tensor:
    """(side, side) float64 orthonormal cosine waves, one a row, from slow to fast."""
    waves = torch.arange(side, dtype=torch.float64)[:, None]
    places = torch.arange(side, dtype=torch.float64) + 0.5
    table = torch.cos(math.pi / side * waves * places) * math.sqrt(2 / side)
    table[0] /= math.sqrt(2)
    return table


def slow_waves(shape: Shape, most: int) -> tuple[Tensor, Tensor]:
    """(numbers, pixels) the slowest cosine waves of every channel, at most `most` along a side, and their rings."""
    channels, height, width = shape
    tall, wide = cosines(height)[:most], cosines(width)[:most]
    plane = torch.einsum("ip,jq->ijpq", tall, wide).reshape(len(tall) * len(wide), height * width)
    waves = torch.block_diag(*[plane] * channels)
    return waves, _rings(len(tall), len(wide)).flatten().repeat(channels)


def smooth_means(means: Tensor, deviations: Tensor, shape: Shape) -> Tensor:
    """(classes, pixels) noisy means with less noise. deviations: (classes,) of the noise of an entry."""
    channels, height, width = shape
    tall, wide = cosines(height), cosines(width)
    seen = tall @ means.reshape(len(means), channels, height, width) @ wide.T
    rings = _rings(height, width)
    noise = deviations.square()[:, None, None]
    for ring in range(int(rings.max()) + 1):
        inside = rings == ring
        power = (seen[..., inside].square().mean(-1)[..., None] - noise).clamp(min=0)
        seen[..., inside] *= power / (power + noise + 1e-12)
    return (tall.T @ seen @ wide).reshape(means.shape)


def smooth_scatter(scatter: Tensor, deviation: float, rings: Tensor) -> Tensor:
    """(d, d) noisy second moments of cosine waves with less noise, positive semi-definite.

    deviation: of the noise off the diagonal; on it, the noise is sqrt(2) times as large. rings: (d,) of the waves.
    """
    own = scatter.diagonal()
    powers = torch.stack([own[rings == ring].mean().clamp(min=1e-4) for ring in range(int(rings.max()) + 1)])[rings]
    expected = POWER_SPREAD**2 * torch.outer(powers, powers)
    shrunk = scatter * expected / (expected + deviation**2)
    expected = (0.7 * powers).square()
    shrunk.diagonal().copy_(powers + (own - powers) * expected / (expected + 2 * deviation**2))
    return nonnegative(shrunk)


def class_scatter(scatter: Tensor, deviation: float, shared: Tensor) -> Tensor:
    """(d, d) noisy second moments of one class in directions in which all classes have (d,) `shared`, less noisy."""
    prior = torch.diag(shared)
    expected = CLASS_SPREAD**2 * torch.outer(shared, shared)
    return nonnegative(prior + (scatter - prior) * expected / (expected + deviation**2 + 1e-12))


def shrunk_centres(centres: Tensor, deviations: Tensor, scatter: Tensor) -> Tensor:
    """(clusters, d) noisy centres, less noisy. deviations: (clusters,) of the noise. scatter: (d, d) of the class."""
    values, vectors = torch.linalg.eigh(scatter)
    prior = BETWEEN * values.clamp(min=0)
    return centres @ vectors * (prior / (prior + deviations[:, None].square() + 1e-12)) @ vectors.T


def nonnegative(matrix: Tensor) -> Tensor:
    """The symmetric matrix without its negative eigenvalues."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    return vectors * values.clamp(min=0) @ vectors.T


def root(matrix: Tensor) -> Tensor:
    """F with F F^T equal to the positive semi-definite `matrix`."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    return vectors * values.clamp(min=0).sqrt()


def _rings(tall: int, wide: int) -> Tensor:
    """(tall, wide) int64: how fast a wave is, as the whole part of its distance from the constant one."""
    rows, columns = torch.arange(tall)[:, None], torch.arange(wide)
    return (rows.square() + columns.square()).double().sqrt().long()


def diagonal_in(directions: Tensor, matrix: Tensor) -> Tensor:
    """(pixels,) variances of pixels under a covariance (d, d) of the coordinates along `directions` (d, pixels)."""
    return (directions * (matrix @ directions)).sum(0)
