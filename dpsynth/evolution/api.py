"""What makes and varies individuals: the API of Private Evolution, and the statement of where its knowledge comes from.

An API is made from public things alone: a domain, a simulator, public images, a pretrained model, or what was released
before. It is handed released batches and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from dpsynth.evolution.batch import Batch


@dataclass(frozen=True)
class Provenance:
    """Where an API's knowledge comes from; it stands in the privacy statement of every release.

    kind: none (the domain and earlier releases), simulator (a program), public_data, or pretrained (a model trained on
    data outside this guarantee). name: which one.
    """

    kind: Literal["none", "simulator", "public_data", "pretrained"]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}" if self.name else self.kind


@runtime_checkable
class PEApi(Protocol):
    """The two operators of Lin et al. 2023 (arXiv 2305.15560, section 4): RANDOM_API and VARIATION_API.

    modality: "table" or "image". portable: the API can be made again from the domain and the saved model alone, so that
    a fitted model goes on varying its population; otherwise variations are made once, at the end of the fit, and kept.
    """

    modality: str
    provenance: Provenance
    portable: bool

    def random(self, labels: np.ndarray, generator: np.random.Generator) -> Batch:
        """One individual for each of `labels`, int64 (n,), drawn without any knowledge of the private rows."""
        ...

    def variation(self, batch: Batch, degree: float, generator: np.random.Generator) -> Batch:
        """A child of each individual, of the same label. degree: from 0, the same individual, to 1, anything."""
        ...
