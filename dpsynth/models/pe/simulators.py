"""Simulators as APIs: characters in some font or hand, and faces for data of portraits.

A simulator of characters, as of MNIST-like data: the name of the class in some font or hand, posed, bent and inked.

Sim-PE (Lin et al. 2025, arXiv 2502.05505) evolves the parameters of such a program instead of pixels. Genes:

    glyph    which text in which font or hand; drawn anew with probability `degree`
    pose     sizes, shear, rotation, shifts, stroke, ink (and colours): numbers in [-1, 1] that walk by up to `degree`
    bend     a coarse field of displacements, standard normal; mixed with a fresh one by `degree`

Images of no classes show any digit. The program knows the names of the classes, which are public, and no image.

A simulator of faces: ellipses of skin, hair, eyes, brows and mouth on a ground, for data of portraits.

The class says nothing about the parameters: votes find out which faces belong to it. Genes: `traits`, numbers in
[-1, 1] that walk by up to `degree`, and with probability `degree` are drawn anew.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from dpsynth.data.image.domain import ImageDomain
from dpsynth.models.pe.api import Batch, Provenance
from dpsynth.models.pe.glyphs import BOX, SIDE, distance_fields, written_fields

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
COLOUR_NUMBERS = 6  # further numbers of coloured images: ink, then ground
FILLED = 0.7  # of the image's side: the longer side of an unscaled text
WRITTEN = 0.5  # of the glyphs of a text that has written forms
BENDS = 4  # displacements in each direction
BENT = 0.04  # standard deviation of a displacement, of the side
GLYPHS_AT_ONCE = 1024  # images drawn together


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
        self._numbers = len(POSE) + (COLOUR_NUMBERS if domain.channels == 3 else 0)

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
        for start in range(0, len(labels), GLYPHS_AT_ONCE):
            part = slice(start, start + GLYPHS_AT_ONCE)
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
    """Numbers that walked beyond -1 or 1 come back as from a wall, so that an even distribution stays even."""
    over = np.where(numbers > 1, 2 - numbers, numbers)
    return np.clip(np.where(over < -1, -2 - over, over), -1, 1).astype(np.float32)


# -------------------- Face simulator --------------------------------------------------------

PLACES = {  # centre and half range; lengths in half sides of the image
    "right": (0.0, 0.15),
    "down": (0.05, 0.15),
    "width": (0.48, 0.12),  # of the face
    "height": (0.62, 0.12),
    "hair_width": (0.62, 0.16),
    "hair_height": (0.72, 0.2),
    "hair_down": (-0.15, 0.2),
    "eyes_apart": (0.2, 0.06),
    "eyes_up": (0.1, 0.08),
    "eye": (0.065, 0.03),
    "brow": (0.12, 0.05),
    "mouth_down": (0.32, 0.06),
    "mouth_width": (0.17, 0.08),
    "mouth_open": (0.045, 0.035),
    "turn": (0.0, 0.3),  # radians
}
FACE_PARTS = ("ground", "hair", "skin", "eyes", "mouth")
DEFAULTS = {
    "skin": ((0.95, 0.76, 0.62), (0.3, 0.2, 0.13)),
    "mouth": ((0.85, 0.4, 0.4), (0.45, 0.2, 0.2)),
}  # light, dark
FACES_AT_ONCE = 512  # faces drawn together


class FaceSimulator:
    """Drawings of faces of the size of `domain`, grey or coloured."""

    modality: str = "image"
    portable = True

    def __init__(self, domain: ImageDomain) -> None:
        self.domain, self.provenance = domain, Provenance("simulator", "faces")
        self._traits = len(PLACES) + 3 * len(FACE_PARTS)

    def random(self, labels: np.ndarray, generator: np.random.Generator) -> Batch:
        return self._drawn(labels, generator.uniform(-1, 1, (len(labels), self._traits)).astype(np.float32))

    def variation(self, batch: Batch, degree: float, generator: np.random.Generator) -> Batch:
        traits = batch.genes["traits"]
        walked = reflected(traits + degree * generator.uniform(-1, 1, traits.shape).astype(np.float32))
        fresh = generator.uniform(-1, 1, traits.shape).astype(np.float32)
        # A jump for each trait at the square of the degree: small degrees refine, large ones explore.
        return self._drawn(batch.labels, np.where(generator.random(traits.shape) < degree**2, fresh, walked))

    def _drawn(self, labels: np.ndarray, traits: np.ndarray) -> Batch:
        pixels = np.empty((len(labels), *self.domain.shape), dtype=np.uint8)
        for start in range(0, len(labels), FACES_AT_ONCE):
            part = slice(start, start + FACES_AT_ONCE)
            faces = self._draw(torch.from_numpy(traits[part]))
            if self.domain.channels == 1:
                faces = faces.mean(dim=1, keepdim=True)
            pixels[part] = faces.mul(255).round_().to(torch.uint8).numpy()
        return Batch(labels, {"pixels": pixels, "traits": traits})

    def _draw(self, traits: torch.Tensor) -> torch.Tensor:
        """(n, 3, height, width) in [0, 1]: layers from the ground to the mouth."""
        place = {name: (c + r * traits[:, k])[:, None, None] for k, (name, (c, r)) in enumerate(PLACES.items())}
        numbers = traits[:, len(PLACES) :].unflatten(1, (len(FACE_PARTS), 3))
        colours = {name: _colour(name, numbers[:, k])[..., None, None] for k, name in enumerate(FACE_PARTS)}
        _, height, width = self.domain.shape
        side = max(height, width)
        down, right = ((torch.arange(s) + 0.5 - s / 2) * 2 / side for s in (height, width))
        y, x = torch.meshgrid(down, right, indexing="ij")
        x, y = x - place["right"], y - place["down"]
        cos, sin = torch.cos(place["turn"]), torch.sin(place["turn"])
        x, y = cos * x + sin * y, cos * y - sin * x
        layers = [
            ("hair", x, y - place["hair_down"], place["hair_width"], place["hair_height"]),
            ("skin", x, y, place["width"], place["height"]),
        ]
        for sign in (-1, 1):
            at_x, at_y = x - sign * place["eyes_apart"], y + place["eyes_up"]
            layers.append(("eyes", at_x, at_y, place["eye"] * 1.5, place["eye"]))
            layers.append(("hair", at_x, at_y + 2.2 * place["eye"], place["brow"], place["eye"] * 0.4))
        layers.append(("mouth", x, y - place["mouth_down"], place["mouth_width"], place["mouth_open"]))
        image = colours["ground"].expand(-1, -1, height, width)
        for name, at_x, at_y, wide, tall in layers:
            image = torch.lerp(image, colours[name], _ellipse(at_x, at_y, wide, tall, side)[:, None])
        return image.clamp(0, 1)


def _ellipse(x: torch.Tensor, y: torch.Tensor, wide: torch.Tensor, tall: torch.Tensor, side: int) -> torch.Tensor:
    """(n, h, w) in [0, 1]: 1 inside, with an edge of about a pixel."""
    radius = torch.sqrt((x / wide) ** 2 + (y / tall) ** 2 + 1e-9)
    distance = (1 - radius) * torch.minimum(wide, tall)
    return torch.sigmoid(distance * 2 * side)


def _colour(name: str, numbers: torch.Tensor) -> torch.Tensor:
    """(n, 3) in [0, 1]: any colour, or for skin and mouth one between a light and a dark tone, a little tinted."""
    if name not in DEFAULTS:
        return (numbers + 1) / 2
    light, dark = (torch.tensor(tone) for tone in DEFAULTS[name])
    return (light + (dark - light) * (numbers[:, :1] + 1) / 2 + 0.05 * numbers).clamp(0, 1)
