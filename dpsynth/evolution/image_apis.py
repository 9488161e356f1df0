"""The APIs for images by the names they have in `model.api`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dpsynth.data.image_domain import ImageDomain
from dpsynth.errors import ConfigError
from dpsynth.evolution.api import PEApi, Provenance
from dpsynth.evolution.diffusion import DiffusionApi
from dpsynth.evolution.face_simulator import FaceSimulator
from dpsynth.evolution.glyph_simulator import GlyphSimulator
from dpsynth.evolution.image_points import ImagePoints
from dpsynth.evolution.image_pool import ImagePool, public_images
from dpsynth.evolution.public_generator import PublicGenerator

PORTABLE: dict[str, Callable[[ImageDomain], PEApi]] = {"glyphs": GlyphSimulator, "faces": FaceSimulator}
NAMES = (*PORTABLE, "pool", "generator", "diffusion")


def image_api(name: str, domain: ImageDomain, source: str | None, points: ImagePoints) -> PEApi:
    """The API called `name`, one of `NAMES`.

    source: file of public images, or folder of a pipeline; None for simulators. points: by which a pool knows
    neighbours. Raises `ConfigError` when the source is missing or does not fit.
    """
    if name in PORTABLE:
        return PORTABLE[name](domain)
    if name == "pool":
        return ImagePool(domain, public_images(source, domain), points, str(source))
    if name == "generator":
        return PublicGenerator(domain, public_images(source, domain), str(source))
    return DiffusionApi.local(domain, source)


def portable_api(name: str, domain: ImageDomain) -> PEApi:
    """An API that needs nothing but the domain; `ConfigError` for another name."""
    if name not in PORTABLE:
        raise ConfigError(f"api {name!r}: not one of {', '.join(PORTABLE)}")
    return PORTABLE[name](domain)


def provenance_of(name: str, source: str | None) -> Provenance:
    """What the API's provenance will be, said before it is made."""
    if name in PORTABLE:
        return Provenance("simulator", name)
    return Provenance("pretrained" if name == "diffusion" else "public_data", Path(str(source)).name)
