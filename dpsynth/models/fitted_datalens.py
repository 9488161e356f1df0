"""Fitted DataLens models: a generator with its latent codes, for images or for tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dpsynth.data.domain import Domain
from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.image_view import ImageView
from dpsynth.models.class_variation import LowFrequencies, Variation
from dpsynth.models.fitted import Generators, below
from dpsynth.models.fitted_images import FittedImages
from dpsynth.models.fitted_table import FittedTable
from dpsynth.models.image_finish import Finish, toned
from dpsynth.models.image_judge import ImageJudge
from dpsynth.models.vector_view import VectorView
from dpsynth.networks.class_generator import ClassGenerator

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
    """Images: drawn by the student, varied, toned by `curves` (classes, 2, points), or (0, 2, points) for none.

    judge: of the draws, None for none. tries: draws until it is overruled.
    """

    def __init__(
        self,
        domain: ImageDomain,
        student: Student,
        finish: Finish,
        curves: Tensor,
        judge: ImageJudge | None,
        tries: int,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.student, self.finish, self.curves = student, finish, curves
        self.judge, self.tries = judge, tries

    def config(self) -> dict[str, Any]:
        return {
            "student": self.student.shape,
            "spread": self.finish.spread,
            "deformation": self.finish.deformation,
            "frequencies": self.finish.variation.low.frequencies if self.finish.variation else None,
            "judged": self.judge is not None,
            "tries": self.tries,
        }

    def tensors(self) -> dict[str, Tensor]:
        judged = {} if self.judge is None else self.judge.state_dict(prefix="judge.")
        varied = {} if self.finish.variation is None else self.finish.variation.tensors()
        return {**self.student.tensors(), "tone_curves": self.curves, **varied, **judged}

    @classmethod
    def restore(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], domain: Any, statement: Mapping[str, Any]
    ) -> Self:
        shape = tuple(config["student"]["shape"])
        student, judge, variation = Student.restored(config["student"], tensors), None, None
        if config["frequencies"]:
            variation = Variation.restored(LowFrequencies(shape, config["frequencies"]), tensors)
        finish = Finish(config["spread"], config["deformation"], variation)
        if config["judged"]:
            judge = ImageJudge(shape, config["student"]["classes"])
            judge.load_state_dict(below("judge.", tensors))
        return cls(domain, student, finish, tensors["tone_curves"], judge, config["tries"], statement)

    def _draw(self, labels: np.ndarray, generators: Generators) -> np.ndarray:
        view = ImageView(self.domain, max(self.student.shape["shape"][1:]))

        def draw(some: Tensor) -> Tensor:
            images = self.finish.varied(self.student.draw(some, generators.torch), some, generators.torch)
            return toned(images, some, self.curves) if len(self.curves) else images

        pixels = np.empty((len(labels), *self.domain.shape), dtype=np.uint8)
        for start in range(0, len(labels), AT_ONCE):
            part = torch.from_numpy(labels[start : start + AT_ONCE])
            images = draw(part) if self.judge is None else self.judge.kept(draw, _same, part, self.tries)
            pixels[start : start + AT_ONCE] = view.pixels(images.numpy())
        return pixels


def _same(images: Tensor) -> Tensor:
    return images


class FittedDataLensTable(FittedTable):
    """Rows: laws over codes written by the student, classes in proportion to `shares` (classes,) float64."""

    def __init__(
        self,
        domain: Domain,
        student: Student,
        bins: int,
        shares: Tensor,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.student, self.bins, self.shares = student, bins, shares
        self.view = VectorView(domain, bins)

    def config(self) -> dict[str, Any]:
        return {"student": self.student.shape, "bins": self.bins}

    def tensors(self) -> dict[str, Tensor]:
        return {**self.student.tensors(), "class_shares": self.shares}

    @classmethod
    def restore(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], domain: Any, statement: Mapping[str, Any]
    ) -> Self:
        student = Student.restored(config["student"], tensors)
        return cls(domain, student, config["bins"], tensors["class_shares"], statement)

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        fixed, code = self.view.fixed(where)
        shares = self.shares.numpy() / self.shares.sum().item()
        labels = generators.numpy.choice(len(shares), n, p=shares) if code is None else np.full(n, code)
        vectors = np.zeros((n, self.view.width), np.float32)
        if n and self.view.width:
            vectors = self.student.draw(torch.from_numpy(labels.astype(np.int64)), generators.torch).numpy()
        for number, given in fixed.items():
            block = self.view.blocks[number]
            vectors[:, block.span] = 0
            vectors[:, block.start + given] = 1
        return self.view.decode(vectors, labels, generators)
