"""From a public column to its law inside a component: which distribution, over which bins, around which base.

A model file names distributions as twinify does, one `column: Distribution` a line; columns that it leaves out get the
default of their kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import yaml

from dpsynth.data.codec import Codec
from dpsynth.data.column_codes import ColumnCodes
from dpsynth.data.columns import Category, Integer, Quantity
from dpsynth.data.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.vi.code_laws import CodeLaw
from dpsynth.vi.value_laws import Free, Normal, Poisson, Tilted, TruncatedNormal, ValueLaw, smoothed

DISTRIBUTIONS = ("Categorical", "Bernoulli", "Normal", "TruncatedNormal", "Poisson", "Tilted")
MISSING_START = -2.0  # logit of missing against a value, without a noisy marginal to begin from
STATE_SPREAD = 2.0  # prior standard deviation of the logits of spikes and missing


def distributions(domain: Domain, quantities: str, file: str | Path | None) -> tuple[str, ...]:
    """The distribution of every column: from the file, else Categorical, or `quantities` for columns with an axis.

    Raises `ConfigError` for a file that cannot be read, an unknown column, and a distribution that does not fit.
    """
    named = {} if file is None else read_model_file(file)
    if unknown := [name for name in named if name not in domain.names]:
        raise ConfigError(f"model.file={file}: no column {unknown[0]!r}; the columns are {', '.join(domain.names)}")
    chosen = []
    for column in domain:
        kind = named.get(column.name, quantities if isinstance(column, Quantity) else "Categorical")
        where = f"model.file={file}, column '{column.name}'"
        if kind not in DISTRIBUTIONS:
            raise ConfigError(f"{where}: no distribution {kind!r}; choose one of {', '.join(DISTRIBUTIONS)}")
        if kind in ("Normal", "TruncatedNormal", "Poisson", "Tilted") and not isinstance(column, Quantity):
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
        content = yaml.safe_load(Path(file).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"model.file={file}: cannot be read ({error}); one `column: Distribution` a line") from None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise ConfigError(f"model.file={file}: must have one `column: Distribution` a line, such as `age: Normal`")
    return {str(name): kind for name, kind in content.items()}


def code_laws(
    codec: Codec, kinds: Sequence[str], bases: Mapping[int, np.ndarray], width: float, missing_apart: bool
) -> list[CodeLaw]:
    """The law of each column. bases: (codes,) positive weights from noisy marginals, by column; without, public ones.

    width: prior standard deviation of logits and tilts around the base.
    """
    return [
        _code_law(c, kind, bases.get(j), width, missing_apart)
        for j, (c, kind) in enumerate(zip(codec.columns, kinds, strict=True))
    ]


def _code_law(column: ColumnCodes, kind: str, base: np.ndarray | None, width: float, missing_apart: bool) -> CodeLaw:
    apart = missing_apart and column.missing_code is not None
    bins, spikes = column.value_bins, len(column.spike_codes)
    others = spikes + int(column.missing_code is not None and not apart)
    if base is None:
        in_bin = column.values_in_bin
        weights = np.ones(bins) if in_bin is None else in_bin.astype(np.float64)
        logits = torch.tensor([0.0] * (1 + spikes) + [MISSING_START] * (others - spikes), dtype=torch.float64)
        state_base = torch.log_softmax(logits, 0)
    else:
        weights = base[:bins]
        state_base = smoothed([weights.sum(), *base[bins : bins + others]], 1e-300)
    values = _value_law(column, kind, smoothed(weights, 1e-300), width)
    return CodeLaw(values, Free(state_base, STATE_SPREAD) if others else None, apart)


def _value_law(column: ColumnCodes, kind: str, base: torch.Tensor, width: float) -> ValueLaw:
    if kind in ("Categorical", "Bernoulli"):
        return Free(base, width)
    edges = torch.from_numpy(np.ascontiguousarray(column.edges)) * 2 - 1
    if kind == "Tilted":
        return Tilted.of(base, (edges[1:] + edges[:-1]) / 2, width)
    if kind == "Normal":
        return Normal(edges)
    if kind == "TruncatedNormal":
        return TruncatedNormal(edges)
    quantity = column.column
    assert isinstance(quantity, Quantity)
    assert column.values_in_bin is not None
    last = quantity.start - 1 + np.cumsum(column.values_in_bin)  # spikes between are taken to be outside the counts
    return Poisson(torch.from_numpy(last.astype(np.float64)), unit=max(1.0, (quantity.start + quantity.stop) / 4))
