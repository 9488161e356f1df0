"""The models that may propose rows to another one: chosen by name, or given as a recipe."""

from __future__ import annotations

from typing import Any

from dpsynth.errors import ConfigError
from dpsynth.models.aim import AIM
from dpsynth.models.independent import Independent
from dpsynth.models.mst import MST
from dpsynth.models.privbayes import PrivBayes
from dpsynth.models.synthesizer import Synthesizer

SEEDS: dict[str, type[Synthesizer]] = {"independent": Independent, "mst": MST, "aim": AIM, "privbayes": PrivBayes}


def seed_recipe(wanted: Any) -> Synthesizer | None:
    """The recipe called `wanted`, or `wanted` itself when it is one of tables; None for None.

    Raises `ConfigError` for anything else.
    """
    if wanted is None or (isinstance(wanted, Synthesizer) and "table" in wanted.modalities):
        return wanted
    if not isinstance(wanted, str) or wanted not in SEEDS:
        raise ConfigError(f"model.seed_model={wanted}: choose {', '.join(SEEDS)}, null, or a recipe for tables")
    return SEEDS[wanted]()
