"""Noisy tables from files: one CSV for each, as databases and other libraries write them, named in a YAML file.

    schema: people.yaml
    statement: {epsilon: 1, delta: 1e-6, unit: one person, neighbours: add_remove, by: "Office of X, Tumult Analytics"}
    tables:
      - {file: sex_age.csv, sigma: 12.5}        a column for each column counted, and `count`
      - {file: income.csv}                      and `sigma`, where it differs from cell to cell

A cell is a value of a category, a number, or a range of numbers or dates, 17..25, both ends included (but for numbers
without decimals, where the upper end belongs to the next). Nothing stands for a missing value. Every cell must be
listed: one that a threshold left out is not zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.columns.raw import series_of, to_numbers
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.schema import parse_yaml
from dpsynth.errors import ConfigError, DataError
from dpsynth.marginals.noisy_tables import Cell, NoisyTable

KEYS = ("schema", "statement", "tables")


def read_measured(path: str | Path) -> tuple[Domain, tuple[NoisyTable, ...], Mapping[str, Any]]:
    """(schema, tables, statement) of a YAML file; files are named from its folder.

    Raises:
        ConfigError: A key that is missing or not known, or cells that are no table.
        DataError: A file that cannot be read.
    """
    path = Path(path).expanduser()
    try:
        content = parse_yaml(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    for key in content:
        if key not in KEYS:
            raise ConfigError(f"{path}: unknown key '{key}'; there are {', '.join(KEYS)}")
    for key in KEYS:
        if key not in content:
            raise ConfigError(f"{path}: lacks '{key}'")
    listed, statement = content["tables"], content["statement"]
    if not isinstance(listed, list) or not listed or not isinstance(statement, dict):
        raise ConfigError(f"{path}: 'tables' must be a list, and 'statement' a mapping")
    domain = Domain.from_yaml(path.parent / str(content["schema"]))
    return domain, tuple(_table(path.parent, each) for each in listed), statement


def _table(folder: Path, entry: Any) -> NoisyTable:
    if not isinstance(entry, Mapping) or "file" not in entry or set(entry) - {"file", "sigma"}:
        raise ConfigError(
            f"tables: {entry!r:.80} must be {{file: NAME.csv, sigma: NUMBER}}; sigma may be a column instead"
        )
    path = folder / str(entry["file"])
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({' '.join(str(error).split()):.150})") from None
    columns = [name for name in frame.columns if name not in ("count", "sigma")]
    if "count" not in frame.columns or not columns or not len(frame):
        raise ConfigError(f"{path}: needs a column for each column counted, a column 'count', and a row for each cell")
    if ("sigma" in frame.columns) == ("sigma" in entry):
        raise ConfigError(f"{path}: say sigma once, in the list of tables or as a column of the file")
    counts = _numbers(series_of(frame, "count"), f"{path}, count")
    sigma = (
        _numbers(series_of(frame, "sigma"), f"{path}, sigma")
        if "sigma" in frame.columns
        else np.full(len(frame), _numbers(pd.Series([entry["sigma"]]), f"{path}, sigma")[0])
    )
    axes: list[dict[Cell, int]] = []
    places = []
    for name in columns:
        cells: list[Cell] = [(None,) if text == "" else (text,) for text in frame[name]]
        axis = {cell: k for k, cell in enumerate(dict.fromkeys(cells))}
        axes.append(axis)
        places.append(np.array([axis[cell] for cell in cells]))
    shape = tuple(map(len, axes))
    index = np.asarray(np.ravel_multi_index(tuple(places), shape))
    if len(np.unique(index)) < len(index):
        raise ConfigError(f"{path}: a cell stands twice")
    if math.prod(shape) != len(frame):
        raise ConfigError(
            f"{path}: {len(frame)} cells, but {' x '.join(map(str, shape))} are needed; list every cell, also those "
            "with no rows"
        )
    order = np.argsort(index)
    return NoisyTable(
        tuple(columns), tuple(map(tuple, axes)), counts[order].reshape(shape), sigma[order].reshape(shape)
    )


def _numbers(texts: pd.Series, where: str) -> np.ndarray:
    found = to_numbers(texts)
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found))[0])
        raise ConfigError(f"{where}, row {row + 1}: {texts.iloc[row]!r} is no number")
    return found
