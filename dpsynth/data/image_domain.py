"""What is public about a set of labelled images: their size, their classes, a rough number of them. Never any data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

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
    undeclared: ClassVar[tuple[()]] = ()  # nothing about images is bought

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
