"""The networks that judge synthetic images: the small CNN, a LeNet, and the three larger ones of DPImageBench.

    cnn         three convolutions, group normalisation, average pooling
    lenet       two 5 x 5 convolutions with max-pooling, dropout (after LeCun et al. 1998, doi:10.1109/5.726791)
    resnet      ResNet-110 of basic blocks (He et al. 2016, arXiv 1512.03385, section 4.2)
    wrn         WRN-40-4 with dropout .3 (Zagoruyko and Komodakis 2016, arXiv 1605.07146)
    resnext     ResNeXt-29 of 8 groups and width factor 4 (Xie et al. 2017, arXiv 1611.05431, section 5.1)

Every network takes (n, channels, height, width) float32 images. Weights and dropout come from a generator that is
passed in, so that nothing global is drawn from or reset.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

DROPOUT = 0.3  # of wrn
SMALLEST = 8  # pixels of a side of which lenet leaves something; smaller images are padded


class Dropout(nn.Module):
    """Dropout that draws from a generator of its own."""

    def __init__(self, fraction: float, generator: torch.Generator) -> None:
        super().__init__()
        self.fraction, self.generator = fraction, generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * (torch.rand(x.shape, generator=self.generator) >= self.fraction) / (1 - self.fraction)


def small_cnn(shape: Sequence[int], classes: int, generator: torch.Generator) -> nn.Module:
    """The CNN of "image_accuracy". shape: (channels, height, width)."""
    layers: list[nn.Module] = []
    channels = shape[0]
    for width, stride in ((32, 1), (64, 2), (64, 2)):
        layers += [skip_init(nn.Conv2d, channels, width, 3, stride, 1), nn.GroupNorm(8, width), nn.ReLU()]
        channels = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(3), nn.Flatten(), skip_init(nn.Linear, channels * 9, classes))
    return _started(model, generator)


def lenet(shape: Sequence[int], classes: int, generator: torch.Generator) -> nn.Module:
    """Two 5 x 5 convolutions with max-pooling and dropout; images below 16 x 16 are padded, so that pooling fits."""
    channels, *sides = shape
    padding = 0 if min(sides) >= 2 * SMALLEST else 4
    left = math.prod(((side + 2 * padding - 4) // 2 - 4) // 2 for side in sides)
    model = nn.Sequential(
        nn.ZeroPad2d(padding),
        skip_init(nn.Conv2d, channels, 20, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        skip_init(nn.Conv2d, 20, 50, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        Dropout(0.5, generator),
        skip_init(nn.Linear, 50 * left, 256),
        nn.ReLU(),
        Dropout(0.5, generator),
        skip_init(nn.Linear, 256, classes),
    )
    return _started(model, generator)


class _Residual(nn.Module):
    """x + f(x), where a shortcut changes the width or the size of x if need be; then perhaps ReLU."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.after = body, shortcut, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.shortcut(x) + self.body(x))


def resnet(shape: Sequence[int], classes: int, generator: torch.Generator, blocks: int = 18) -> nn.Module:
    """ResNet of 6 `blocks` + 2 layers: three stages of basic blocks of 16, 32 and 64 channels."""
    layers: list[nn.Module] = [*_convolution(shape[0], 16, 3), nn.ReLU()]
    before = 16
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        for block in range(blocks):
            step = stride if block == 0 else 1
            body = nn.Sequential(*_convolution(before, width, 3, step), nn.ReLU(), *_convolution(width, width, 3))
            layers.append(_Residual(body, _shortcut(before, width, step), nn.ReLU()))
            before = width
    return _headed(layers, before, classes, generator)


def resnext(shape: Sequence[int], classes: int, generator: torch.Generator, blocks: int = 3) -> nn.Module:
    """ResNeXt of 9 `blocks` + 2 layers: bottlenecks of 8 groups, of 256, 512 and 1024 channels in three stages."""
    groups, factor = 8, 4
    layers: list[nn.Module] = [*_convolution(shape[0], 64, 3), nn.ReLU()]
    before = 64
    for width, stride in ((64 * factor, 1), (128 * factor, 2), (256 * factor, 2)):
        inner = groups * width // factor
        for block in range(blocks):
            step = stride if block == 0 else 1
            body = nn.Sequential(
                *_convolution(before, inner, 1),
                nn.ReLU(),
                *_convolution(inner, inner, 3, step, groups),
                nn.ReLU(),
                *_convolution(inner, width, 1),
            )
            layers.append(_Residual(body, _shortcut(before, width, step), nn.ReLU()))
            before = width
    return _headed(layers, before, classes, generator)


def wide_resnet(
    shape: Sequence[int], classes: int, generator: torch.Generator, blocks: int = 6, factor: int = 4
) -> nn.Module:
    """WRN of 6 `blocks` + 4 layers: normalisation before convolution; 16, 32, 64 times `factor` channels; dropout."""
    layers: list[nn.Module] = [skip_init(nn.Conv2d, shape[0], 16, 3, 1, 1, bias=False)]
    before = 16
    for width, stride in ((16 * factor, 1), (32 * factor, 2), (64 * factor, 2)):
        for block in range(blocks):
            step = stride if block == 0 else 1
            body = nn.Sequential(
                nn.BatchNorm2d(before),
                nn.ReLU(),
                skip_init(nn.Conv2d, before, width, 3, step, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                Dropout(DROPOUT, generator),
                skip_init(nn.Conv2d, width, width, 3, 1, 1, bias=False),
            )
            same = before == width
            shortcut = nn.Identity() if same else skip_init(nn.Conv2d, before, width, 1, step, bias=False)
            layers.append(_Residual(body, shortcut, nn.Identity()))
            before = width
    return _headed([*layers, nn.BatchNorm2d(before), nn.ReLU()], before, classes, generator)


def _convolution(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution that keeps the size, or divides it by `stride`, and its batch normalisation."""
    padding = kernel // 2
    convolution = skip_init(nn.Conv2d, before, after, kernel, stride, padding, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(after)]


def _shortcut(before: int, after: int, stride: int) -> nn.Module:
    if before == after and stride == 1:
        return nn.Identity()
    return nn.Sequential(*_convolution(before, after, 1, stride))


def _headed(layers: list[nn.Module], width: int, classes: int, generator: torch.Generator) -> nn.Module:
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), skip_init(nn.Linear, width, classes)]
    return _started(nn.Sequential(*layers, *head), generator)


def _started(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """`model` with initial weights (He et al. 2015, arXiv 1502.01852) drawn from `generator`."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model
