"""A fitted graphical model over coded columns: draws rows by exact conditioning, under conditions too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.codec import Codec, Encoded
from dpsynth.data.domain import Domain
from dpsynth.marginals.graphical_model import GraphicalModel
from dpsynth.models.fitted import Generators, below
from dpsynth.models.fitted_table import FittedTable
from dpsynth.models.merging import Merging


class FittedGraph(FittedTable):
    """A law of merged codes, and the way from there to rows. All of it follows from noisy counts."""

    def __init__(
        self,
        domain: Domain,
        bins: int,
        merging: Merging,
        model: GraphicalModel,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.codec, self.merging, self.model = Codec(domain, bins), merging, model

    def config(self) -> dict[str, Any]:
        return {"bins": self.codec.bins, "model": self.model.state()[0]}

    def tensors(self) -> dict[str, torch.Tensor]:
        model = {f"model.{name}": tensor for name, tensor in self.model.state()[1].items()}
        return {**self.merging.tensors(), **model}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        model = GraphicalModel.restore(config["model"], below("model.", tensors))
        merging = Merging.restore(tensors, Codec(domain, config["bins"]).sizes)
        return cls(domain, config["bins"], merging, model, statement)

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        fixed = merged_conditions(self.codec, self.merging, where)
        codes = self.model.sample(n, generators.numpy, where=fixed)
        return decoded(self.codec, self.merging, codes, generators.numpy)


def merged_conditions(codec: Codec, merging: Merging, where: Mapping[str, Any]) -> dict[int, int]:
    """The merged code that each condition (column name, legal value) asks for, by position of the column."""
    codes = {codec.domain.position(name): codec.encode_value(name, value)[0] for name, value in where.items()}
    return {position: int(merging.maps[position][code]) for position, code in codes.items()}


def decoded(codec: Codec, merging: Merging, codes: np.ndarray, generator: np.random.Generator) -> pd.DataFrame:
    """Rows of merged codes (rows, columns)."""
    return codec.decode(Encoded(merging.parted(codes, generator)), generator)
