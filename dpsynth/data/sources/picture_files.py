"""Picture files with classes, chosen before they are opened, and decoded to the declared size and colours."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageOps

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.image.images import Images, fraction_of_images
from dpsynth.data.selection import Selection, check_fraction, check_rows, limit_probability, needed
from dpsynth.data.sources.source import Source
from dpsynth.errors import ConfigError, DataError

READERS = 4  # files decoded side by side
NAMED = 5  # unreadable files that a message names
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # decoded in this process; EPS would start Ghostscript
LARGEST = 2**26  # pixels of a picture: a few hundred megabytes while it is decoded


@dataclass(frozen=True)
class Rendering:
    """How the pixels of files become the 256 levels of a picture; public.

    values      (black, white) of files with more than 8 bits or real numbers, such as (0, 65535); None refuses them
    background  colour that shows through transparent pixels, as PIL names it
    square      cut to the middle square
    """

    values: Sequence[float] | None = None
    background: str = "white"
    square: bool = False

    def __post_init__(self) -> None:
        if self.values is not None:
            values = tuple(self.values) if isinstance(self.values, Sequence) else ()
            if len(values) != 2 or not all(isinstance(v, (int, float)) for v in values) or not values[0] != values[1]:
                raise ConfigError(f"data.range={self.values!r}: declare the values of black and white, [0, 65535]")
            object.__setattr__(self, "values", values)
        try:
            ImageColor.getrgb(self.background)
        except (ValueError, AttributeError, TypeError):
            raise ConfigError(
                f"data.background={self.background!r}: is no colour; say white, black or '#rrggbb'"
            ) from None


PLAIN = Rendering()


@dataclass(frozen=True, eq=False)
class PictureFiles:
    """Files of images and the codes of their classes, int64 (n,), or None without classes.

    coverage: as of `Images`.
    """

    paths: Sequence[Path]
    labels: np.ndarray | None
    coverage: tuple[str, ...] = ()

    def take(self, index: np.ndarray) -> PictureFiles:
        """The files at the positions `index`, int64 (m,)."""
        labels = None if self.labels is None else self.labels[index]
        return PictureFiles([self.paths[i] for i in index], labels, self.coverage)

    def split(self, holdout: float, selection: Selection) -> tuple[PictureFiles, PictureFiles]:
        """(train, holdout), every file by its bytes and class; as `Images.split`."""
        check_fraction(holdout)
        held = selection.chosen("holdout", self._contents(selection), holdout)
        described = fraction_of_images(selection.neighbours)
        return self._covered(~held, described.format(1 - holdout)), self._covered(held, described.format(holdout))

    def subset(self, rows: int, selection: Selection, declared: int | None) -> PictureFiles:
        """About `rows` files of a `declared` number (replace_one: exactly so many); as `Images.subset`."""
        check_rows(rows, "images")
        if selection.neighbours == "replace_one":
            return self._covered(selection.fixed("n_train", len(self.paths), rows), f"{rows} images")
        probability = limit_probability(rows, declared)
        kept = selection.chosen("n_train", self._contents(selection), probability)
        return self._covered(kept, f"each image with probability {probability:.4g}")

    def _contents(self, selection: Selection) -> np.ndarray:
        """(n, 2) uint64 digests of the files' bytes and classes; their names do not count."""
        if selection.neighbours == "replace_one":  # positions decide, no file is opened
            return np.zeros((len(self.paths), 2), dtype=np.uint64)
        codes = np.zeros(len(self.paths), dtype="<i8") if self.labels is None else self.labels.astype("<i8")
        try:
            read = (code.tobytes() + path.read_bytes() for path, code in zip(self.paths, codes, strict=True))
            return selection.digests_of_arrays(read)
        except OSError as error:
            raise DataError(f"'{error.filename}' cannot be read: {error.strerror}") from None

    def _covered(self, kept: np.ndarray, described: str) -> PictureFiles:
        return replace(self.take(np.flatnonzero(kept)), coverage=(*self.coverage, described))

    def decoded(self, domain: ImageDomain, rendering: Rendering = PLAIN) -> Images:
        """All of them in `domain`: turned upright, rendered, resized, grey or coloured.

        Raises DataError that names files which are no readable images.
        """
        return self._decoded(domain, rendering)[0]

    def _decoded(self, domain: ImageDomain, rendering: Rendering) -> tuple[Images, int]:
        """(the images, the number of files with several frames or pages, of which the first was read)."""
        several = np.zeros(len(self.paths), dtype=bool)
        pixels = np.empty((len(self.paths), *domain.shape), dtype=np.uint8)

        def read(i: int) -> Path | None:
            try:
                pixels[i], frames = _decode(self.paths[i], domain, rendering)
                several[i] = frames > 1
            except DataError:  # names the file and what to declare
                raise
            except Exception:  # a damaged file makes a decoder raise anything
                return self.paths[i]
            return None

        with warnings.catch_warnings(), ThreadPoolExecutor(READERS) as pool:
            warnings.simplefilter("ignore")  # of large pictures, `LARGEST` is the limit, and of odd metadata
            broken = [str(path) for path in pool.map(read, range(len(self.paths))) if path is not None]
        if broken:
            more = f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
            raise DataError(
                f"not readable as images of at most {LARGEST / 1e6:.0f} megapixels: {', '.join(broken[:NAMED])}{more}; "
                "repair or remove them"
            )
        return Images(pixels, self.labels, domain, self.coverage), int(several.sum())

    def source(
        self,
        holdout: PictureFiles | float | None,
        domain: ImageDomain,
        n_train: int | None,
        selection: Selection | None,
        provenance: str,
        rendering: Rendering = PLAIN,
    ) -> Source[Images]:
        """The holdout split off (a fraction; 0 or None for none), the training files limited, and only then decoded."""
        if isinstance(holdout, PictureFiles):
            train, held = self, holdout
        else:
            train, held = self, None
            if holdout:
                train, held = self.split(holdout, needed(selection, f"data.holdout={holdout}"))
        if n_train is not None:
            train = train.subset(n_train, needed(selection, f"data.n_train={n_train}"), domain.rows)
        unseen, more = (None, 0) if held is None else held._decoded(domain, rendering)
        seen, several = train._decoded(domain, rendering)
        if several + more:
            provenance += f"; {several + more} files hold several frames or pages, of which the first was read"
        return Source(seen, unseen, provenance)


