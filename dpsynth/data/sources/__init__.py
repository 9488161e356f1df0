"""Data sets by name. `load` is what `data=NAME` in a config calls, with the other keys as options."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.selection import Selection
from dpsynth.data.sources.adult import adult
from dpsynth.data.sources.celeba import celeba, celeba_domain
from dpsynth.data.sources.databases import database, database_toy
from dpsynth.data.sources.digits import digits, digits_domain
from dpsynth.data.sources.idx_images import fashion_mnist, fashion_mnist_domain, mnist, mnist_domain
from dpsynth.data.sources.image_folder import image_folder, image_folder_domain
from dpsynth.data.sources.places import places365, places365_domain
from dpsynth.data.sources.power import power
from dpsynth.data.sources.pums import pums
from dpsynth.data.sources.source import Source
from dpsynth.data.sources.tables import csv, parquet
from dpsynth.data.sources.toy import toy
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError

SOURCES: dict[str, Callable[..., Source]] = {
    "adult": adult,
    "pums": pums,
    "power": power,
    "csv": csv,
    "parquet": parquet,
    "database": database,
    "database_toy": database_toy,
    "digits": digits,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "celeba": celeba,
    "places365": places365,
    "image_folder": image_folder,
    "toy": toy,
}

# What the options say about the images of a source, without opening anything: its public domain.
IMAGES: dict[str, Callable[..., Domain | ImageDomain]] = {
    "digits": digits_domain,
    "mnist": mnist_domain,
    "fashion_mnist": fashion_mnist_domain,
    "celeba": celeba_domain,
    "places365": places365_domain,
    "image_folder": image_folder_domain,
}

__all__ = ["IMAGES", "SOURCES", "Source", "image_domain", "load"]


def image_domain(name: str, **options: Any) -> Domain | ImageDomain:
    """The domain of a source in `IMAGES`, from the options that are public facts."""
    known = inspect.signature(IMAGES[name]).parameters
    return IMAGES[name](**{option: value for option, value in options.items() if option in known})


def load(name: str, selection: Selection | None = None, **options: Any) -> Source:
    """The rows of a source.

    selection: the secret rule by which a holdout fraction, `n_train` and the rows of a person are chosen; needed only
    where one of them is asked for. Raises `ConfigError` for an unknown name, or an option it does not have.
    """
    if name not in SOURCES:
        near = difflib.get_close_matches(str(name), SOURCES, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ConfigError(f"data set '{name}' is not one of {', '.join(SOURCES)}{hint}")
    source = SOURCES[name]
    known = tuple(option for option in inspect.signature(source).parameters if option != "selection")
    for option in options:
        if option not in known:
            raise ConfigError(f"data={name} has no option '{option}'; it has {', '.join(known)}")
    drawn = name in ("toy", "database_toy")  # nothing is selected of rows that are made for the run
    return source(**options) if drawn else source(**options, selection=selection)
