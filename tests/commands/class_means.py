"""The smallest method of images, for the tests of the commands: each class's noisy mean image, and noise around it.

Loaded by conftest.py as dpsynth.models.class_means, because only methods of the package are loaded from a release.
"""

from dataclasses import dataclass

import numpy as np
import torch

from dpsynth.data import Images
from dpsynth.models.contract.fitted_images import FittedImages
from dpsynth.models.contract.synthesizer import MethodPlan, Synthesizer
from dpsynth.privacy import GaussianQuery, calibrate
from dpsynth.privacy.accounting.budget import sum_sensitivity


@dataclass(frozen=True, kw_only=True)
class MeansPlan(MethodPlan):
    sums: GaussianQuery


@dataclass(frozen=True)
class ClassMeans(Synthesizer):
    """Sums of the images of each class, divided by the declared number of rows."""

    modalities = frozenset({"image"})
    learns_from = (Images,)

    def _plan(self, domain, budget, before):
        bound = sum_sensitivity(budget.neighbours, np.prod(domain.shape) ** 0.5)

        def sums(noise):
            return GaussianQuery(name="sums", neighbours=budget.neighbours, bound=bound, noise_multiplier=noise)

        return MeansPlan(sums=sums(calibrate(lambda z: (*before, sums(z)), budget)), memory_bytes=1000)

    def _fit(self, images, rows, plan, ledger, run):
        sums = np.zeros((max(len(images.domain.classes), 1), int(np.prod(images.domain.shape))))
        labels = np.zeros(len(images), dtype=int) if images.labels is None else images.labels
        np.add.at(sums, labels, images.pixels.reshape(len(images), -1) / 255)
        noisy = ledger.release(plan.sums, sums)
        return FittedMeans(images.domain, torch.from_numpy(noisy * len(sums) / rows))


class FittedMeans(FittedImages):
    def __init__(self, domain, means, statement=None):
        super().__init__(domain, statement)
        self.means = means

    def config(self):
        return {}

    def tensors(self):
        return {"means": self.means}

    @classmethod
    def restore(cls, config, tensors, domain, statement):
        return cls(domain, tensors["means"], statement)

    def _draw(self, labels, generators):
        means = self.means.numpy()[labels].reshape(-1, *self.domain.shape)
        spread = means + generators.numpy.normal(0, 0.2, means.shape)
        return np.round(np.clip(spread, 0, 1) * 255).astype(np.uint8)
