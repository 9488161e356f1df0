"""Class-conditional generators: a code z and a class y become an image or a vector.

`mlp` for any shape, `dcgan` for images of any size (Radford et al. 2016, arXiv:1511.06434, with group normalisation in
place of batch normalisation, Wu and He 2018, arXiv:1803.08494). No layer looks at other rows of the batch, so a sample
does not depend on what is drawn beside it.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, one_hot

Architecture = Literal["mlp", "dcgan"]


class ClassGenerator(nn.Module):
    """G(z, y) with outputs of `shape`, unbounded, or laws where `heads` gives the sizes of the blocks of a vector.

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
