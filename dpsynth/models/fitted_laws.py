"""A fitted posterior over graphical models: its middle, and laws drawn from it, over the same junction tree.

`sample` draws from the middle, the best single guess; `sets` from the draws, one law for each set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.codec import Codec
from dpsynth.data.domain import Domain
from dpsynth.marginals.graphical_model import GraphicalModel
from dpsynth.models.fitted import Generators, below
from dpsynth.models.fitted_graph import decoded, merged_conditions
from dpsynth.models.fitted_posterior import FittedPosterior
from dpsynth.models.merging import Merging


class FittedLaws(FittedPosterior):
    """state: of one law but for its numbers, and the numbers of all laws, stacked (1 + draws, ...) by name, the middle
    first."""

    def __init__(
        self,
        domain: Domain,
        bins: int,
        merging: Merging,
        state: tuple[Mapping[str, Any], Mapping[str, torch.Tensor]],
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.codec, self.merging = Codec(domain, bins), merging
        self._config, self._stacked = dict(state[0]), dict(state[1])

    @classmethod
    def of(cls, domain: Domain, bins: int, merging: Merging, laws: Sequence[GraphicalModel]) -> Self:
        """laws: the middle and the draws, fitted over the same measured marginals."""
        states = [law.state() for law in laws]
        stacked = {name: torch.stack([tensors[name] for _, tensors in states]) for name in states[0][1]}
        config = {**states[0][0], "iterations": max(config["iterations"] for config, _ in states)}
        return cls(domain, bins, merging, (config, stacked))

    @property
    def draws(self) -> int:
        """How many laws were drawn."""
        return len(self._stacked["total"]) - 1

    def law(self, draw: int | None = None) -> GraphicalModel:
        """The law of posterior draw `draw`, which repeat after `draws`; the middle for None."""
        place = 0 if draw is None else 1 + draw % self.draws
        return GraphicalModel.restore(self._config, {name: stack[place] for name, stack in self._stacked.items()})

    def config(self) -> dict[str, Any]:
        return {"bins": self.codec.bins, "model": self._config}

    def tensors(self) -> dict[str, torch.Tensor]:
        return {**self.merging.tensors(), **{f"model.{name}": stack for name, stack in self._stacked.items()}}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        merging = Merging.restore(tensors, Codec(domain, config["bins"]).sizes)
        return cls(domain, config["bins"], merging, (config["model"], below("model.", tensors)), statement)

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        codes = self.law().sample(n, generators.numpy, where=merged_conditions(self.codec, self.merging, where))
        return decoded(self.codec, self.merging, codes, generators.numpy)

    def _posterior_draws(self, numbers: Sequence[int], generators: Generators) -> list[GraphicalModel]:
        return [self.law(number) for number in numbers]

    def _draw_from(
        self, draws: list[GraphicalModel], rows: Sequence[int], generators: Generators, where: Mapping[str, Any]
    ) -> pd.DataFrame:
        fixed = merged_conditions(self.codec, self.merging, where)
        # Rows of a set are independent, as an analysis of them will assume; rounded ones would vary too little.
        parts = [
            law.sample(n, generators.numpy, method="categorical", where=fixed)
            for law, n in zip(draws, rows, strict=True)
        ]
        codes = np.concatenate(parts) if parts else np.zeros((0, len(self.domain)), dtype=np.int64)
        return decoded(self.codec, self.merging, codes, generators.numpy)
