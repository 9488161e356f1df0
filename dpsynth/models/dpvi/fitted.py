"""A fitted mixture and its variational posterior, and how a public column becomes a distribution within a component.

From a public column to its distribution inside a component: which distribution, over which bins, around which base.

A model file names distributions as twinify does, one `column: Distribution` a line; columns that it leaves out get the
default of their kind.

A fitted mixture and its variational posterior: rows from posterior draws, exact conditions, densities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
import yaml

from dpsynth.data.columns import Category, Integer, NumericColumn
from dpsynth.data.table.codec import Codec, ColumnCodes, Encoded
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.models.contract.fitted import Generators
from dpsynth.models.contract.fitted_table import FittedPosterior
from dpsynth.vi.column_distributions import (
    CodeDistribution,
    Free,
    Normal,
    Poisson,
    Tilted,
    TruncatedNormal,
    ValueDistribution,
    smoothed,
)
from dpsynth.vi.mixture import Mixture

DISTRIBUTIONS = ("Categorical", "Bernoulli", "Normal", "TruncatedNormal", "Poisson", "Tilted")
MISSING_START = -2.0  # logit of missing against a value, without a noisy marginal to begin from
STATE_SPREAD = 2.0  # prior standard deviation of the logits of point masses and missing


def distributions(domain: Domain, numeric_columns: str, file: str | Path | None) -> tuple[str, ...]:
    """The distribution of every column: from the file, else Categorical, or `numeric_columns` for columns with an axis.

    Raises `ConfigError` for a file that cannot be read, an unknown column, and a distribution that does not fit.
    """
    named = {} if file is None else read_model_file(file)
    if unknown := [name for name in named if name not in domain.names]:
        raise ConfigError(f"model.file={file}: no column {unknown[0]!r}; the columns are {', '.join(domain.names)}")
    chosen = []
    for column in domain:
        kind = named.get(column.name, numeric_columns if isinstance(column, NumericColumn) else "Categorical")
        where = f"model.file={file}, column '{column.name}'"
        if kind not in DISTRIBUTIONS:
            raise ConfigError(f"{where}: no distribution {kind!r}; choose one of {', '.join(DISTRIBUTIONS)}")
        if kind in ("Normal", "TruncatedNormal", "Poisson", "Tilted") and not isinstance(column, NumericColumn):
            raise ConfigError(f"{where}: {kind} needs a number, an integer or a date; take Categorical")
        if kind == "Poisson" and not (isinstance(column, Integer) and (column.low is None or column.low >= 0)):
            raise ConfigError(f"{where}: Poisson needs an integer of at least 0; take Normal")
        if kind == "Bernoulli" and not (isinstance(column, Category) and len(column.values) == 2):
            raise ConfigError(f"{where}: Bernoulli needs two values; take Categorical")
        chosen.append(kind)
    return tuple(chosen)


def read_model_file(file: str | Path) -> dict[str, str]:
    """{column: distribution} of a text file with one `column: Distribution` a line; # begins a comment."""
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"model.file={file}: cannot be read ({error}); one `column: Distribution` a line") from None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise ConfigError(f"model.file={file}: must have one `column: Distribution` a line, such as `age: Normal`")
    return {str(name): kind for name, kind in content.items()}


def code_distributions(
    codec: Codec, kinds: Sequence[str], bases: Mapping[int, np.ndarray], width: float, missing_apart: bool
) -> list[CodeDistribution]:
    """The distribution of each column. bases: (codes,) positive weights from noisy marginals, by column; without,
    public ones.

    width: prior standard deviation of logits and tilts around the base.
    """
    return [
        _code_distribution(c, kind, bases.get(j), width, missing_apart)
        for j, (c, kind) in enumerate(zip(codec.columns, kinds, strict=True))
    ]


def _code_distribution(
    column: ColumnCodes, kind: str, base: np.ndarray | None, width: float, missing_apart: bool
) -> CodeDistribution:
    apart = missing_apart and column.missing_code is not None
    bins, point_masses = column.value_bins, len(column.point_mass_codes)
    others = point_masses + int(column.missing_code is not None and not apart)
    if base is None:
        in_bin = column.values_in_bin
        weights = np.ones(bins) if in_bin is None else in_bin.astype(np.float64)
        logits = torch.tensor(
            [0.0] * (1 + point_masses) + [MISSING_START] * (others - point_masses), dtype=torch.float64
        )
        state_base = torch.log_softmax(logits, 0)
    else:
        weights = base[:bins]
        state_base = smoothed([weights.sum(), *base[bins : bins + others]], 1e-300)
    values = _value_distribution(column, kind, smoothed(weights, 1e-300), width)
    return CodeDistribution(values, Free(state_base, STATE_SPREAD) if others else None, apart)


def _value_distribution(column: ColumnCodes, kind: str, base: torch.Tensor, width: float) -> ValueDistribution:
    if kind in ("Categorical", "Bernoulli"):
        return Free(base, width)
    edges = torch.from_numpy(np.ascontiguousarray(column.edges)) * 2 - 1
    if kind == "Tilted":
        return Tilted.of(base, (edges[1:] + edges[:-1]) / 2, width)
    if kind == "Normal":
        return Normal(edges)
    if kind == "TruncatedNormal":
        return TruncatedNormal(edges)
    numeric_column = column.column
    assert isinstance(numeric_column, NumericColumn)
    assert column.values_in_bin is not None
    last = (
        numeric_column.start - 1 + np.cumsum(column.values_in_bin)
    )  # point masses between are taken to be outside the counts
    return Poisson(
        torch.from_numpy(last.astype(np.float64)), unit=max(1.0, (numeric_column.start + numeric_column.stop) / 4)
    )


# -------------------- Fitted mixture --------------------------------------------------------

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
        of_codes = code_distributions(
            self.codec, config["distributions"], bases, config["width"], config["missing"] == "column"
        )
        self.mixture = Mixture(config["components"], of_codes)

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
