"""A fitted mixture and its variational posterior: rows from posterior draws, exact conditions, densities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from dpsynth.data.codec import Codec, Encoded
from dpsynth.data.domain import Domain
from dpsynth.data.table import Table
from dpsynth.models.fitted import Generators
from dpsynth.models.fitted_posterior import FittedPosterior
from dpsynth.models.mixture_columns import code_laws
from dpsynth.vi.mixture import Mixture

DRAWS_AT_ONCE = 64


class FittedMixture(FittedPosterior):
    """config: public settings of the mixture (components, bins, distributions, width, missing, records_per_draw).
    bases: noisy one-way marginals. mean, scale: (size,) of the normal posterior of phi."""

    def __init__(
        self,
        domain: Domain,
        config: Mapping[str, Any],
        bases: Mapping[int, np.ndarray],
        mean: torch.Tensor,
        scale: torch.Tensor,
        statement: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(domain, statement)
        self.records_per_draw = int(config["records_per_draw"])
        self._config, self.bases, self.mean, self.scale = dict(config), dict(bases), mean, scale
        self.codec = Codec(domain, config["bins"])
        laws = code_laws(self.codec, config["distributions"], bases, config["width"], config["missing"] == "column")
        self.mixture = Mixture(config["components"], laws)

    def config(self) -> dict[str, Any]:
        return self._config

    def tensors(self) -> dict[str, torch.Tensor]:
        bases = {f"base.{j}": torch.from_numpy(base) for j, base in self.bases.items()}
        return {"mean": self.mean, "scale": self.scale, **bases}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        domain: Domain,
        statement: Mapping[str, Any],
    ) -> Self:
        bases = {int(name[5:]): tensor.numpy() for name, tensor in tensors.items() if name.startswith("base.")}
        return cls(domain, config, bases, tensors["mean"], tensors["scale"], statement)

    def log_density(self, table: Table, draws: int = 0, seed: int = 0) -> np.ndarray:
        """(rows,) log probability of each row's codes plus log density within their bins on the unit axis, in nats.

        draws: 0 at the posterior mean; more average the density over so many posterior draws.
        """
        codes = torch.from_numpy(self.codec.encode(table.frame).codes.astype(np.int64))
        points = self._points(draws, torch.Generator().manual_seed(seed)) if draws else self.mean[None]
        with torch.no_grad():
            each = torch.stack([self.mixture.log_density(phi, codes) for phi in points])
        mixed = torch.logsumexp(each, 0).numpy() - math.log(len(points))
        for j, column in enumerate(self.codec.columns):
            if column.on_axis:
                widths = np.append(np.diff(column.edges), np.ones(column.size - column.value_bins))
                mixed = mixed - np.log(widths)[codes[:, j].numpy()]
        return mixed

    def _draw(self, n: int, generators: Generators, where: Mapping[str, Any]) -> pd.DataFrame:
        whole, rest = divmod(n, self.records_per_draw)
        rows = [self.records_per_draw] * whole + [rest] * (rest > 0)
        parts = [torch.empty(0, len(self.domain), dtype=torch.int64)]
        for start in range(0, len(rows), DRAWS_AT_ONCE):
            some = rows[start : start + DRAWS_AT_ONCE]
            parts.append(self._codes(self._points(len(some), generators.torch), some, generators, where))
        return self._decoded(torch.cat(parts), generators)

    def _posterior_draws(self, numbers: Sequence[int], generators: Generators) -> torch.Tensor:
        """(draws, size) draws of phi."""
        return self._points(len(numbers), generators.torch)

    def _draw_from(
        self, draws: torch.Tensor, rows: Sequence[int], generators: Generators, where: Mapping[str, Any]
    ) -> pd.DataFrame:
        return self._decoded(self._codes(draws, rows, generators, where), generators)

    def _points(self, draws: int, generator: torch.Generator) -> torch.Tensor:
        normal = torch.randn(draws, len(self.mean), generator=generator, dtype=self.mean.dtype)
        return self.mean + self.scale * normal

    def _codes(
        self, draws: torch.Tensor, rows: Sequence[int], generators: Generators, where: Mapping[str, Any]
    ) -> torch.Tensor:
        fixed = {self.domain.position(name): self.codec.encode_value(name, value)[0] for name, value in where.items()}
        return self.mixture.sample(draws, rows, generators.torch, fixed)

    def _decoded(self, codes: torch.Tensor, generators: Generators) -> pd.DataFrame:
        return self.codec.decode(Encoded(codes.numpy().astype(self.codec.dtype)), generators.numpy)
