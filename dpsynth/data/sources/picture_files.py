"""Picture files with classes, chosen before they are opened, and decoded to the declared size and colours."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.images import Images
from dpsynth.data.sources.source import Source
from dpsynth.errors import ConfigError, DataError

READERS = 4  # files decoded side by side
NAMED = 5  # unreadable files that a message names


@dataclass(frozen=True, eq=False)
class PictureFiles:
    """Files of images and the codes of their classes, int64 (n,), or None without classes."""

    paths: Sequence[Path]
    labels: np.ndarray | None

    def take(self, index: np.ndarray) -> PictureFiles:
        """The files at the positions `index`, int64 (m,)."""
        return PictureFiles([self.paths[i] for i in index], None if self.labels is None else self.labels[index])

    def split(self, holdout: float, seed: int) -> tuple[PictureFiles, PictureFiles]:
        """(train, holdout), every file by a draw of its own, as `Images.split`."""
        if not 0 < holdout < 1:
            raise ConfigError(f"data.holdout={holdout!r}: must be a share between 0 and 1, or 0 for none")
        held = np.random.default_rng(seed).random(len(self.paths)) < holdout
        return self.take(np.flatnonzero(~held)), self.take(np.flatnonzero(held))

    def decoded(self, domain: ImageDomain, square: bool = False) -> Images:
        """All of them in `domain`: turned upright, cut to the middle square if `square`, resized, grey or coloured.

        Raises DataError that names files which are no readable images.
        """
        pixels = np.empty((len(self.paths), *domain.shape), dtype=np.uint8)

        def read(i: int) -> Path | None:
            try:
                pixels[i] = decode(self.paths[i], domain, square)
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
                return self.paths[i]
            return None

        with ThreadPoolExecutor(READERS) as pool:
            broken = [str(path) for path in pool.map(read, range(len(self.paths))) if path is not None]
        if broken:
            more = f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
            raise DataError(f"not readable as images: {', '.join(broken[:NAMED])}{more}; mend or remove them")
        return Images(pixels, self.labels, domain)

    def source(
        self,
        holdout: PictureFiles | float | None,
        domain: ImageDomain,
        n_train: int | None,
        seed: int,
        provenance: str,
        square: bool = False,
    ) -> Source[Images]:
        """The holdout split off (a share; 0 or None for none), the training files limited, and only then decoded."""
        if isinstance(holdout, PictureFiles):
            train, held = self, holdout
        else:
            train, held = self.split(holdout, seed) if holdout else (self, None)
        if n_train is not None:
            if isinstance(n_train, bool) or not isinstance(n_train, int) or n_train < 1:
                raise ConfigError(f"data.n_train={n_train!r}: must be a positive whole number")
            train = train.take(np.sort(np.random.default_rng(seed).permutation(len(train.paths))[:n_train]))
        unseen = None if held is None else held.decoded(domain, square)
        return Source(train.decoded(domain, square), unseen, provenance)


def decode(path: Path, domain: ImageDomain, square: bool = False) -> np.ndarray:
    """(channels, height, width) uint8 of one file."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file).convert("L" if domain.channels == 1 else "RGB")
    if square and image.width != image.height:
        side = min(image.size)
        image = ImageOps.fit(image, (side, side))
    if image.size != (domain.width, domain.height):
        image = image.resize((domain.width, domain.height), Image.Resampling.BICUBIC)
    values = np.asarray(image, dtype=np.uint8)
    return values[None] if domain.channels == 1 else values.transpose(2, 0, 1)
