"""A fitted graphical model over encoded columns: draws rows by exact conditioning, under conditions too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.table.codec import Codec, Encoded
from dpsynth.data.table.domain import Domain
from dpsynth.marginals.graphical_model.graphical_model import GraphicalModel
from dpsynth.models.contract.fitted import Generators, below
from dpsynth.models.contract.fitted_table import FittedTable
from dpsynth.models.shared.domain_compression import DomainCompression


class FittedGraph(FittedTable):
    """A distribution of merged codes, and the way from there to rows. All of it follows from noisy counts."""

    def __init__(
        self,
        codec: Codec,
        compression: DomainCompression,
        model: GraphicalModel,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(codec.domain, statement)
        self.codec, self.compression, self.model = codec, compression, model

    def config(self) -> dict[str, Any]:
        return {"cuts": self.codec.cuts, "model": self.model.state()[0]}

    def tensors(self) -> dict[str, torch.Tensor]:
        model = {f"model.{name}": tensor for name, tensor in self.model.state()[1].items()}
        return {**self.compression.tensors(), **model}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        model = GraphicalModel.restore(config["model"], below("model.", tensors))
        codec = Codec(domain, 1, config["cuts"])
        compression = DomainCompression.restore(tensors, codec.sizes)
        return cls(codec, compression, model, statement)

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        fixed = compressed_conditions(self.codec, self.compression, where)
        codes = self.model.sample(n, generators.numpy, where=fixed)
        return decoded(self.codec, self.compression, codes, generators.numpy)


def compressed_conditions(codec: Codec, compression: DomainCompression, where: Mapping[str, Any]) -> dict[int, int]:
    """The merged code that each condition (column name, legal value) asks for, by position of the column."""
    codes = {codec.domain.position(name): codec.encode_value(name, value)[0] for name, value in where.items()}
    return {position: int(compression.maps[position][code]) for position, code in codes.items()}


def decoded(
    codec: Codec, compression: DomainCompression, codes: np.ndarray, generator: np.random.Generator
) -> pd.DataFrame:
    """Rows of merged codes (rows, columns)."""
    return codec.decode(Encoded(compression.parted(codes, generator)), generator)
