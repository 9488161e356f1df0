"""The APIs for images by the names they have in `model.api`."""

from __future__ import annotations

from collections.abc import Callable

from dpsynth.data.image_domain import ImageDomain
from dpsynth.errors import ConfigError
from dpsynth.evolution.api import PEApi, Provenance
from dpsynth.evolution.glyph_simulator import GlyphSimulator

PORTABLE: dict[str, Callable[[ImageDomain], PEApi]] = {"glyphs": GlyphSimulator}
NAMES = tuple(PORTABLE)


def image_api(name: str, domain: ImageDomain, source: str | None) -> PEApi:
    """The API called `name`, one of `NAMES`. source: what those that are not portable are made from."""
    return PORTABLE[name](domain)


def portable_api(name: str, domain: ImageDomain) -> PEApi:
    """An API that needs nothing but the domain; `ConfigError` for another name."""
    if name not in PORTABLE:
        raise ConfigError(f"api {name!r}: not one of {', '.join(PORTABLE)}")
    return PORTABLE[name](domain)


def provenance_of(name: str, source: str | None) -> Provenance:
    """What the API's provenance will be, said before it is made."""
    return Provenance("simulator", name)
