"""A small generator trained on declared public images, as an API: random codes, and codes moved by degree.

A variational autoencoder (Kingma and Welling 2014, arXiv 1312.6114) given the class where the public images have the
domain's classes. It is trained without privacy, which is right for public data only; the statement names them.
Gene: `code`, (n, 16) float32, standard normal.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.image_view import ImageView
from dpsynth.data.images import Images
from dpsynth.evolution.api import Provenance
from dpsynth.evolution.batch import Batch

CODE = 16
HIDDEN = 256
STEPS = 2000
BATCH = 128
RATE = 2e-3
LONGEST = 32  # pixels of the longer side that are generated; larger images are up-sampled
AT_ONCE = 2048  # images decoded together


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
        for start in range(0, len(labels), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            with torch.no_grad():
                given = torch.cat([torch.from_numpy(code[part]), self._one_hot(labels[part])], dim=1)
                units = torch.sigmoid(self._decoder(given)).unflatten(1, self._view.shape)
            pixels[part] = self._view.pixels(units.numpy())
        return Batch(labels, {"pixels": pixels, "code": code})


def _layers(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(before, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, after)
    )
