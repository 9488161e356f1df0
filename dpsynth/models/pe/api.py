"""Batches of synthetic individuals, and the API that makes and varies them and states where its knowledge comes from.

A batch of synthetic individuals: a group each, and arrays of whatever they are made of.

What makes and varies individuals: the API of Private Evolution, and the statement of where its knowledge comes from.

An API is made from public things alone: a domain, a simulator, public images, a pretrained model, or what was released
before. It is handed released batches and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self, runtime_checkable

import numpy as np
import torch


@dataclass(frozen=True)
class Batch:
    """Released individuals, never private rows.

    labels: (n,) int64 group of each. genes: arrays of first dimension n, by name. Tables have `codes` and `units`
    (`table_api.py`); images have `pixels`, (n, channels, height, width) uint8, and what their API varies.
    """

    labels: np.ndarray
    genes: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        for name, gene in self.genes.items():
            if len(gene) != len(self.labels):
                raise ValueError(f"gene {name!r}: {len(gene)} entries for {len(self.labels)} individuals")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> Self:
        """The individuals at the positions `index`, int64 (m,) or bool (n,); repeats are allowed."""
        return type(self)(self.labels[index], {name: gene[index] for name, gene in self.genes.items()})

    def with_genes(self, **genes: np.ndarray) -> Self:
        """The same individuals with some genes exchanged or added."""
        return type(self)(self.labels, {**self.genes, **genes})

    @classmethod
    def joined(cls, batches: Sequence[Self]) -> Self:
        """All batches in one; they have the same genes."""
        names = batches[0].genes
        genes = {name: np.concatenate([batch.genes[name] for batch in batches]) for name in names}
        return cls(np.concatenate([batch.labels for batch in batches]), genes)

    def tensors(self, prefix: str) -> dict[str, torch.Tensor]:
        """All arrays by name, to be saved."""
        arrays = {"labels": self.labels, **{f"genes.{name}": gene for name, gene in self.genes.items()}}
        return {f"{prefix}.{name}": torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    @classmethod
    def restore(cls, tensors: Mapping[str, torch.Tensor], prefix: str) -> Self:
        """The inverse of `tensors`; other prefixes are ignored."""
        start = f"{prefix}.genes."
        genes = {name.removeprefix(start): each.numpy() for name, each in tensors.items() if name.startswith(start)}
        return cls(tensors[f"{prefix}.labels"].numpy(), genes)


# -------------------- Api -------------------------------------------------------------------


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
