"""A simulator of characters, as of MNIST-like data: the name of the class in some font or hand, posed, bent and inked.

Sim-PE (Lin et al. 2025, arXiv 2502.05505) evolves the parameters of such a program instead of pixels. Genes:

    glyph    which text in which font or hand; drawn anew with probability `degree`
    pose     sizes, shear, rotation, shifts, stroke, ink (and colours): numbers in [-1, 1] that walk by up to `degree`
    bend     a coarse field of displacements, standard normal; mixed with a fresh one by `degree`

Images of no classes show any digit. The program knows the names of the classes, which are public, and no image.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from dpsynth.data.image_domain import ImageDomain
from dpsynth.evolution.api import Provenance
from dpsynth.evolution.batch import Batch
from dpsynth.evolution.glyphs import BOX, SIDE, distance_fields
from dpsynth.evolution.handwriting import written_fields

POSE = {  # centre and half range of each number of the pose
    "height": (0.0, 0.35),  # logarithms of factors
    "width": (-0.15, 0.45),
    "shear": (0.1, 0.5),
    "rotation": (0.0, 0.45),  # radians
    "right": (0.0, 0.12),  # of the side
    "down": (0.0, 0.12),
    "stroke": (0.0, 0.035),  # added to the distance to the edge, of the field's side
    "ink": (0.9, 0.1),
}
COLOURS = 6  # further numbers of coloured images: ink, then ground
FILLED = 0.7  # of the image's side: the longer side of an unscaled text
WRITTEN = 0.5  # of the glyphs of a text that has written forms
BENDS = 4  # displacements in each direction
BENT = 0.04  # standard deviation of a displacement, of the side
AT_ONCE = 1024  # images drawn together


class GlyphSimulator:
    """Drawings of the class names of `domain`."""

    modality: str = "image"
    portable = True

    def __init__(self, domain: ImageDomain) -> None:
        self.domain, self.provenance = domain, Provenance("simulator", "glyphs")
        texts = domain.classes or tuple("0123456789")
        printed, written = distance_fields(texts), [written_fields(text) for text in texts]
        self._fields = torch.from_numpy(np.concatenate([printed.reshape(-1, *printed.shape[2:]), *written]))
        self._fonts = printed.shape[1]
        self._hands = np.array([len(forms) for forms in written])
        self._first = self._fonts * len(texts) + np.append(0, np.cumsum(self._hands))[:-1]  # written form of a text
        self._numbers = len(POSE) + (COLOURS if domain.channels == 3 else 0)

    def random(self, labels: np.ndarray, generator: np.random.Generator) -> Batch:
        pose = generator.uniform(-1, 1, (len(labels), self._numbers)).astype(np.float32)
        bend = generator.standard_normal((len(labels), 2, BENDS, BENDS), dtype=np.float32)
        return self._drawn(labels, self._glyphs(labels, generator), pose, bend)

    def variation(self, batch: Batch, degree: float, generator: np.random.Generator) -> Batch:
        genes = batch.genes
        other = generator.random(len(batch)) < degree
        glyph = np.where(other, self._glyphs(batch.labels, generator), genes["glyph"])
        step = degree * generator.uniform(-1, 1, genes["pose"].shape).astype(np.float32)
        pose = reflected(genes["pose"] + step)
        fresh = generator.standard_normal(genes["bend"].shape, dtype=np.float32)
        bend = np.float32(math.sqrt(1 - degree**2)) * genes["bend"] + np.float32(degree) * fresh
        return self._drawn(batch.labels, glyph, pose, bend)

    def _glyphs(self, labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(n,) int64 positions of fields: any font, and the text of the label, or any where there are no classes."""
        texts = labels if self.domain.classes else generator.integers(0, len(self._hands), len(labels))
        printed = texts * self._fonts + generator.integers(0, self._fonts, len(labels))
        hands = self._hands[texts]
        written = self._first[texts] + generator.integers(0, np.maximum(hands, 1))
        return np.where((hands > 0) & (generator.random(len(labels)) < WRITTEN), written, printed)

    def _drawn(self, labels: np.ndarray, glyph: np.ndarray, pose: np.ndarray, bend: np.ndarray) -> Batch:
        pixels = np.empty((len(labels), *self.domain.shape), dtype=np.uint8)
        for start in range(0, len(labels), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            drawn = self._draw(
                torch.from_numpy(glyph[part]), torch.from_numpy(pose[part]), torch.from_numpy(bend[part])
            )
            pixels[part] = drawn.mul_(255).round_().to(torch.uint8).numpy()
        return Batch(labels, {"pixels": pixels, "glyph": glyph, "pose": pose, "bend": bend})

    def _draw(self, glyph: torch.Tensor, pose: torch.Tensor, bend: torch.Tensor) -> torch.Tensor:
        """(n, channels, height, width) in [0, 1]."""
        _, height, width = self.domain.shape
        values = {name: c + r * pose[:, k] for k, (name, (c, r)) in enumerate(POSE.items())}
        places = _looked_up(values, bend, height, width)
        distance = functional.grid_sample(
            self._fields[glyph][:, None], places, mode="bilinear", padding_mode="border", align_corners=False
        )
        # An edge is as wide as a pixel, whatever the size: a pixel is 1 / longer side / scale of the field.
        sharp = 4.0 * max(height, width) * FILLED
        inked = torch.sigmoid(sharp * (distance + values["stroke"][:, None, None, None]))
        if self.domain.channels == 1:
            return inked * values["ink"][:, None, None, None]
        ink, ground = ((pose[:, start : start + 3] + 1)[..., None, None] / 2 for start in (len(POSE), len(POSE) + 3))
        return ground + (ink - ground) * inked


def _looked_up(values: dict[str, torch.Tensor], bend: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(n, height, width, 2) where each pixel looks into its field: bending, turning, shearing and scaling undone."""
    side = max(height, width)
    down, right = (torch.arange(s) + 0.5 - s / 2 for s in (height, width))
    y, x = torch.meshgrid(down * 2 / side, right * 2 / side, indexing="ij")
    bent = functional.interpolate(bend * (2 * BENT), (height, width), mode="bicubic", align_corners=True)
    x = x - 2 * values["right"][:, None, None] + bent[:, 0]
    y = y - 2 * values["down"][:, None, None] + bent[:, 1]
    cos, sin = (f(values["rotation"])[:, None, None] for f in (torch.cos, torch.sin))
    x, y = cos * x + sin * y, cos * y - sin * x
    x = x + values["shear"][:, None, None] * y
    field = BOX / SIDE / FILLED  # the text fills BOX of SIDE pixels of its field
    x = x * field / torch.exp(values["width"])[:, None, None]
    y = y * field / torch.exp(values["height"])[:, None, None]
    return torch.stack([x, y], dim=-1)


def reflected(numbers: np.ndarray) -> np.ndarray:
    """Numbers that walked beyond -1 or 1 come back as from a wall, so that an even law stays even."""
    over = np.where(numbers > 1, 2 - numbers, numbers)
    return np.clip(np.where(over < -1, -2 - over, over), -1, 1).astype(np.float32)
