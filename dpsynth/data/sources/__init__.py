"""Data sets by name. `load` is what `data=NAME` in a config calls, with the other keys as options."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from dpsynth.data.sources.adult import adult
from dpsynth.data.sources.digits import digits
from dpsynth.data.sources.laws import toy
from dpsynth.data.sources.power import power
from dpsynth.data.sources.pums import pums
from dpsynth.data.sources.source import Source
from dpsynth.data.sources.tables import csv, parquet
from dpsynth.errors import ConfigError

SOURCES: dict[str, Callable[..., Source]] = {
    "adult": adult,
    "pums": pums,
    "power": power,
    "csv": csv,
    "parquet": parquet,
    "digits": digits,
    "toy": toy,
}

__all__ = ["SOURCES", "Source", "load"]


def load(name: str, **options: Any) -> Source:
    """The rows of a source. `ConfigError` for an unknown name, or an option it does not have."""
    if name not in SOURCES:
        near = difflib.get_close_matches(str(name), SOURCES, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ConfigError(f"data set '{name}' is not one of {', '.join(SOURCES)}{hint}")
    source = SOURCES[name]
    known = tuple(inspect.signature(source).parameters)
    for option in options:
        if option not in known:
            raise ConfigError(f"data={name} has no option '{option}'; it has {', '.join(known)}")
    return source(**options)
