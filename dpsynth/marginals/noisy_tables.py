"""Noisy marginals as tables that can be read, published and fitted again: cells named by values, not by codes.

A `NoisyTable` is what a mechanism released: every cell of a marginal with its noisy count and the scale of its noise.
It is public, like everything made from it. Methods attach theirs to the fitted model (`Fitted.measured`), which is
saved with them as `marginals.parquet`, one row for each cell:

    table     int32          number of the table
    columns   list<string>   the columns it counts together
    cell      list<list<string>>   for each column the values that are counted as one; null stands for a missing value
    count     double         noisy count, may be negative
    sigma     double         standard deviation of the noise that was added
    low, high double         95 % confidence interval of the true count

Values of a number or date that share a bin are written `17..25`: both ends belong to the bin, but for numbers without
declared decimals, where the upper end belongs to the next bin. Values with a cell of their own (point masses) are not
counted in a range around them.

The interval is count -+ 1.96 s, s^2 = sigma^2 + 1/12 for each integer noise rounded from a Gaussian (Sheppard's
correction). The noise is independent of the data and of which marginal was chosen, so that coverage holds cell by cell;
not for the smallest or largest of many cells, nor for all together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from scipy.stats import norm

from dpsynth.data.columns import Category
from dpsynth.data.table.codec import Codec, ColumnCodes
from dpsynth.errors import ArtifactError, ConfigError

pc: Any = pyarrow.compute  # its functions are made when it is imported, and unknown to type checkers
Value = str | None  # None: a missing value
Cell = tuple[Value, ...]  # values that are counted as one
ROUNDING = 1 / 12  # variance that rounding to whole numbers adds
CONFIDENCE = 0.95
MISSING = "(missing)"
SHOWN_VALUES = 4  # of a cell, in words
_SCHEMA = pa.schema(
    [
        ("table", pa.int32()),
        ("columns", pa.list_(pa.string())),
        ("cell", pa.list_(pa.list_(pa.string()))),
        ("count", pa.float64()),
        ("sigma", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ]
)


@dataclass(frozen=True, eq=False)
class NoisyTable:
    """One noisy marginal.

    Attributes:
        columns: Names of the columns that are counted together.
        cells: For each column its cells, in the order of the axes of `counts`.
        counts: float64, one axis for each column.
        sigma: Standard deviation of the noise before rounding, in rows; one number, or an array of the shape of
            `counts`. 0 where nothing was added.

    Raises:
        ConfigError: Shapes that do not fit, numbers that are not finite, or a negative sigma.
    """

    columns: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    counts: np.ndarray
    sigma: float | np.ndarray

    def __post_init__(self) -> None:
        counts, sigma = np.asarray(self.counts, dtype=np.float64), np.asarray(self.sigma, dtype=np.float64)
        object.__setattr__(self, "counts", counts)
        object.__setattr__(self, "sigma", sigma if sigma.ndim else float(sigma))
        shape = tuple(len(cells) for cells in self.cells)
        where = f"table of {', '.join(self.columns) or 'all rows'}"
        if len(self.columns) != len(self.cells) or len(set(self.columns)) < len(self.columns) or counts.shape != shape:
            raise ConfigError(f"{where}: counts of shape {counts.shape} for cells {shape}")
        if sigma.shape not in ((), shape):
            raise ConfigError(f"{where}: sigma of shape {sigma.shape} for cells {shape}")
        if not (np.isfinite(counts).all() and np.isfinite(sigma).all() and (sigma >= 0).all()):
            raise ConfigError(f"{where}: counts and sigma must be finite, and sigma not negative")

    @property
    def name(self) -> str:
        """The columns in words."""
        return " x ".join(self.columns)

    def interval(self, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
        """(low, high) of the true counts, each of the shape of `counts`, cell by cell at `confidence`."""
        if not 0 < confidence < 1:
            raise ConfigError(f"confidence={confidence}: must lie between 0 and 1")
        sigma = np.asarray(self.sigma)
        width = float(norm.isf((1 - confidence) / 2)) * np.sqrt(np.where(sigma > 0, sigma**2 + ROUNDING, 0.0))
        return self.counts - width, self.counts + width

    def frame(self, confidence: float = CONFIDENCE) -> pd.DataFrame:
        """One row for each cell: the columns in words, then count, sigma, low and high."""
        low, high = self.interval(confidence)
        grids = np.meshgrid(*(np.arange(len(cells)) for cells in self.cells), indexing="ij") if self.cells else []
        shown = {
            name: [words(cells[k]) for k in grid.ravel()]
            for name, cells, grid in zip(self.columns, self.cells, grids, strict=True)
        }
        sigma = np.broadcast_to(self.sigma, self.counts.shape)
        figures = {"count": self.counts, "sigma": sigma, "low": low, "high": high}
        return pd.DataFrame({**shown, **{f"{name}" if name not in shown else f"{name} (noisy)": np.ravel(values)
                                         for name, values in figures.items()}})  # fmt: skip


def words(cell: Cell) -> str:
    """A cell in words: its values, or how many there are."""
    named = [MISSING if value is None else value for value in cell]
    if len(named) <= SHOWN_VALUES:
        return " | ".join(named)
    return f"{' | '.join(named[:SHOWN_VALUES])} | {len(named) - SHOWN_VALUES:,} more"


# -------------------- From codes ------------------------------------------------------------


def cells_of(column: ColumnCodes, mapping: np.ndarray | None = None) -> tuple[Cell, ...]:
    """The cells of a column's codes, or of the merged codes `mapping` (codes,) makes of them."""
    size = column.size
    mapping = np.arange(size) if mapping is None else np.asarray(mapping)
    found: list[list[Value]] = [[] for _ in range(int(mapping.max()) + 1)]
    low, high = column.ends if column.on_axis else ((), ())
    start = 0
    for code in range(1, column.value_bins + 1):  # neighbouring bins of one cell are one range
        if code < column.value_bins and column.on_axis and mapping[code] == mapping[start]:
            continue
        if column.on_axis:
            first, last = low[start], high[code - 1]
            found[mapping[start]].append(first if first == last else f"{first}..{last}")
        else:
            assert isinstance(column.column, Category)
            found[mapping[start]].append(column.column.values[start])
        start = code
    for code, text in zip(column.point_mass_codes, column.point_mass_texts, strict=True):
        found[mapping[code]].append(text)
    if column.missing_code is not None:
        found[mapping[column.missing_code]].append(None)
    return tuple(tuple(values) for values in found)


