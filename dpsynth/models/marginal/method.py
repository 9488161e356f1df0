"""What the methods over marginals share: numbers cut into cells, rows encoded and counted.

The private rows are held as codes, in memory or on disk, and are only ever counted. Exact counts are private and go
only into a mechanism of `dpsynth.privacy`. A fit runs as follows:

1  every numeric column is counted with noise on a tree of ever finer cells (`privacy/mechanisms/discretizer.py`), for
   `summary_fraction` of the budget
2  from that follow a fine distribution of each, and the coarse cells that the method works with, as many as its noise
   allows (`models/shared/value_cells.py`)
3  rows become codes once; from then on only counts of coarse codes are asked for
4  a method asks for counts, adds noise through `dpsynth.privacy`, and fits a distribution to what comes out
5  rows are drawn in coarse codes, and their values from the fine distribution within
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np

from dpsynth.data.columns import Reading
from dpsynth.data.columns.raw import series_of
from dpsynth.data.table.codec import Codec, ColumnCodes
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.data.table.value_grid import grid, origin
from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.counting import Engine, EngineName
from dpsynth.marginals.counting.encoded_files import EncodedFiles, read_blocks
from dpsynth.marginals.graphical_model.graphical_model import Measurement
from dpsynth.marginals.noisy_tables import NoisyTable, noisy_tables
from dpsynth.models.contract.fitted import Fitted
from dpsynth.models.contract.option_groups import OptionGroup, at_least, between, one_of
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, PrivateRows, Synthesizer
from dpsynth.models.shared.domain_compression import DomainCompression, cells_compression, rare_compression
from dpsynth.models.shared.value_cells import most_cells, value_cells
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.adaptive_budget import AdaptiveBudget
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.discretizer import ColumnCounts, Discretizer, places_counted
from dpsynth.training.device import processor_threads

Clique = tuple[int, ...]


@dataclass(frozen=True)
class MappedFiles(EncodedFiles):
    """Encoded files seen through lookup tables, block by block as they stream; the files stay as they are.

    stored: sizes of the columns on disk. views: for every column that is seen, the one on disk and the code of each of
    its codes. `sizes` are those of the views.
    """

    stored: tuple[int, ...] = ()
    views: tuple[tuple[int, np.ndarray], ...] = ()

    @classmethod
    def of(cls, files: EncodedFiles, views: Sequence[tuple[int, np.ndarray]]) -> Self:
        """`files` may be mapped already; `views` speak of the columns on disk."""
        known = {each.name: getattr(files, each.name) for each in fields(EncodedFiles)}
        stored = files.stored if isinstance(files, MappedFiles) else files.sizes
        known["sizes"] = tuple(int(m.max()) + 1 for _, m in views)
        return cls(**known, stored=stored, views=tuple(views))

    def joined(self, maps: Sequence[np.ndarray]) -> MappedFiles:
        """The same files, with the codes of every view mapped once more."""
        return MappedFiles.of(self, [(j, m[seen]) for (j, seen), m in zip(self.views, maps, strict=True)])

    def blocks(self, columns: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """As of the files, with one column for every view; only `columns` are set."""
        wanted = range(len(self.views)) if columns is None else columns
        dtype = np.uint8 if max(self.sizes) <= 256 else np.uint16
        tables = {k: self.views[k][1].astype(dtype) for k in wanted}
        for block in read_blocks(self.partitions, sorted({self.views[k][0] for k in wanted}), self.stored):
            seen = np.empty((len(block), len(self.views)), dtype=dtype, order="F")
            for k, table in tables.items():
                seen[:, k] = table[block[:, self.views[k][0]]]
            yield seen


@dataclass(frozen=True)
class EncodedRows:
    """Rows in merged codes.

    codes: (rows, columns) uint8 or uint16, or files of codes. compression: from the codec's codes to these. known:
    noisy one-way counts that were released before, of some columns in these codes.
    """

    codec: Codec
    codes: np.ndarray | EncodedFiles
    compression: DomainCompression
    engine: Engine
    known: tuple[Measurement, ...] = ()

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.compression.sizes

    def merged(self, further: DomainCompression) -> EncodedRows:
        """The same rows in fewer codes."""
        compression = self.compression.then(further)
        codes = self.codes.joined(further.maps) if isinstance(self.codes, MappedFiles) else (
            MappedFiles.of(self.codes, list(enumerate(further.maps)))
            if isinstance(self.codes, EncodedFiles)
            else further(self.codes)
        )  # fmt: skip
        known = tuple(_joined(each, further.maps[each.clique[0]]) for each in self.known)
        return EncodedRows(self.codec, codes, compression, self.engine, known)

    def counts(self, cliques: Sequence[Clique]) -> list[np.ndarray]:
        """Exact int64 counts of each clique, axes in the order of its columns. Private: for mechanisms only."""
        counted = self.engine.count(self.codes, self.sizes, list(cliques))
        return [counted[clique] for clique in cliques]

    def tables(
        self, cliques: Sequence[Clique], noisy: Sequence[np.ndarray], sigma: float | Sequence[float]
    ) -> tuple[NoisyTable, ...]:
        """Noisy counts of cliques of these codes, their cells named by values."""
        return noisy_tables(self.codec, self.compression.maps, cliques, noisy, sigma)


def _joined(measured: Measurement, m: np.ndarray) -> Measurement:
    """A one-way measurement in merged codes: counts add up, and so do the variances of their noise."""
    variances = np.broadcast_to(np.square(measured.sigma), measured.values.shape)
    return Measurement(measured.clique, np.bincount(m, measured.values), np.sqrt(np.bincount(m, variances)))


# -------------------- Marginal method -------------------------------------------------------

COLUMN_BYTES = 60_000  # of a column beside its codes and cells: objects of its tables, the codec and the model
NOISELESS = 1.0  # the least noise a model is given, in rows: exact counts (epsilon = inf) are all alike


@dataclass(frozen=True, kw_only=True)
class MarginalPlan(MethodPlan):
    """What a method over marginals will release: the values of numbers, and what the method measures."""

    discretizer: AdaptiveBudget | None
    numbers: int
    method: MethodPlan


@dataclass(frozen=True)
class CountingOptions(OptionGroup):
    """How counts are made; see `marginals/counting/counting.py`.

    Attributes:
        engine: numba, numpy, torch or dask.
        threads: None for as many as this process may use.
        address: Of a Dask scheduler; None starts one within this process.
    """

    engine: Literal["numba", "numpy", "torch", "dask"] = "numba"
    threads: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        one_of(self, get_args(EngineName), "engine")
        at_least(self, 1, "threads")

    @property
    def made(self) -> Engine:
        """The engine."""
        return Engine(engine=self.engine, threads=self.threads, address=self.address)


@dataclass(frozen=True)
class MarginalMethod(Synthesizer):
    """Fields that all of these methods have; public, one set for all tables.

    cells: most coarse cells of a number; None for as many as the noise can feed. summary_fraction: of the budget, for
    the distribution of every number by itself. counting: how counts are made, never what they are.
    """

    learns_from: ClassVar[tuple[type[PrivateRows], ...]] = (Table, EncodedFiles)

    cells: int | None = None
    summary_fraction: float = 0.1
    counting: CountingOptions = field(default_factory=CountingOptions)

    def __post_init__(self) -> None:
        at_least(self, 1, "cells", where="model.")
        between(self, 0, 1, "summary_fraction", where="model.", ends="()")

    @abstractmethod
    def _releases(self, domain: Domain, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]) -> MethodPlan:
        """The plan of the method itself for columns of `sizes` codes; `before` holds all other charges."""

    @abstractmethod
    def _learn(self, rows: EncodedRows, total: int, plan: Any, ledger: Ledger, run: FitRun) -> Fitted:
        """The fitted model; `total` is the declared or noisy number of rows, `plan` what `_releases` returned."""

    def _plan(self, domain: Domain, budget: Budget, before: Sequence[Charge]) -> MarginalPlan:
        codec = Codec(domain, 1)
        numbers = [column for column in codec.columns if column.on_axis]
        discretizer = Discretizer.planned(len(numbers), budget, self.summary_fraction) if numbers else None
        first = (discretizer.budget,) if discretizer else ()
        # A few cells more than `most` may be made where values stand alone.
        sizes = coarse_sizes(codec, 2 * self._most_cells(domain.rows or UNKNOWN_ROWS, len(domain), budget))
        own = self._releases(domain, sizes, budget, (*before, *first))
        encoded = len(sizes) * (19 * (domain.rows or UNKNOWN_ROWS) + COLUMN_BYTES)
        return MarginalPlan(
            discretizer=discretizer.budget if discretizer else None, numbers=len(numbers), method=own,
            memory_bytes=own.memory_bytes + encoded,
        )  # fmt: skip

    def _fit(self, table: Table | EncodedFiles, rows: int, plan: MarginalPlan, ledger: Ledger, run: FitRun) -> Fitted:
        """Encoded files stream: no raw row is opened, and memory does not grow with their rows."""
        if isinstance(table, EncodedFiles) and self.counting.engine == "dask":
            raise ConfigError("model.counting.engine=dask: encoded files stream with numba, numpy or torch")
        discretizer = Discretizer(plan.discretizer, plan.numbers) if plan.discretizer else None
        most = self._most_cells(rows, len(table.domain), ledger.budget)
        encoded = discretized(table, discretizer, most, rows, self.counting.made, ledger)
        # Inference is thousands of small operations: threads that wait for each other on a busy machine made AIM ten
        # times slower. Counting has threads of its own.
        with processor_threads(run.settings.threads or 1):
            return self._learn(encoded, rows, plan.method, ledger, run)

    def _most_cells(self, rows: int, columns: int, budget: Budget) -> int:
        """Most coarse cells of a number."""
        return most_cells(rows, columns, budget) if self.cells is None else self.cells


def coarse_sizes(codec: Codec, most: int) -> tuple[int, ...]:
    """The codes of every column, where numbers have at most `most` cells."""
    return tuple(min(c.places, most) + c.size - c.value_bins if c.on_axis else c.size for c in codec.columns)


def discretized(
    table: Table | EncodedFiles,
    discretizer: Discretizer | None,
    most: int,
    rows: int,
    engine: Engine,
    ledger: Ledger,
) -> EncodedRows:
    """The rows in coarse cells of their numbers, which are estimated privately; with the counts that were released.

    most: about the most coarse cells of a number. rows: the declared or noisy number.
    """
    public = table.codec if isinstance(table, EncodedFiles) else Codec(table.domain, 1)
    codes, cells = _Codes(table, len(public.columns)), {}
    for j, column in enumerate(public.columns):
        if not column.on_axis or discretizer is None:
            codes.keep(j, column)
            continue
        exact = codes.exact(j, column, engine)
        tree = discretizer.measure(grid(column), exact, rows, ledger)
        cells[j] = value_cells(tree, origin(column), rows, most, exact.cuts)
        codes.cut(j, column, cells[j].cuts)
    codec = Codec(table.domain, 1, {public.columns[j].name: found.cuts for j, found in cells.items()})
    fine = EncodedRows(codec, codes.all(), DomainCompression.none(codec.sizes), engine)
    coarse = fine.merged(cells_compression(codec, cells))
    known = tuple(Measurement((j,), found.counts, found.sigma) for j, found in cells.items())
    return replace(coarse, known=known)


class _Codes:
    """The private rows as codes, column by column."""

    def __init__(self, rows: Table | EncodedFiles, columns: int) -> None:
        self.rows = rows
        self.codes: list[np.ndarray] = []
        self._places: tuple[np.ndarray, np.ndarray] | None = None

    def keep(self, j: int, column: ColumnCodes) -> None:
        """Column j in the codes of the public codec."""
        if isinstance(self.rows, EncodedFiles):
            self.codes.append(np.arange(column.size))
        else:
            self.codes.append(_narrow(column.encode(self._reading(column))[0], column.size))

    def exact(self, j: int, column: ColumnCodes, engine: Engine) -> ColumnCounts:
        """The exact counts of column j. Private: for the discretizer only."""
        kinds = column.size - column.value_bins
        if isinstance(self.rows, EncodedFiles):
            counts = engine.count(self.rows, self.rows.sizes, [(j,)])[j,]
            cuts = column.cut_places
            return ColumnCounts(cuts[:-1], counts[: column.value_bins], counts[column.value_bins :], cuts)
        self._places = column.places_and_others(self._reading(column))
        return places_counted(*self._places, kinds)

    def cut(self, j: int, column: ColumnCodes, cuts: np.ndarray) -> None:
        """Column j in bins that begin at `cuts`."""
        size = len(cuts) - 1 + column.size - column.value_bins
        if isinstance(self.rows, EncodedFiles):
            bins = np.searchsorted(cuts, column.cut_places[:-1], side="right") - 1
            self.codes.append(np.append(bins, np.arange(len(cuts) - 1, size)))
            return
        assert self._places is not None, "counted before"
        places, others = self._places
        bins = np.searchsorted(cuts, places, side="right") - 1
        self.codes.append(_narrow(np.where(others < 0, bins, len(cuts) - 1 + others), size))
        self._places = None

    def all(self) -> np.ndarray | EncodedFiles:
        if isinstance(self.rows, EncodedFiles):
            return MappedFiles.of(self.rows, list(enumerate(self.codes)))
        dtype = np.uint16 if any(column.dtype == np.uint16 for column in self.codes) else np.uint8
        codes = np.empty((len(self.rows), len(self.codes)), dtype=dtype, order="F")
        for j, column in enumerate(self.codes):
            codes[:, j] = column
        return codes

    def _reading(self, column: ColumnCodes) -> Reading:
        assert isinstance(self.rows, Table)
        return column.column.read(series_of(self.rows.frame, column.name), self.rows.domain.missing_values)


def _narrow(codes: np.ndarray, size: int) -> np.ndarray:
    """Codes below `size` in as few bytes as they need."""
    return codes.astype(np.uint8 if size <= 256 else np.uint16)


def compressed(
    rows: EncodedRows, noisy: Sequence[np.ndarray], sigma: float, most: int
) -> tuple[EncodedRows, list[Measurement]]:
    """Rows with rare codes merged, and the one-way measurements that go with them. `noisy`: one-way counts."""
    measured = combined(
        [measurement(column, counts, sigma) for column, counts in zip(one_way(len(noisy)), noisy, strict=True)],
        rows.known,
    )
    compression = rare_compression(rows.codec, rows.compression, [m.values for m in measured], sigma, most)
    return rows.merged(compression), [_joined(m, compression.maps[m.clique[0]]) for m in measured]


def combined(measured: Sequence[Measurement], known: Sequence[Measurement]) -> list[Measurement]:
    """One-way measurements, each with what was known of its column before, by inverse variance."""
    before = {each.clique: each for each in known}
    found = []
    for each in measured:
        if each.clique in before:
            one, other = (1 / np.broadcast_to(np.square(m.sigma), m.values.shape) for m in (each, before[each.clique]))
            values = (each.values * one + before[each.clique].values * other) / (one + other)
            each = Measurement(each.clique, values, (one + other) ** -0.5)
        found.append(each)
    return found


def measurement(clique: Clique, counts: np.ndarray, sigma: float | np.ndarray) -> Measurement:
    """What the graphical model is given of noisy counts; exact ones (epsilon = inf) get a noise that is almost none."""
    noise = np.maximum(sigma, NOISELESS)
    return Measurement(clique, counts.astype(np.float64), noise if np.ndim(noise) else float(noise))


def one_way(columns: int) -> list[Clique]:
    """Every column by itself."""
    return [(j,) for j in range(columns)]
