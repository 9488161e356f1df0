"""How images of a class vary around the images that votes have taught: normal laws of their low frequencies.

    image = G(code) + basis^T (u + v),    u ~ N(0, the part of the scatter that stands out of its noise),  v independent

The scatter of a class (`privacy/class_scatter.py`) is a matrix plus symmetric noise, whose own eigenvalues fill an
interval of known width. Eigenvalues beyond it belong to the data, and are brought back by what the noise adds to them
(Benaych-Georges and Nadakuditi 2011, arXiv:0910.2120, section 3.1); the others are dropped. What is left of the
diagonal is shrunk towards the falling spectrum of natural images with the same trace, by the rule of James and Stein.
All of this is post-processing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from dpsynth.data.row_maps import ExactProduct, nearest
from dpsynth.models.natural_noise import falling_spectrum
from dpsynth.privacy.class_scatter import Scatter
from dpsynth.privacy.votes import cosine_basis


@dataclass(frozen=True)
class LowFrequencies:
    """A public map. shape: (channels, height, width) of images. frequencies: along each side, at most."""

    shape: tuple[int, int, int]
    frequencies: int

    @property
    def each(self) -> int:
        """Frequencies along each side, where the image has that many."""
        return min(self.frequencies, *self.shape[1:])

    @property
    def width(self) -> int:
        return self.shape[0] * self.each**2

    def basis(self) -> Tensor:
        """(width, channels height width) float32, orthonormal rows."""
        return cosine_basis(self.shape[1], self.shape[2], self.shape[0], self.each)

    @property
    def reach(self) -> float:
        """No coordinate of an image in [0, 1] is larger: the norm of the brightest image."""
        return math.sqrt(math.prod(self.shape))

    def seen(self, pixels: Tensor) -> Tensor:
        """(n, width) float64 coordinates of (n, *shape) uint8 images, each the same bits in any company."""
        return self._product(pixels.flatten(1)) / 255

    @cached_property
    def _product(self) -> ExactProduct:
        return ExactProduct(self.basis().T, 255)

    def spectrum(self) -> Tensor:
        """(width,) float64: the power of natural images at each frequency, adding up to 1."""
        plane = falling_spectrum(self.each, self.each).double().square().flatten().repeat(self.shape[0])
        return plane / plane.sum()


def offsets(
    seen: Iterator[tuple[Tensor, Tensor]], centres: Tensor, classes: Tensor, reach: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of how far rows (b, width) of labels (b,) lie from the nearest public centre of their class.

    centres: (B, width), classes: (B,). A class without a centre takes all of them. reach: public bound on coordinates;
    rows beyond it count as if they were cut to it when the nearest centre is looked for. Every row is mapped by itself,
    to the last bit (`data/row_maps.py`).
    """
    for rows, labels in seen:
        away = torch.empty_like(rows)
        for code in labels.unique().tolist():
            chosen, own = labels == code, centres[classes == code]
            own = (own if len(own) else centres).to(rows.dtype)
            away[chosen] = rows[chosen] - own[nearest(rows[chosen], own, reach)]
        yield away, labels


@dataclass(frozen=True)
class Variation:
    """A fitted one. roots: (classes, width, width) float32, of the covariance of u. deviations: (classes, width), of v.
    low: the frequencies in which both live."""

    low: LowFrequencies
    roots: Tensor
    deviations: Tensor

    @classmethod
    def of(cls, scatter: Scatter, low: LowFrequencies) -> Self:
        """What stands out of the noise of `scatter`."""
        width = scatter.moments.shape[1]
        roots, rests = [], []
        for moments, noise in zip(scatter.moments, scatter.deviations.tolist(), strict=True):
            values, vectors = torch.linalg.eigh(moments)
            edge = 2 * noise * width**0.5  # of the eigenvalues of the noise alone
            clear = edge * (1 + 0.5 * width ** (-2 / 3))  # noise alone passes it once in twenty times (Tracy and Widom)
            inside = (values.square() - edge**2).clamp_min(0).sqrt()
            root = vectors * torch.where(values > clear, (values + inside) / 2, 0.0).clamp_min(0).sqrt()
            roots.append(root)
            rests.append(_shrunk(moments.diagonal() - root.square().sum(1), low.spectrum(), 2**0.5 * noise).sqrt())
        return cls(low, torch.stack(roots).float(), torch.stack(rests).float())

    def drawn(self, noise: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(n, *shape): noise of that shape whose low frequencies are drawn anew, from the laws of classes `labels`."""
        basis = self.low.basis()
        flat = noise.flatten(1)
        white = torch.randn(2, len(flat), len(basis), generator=generator)
        drawn = white[1] * self.deviations[labels]
        for code in labels.unique().tolist():
            chosen = labels == code
            drawn[chosen] += white[0, chosen] @ self.roots[code].T
        return (flat + (drawn - flat @ basis.T) @ basis).view_as(noise)

    def tensors(self) -> dict[str, Tensor]:
        return {"variation.roots": self.roots, "variation.deviations": self.deviations}

    @classmethod
    def restored(cls, low: LowFrequencies, tensors: Mapping[str, Tensor]) -> Self:
        return cls(low, tensors["variation.roots"], tensors["variation.deviations"])


def _shrunk(diagonal: Tensor, spectrum: Tensor, noise: float) -> Tensor:
    """Variances (width,), not negative, from a diagonal with noise of this standard deviation in each entry."""
    guess = diagonal.sum().clamp_min(0) * spectrum
    away = diagonal - guess
    trust = (1 - max(0, len(diagonal) - 2) * noise**2 / away.square().sum().clamp_min(1e-30)).clamp_min(0)
    return (guess + trust * away).clamp_min(0)