def noisy_tables(
    codec: Codec,
    maps: Sequence[np.ndarray | None],
    cliques: Sequence[Sequence[int]],
    counts: Sequence[np.ndarray],
    sigma: float | Sequence[float],
) -> tuple[NoisyTable, ...]:
    """The noisy counts of some sets of columns as tables.

    maps: for each column the (codes,) merged code of each code; None for the codec's own. cliques: columns of each
    table. counts: noisy, axes in the order of the clique. sigma: of the noise of all tables, or of each.
    """
    known = {j: cells_of(codec.columns[j], maps[j]) for j in sorted({j for clique in cliques for j in clique})}
    scales = [sigma] * len(cliques) if isinstance(sigma, int | float) else list(sigma)
    return tuple(
        NoisyTable(tuple(codec.domain.names[j] for j in clique), tuple(known[j] for j in clique), table, scale)
        for clique, table, scale in zip(cliques, counts, scales, strict=True)
    )


# -------------------- File ------------------------------------------------------------------


def write(tables: Sequence[NoisyTable], path: Path) -> None:
    """Write the tables as Parquet, one row for each cell; the same tables give the same bytes."""
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        for number, table in enumerate(tables):
            low, high = table.interval()
            n = table.counts.size
            columns = {
                "table": np.full(n, number, dtype=np.int32),
                "columns": pa.array([list(table.columns)], type=_SCHEMA.field("columns").type).take(
                    pa.array(np.zeros(n, dtype=np.int64))
                ),
                "cell": _cells_written(table),
                "count": table.counts.ravel(),
                "sigma": np.broadcast_to(table.sigma, table.counts.shape).ravel(),
                "low": low.ravel(),
                "high": high.ravel(),
            }
            writer.write_table(pa.table(columns, schema=_SCHEMA))


