"""A pool of public images as an API: random draws from it, and variations are an image's neighbours in the pool.

Sim-PE calls this NearestImage (Lin et al. 2025, arXiv 2502.05505). The pool must be public in its own right: the
privacy statement names it, and a result made with it is not comparable with one made without public data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.images import Images
from dpsynth.data.sources import image_folder
from dpsynth.errors import ConfigError, DataError
from dpsynth.evolution.api import Provenance
from dpsynth.evolution.batch import Batch

REACH = 0.2  # of the pool: among so many neighbours a variation of degree 1 is drawn
LARGEST = 2000  # neighbours that are ever looked at
AT_ONCE = 512  # rows of the matrix of distances held at a time


def public_images(source: str | None, domain: ImageDomain) -> Images:
    """Public images of the shape of `domain`: FILE.npz, or a folder of image files.

    Labels are kept where the classes are the same. The files of a folder are resized; where all their names begin with
    the name of a class (or lie in sub-folders called so), they are of that class, else of none.
    Raises `ConfigError` when there are none, or of another shape.
    """
    if source is None:
        raise ConfigError("model.source: name the public images, FILE.npz with an array 'images' or a folder of files")
    try:
        images = _folder(source, domain) if Path(source).expanduser().is_dir() else Images.read(source)
    except DataError as error:
        raise ConfigError(f"model.source: {error}") from None
    if images.domain.shape != domain.shape or not len(images):
        raise ConfigError(
            f"model.source={source}: images of shape {domain.shape} are needed, not {images.domain.shape}"
        )
    return images


def _folder(source: str, domain: ImageDomain) -> Images:
    known: dict[str, Any] = {"image_size": [domain.height, domain.width], "channels": domain.channels, "holdout": 0}
    for label in ("prefix", "folder") if domain.classes else ():
        with suppress(DataError):  # the names say nothing of classes
            return image_folder(source, classes=domain.classes, label=label, **known).train
    return image_folder(source, label="none", **known).train


class ImagePool:
    """The images of `pool`, which fit `domain`.

    points: embeds pixels for distances. Where the pool has the domain's classes, an individual draws from its own
    class, else from all.
    """

    modality: str = "image"
    portable = False

    def __init__(
        self, domain: ImageDomain, pool: Images, points: Callable[[np.ndarray], np.ndarray], name: str = "pool"
    ) -> None:
        self.provenance = Provenance("public_data", Path(name).name)
        self._pixels = pool.pixels
        same = pool.labels is not None and pool.domain.classes == domain.classes
        self._labels = pool.labels if same else None
        self._points = torch.from_numpy(points(pool.pixels))

    def random(self, labels: np.ndarray, generator: np.random.Generator) -> Batch:
        chosen = np.zeros(len(labels), dtype=np.int64)
        for label in np.unique(labels):
            places, members = np.flatnonzero(labels == label), self._members(label)
            chosen[places] = members[generator.integers(0, len(members), len(places))]
        return self._batch(labels, chosen)

    def variation(self, batch: Batch, degree: float, generator: np.random.Generator) -> Batch:
        chosen = batch.genes["place"].copy()
        for label in np.unique(batch.labels):
            members = self._members(label)
            neighbours = min(LARGEST, math.ceil(degree * REACH * len(members)))
            if not neighbours:
                continue
            places = np.flatnonzero(batch.labels == label)
            for start in range(0, len(places), AT_ONCE):
                part = places[start : start + AT_ONCE]
                apart = torch.cdist(self._points[chosen[part]], self._points[members])
                near = apart.topk(min(neighbours + 1, len(members)), largest=False, sorted=False).indices.numpy()
                drawn = generator.integers(0, near.shape[1], len(part))
                chosen[part] = members[near[np.arange(len(part)), drawn]]
        return self._batch(batch.labels, chosen)

    def _members(self, label: int) -> np.ndarray:
        own = np.zeros(0, dtype=np.int64) if self._labels is None else np.flatnonzero(self._labels == label)
        return own if len(own) else np.arange(len(self._pixels))

    def _batch(self, labels: np.ndarray, chosen: np.ndarray) -> Batch:
        return Batch(labels, {"pixels": self._pixels[chosen], "place": chosen})
