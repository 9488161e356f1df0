"""Files of images: .npz arrays, mosaics and folders of PNG. Written whole or not at all, read without pickle."""

from __future__ import annotations

import math
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dpsynth.data.table.tabular_files import write_whole
from dpsynth.errors import ConfigError, DataError

MOSAIC_COLUMNS = 10  # images of a class in a mosaic
LARGEST = 2**36  # bytes of an array
EXPANSION = 300  # times what is packed; images of a gigabyte and more never pack so well


def write(path: str | Path, pixels: np.ndarray, labels: np.ndarray | None, classes: Sequence[str]) -> Path:
    """Images as .npz, as one mosaic .png, or as a folder of single .png (a name without suffix).

    pixels: (n, channels, height, width) uint8. labels: (n,) codes of `classes`, or None.
    """
    path = Path(path).expanduser()
    if path.suffix == ".npz":
        return write_whole(path, lambda temporary: _write_npz(temporary, pixels, labels, classes))
    if path.suffix == ".png":
        picture = Image.fromarray(mosaic(pixels, labels, len(classes)))
        return write_whole(path, lambda temporary: picture.save(temporary, format="PNG"))
    if path.suffix:
        raise ConfigError(f"'{path}': images are written as FILE.npz, FILE.png (a mosaic) or into a folder")
    return write_whole(path, lambda temporary: _write_folder(temporary, pixels, labels, classes))


def read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """(pixels (n, channels, height, width) uint8, labels int64 (n,) or None, names of the classes or ()).

    Takes `images` of shape (n, height, width) or (n, height, width, channels), and optionally `labels` and `classes`.
    Raises `DataError` for anything else, before anything large is unpacked.
    """
    if not path.is_file():
        raise DataError(f"no file '{path}'")
    try:
        _check_archive(path)
        with np.load(path, allow_pickle=False) as arrays:
            images = arrays["images"]
            labels = arrays.get("labels")
            names = arrays["classes"] if "classes" in arrays else np.array([], dtype=np.str_)
    except DataError:
        raise
    except Exception as error:  # archives and array headers can be wrong in more ways than numpy names
        raise DataError(
            f"'{path}' is not an .npz file with an array 'images': {' '.join(str(error).split())}"
        ) from None
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(f"'{path}': 'images' must be uint8 (n, height, width[, channels]), not {images.dtype}")
    if names.ndim != 1 or names.dtype.kind not in "USiu":
        raise DataError(f"'{path}': 'classes' must be a list of names, not {names.dtype} of shape {names.shape}")
    if labels is not None and (labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(images)):
        raise DataError(
            f"'{path}': 'labels' must be {len(images):,} whole numbers, the codes of the classes, "
            f"not {labels.dtype} of shape {labels.shape}"
        )
    if labels is not None and labels.dtype == np.uint64 and labels.max(initial=0) > np.iinfo(np.int64).max:
        raise DataError(f"'{path}': 'labels' holds {labels.max()}, which is no code of a class")
    pixels = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    labels = None if labels is None else labels.astype(np.int64)
    return (
        np.ascontiguousarray(pixels),
        labels,
        tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names),
    )


def _check_archive(path: Path) -> None:
    """Refuse an archive whose arrays are larger than any set of images, or than what is packed into it."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.file_size > LARGEST or (
                member.file_size > 2**30 and member.file_size > EXPANSION * member.compress_size
            ):
                raise DataError(
                    f"'{path}': '{member.filename}' would unpack to {member.file_size / 2**30:,.1f} GiB; "
                    "that is no set of images that fits into memory"
                )
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)  # pyright: ignore[reportArgumentType]
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)  # pyright: ignore[reportArgumentType]
                if dtype.hasobject or math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
                    raise DataError(
                        f"'{path}' is not an .npz file of images: '{member.filename}' is not what its header describes"
                    )


def mosaic(pixels: np.ndarray, labels: np.ndarray | None, classes: int) -> np.ndarray:
    """(height, width[, 3]) uint8: a row of images for each class, or rows of all images where there are none."""
    n, channels, height, width = pixels.shape
    if labels is None:
        rows = [np.arange(start, min(start + MOSAIC_COLUMNS, n)) for start in range(0, min(n, 100), MOSAIC_COLUMNS)]
    else:
        rows = [np.flatnonzero(labels == k)[:MOSAIC_COLUMNS] for k in range(classes)]
    canvas = np.full((channels, max(len(rows), 1) * (height + 2), MOSAIC_COLUMNS * (width + 2)), 255, dtype=np.uint8)
    for r, row in enumerate(rows):
        for c, i in enumerate(row):
            top, left = r * (height + 2) + 1, c * (width + 2) + 1
            canvas[:, top : top + height, left : left + width] = pixels[i]
    return canvas[0] if channels == 1 else canvas.transpose(1, 2, 0)


def file_name(name: str) -> str:
    """A class's name as the first part of a file's name."""
    return "".join(c if c.isalnum() else "-" for c in name)


def _write_npz(temporary: Path, pixels: np.ndarray, labels: np.ndarray | None, classes: Sequence[str]) -> None:
    arrays: dict[str, Any] = {"images": pixels[:, 0] if pixels.shape[1] == 1 else pixels.transpose(0, 2, 3, 1)}
    if labels is not None:
        arrays |= {"labels": labels, "classes": np.array(classes, dtype=np.str_)}
    with temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _write_folder(temporary: Path, pixels: np.ndarray, labels: np.ndarray | None, classes: Sequence[str]) -> None:
    temporary.mkdir()
    try:
        for i, image in enumerate(pixels):
            name = "image" if labels is None else file_name(classes[int(labels[i])])
            picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
            picture.save(temporary / f"{name}_{i:06d}.png")
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
