"""Fitted DataLens models: a generator with its latent codes, for images or for tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dpsynth.data.image.domain import ImageDomain, ImageView
from dpsynth.data.table.domain import Domain
from dpsynth.models.contract.fitted import Generators, below
from dpsynth.models.contract.fitted_images import FittedImages
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.models.datalens.image_postprocessing import LowFrequencies, PostProcessing, Variation, histogram_matched
from dpsynth.models.shared.class_rejection import RejectionClassifier
from dpsynth.models.shared.row_vectors import VectorView
from dpsynth.networks.generators import ClassGenerator

AT_ONCE = 2048  # rows generated together


class Student:
    """The generator, its public codes, and how codes are drawn for samples.

    codes: (B, latent) of the queries, classes: (B,) theirs; both None when every round drew new ones. Samples then use
    normal codes; else blends of two of their class's codes, the second with a weight of up to `blend`.
    """

    def __init__(self, network: ClassGenerator, shape: Mapping[str, Any], codes: Tensor, classes: Tensor) -> None:
        self.network, self.shape, self.codes, self.classes = network, dict(shape), codes, classes

    @classmethod
    def made(cls, shape: Mapping[str, Any], codes: Tensor, classes: Tensor, generator: torch.Generator) -> Student:
        """An untrained one. shape: architecture, latent, classes, width, shape, heads, and blend."""
        network = ClassGenerator(
            shape["architecture"],
            shape["latent"],
            shape["classes"],
            shape["width"],
            tuple(shape["shape"]),
            generator,
            tuple(shape["heads"]),
        )
        return cls(network, shape, codes, classes)

    def draw(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """(n, *shape) outputs for classes `labels`, int64 (n,)."""
        return self._outputs(self._latent(labels, generator), labels)

    def centres(self) -> Tensor:
        """(B, *shape) outputs for its own codes."""
        return self._outputs(self.codes, self.classes)

    @torch.no_grad()
    def _outputs(self, z: Tensor, labels: Tensor) -> Tensor:
        self.network.eval()
        return torch.cat([self.network(*part) for part in zip(z.split(AT_ONCE), labels.split(AT_ONCE), strict=True)])

    def tensors(self) -> dict[str, Tensor]:
        kept = {f"network.{name}": value.cpu() for name, value in self.network.state_dict().items()}
        return {**kept, "codes": self.codes, "code_classes": self.classes}

    @classmethod
    def restored(cls, shape: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Student:
        student = cls.made(shape, tensors["codes"], tensors["code_classes"], torch.Generator())
        student.network.load_state_dict(below("network.", tensors))
        return student

    def _latent(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        latent, blend = self.shape["latent"], self.shape["blend"]
        if not len(self.codes):
            return torch.randn(len(labels), latent, generator=generator)
        z = torch.empty(len(labels), latent)
        first, second = torch.rand(2, len(labels), generator=generator)
        weight = blend * torch.rand(len(labels), 1, generator=generator)
        for code in range(self.shape["classes"]):
            chosen, own = labels == code, self.codes[self.classes == code]
            if not len(own):
                own = self.codes
            one, two = ((place[chosen] * len(own)).long().clamp_max(len(own) - 1) for place in (first, second))
            z[chosen] = torch.lerp(own[one], own[two], weight[chosen])
        return z


class FittedDataLensImages(FittedImages):
    """Images: drawn by the student, varied, histogram-matched by `curves` (classes, 2, points), or (0, 2, points) for
    none.

    classifier: of the draws, None for none. tries: draws until it is overruled.
    """

    def __init__(
        self,
        domain: ImageDomain,
        student: Student,
        post_processing: PostProcessing,
        curves: Tensor,
        classifier: RejectionClassifier | None,
        tries: int,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.student, self.post_processing, self.curves = student, post_processing, curves
        self.classifier, self.tries = classifier, tries

    def config(self) -> dict[str, Any]:
        return {
            "student": self.student.shape,
            "spread": self.post_processing.spread,
            "deformation": self.post_processing.deformation,
            "frequencies": self.post_processing.variation.low.frequencies if self.post_processing.variation else None,
            "evaluated": self.classifier is not None,
            "tries": self.tries,
        }

    def tensors(self) -> dict[str, Tensor]:
        evaluated = {} if self.classifier is None else self.classifier.state_dict(prefix="classifier.")
        varied = {} if self.post_processing.variation is None else self.post_processing.variation.tensors()
        return {**self.student.tensors(), "matching_curves": self.curves, **varied, **evaluated}

    @classmethod
    def restore(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], domain: Any, statement: Mapping[str, Any]
    ) -> Self:
        shape = tuple(config["student"]["shape"])
        student, classifier, variation = Student.restored(config["student"], tensors), None, None
        if config["frequencies"]:
            variation = Variation.restored(LowFrequencies(shape, config["frequencies"]), tensors)
        post_processing = PostProcessing(config["spread"], config["deformation"], variation)
        if config["evaluated"]:
            classifier = RejectionClassifier(shape, config["student"]["classes"])
            classifier.load_state_dict(below("classifier.", tensors))
        return cls(domain, student, post_processing, tensors["matching_curves"], classifier, config["tries"], statement)

    def _draw(self, labels: np.ndarray, generators: Generators) -> np.ndarray:
        view = ImageView(self.domain, max(self.student.shape["shape"][1:]))

        def draw(some: Tensor) -> Tensor:
            images = self.post_processing.varied(self.student.draw(some, generators.torch), some, generators.torch)
            return histogram_matched(images, some, self.curves) if len(self.curves) else images

        pixels = np.empty((len(labels), *self.domain.shape), dtype=np.uint8)
        for start in range(0, len(labels), AT_ONCE):
            part = torch.from_numpy(labels[start : start + AT_ONCE])
            images = draw(part) if self.classifier is None else self.classifier.kept(draw, _same, part, self.tries)
            pixels[start : start + AT_ONCE] = view.pixels(images.numpy())
        return pixels


def _same(images: Tensor) -> Tensor:
    return images


class FittedDataLensTable(FittedTable):
    """Rows: distributions over codes written by the student, classes in proportion to `fractions` (classes,)
    float64."""

    def __init__(
        self,
        domain: Domain,
        student: Student,
        bins: int,
        fractions: Tensor,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.student, self.bins, self.fractions = student, bins, fractions
        self.view = VectorView(domain, bins)

    def config(self) -> dict[str, Any]:
        return {"student": self.student.shape, "bins": self.bins}

    def tensors(self) -> dict[str, Tensor]:
        return {**self.student.tensors(), "class_fractions": self.fractions}

    @classmethod
    def restore(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], domain: Any, statement: Mapping[str, Any]
    ) -> Self:
        student = Student.restored(config["student"], tensors)
        return cls(domain, student, config["bins"], tensors["class_fractions"], statement)

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        fixed, code = self.view.fixed(where)
        fractions = self.fractions.numpy() / self.fractions.sum().item()
        labels = generators.numpy.choice(len(fractions), n, p=fractions) if code is None else np.full(n, code)
        vectors = np.zeros((n, self.view.width), np.float32)
        if n and self.view.width:
            vectors = self.student.draw(torch.from_numpy(labels.astype(np.int64)), generators.torch).numpy()
        for number, given in fixed.items():
            block = self.view.blocks[number]
            vectors[:, block.span] = 0
            vectors[:, block.start + given] = 1
        return self.view.decode(vectors, labels, generators)
