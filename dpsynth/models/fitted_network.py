"""A fitted Bayesian network: every column given a few earlier ones, drawn one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.codec import Codec
from dpsynth.data.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.models.fitted import Generators
from dpsynth.models.fitted_graph import decoded, merged_conditions
from dpsynth.models.fitted_table import FittedTable
from dpsynth.models.merging import Merging
from dpsynth.models.views import View, Views

ROWS_AT_ONCE = 262_144
MOST_DRAWS = 50  # rounds of rejection before a condition counts as too rare


class Node(NamedTuple):
    """A column, the views of its parents, and its law: (parent cells, codes) probabilities, each row adding to one."""

    column: int
    parents: tuple[View, ...]
    law: np.ndarray


class FittedNetwork(FittedTable):
    """Nodes in an order in which parents come first. All of it follows from noisy counts."""

    def __init__(
        self,
        domain: Domain,
        bins: int,
        merging: Merging,
        nodes: Sequence[Node],
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.codec, self.merging, self.nodes = Codec(domain, bins), merging, tuple(nodes)
        self.views = Views(self.codec, merging)

    def config(self) -> dict[str, Any]:
        network = [[node.column, [list(view) for view in node.parents]] for node in self.nodes]
        return {"bins": self.codec.bins, "network": network}

    def tensors(self) -> dict[str, torch.Tensor]:
        laws = {f"law.{k}": torch.from_numpy(node.law) for k, node in enumerate(self.nodes)}
        return {**self.merging.tensors(), **laws}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        merging = Merging.restore(tensors, Codec(domain, config["bins"]).sizes)
        nodes = [
            Node(column, tuple(View(*view) for view in parents), tensors[f"law.{k}"].numpy())
            for k, (column, parents) in enumerate(config["network"])
        ]
        return cls(domain, config["bins"], merging, nodes, statement)

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        fixed = merged_conditions(self.codec, self.merging, where)
        codes = self._accepted(n, generators.numpy, fixed)
        return decoded(self.codec, self.merging, codes, generators.numpy)

    def _accepted(self, n: int, generator: np.random.Generator, fixed: Mapping[int, int]) -> np.ndarray:
        """n rows of the law under the conditions, by rejection: conditioned columns are set, and a row is kept with a
        probability in proportion to that of the set codes given their parents."""
        found, have, tried, wanted = [], 0, 0, n
        for _ in range(MOST_DRAWS + n // ROWS_AT_ONCE):
            codes, chance = self._forward(min(wanted, ROWS_AT_ONCE), generator, fixed)
            kept = codes[generator.random(len(codes)) < chance] if fixed else codes
            found.append(kept)
            have, tried = have + len(kept), tried + len(codes)
            if have >= n:
                return np.concatenate(found)[:n]
            wanted = int(min(max((n - have) / (max(have, 0.5) / tried) * 1.1, 1024), ROWS_AT_ONCE))
        raise ConfigError(
            f"where: only {have} of {tried} draws met the conditions, too few for {n} rows; ask for fewer rows or less"
        )

    def _forward(
        self, n: int, generator: np.random.Generator, fixed: Mapping[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """(n, columns) codes, and (n,) chances of being kept, the likeliest 1."""
        codes, chance = np.zeros((n, len(self.nodes)), dtype=np.int64, order="F"), np.ones(n)
        for column, parents, law in self.nodes:
            row = np.zeros(n, dtype=np.int64)
            for view in parents:
                row = row * self.views.sizes[view] + self.views.maps[view][codes[:, view.column]]
            if column in fixed:
                likelihood = law[:, fixed[column]]
                codes[:, column] = fixed[column]
                chance *= likelihood[row] / likelihood.max()
                continue
            ends = law.ravel().cumsum()  # row r fills the interval [r, r + 1)
            drawn = np.searchsorted(ends, row + generator.random(n), side="right") - row * law.shape[1]
            codes[:, column] = np.clip(drawn, 0, law.shape[1] - 1)  # rounding of the sums
        return codes, chance
