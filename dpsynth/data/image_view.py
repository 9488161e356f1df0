"""Images at a method's working resolution and depth, and the way back. Public: it never looks at the data to choose."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.row_maps import windows

AT_ONCE = 4096  # images enlarged together
ROWS_AT_ONCE = 256  # images made smaller together


class ImageView:
    """The images of `domain` as smaller ones of fewer grey levels.

    size: pixels of the longer side; levels: values of a pixel. What the domain declares wins over the method's wish;
    None and None leave the images as they are.

    >>> ImageView(ImageDomain(28, 28), size=14, levels=2).shape
    (1, 14, 14)
    """

    def __init__(self, domain: ImageDomain, size: int | None = None, levels: int | None = None) -> None:
        longer = max(domain.height, domain.width)
        size = min(domain.size or size or longer, longer)
        self.domain = domain
        self.levels = domain.levels or levels or 256
        height, width = (max(1, round(side * size / longer)) for side in (domain.height, domain.width))
        self.shape = (domain.channels, height, width)

    def units(self, pixels: np.ndarray) -> np.ndarray:
        """(n, channels, h, w) float32 in [0, 1]: averages over the pixels that fall together, on the levels."""
        return self.codes(pixels).astype(np.float32) / np.float32(self.levels - 1)

    def codes(self, pixels: np.ndarray) -> np.ndarray:
        """(n, channels, h, w) uint8 in [0, levels): the nearest level of every working pixel.

        pixels: (n, channels, height, width) uint8. Every image is encoded by itself, to the last bit: sums of bytes are
        whole numbers, and one division and one rounding follow (`row_maps.py`). Halves go to the even level.
        """
        if pixels.shape[2:] == self.shape[1:]:
            levels = np.round(np.arange(256) * (self.levels - 1) / 255).astype(np.uint8)
            return levels.take(pixels, mode="clip")
        codes = np.empty((len(pixels), *self.shape), dtype=np.uint8)
        tall, wide = (windows(*sides) for sides in zip(pixels.shape[2:], self.shape[1:], strict=True))
        whole = 255 * tall.sum(1)[:, None] * wide.sum(1)
        for start in range(0, len(pixels), ROWS_AT_ONCE):
            part = torch.from_numpy(pixels[start : start + ROWS_AT_ONCE]).to(torch.float64)
            sums = tall @ (part @ wide.T)
            codes[start : start + ROWS_AT_ONCE] = (sums * (self.levels - 1) / whole).round_().to(torch.uint8).numpy()
        return codes

    def pixels(self, units: np.ndarray) -> np.ndarray:
        """(n, channels, height, width) uint8 of the native size, up-sampled smoothly where it is larger.

        units: (n, channels, h, w) float in [0, 1]; values outside are cut off.
        """
        height, width = self.domain.height, self.domain.width
        out = np.empty((len(units), self.domain.channels, height, width), dtype=np.uint8)
        for start in range(0, len(units), AT_ONCE):
            part = torch.from_numpy(np.ascontiguousarray(units[start : start + AT_ONCE])).float()
            if part.shape[2:] != (height, width):
                part = functional.interpolate(part, (height, width), mode="bicubic", align_corners=False)
            out[start : start + AT_ONCE] = part.clamp_(0, 1).mul_(255).round_().to(torch.uint8).numpy()
        return out

    def pixels_of_codes(self, codes: np.ndarray) -> np.ndarray:
        """`pixels` of the levels `codes`, whole numbers (n, channels, h, w) in [0, levels)."""
        return self.pixels(codes.astype(np.float32) / np.float32(self.levels - 1))
