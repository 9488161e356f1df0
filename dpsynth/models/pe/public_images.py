"""Public images as an API: a pool with neighbours, or a small generator trained on them.

A pool of public images as an API: random draws from it, and variations are an image's neighbours in the pool.

Sim-PE calls this NearestImage (Lin et al. 2025, arXiv 2502.05505). The pool must be public in its own right: the
privacy statement names it, and a result made with it is not comparable with one made without public data.

A small generator trained on declared public images, as an API: random codes, and codes moved by degree.

A variational autoencoder (Kingma and Welling 2014, arXiv 1312.6114) given the class where the public images have the
domain's classes. It is trained without privacy, which is right for public data only; the statement names them.
Gene: `code`, (n, 16) float32, standard normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from dpsynth.data.image.domain import ImageDomain, ImageView
from dpsynth.data.image.images import Images
from dpsynth.data.sources import image_folder
from dpsynth.errors import ConfigError, DataError
from dpsynth.models.pe.api import Batch, Provenance

REACH = 0.2  # of the pool: among so many neighbours a variation of degree 1 is drawn
LARGEST = 2000  # neighbours that are ever looked at
DISTANCE_ROWS_AT_ONCE = 512  # rows of the matrix of distances held at a time


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
            for start in range(0, len(places), DISTANCE_ROWS_AT_ONCE):
                part = places[start : start + DISTANCE_ROWS_AT_ONCE]
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


# -------------------- Public generator ------------------------------------------------------

CODE = 16
HIDDEN = 256
STEPS = 2000
BATCH = 128
RATE = 2e-3
LONGEST = 32  # pixels of the longer side that are generated; larger images are up-sampled
DECODED_AT_ONCE = 2048  # images decoded together


class PublicGenerator:
    """An autoencoder of `public`, whose decoder makes images of `domain`."""

    modality: str = "image"
    portable = False

    def __init__(
        self, domain: ImageDomain, public: Images, name: str = "public images", seed: int = 0, steps: int | None = None
    ) -> None:
        self.domain, self.provenance = domain, Provenance("public_data", Path(name).name)
        self._view = ImageView(domain, size=LONGEST, levels=256)
        labelled = public.labels is not None and public.domain.classes == domain.classes
        self._classes = len(domain.classes) if labelled else 0
        pixels = math.prod(self._view.shape)
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._encoder = _layers(pixels + self._classes, 2 * CODE)
            self._decoder = _layers(CODE + self._classes, pixels)
        labels = np.zeros(len(public), dtype=np.int64) if public.labels is None else public.labels
        self._train(torch.from_numpy(self._view.units(public.pixels)).flatten(1), labels, generator, steps or STEPS)

    def random(self, labels: np.ndarray, generator: np.random.Generator) -> Batch:
        return self._decoded(labels, generator.standard_normal((len(labels), CODE), dtype=np.float32))

    def variation(self, batch: Batch, degree: float, generator: np.random.Generator) -> Batch:
        """Codes mixed with fresh ones, so that they stay standard normal."""
        code = batch.genes["code"]
        fresh = generator.standard_normal(code.shape, dtype=np.float32)
        return self._decoded(batch.labels, np.float32(math.sqrt(1 - degree**2)) * code + np.float32(degree) * fresh)

    def _train(self, images: torch.Tensor, labels: np.ndarray, generator: torch.Generator, steps: int) -> None:
        optimizer = torch.optim.Adam([*self._encoder.parameters(), *self._decoder.parameters()], RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
        with torch.enable_grad():
            for _ in range(steps):
                rows = torch.randint(len(images), (BATCH,), generator=generator)
                classes = self._one_hot(labels[rows.numpy()])
                mean, spread = self._encoder(torch.cat([images[rows], classes], dim=1)).chunk(2, dim=1)
                code = mean + torch.exp(spread) * torch.randn(mean.shape, generator=generator)
                again = self._decoder(torch.cat([code, classes], dim=1))
                loss = functional.binary_cross_entropy_with_logits(again, images[rows], reduction="sum")
                loss = loss + 0.5 * (mean**2 + torch.exp(2 * spread) - 1 - 2 * spread).sum()
                optimizer.zero_grad()
                (loss / BATCH).backward()
                optimizer.step()
                schedule.step()

    def _one_hot(self, labels: np.ndarray) -> torch.Tensor:
        if not self._classes:
            return torch.zeros(len(labels), 0)
        return functional.one_hot(torch.from_numpy(labels), self._classes).float()

    def _decoded(self, labels: np.ndarray, code: np.ndarray) -> Batch:
        pixels = np.empty((len(labels), *self.domain.shape), dtype=np.uint8)
        for start in range(0, len(labels), DECODED_AT_ONCE):
            part = slice(start, start + DECODED_AT_ONCE)
            with torch.no_grad():
                given = torch.cat([torch.from_numpy(code[part]), self._one_hot(labels[part])], dim=1)
                units = torch.sigmoid(self._decoder(given)).unflatten(1, self._view.shape)
            pixels[part] = self._view.pixels(units.numpy())
        return Batch(labels, {"pixels": pixels, "code": code})


def _layers(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(before, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, after)
    )
