"""Images that fit their domain: select, split, write. The private rows of image methods, and their samples."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

import numpy as np

from dpsynth.data.image import image_files
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.selection import Neighbours, Selection, check_fraction, check_rows, limit_probability
from dpsynth.errors import DataError, SchemaError

MOST_CLASSES = 65_536  # that labels without names may count up to


class Images:
    """Images and their classes.

    pixels: (n, channels, height, width) uint8. labels: (n,) int64 codes of `domain.classes`, None without classes.
    coverage: which images of the data are here and with which probability, for the privacy statement.
    Raises `DataError` when they do not fit the domain.
    """

    suffix: ClassVar[str] = ".npz"  # of the file that samples are written to
    unit: ClassVar[str] = "images"
    rows_per_person: ClassVar[None] = None  # images name no persons

    def __init__(
        self, pixels: np.ndarray, labels: np.ndarray | None, domain: ImageDomain, coverage: tuple[str, ...] = ()
    ) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != domain.shape:
            raise DataError(
                f"images: expected uint8 pixels of shape (n, {', '.join(map(str, domain.shape))}), "
                f"got {pixels.dtype} {pixels.shape}"
            )
        if bool(domain.classes) != (labels is not None):
            raise DataError("images: labels and the domain's classes go together, both or neither")
        if labels is not None:
            labels = np.asarray(labels)
            if labels.shape != pixels.shape[:1] or labels.dtype.kind not in "iu":
                raise DataError(f"images: expected a whole-number label each, got {labels.dtype} {labels.shape}")
            if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(domain.classes):
                raise DataError(f"images: a label lies outside 0 .. {len(domain.classes) - 1}")
            labels = labels.astype(np.int64)
        self.pixels, self.labels, self.domain, self.coverage = pixels, labels, domain, coverage

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:  # without their number, which is private
        return f"Images({self.domain.height} x {self.domain.width}, {len(self.domain.classes)} classes)"

    def take(self, index: np.ndarray) -> Images:
        """The images at the positions `index`, int64 (m,), in that order."""
        return Images(
            self.pixels[index], None if self.labels is None else self.labels[index], self.domain, self.coverage
        )

    def head(self, rows: int) -> Images:
        """The first images."""
        return self.take(np.arange(min(rows, len(self))))

    def subset(self, rows: int, key: bytes, neighbours: Neighbours = "add_remove") -> Images:
        """About so many images, or exactly so many, in their old order; as `Table.subset`."""
        check_rows(rows, "images")
        selection = Selection(key, neighbours)
        if neighbours == "replace_one":
            return self._covered(selection.fixed("n_train", len(self), rows), f"{rows} images")
        probability = limit_probability(rows, self.domain.rows)
        kept = selection.chosen("n_train", self._contents(selection), probability)
        return self._covered(kept, f"each image with probability {probability:.4g}")

    def split(self, holdout: float, key: bytes, neighbours: Neighbours = "add_remove") -> tuple[Images, Images]:
        """(train, holdout), by the content of every image; as `Table.split`."""
        check_fraction(holdout)
        selection = Selection(key, neighbours)
        held = selection.chosen("holdout", self._contents(selection), holdout)
        described = fraction_of_images(neighbours)
        return self._covered(~held, described.format(1 - holdout)), self._covered(held, described.format(holdout))

    def _contents(self, selection: Selection) -> np.ndarray:
        """(n, 2) uint64 digests of pixels and label."""
        codes = np.zeros(len(self), dtype="<i8") if self.labels is None else self.labels.astype("<i8")
        pairs = zip(self.pixels, codes, strict=True)
        return selection.digests_of_arrays([code.tobytes() + pixels.tobytes() for pixels, code in pairs])

    def _covered(self, kept: np.ndarray, described: str) -> Images:
        """The images where `kept`, and a clause on them for the statement."""
        images = self.take(np.flatnonzero(kept))
        images.coverage = (*self.coverage, described)
        return images

    def redeclare(self, domain: ImageDomain) -> Images:
        """The same images under another domain of the same shape and classes."""
        return Images(self.pixels, self.labels, domain, self.coverage)

    @property
    def content_hash(self) -> str:
        """Digest of all pixels and labels; stays inside `private/`."""
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels).tobytes())
        digest.update(b"" if self.labels is None else self.labels.tobytes())
        return digest.hexdigest()

    def write(self, path: str | Path) -> Path:
        """FILE.npz (arrays `images`, `labels`, `classes`), FILE.png (a mosaic, a row for each class), or a folder of
        <class>_<number>.png; whole or not at all."""
        return image_files.write(path, self.pixels, self.labels, self.domain.classes)

    @classmethod
    def read(cls, path: str | Path, domain: ImageDomain | None = None) -> Images:
        """The images of an .npz file; the domain is read off the arrays when it is not given (public files only).

        Classes that the file names are matched by name with those of the domain, whatever their order.
        Raises `DataError` for a file that is missing, damaged or does not fit the domain.
        """
        pixels, labels, classes = image_files.read_npz(Path(path).expanduser())
        try:
            if domain is None:
                if labels is not None and not classes:
                    if labels.min(initial=0) < 0 or labels.max(initial=0) >= MOST_CLASSES:
                        raise DataError(f"labels from {labels.min()} to {labels.max()}; they must be 0, 1, 2, ...")
                    classes = tuple(map(str, range(int(labels.max(initial=-1)) + 1)))
                domain = ImageDomain(*pixels.shape[2:], channels=pixels.shape[1], classes=classes)
            if labels is not None and classes and domain.classes and classes != domain.classes:
                labels = np.array([domain.code(name) for name in classes], dtype=np.int64)[labels]
            return cls(pixels, labels, domain)
        except (DataError, SchemaError, IndexError) as error:
            raise DataError(f"'{path}': {error}") from None


def fraction_of_images(neighbours: Neighbours) -> str:
    """How a part of the images is described in a statement; to be filled with the fraction."""
    return "{:.4g} of the images" if neighbours == "replace_one" else "each image with probability {:.4g}"
