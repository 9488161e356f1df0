"""A fitted model: what was released, and nothing else.

A `Fitted` is public: it is made of a public configuration, tensors that came out of privacy mechanisms, the
declared domain and the privacy statement.  It has no way to reach the data it was fitted to.  Sampling is
post-processing and costs no budget, however many rows are drawn.

`FittedTable` (fitted_table.py) draws rows of a table, `FittedImages` (fitted_images.py) images.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np
import torch

from dpsynth.data.domain import Domain
from dpsynth.data.image_domain import ImageDomain
from dpsynth.data.images import Images
from dpsynth.data.table import Table
from dpsynth.errors import ConfigError

Sampled = TypeVar("Sampled", Table, Images)


class Generators(NamedTuple):
    """The random sources of one sample.  They are not private: samples may be repeated with their seed."""

    torch: torch.Generator
    numpy: np.random.Generator

    @classmethod
    def seeded(cls, seed: int | None) -> Generators:
        """Generators that follow from `seed`; a fresh, unrepeatable pair for None."""
        first, second = np.random.SeedSequence(seed).spawn(2)
        source = torch.Generator().manual_seed(int(first.generate_state(1, np.uint64)[0]) >> 1)
        return cls(source, np.random.default_rng(second))


def below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class Fitted(ABC, Generic[Sampled]):
    """What every fitted model shares.  A method implements `config`, `tensors` and `restore`, and `_draw` of its kind.

    domain: the complete public domain of the samples.
    statement: the privacy statement (JSON-able): target, proven epsilon, delta, relation, charges, noise,
    rows.
    """

    domain: Any  # Domain of a table, ImageDomain of images

    def __init__(self, domain: Domain | ImageDomain, statement: Mapping[str, Any] | None = None):
        self.domain = domain
        self.statement: dict[str, Any] = dict(statement or {})

    @property
    def rows(self) -> int | None:
        """How many rows there were, as far as may be said: declared or counted with noise; else None."""
        return self.statement.get("rows")

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The public configuration `restore` needs besides the tensors; JSON-able."""

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything learned, by name."""

    @classmethod
    @abstractmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Any,
        statement: Mapping[str, Any],
    ) -> Self:
        """The model that `config()` and `tensors()` describe."""

    @abstractmethod
    def _sample(self, n: int, generators: Generators, where: Mapping[str, Any]) -> Sampled:
        """n rows under the conditions `where`, which are yet to be checked."""

    def sample(self, n: int | None = None, seed: int | None = None, where: Mapping[str, Any] | None = None) -> Sampled:
        """n synthetic rows or images, all inside the domain; `rows` of them when n is not given.

        seed: the same seed gives the same rows; None gives fresh ones.
        where: fixed values by column, for example {"sex": "Female"} (None as a value asks for a missing one), or
        {"label": "3"} of images.
        Raises `ConfigError` for an unknown column or a value outside the domain.
        """
        n = self.rows if n is None else n
        if n is None:
            raise ConfigError("n: this model knows no number of rows; say how many with n=10000")
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise ConfigError(f"n={n!r}: the number of rows must be a whole number, 0 or more")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
            raise ConfigError(f"seed={seed!r}: must be a whole number, 0 or more, or null")
        return self._sample(n, Generators.seeded(seed), where or {})

    def save(self, folder: str | Path) -> None:
        """Write the model into the new folder `folder`: JSON and safetensors, no pickle, no data."""
        from dpsynth.models.artifact import save  # the file format knows this class, not the other way round

        save(self, folder)
