"""What is public about a set of labelled images, and the resolution and depth at which a method sees them.

Public are their size, their classes and a rough number of them. The resolution and depth at which a method works, and
the way back, follow from these and the options, never from the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from dpsynth.data.row_maps import windows
from dpsynth.errors import SchemaError

KEYS = ("height", "width", "channels", "classes", "rows", "size", "levels")


@dataclass(frozen=True)
class ImageDomain:
    """What is public about images.

    height, width   in pixels
    channels        1 for grey, 3 for colour
    classes         names of the classes, in the order of the label's codes; () when images have no label
    rows            a public rough number of images, or None
    size, levels    declared working resolution (pixels of the longer side) and depth (values of a pixel), at which
                    methods look at the images; None lets the method choose. Samples always have the native size.

    >>> ImageDomain(28, 28, classes=("shirt", "boot")).shape
    (1, 28, 28)
    """

    height: int
    width: int
    channels: int = 1
    classes: tuple[str, ...] = ()
    rows: int | None = None
    size: int | None = None
    levels: int | None = None

    label: ClassVar[str] = "label"  # what conditions call the class
    undeclared: ClassVar[tuple[()]] = ()  # nothing about images is estimated privately

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(str(name) for name in self.classes))
        for name in ("height", "width"):
            _whole(name, getattr(self, name), 1, 4096)
        if self.channels not in (1, 3):
            raise SchemaError(f"channels: images are grey (1) or coloured (3), not {self.channels!r}")
        if len(set(self.classes)) < len(self.classes):
            raise SchemaError("classes: two classes have the same name")
        if self.rows is not None:
            _whole("rows", self.rows, 1, 2**40)
        if self.size is not None:
            _whole("data.size", self.size, 2, max(self.height, self.width))
        if self.levels is not None:
            _whole("data.levels", self.levels, 2, 256)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)"""
        return self.channels, self.height, self.width

    def code(self, value: Any) -> int:
        """Code of a class given by name; `SchemaError` naming the classes there are."""
        if str(value) not in self.classes:
            listed = ", ".join(self.classes) or "none: these images have no label"
            raise SchemaError(f"{value!r} is not a class of the images; the classes are {listed}")
        return self.classes.index(str(value))

    def to_dict(self) -> dict[str, Any]:
        """A json-able mapping under the one key `images`, which tells it from the schema of a table."""
        return {"images": {key: _plain(getattr(self, key)) for key in KEYS if getattr(self, key) not in (None, ())}}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ImageDomain:
        """The inverse of `to_dict`; strict about keys."""
        inside = content.get("images")
        if set(content) != {"images"} or not isinstance(inside, Mapping) or not set(inside) <= set(KEYS):
            raise SchemaError(f"images: needs one mapping with the keys {', '.join(KEYS)}")
        return cls(**inside)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _whole(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SchemaError(f"{name}={value!r}: must be a whole number from {low} to {high}")


# -------------------- Image view ------------------------------------------------------------

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
