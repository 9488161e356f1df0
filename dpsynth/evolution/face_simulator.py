"""A simulator of faces: ellipses of skin, hair, eyes, brows and mouth on a ground, for data of portraits.

The class says nothing about the parameters: votes find out which faces belong to it. Genes: `traits`, numbers in
[-1, 1] that walk by up to `degree`, and with probability `degree` are drawn anew.
"""

from __future__ import annotations

import numpy as np
import torch

from dpsynth.data.image_domain import ImageDomain
from dpsynth.evolution.api import Provenance
from dpsynth.evolution.batch import Batch
from dpsynth.evolution.glyph_simulator import reflected

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
COLOURS = ("ground", "hair", "skin", "eyes", "mouth")
DEFAULTS = {
    "skin": ((0.95, 0.76, 0.62), (0.3, 0.2, 0.13)),
    "mouth": ((0.85, 0.4, 0.4), (0.45, 0.2, 0.2)),
}  # light, dark
AT_ONCE = 512  # faces drawn together


class FaceSimulator:
    """Drawings of faces of the size of `domain`, grey or coloured."""

    modality: str = "image"
    portable = True

    def __init__(self, domain: ImageDomain) -> None:
        self.domain, self.provenance = domain, Provenance("simulator", "faces")
        self._traits = len(PLACES) + 3 * len(COLOURS)

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
        for start in range(0, len(labels), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            faces = self._draw(torch.from_numpy(traits[part]))
            if self.domain.channels == 1:
                faces = faces.mean(dim=1, keepdim=True)
            pixels[part] = faces.mul(255).round_().to(torch.uint8).numpy()
        return Batch(labels, {"pixels": pixels, "traits": traits})

    def _draw(self, traits: torch.Tensor) -> torch.Tensor:
        """(n, 3, height, width) in [0, 1]: layers from the ground to the mouth."""
        place = {name: (c + r * traits[:, k])[:, None, None] for k, (name, (c, r)) in enumerate(PLACES.items())}
        numbers = traits[:, len(PLACES) :].unflatten(1, (len(COLOURS), 3))
        colours = {name: _colour(name, numbers[:, k])[..., None, None] for k, name in enumerate(COLOURS)}
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
