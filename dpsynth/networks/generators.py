"""Class-conditional generators: noise and a class become an image, a vector or a row of a table.

A class-conditional generator: noise and a class to numbers, and heads that make images or table rows of them.

The trunk is a residual perceptron with a class-wise affine part beside it,

    outputs = W norm(h) + shift[y] + z A[y],   h = (z, y) through residual layers h + silu(V norm(h)),

so that from the first step on every class has a mean and directions of its own. Normalisation is over the units of one
sample (Ba, Kiros, Hinton 2016, arXiv:1607.06450): what becomes of a sample never depends on its batch mates.

Class-conditional generators: a code z and a class y become an image or a vector.

`mlp` for any shape, `dcgan` for images of any size (Radford et al. 2016, arXiv:1511.06434, with group normalisation in
place of batch normalisation, Wu and He 2018, arXiv:1803.08494). No layer looks at other rows of the batch, so a sample
does not depend on what is drawn beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import interpolate, one_hot
from torch.nn.utils import skip_init

GAIN = 5.0  # of the image head: weights of size one then move pixels over much of the unit interval
DARK = -1.5  # logit of a pixel before training
SPREAD = 0.02  # initial size of the affine part
QUIET = 0.1  # initial size of the last layer: a class begins near one point and learns its variety


@dataclass(frozen=True)
class GeneratorShape:
    """The public shape of a trunk. latent: numbers of noise. hidden: units. layers: residual layers."""

    latent: int = 16
    hidden: int = 256
    layers: int = 2


class AffineGenerator(nn.Module):
    """(n, latent) standard normal noise and (n,) int64 classes to what `head` makes of (n, head.inputs) numbers.

    generator: source of the initial weights; None leaves them to be loaded.
    """

    def __init__(self, shape: GeneratorShape, classes: int, head: nn.Module, generator: torch.Generator | None) -> None:
        super().__init__()
        self.shape, self.classes, self.head = shape, classes, head
        outputs = int(head.inputs)  # type: ignore[arg-type]
        self.classed = nn.Parameter(torch.zeros(classes, shape.hidden))
        self.first = skip_init(nn.Linear, shape.latent, shape.hidden)
        self.layers = nn.ModuleList(skip_init(nn.Linear, shape.hidden, shape.hidden) for _ in range(shape.layers))
        self.norms = nn.ModuleList(nn.LayerNorm(shape.hidden) for _ in range(shape.layers + 1))
        self.last = skip_init(nn.Linear, shape.hidden, outputs)
        self.shift = nn.Parameter(torch.zeros(classes, outputs))
        self.affine = nn.Parameter(torch.zeros(shape.latent, classes, outputs))
        if generator is not None:
            self._start(generator)

    @torch.no_grad()
    def _start(self, generator: torch.Generator) -> None:
        """Weights uniform within 1 / sqrt(inputs), as torch does, but from a generator of our own."""
        for layer in (self.first, *self.layers, self.last):
            assert isinstance(layer, nn.Linear)
            bound = 1 / math.sqrt(layer.in_features)
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)
        for parameter in self.last.parameters():
            parameter.mul_(QUIET)
        self.classed.normal_(generator=generator)
        self.affine.normal_(std=SPREAD, generator=generator)
        self.shift.copy_(self.head.start.expand_as(self.shift))  # type: ignore[union-attr, operator]

    @property
    def device(self) -> torch.device:
        return self.shift.device

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        hidden = self.first(noise) + self.classed[labels]
        for layer, norm in zip(self.layers, self.norms, strict=False):
            hidden = hidden + functional.silu(layer(norm(hidden)))
        # z A[y] as one product with z in the columns of its class: no (n, latent, outputs) array is made
        placed = noise[:, :, None] * functional.one_hot(labels, self.classes)[:, None, :]
        affine = placed.flatten(1) @ self.affine.flatten(0, 1)
        return self.head(self.last(self.norms[-1](hidden)) + self.shift[labels] + affine)

    @torch.no_grad()
    def draw(self, labels: Tensor, generator: torch.Generator, at_once: int = 1024) -> Tensor:
        """Outputs for (n,) int64 classes, with noise from `generator`, in parts of bounded memory."""
        parts = [
            self(torch.randn(len(part), self.shape.latent, generator=generator), part)
            for part in labels.split(at_once)
            if len(part)
        ]
        empty = torch.zeros(0, self.shape.latent)
        return torch.cat(parts) if parts else self(empty, labels)


class CosineImages(nn.Module):
    """Head for images: (n, inputs) numbers to (n, channels, height, width) pixels in (0, 1).

    The numbers are coefficients of the two-dimensional cosine transform of the pixels' logits, for each channel: of the
    lowest waves only, `fraction` of them along each side. Whatever the network writes is smooth then. It has to be:
    features that average over pixels hardly see noise from pixel to pixel, and a free generator makes much of it.
    """

    waves: Tensor
    start: Tensor

    def __init__(self, shape: Sequence[int], fraction: float) -> None:
        super().__init__()
        channels, height, width = self.shape = tuple(shape)
        rows, columns = (_cosines(side, math.ceil(fraction * side)) for side in (height, width))
        waves = torch.einsum("ai,bj->abij", rows, columns).reshape(-1, height * width)
        self.inputs = channels * len(waves)
        start = torch.zeros(channels, len(waves))
        start[:, 0] = DARK * math.sqrt(height * width) / GAIN
        self.register_buffer("waves", GAIN * waves, persistent=False)
        self.register_buffer("start", start.flatten(), persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        logits = numbers.unflatten(1, (self.shape[0], -1)) @ self.waves
        return torch.sigmoid(logits).view(-1, *self.shape)


class BlockDistributions(nn.Module):
    """Head for tables: (n, inputs) numbers to distributions over the codes of every block, side by side (softmax)."""

    start: Tensor

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes, self.inputs = list(sizes), max(1, sum(sizes))  # one idle number for a vector of no blocks
        self.register_buffer("start", torch.zeros(self.inputs), persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        if not self.sizes:
            return numbers[:, :0]
        return torch.cat([part.softmax(dim=1) for part in numbers.split(self.sizes, dim=1)], dim=1)


def _cosines(points: int, count: int) -> Tensor:
    """(count, points) float32 orthonormal rows: the lowest waves of the cosine transform (DCT-II)."""
    places = (torch.arange(points) + 0.5) / points
    waves = torch.cos(math.pi * torch.arange(count)[:, None] * places) * math.sqrt(2 / points)
    waves[0] /= math.sqrt(2)
    return waves


# -------------------- Class generator -------------------------------------------------------

Architecture = Literal["mlp", "dcgan"]


class ClassGenerator(nn.Module):
    """G(z, y) with outputs of `shape`, unbounded, or distributions where `heads` gives the sizes of the blocks of a
    vector.

    latent: numbers in z. classes: at least 1. width: units of the perceptron, or channels of the widest convolution.
    shape: (channels, height, width), or (numbers,). generator: of the starting weights.
    """

    def __init__(
        self,
        architecture: Architecture,
        latent: int,
        classes: int,
        width: int,
        shape: tuple[int, ...],
        generator: torch.Generator,
        heads: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.classes, self.shape, self.heads = classes, tuple(shape), tuple(heads)
        inputs = latent + classes
        if architecture == "mlp" or len(shape) == 1:
            self.body: nn.Module = nn.Sequential(
                *_dense(inputs, width), *_dense(width, width), nn.Linear(width, math.prod(shape))
            )
        else:
            self.body = _convolutions(inputs, width, shape)
        _start(self, generator)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """z (n, latent) float32, y (n,) int64 -> (n, *shape)."""
        out = self.body(torch.cat([z, one_hot(y, self.classes).to(z.dtype)], dim=1))
        if self.heads:
            return torch.cat([part.softmax(1) for part in out.split(self.heads, dim=1)], dim=1)
        if len(self.shape) == 3 and out.ndim == 4:
            return interpolate(out, self.shape[1:], mode="bilinear", align_corners=False)
        return out.view(len(z), *self.shape)


def _dense(inputs: int, width: int) -> list[nn.Module]:
    return [nn.Linear(inputs, width), nn.LayerNorm(width), nn.LeakyReLU(0.2)]


def _convolutions(inputs: int, width: int, shape: tuple[int, ...]) -> nn.Sequential:
    """From a small square to the first doubling that covers the image, which is then resized."""
    channels, height, wide = shape
    doublings = max(1, round(math.log2(max(height, wide) / 6)))
    side = math.ceil(max(height, wide) / 2**doublings)
    layers: list[nn.Module] = [nn.Linear(inputs, width * side**2), nn.Unflatten(1, (width, side, side))]
    for _ in range(doublings):
        narrow = max(16, width // 2)
        layers += [nn.GroupNorm(8, width), nn.LeakyReLU(0.2), nn.ConvTranspose2d(width, narrow, 4, 2, 1)]
        width = narrow
    return nn.Sequential(*layers, nn.GroupNorm(8, width), nn.LeakyReLU(0.2), nn.Conv2d(width, channels, 5, padding=2))


@torch.no_grad()
def _start(module: nn.Module, generator: torch.Generator) -> None:
    """Starting weights from a generator of our own."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_uniform_(layer.weight, a=0.2, generator=generator)
            assert layer.bias is not None
            layer.bias.zero_()