def decode(path: Path, domain: ImageDomain, rendering: Rendering = PLAIN) -> np.ndarray:
    """(channels, height, width) uint8 of one file; of several frames the first.

    Raises `DataError` for one that is no plain file or has more pixels than `LARGEST`; nothing is decoded then.
    """
    return _decode(path, domain, rendering)[0]


def _decode(path: Path, domain: ImageDomain, rendering: Rendering) -> tuple[np.ndarray, int]:
    """(pixels as of `decode`, frames in the file)."""
    if not path.is_file():
        raise OSError(f"'{path}': not a plain file")
    with Image.open(path, formats=FORMATS) as file:
        if file.width * file.height > LARGEST:
            raise ValueError(f"'{path}': {file.width} x {file.height} pixels, more than {LARGEST:,}")
        frames = getattr(file, "n_frames", 1)
        image = _eight_bits(path, ImageOps.exif_transpose(file), rendering)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, rendering.background), layer)
    if image.mode == "LAB":  # which PIL turns into colours only
        image = image.convert("RGB")
    image = image.convert("L" if domain.channels == 1 else "RGB")
    if rendering.square and image.width != image.height:
        side = min(image.size)
        image = ImageOps.fit(image, (side, side))
    if image.size != (domain.width, domain.height):
        image = image.resize((domain.width, domain.height), Image.Resampling.BICUBIC)
    values = np.asarray(image, dtype=np.uint8)
    return (values[None] if domain.channels == 1 else values.transpose(2, 0, 1)), frames


def _eight_bits(path: Path, image: Image.Image, rendering: Rendering) -> Image.Image:
    """The image with 256 levels; values of 16-bit and real images are scaled by the declared range, cut off there."""
    if not image.mode.startswith(("I", "F")):
        return image
    if rendering.values is None:
        raise DataError(
            f"'{path}' has more than 256 levels; declare the values of black and white, such as data.range=[0,65535]"
        )
    black, white = rendering.values
    levels = np.nan_to_num((np.asarray(image, dtype=np.float64) - black) / (white - black))
    return Image.fromarray(np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8))
