"""From what the votes can teach, smooth shapes, to images: variation and tones. Post-processing, with public choices.

Votes on few low frequencies say where mass is, not how sharp an edge is. So an image is finished in three public steps:
noise of a falling spectrum (whose low frequencies follow the class where that was paid for, `class_variation.py`) and a
small random affine deformation, which stand for what varies within a class, and a tone curve for each class, the
monotone map that gives the pixels the law of the (noisy, paid) histogram of that class.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from dpsynth.data.image_domain import ImageDomain
from dpsynth.models.class_variation import Variation
from dpsynth.models.natural_noise import natural_noise

POINTS = 129  # of a tone curve


@dataclass(frozen=True)
class Finish:
    """spread: root mean square of the noise, in units of the pixels' range. deformation: 1 for turns of up to
    .25, stretches of .12, shears of .2 and shifts of a fourteenth of the side; 0 for none. variation: of the low
    frequencies of the noise, None for that of natural images."""

    spread: float = 0.2
    deformation: float = 1.0
    variation: Variation | None = None

    def varied(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(n, c, h, w) images of classes `labels` with noise and deformed, not yet toned."""
        if self.spread or self.variation:
            noise = self.spread * natural_noise(images.shape, generator)
            images = images + (self.variation.drawn(noise, labels, generator) if self.variation else noise)
        if not self.deformation:
            return images
        turn, tall, wide, shear, up, aside = (
            self.deformation * (2 * torch.rand(6, len(images), generator=generator) - 1)
        ) * torch.tensor([0.25, 0.12, 0.12, 0.2, 1 / 7, 1 / 7])[:, None]
        matrix = torch.empty(len(images), 2, 3)
        matrix[:, 0, 0], matrix[:, 0, 1] = turn.cos() * (1 + wide), shear - turn.sin() * (1 + tall)
        matrix[:, 1, 0], matrix[:, 1, 1] = turn.sin() * (1 + wide), turn.cos() * (1 + tall)
        matrix[:, 0, 2], matrix[:, 1, 2] = aside, up
        places = affine_grid(matrix, list(images.shape), align_corners=False)
        return grid_sample(images, places, padding_mode="border", align_corners=False)


def tone_curves(varied: Tensor, labels: Tensor, histograms: Tensor) -> Tensor:
    """(classes, 2, POINTS) float32: values before and after, both rising, so that pixels follow the histograms.

    varied: (n, c, h, w) unfinished images of the model, labels (n,). histograms: (classes, bins) noisy sums over even
    bins of [0, 1]; the first and the last bin stand for 0 and 1.
    """
    shares = torch.linspace(0, 1, POINTS)
    curves = torch.empty(len(histograms), 2, POINTS)
    for code, histogram in enumerate(histograms):
        values = varied[labels == code].flatten()
        if not len(values):
            values = varied.flatten()
        values = values[:: max(1, len(values) // 200_000)]
        curves[code, 0] = torch.quantile(values.double(), shares.double()).float()
        mass = histogram.clamp_min(0).double() + 1e-6 * histogram.abs().sum().double() + 1e-9
        bins = len(mass)
        edges = torch.cat([torch.zeros(1).double(), mass.cumsum(0) / mass.sum()])
        place = torch.linspace(0, 1, bins + 1).double()
        index = torch.searchsorted(edges, shares.double()).clamp(1, bins)
        inside = (shares - edges[index - 1]) / (edges[index] - edges[index - 1])
        after = place[index - 1] + inside.clamp(0, 1) / bins
        after[index == 1] = 0.0
        after[index == bins] = 1.0
        curves[code, 1] = after.float()
    return curves


def toned(images: Tensor, labels: Tensor, curves: Tensor) -> Tensor:
    """(n, c, h, w) images of classes `labels` after their tone curves, in [0, 1]."""
    out = torch.empty_like(images)
    for code in labels.unique().tolist():
        chosen = labels == code
        before, after = curves[code].contiguous()
        values = images[chosen]
        index = torch.searchsorted(before, values.contiguous()).clamp(1, len(before) - 1)
        low, high = before[index - 1], before[index]
        share = ((values - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)
        out[chosen] = torch.lerp(after[index - 1], after[index], share)
    return out


def view_of(domain: ImageDomain, size: int | None) -> tuple[int, int, int]:
    """The shape at which a generator works: the longer side has `size` pixels, None for all."""
    longer = max(domain.height, domain.width)
    scale = min(domain.size or size or longer, longer) / longer
    return domain.channels, max(1, round(domain.height * scale)), max(1, round(domain.width * scale))