def _cells_written(table: NoisyTable) -> pa.Array:
    """(cells,) for each cell its list of values for each column, in the order of `counts`."""
    axes, n = len(table.columns), table.counts.size
    values = pa.array([list(cell) for cells in table.cells for cell in cells], type=pa.list_(pa.string()))
    first = np.cumsum([0, *(len(cells) for cells in table.cells)])[:-1]
    index = np.indices(table.counts.shape).reshape(axes, n) + first[:, None]
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * axes)
    return pa.ListArray.from_arrays(offsets, values.take(pa.array(index.T.ravel())))


def read(path: Path) -> tuple[NoisyTable, ...]:
    """The tables that `write` has written. Raises `ArtifactError` for any other file."""
    try:
        found = pq.read_table(path)
        if found.schema.names != _SCHEMA.names:
            raise ValueError(f"columns {', '.join(found.schema.names)}")
        return tuple(_tables(found.cast(_SCHEMA)))
    except (pa.ArrowException, ValueError, KeyError, TypeError, OSError, ConfigError) as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path}: not readable as noisy marginals ({reason:.200}); copy it again") from None


def _tables(found: pa.Table) -> Iterator[NoisyTable]:
    numbers = np.asarray(found.column("table"))
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    if len(set(numbers[starts].tolist())) < len(starts):
        raise ValueError("the cells of a table do not stand together")
    for start, stop in zip(starts, [*starts[1:], len(numbers)], strict=True):
        part = found.slice(start, stop - start).combine_chunks()
        named, n = part.column("columns").combine_chunks(), stop - start
        columns = named[0].as_py()
        if not columns or named.null_count or pc.list_value_length(named).unique().to_pylist() != [len(columns)]:
            raise ValueError("a table with several sets of columns")
        if named.flatten().to_numpy(zero_copy_only=False).reshape(n, -1).tolist().count(columns) != n:
            raise ValueError("a table with several sets of columns")
        cells = part.column("cell").combine_chunks()
        if pc.list_value_length(cells).unique().to_pylist() != [len(columns)]:
            raise ValueError("a cell without a value for every column")
        axes, index = zip(*(_axis(pc.list_element(cells, axis)) for axis in range(len(columns))), strict=True)
        shape = tuple(len(axis) for axis in axes)
        places = np.ravel_multi_index(index, shape)
        if math.prod(shape) != n or len(np.unique(places)) < n:
            raise ValueError(f"a table of {', '.join(columns)} with {n} cells, not {' x '.join(map(str, shape))}")
        counts, sigma = np.empty(n), np.empty(n)
        counts[places] = np.asarray(part.column("count"))
        sigma[places] = np.asarray(part.column("sigma"))
        same = float(sigma[0])
        scale = same if (sigma == same).all() else sigma.reshape(shape)
        yield NoisyTable(tuple(columns), axes, counts.reshape(shape), scale)


def _axis(cells: pa.ListArray) -> tuple[tuple[Cell, ...], np.ndarray]:
    """The different cells in the order in which they come, and the (rows,) number of each."""
    values = pc.fill_null(cells.flatten(), "\x00")
    lengths = pc.list_value_length(cells).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, values), "\x1f").dictionary_encode()
    index = joined.indices.to_numpy(zero_copy_only=False)
    first = np.unique(index, return_index=True)[1]
    return tuple(tuple(cells[int(k)].as_py()) for k in first), index
