"""From what the votes can train, smooth shapes, to images: variation and histogram matching. Public choices only.

Noise with the falling spectrum of natural images; public, it knows no data.

How images of a class vary around the images that votes have shaped: normal distributions of their low frequencies.

    image = G(code) + basis^T (u + v),    u ~ N(0, the part of the scatter that stands out of its noise),  v independent

The scatter of a class (`privacy/mechanisms/class_statistics.py`) is a matrix plus symmetric noise, whose own
eigenvalues fill an interval of known width. Eigenvalues beyond it belong to the data, and are brought back by what the
noise adds to them (Benaych-Georges and Nadakuditi 2011, arXiv:0910.2120, section 3.1); the others are dropped. What is
left of the diagonal is shrunk towards the falling spectrum of natural images with the same trace, by the rule of James
and Stein. All of this is post-processing.

From what the votes can train, smooth shapes, to images: variation and histogram matching. Post-processing, with public
choices.

Votes on few low frequencies say where mass is, not how sharp an edge is. So an image is finished in three public steps:
noise of a falling spectrum (whose low frequencies follow the class where that was paid for, `image_postprocessing.py`)
and a small random affine deformation, which stand for what varies within a class, and a histogram-matching curve for
each class, the monotone map that gives the pixels the distribution of the (noisy, paid) histogram of that class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.row_maps import ExactProduct, nearest
from dpsynth.privacy.mechanisms.class_statistics import Scatter
from dpsynth.privacy.mechanisms.votes import cosine_basis


def falling_spectrum(height: int, width: int) -> Tensor:
    """(height, width) float32 amplitudes of cosines, which fall with the frequency as those of natural images do."""
    up, across = torch.arange(height, dtype=torch.float32), torch.arange(width, dtype=torch.float32)
    return (1 + (up[:, None] ** 2 + across**2) / 4).rsqrt()


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


# -------------------- Class variation -------------------------------------------------------


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
        """(n, *shape): noise of that shape whose low frequencies are drawn anew, from the distributions of classes
        `labels`."""
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


# -------------------- Image finish ----------------------------------------------------------

POINTS = 129  # of a histogram-matching curve


@dataclass(frozen=True)
class PostProcessing:
    """spread: root mean square of the noise, in units of the pixels' range. deformation: 1 for turns of up to
    .25, stretches of .12, shears of .2 and shifts of a fourteenth of the side; 0 for none. variation: of the low
    frequencies of the noise, None for that of natural images."""

    spread: float = 0.2
    deformation: float = 1.0
    variation: Variation | None = None

    def varied(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(n, c, h, w) images of classes `labels` with noise and deformed, before histogram matching."""
        if self.spread or self.variation:
            noise = self.spread * natural_noise(images.shape, generator)
            images = images + (self.variation.drawn(noise, labels, generator) if self.variation else noise)
        if not self.deformation:
            return images
        turn, tall, wide, shear, up, across = (
            self.deformation * (2 * torch.rand(6, len(images), generator=generator) - 1)
        ) * torch.tensor([0.25, 0.12, 0.12, 0.2, 1 / 7, 1 / 7])[:, None]
        matrix = torch.empty(len(images), 2, 3)
        matrix[:, 0, 0], matrix[:, 0, 1] = turn.cos() * (1 + wide), shear - turn.sin() * (1 + tall)
        matrix[:, 1, 0], matrix[:, 1, 1] = turn.sin() * (1 + wide), turn.cos() * (1 + tall)
        matrix[:, 0, 2], matrix[:, 1, 2] = across, up
        places = affine_grid(matrix, list(images.shape), align_corners=False)
        return grid_sample(images, places, padding_mode="border", align_corners=False)


def matching_curves(varied: Tensor, labels: Tensor, histograms: Tensor) -> Tensor:
    """(classes, 2, POINTS) float32: values before and after, both rising, so that pixels follow the histograms.

    varied: (n, c, h, w) unfinished images of the model, labels (n,). histograms: (classes, bins) noisy sums over even
    bins of [0, 1]; the first and the last bin stand for 0 and 1.
    """
    fractions = torch.linspace(0, 1, POINTS)
    curves = torch.empty(len(histograms), 2, POINTS)
    for code, histogram in enumerate(histograms):
        values = varied[labels == code].flatten()
        if not len(values):
            values = varied.flatten()
        values = values[:: max(1, len(values) // 200_000)]
        curves[code, 0] = torch.quantile(values.double(), fractions.double()).float()
        mass = histogram.clamp_min(0).double() + 1e-6 * histogram.abs().sum().double() + 1e-9
        bins = len(mass)
        edges = torch.cat([torch.zeros(1).double(), mass.cumsum(0) / mass.sum()])
        place = torch.linspace(0, 1, bins + 1).double()
        index = torch.searchsorted(edges, fractions.double()).clamp(1, bins)
        inside = (fractions - edges[index - 1]) / (edges[index] - edges[index - 1])
        after = place[index - 1] + inside.clamp(0, 1) / bins
        after[index == 1] = 0.0
        after[index == bins] = 1.0
        curves[code, 1] = after.float()
    return curves


def histogram_matched(images: Tensor, labels: Tensor, curves: Tensor) -> Tensor:
    """(n, c, h, w) images of classes `labels` after their histogram-matching curves, in [0, 1]."""
    out = torch.empty_like(images)
    for code in labels.unique().tolist():
        chosen = labels == code
        before, after = curves[code].contiguous()
        values = images[chosen]
        index = torch.searchsorted(before, values.contiguous()).clamp(1, len(before) - 1)
        low, high = before[index - 1], before[index]
        fraction = ((values - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)
        out[chosen] = torch.lerp(after[index - 1], after[index], fraction)
    return out


def view_of(domain: ImageDomain, size: int | None) -> tuple[int, int, int]:
    """The shape at which a generator works: the longer side has `size` pixels, None for all."""
    longer = max(domain.height, domain.width)
    scale = min(domain.size or size or longer, longer) / longer
    return domain.channels, max(1, round(domain.height * scale)), max(1, round(domain.width * scale))
