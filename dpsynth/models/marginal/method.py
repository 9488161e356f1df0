"""What the methods over marginals share: encoded rows that are counted, value bins, and a first look at every column.

The private rows as codes, in memory or on disk, and the one thing that is done with them: counting.

Exact counts are private. They go nowhere but into a mechanism of `dpsynth.privacy`.

What the methods over marginals share: codes, bins, and a first look at every column.

1  the codec gives every column codes, from the domain alone; bins of numbers may be estimated privately (`binning`)
2  rows become codes once, in chunks; from then on only counts of codes are asked for
3  a method asks for counts, adds noise through `dpsynth.privacy`, and fits a distribution to what comes out
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Self

import numpy as np

from dpsynth.data.table.codec import Codec
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.counting import Engine
from dpsynth.marginals.counting.encoded_files import EncodedFiles, read_blocks
from dpsynth.marginals.graphical_model.graphical_model import Measurement
from dpsynth.marginals.noisy_tables import NoisyTable, noisy_tables
from dpsynth.models.contract.fitted import Fitted
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.models.contract.synthesizer import FitRun, MethodPlan, PrivateRows, Synthesizer
from dpsynth.models.marginal.domain_compression import DomainCompression, bins_compression, rare_compression
from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.mechanisms.discretizer import PrivateQuantiles, PrivTree
from dpsynth.training.device import processor_threads

Clique = tuple[int, ...]
ENCODED_AT_ONCE = 250_000  # rows


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
        known = {field.name: getattr(files, field.name) for field in fields(EncodedFiles)}
        stored = files.stored if isinstance(files, MappedFiles) else files.sizes
        known["sizes"] = tuple(int(m.max()) + 1 for _, m in views)
        return cls(**known, stored=stored, views=tuple(views))

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

    codes: (rows, columns) uint8 or uint16, or files of codes. compression: from the codec's codes to these.
    """

    codec: Codec
    codes: np.ndarray | EncodedFiles
    compression: DomainCompression
    engine: Engine

    @classmethod
    def of(cls, codec: Codec, rows: Table | EncodedFiles, engine: Engine) -> EncodedRows:
        """A table in memory is encoded here; files were encoded before, and are not read yet."""
        codes = rows if isinstance(rows, EncodedFiles) else encoded(codec, rows)
        return cls(codec, codes, DomainCompression.none(codec.sizes), engine)

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.compression.sizes

    def merged(self, further: DomainCompression) -> EncodedRows:
        """The same rows in fewer codes."""
        compression = self.compression.then(further)
        if isinstance(self.codes, EncodedFiles):
            codes: np.ndarray | EncodedFiles = MappedFiles.of(self.codes, list(enumerate(compression.maps)))
        else:
            codes = further(self.codes)
        return EncodedRows(self.codec, codes, compression, self.engine)

    def counts(self, cliques: Sequence[Clique]) -> list[np.ndarray]:
        """Exact int64 counts of each clique, axes in the order of its columns. Private: for mechanisms only."""
        counted = self.engine.count(self.codes, self.sizes, list(cliques))
        return [counted[clique] for clique in cliques]

    def tables(
        self, cliques: Sequence[Clique], noisy: Sequence[np.ndarray], sigma: float | Sequence[float]
    ) -> tuple[NoisyTable, ...]:
        """Noisy counts of cliques of these codes, their cells named by values."""
        return noisy_tables(self.codec, self.compression.maps, cliques, noisy, sigma)


def encoded(codec: Codec, table: Table) -> np.ndarray:
    """(rows, columns) codes, column-major, made in chunks so that memory stays near that of the codes."""
    codes = np.empty((len(table), len(codec.sizes)), dtype=codec.dtype, order="F")
    for start in range(0, len(table), ENCODED_AT_ONCE):
        stop = start + ENCODED_AT_ONCE
        codes[start:stop] = codec.encode(table.frame.iloc[start:stop]).codes
    return codes


# -------------------- Marginal method -------------------------------------------------------

Binning = Literal["uniform", "quantiles", "privtree"]
FINE = 1024  # fine public bins of a number whose bins are estimated privately
COLUMN_BYTES = 40_000  # of a column beside its codes and cells: objects of its tables, the codec and the model
NOISELESS = 1.0  # the least noise a model is given, in rows: exact counts (epsilon = inf) are all alike


Discretizer = PrivateQuantiles | PrivTree


@dataclass(frozen=True, kw_only=True)
class MarginalPlan(MethodPlan):
    """What a method over marginals will release: bins of numbers, if they are private, and what the method measures."""

    codec: Codec
    binning: str
    discretizer: Discretizer | None
    method: MethodPlan


@dataclass(frozen=True)
class MarginalMethod(Synthesizer):
    """Fields that all of these methods have; public, one set for all tables.

    bins: most bins of a number. binning: uniform (free), or quantiles or privtree, which take
    `binning_fraction` of the budget. engine, threads, address: how counts are made (`marginals/counting/counting.py`);
    never what they are.
    """

    learns_from: ClassVar[tuple[type[PrivateRows], ...]] = (Table, EncodedFiles)

    bins: int = 32
    binning: Binning = "uniform"
    binning_fraction: float = 0.1
    engine: Literal["numba", "numpy", "torch", "dask"] = "numba"
    threads: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise ConfigError(f"model.bins={self.bins}: must be at least 1")
        if self.binning not in ("uniform", "quantiles", "privtree"):
            raise ConfigError(f"model.binning '{self.binning}': choose uniform, quantiles or privtree")
        if not 0 < self.binning_fraction < 1:
            raise ConfigError(f"model.binning_fraction={self.binning_fraction}: must lie between 0 and 1")
        _ = self.counting  # refuses an engine that is not known

    @property
    def counting(self) -> Engine:
        return Engine(engine=self.engine, threads=self.threads, address=self.address)

    @abstractmethod
    def _releases(self, domain: Domain, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]) -> MethodPlan:
        """The plan of the method itself for columns of `sizes` codes; `before` holds all other charges."""

    @abstractmethod
    def _learn(self, rows: EncodedRows, total: int, plan: Any, ledger: Ledger, run: FitRun) -> Fitted:
        """The fitted model; `total` is the declared or noisy number of rows, `plan` what `_releases` returned."""

    def _plan(self, domain: Domain, budget: Budget, before: Sequence[Charge]) -> MarginalPlan:
        codec = Codec(domain, self.codec_bins)
        discretizer = self._discretizer(codec, budget)
        first = (discretizer,) if discretizer else ()
        sizes = tuple(min(c.size, self.bins + c.size - c.value_bins) if c.on_axis else c.size for c in codec.columns)
        own = self._releases(domain, sizes, budget, (*before, *first))
        encoded = len(sizes) * (3 * (domain.rows or UNKNOWN_ROWS) + COLUMN_BYTES)
        return MarginalPlan(
            codec=codec, binning=self.binning, discretizer=discretizer, method=own,
            memory_bytes=own.memory_bytes + encoded,
        )  # fmt: skip

    def _fit(self, table: Table | EncodedFiles, rows: int, plan: MarginalPlan, ledger: Ledger, run: FitRun) -> Fitted:
        """Encoded files stream: no raw row is opened, and memory does not grow with their rows."""
        if isinstance(table, EncodedFiles):
            self._refuse_unlike(table)
        codec = table.codec if isinstance(table, EncodedFiles) else plan.codec.under(table.domain)
        encoded = EncodedRows.of(codec, table, self.counting)
        if plan.discretizer:
            encoded = _discretized(encoded, plan.discretizer, ledger)
        # Inference is thousands of small operations: threads that wait for each other on a busy machine made AIM ten
        # times slower. Counting has threads of its own.
        with processor_threads(run.settings.threads or 1):
            return self._learn(encoded, rows, plan.method, ledger, run)

    def _refuse_unlike(self, files: EncodedFiles) -> None:
        """`ConfigError` when the files have other bins than the recipe, or its engine cannot count them."""
        if self.binning == "uniform" and files.bins != self.bins:
            raise ConfigError(
                f"model.bins={self.bins}, but the files were encoded with bins={files.bins}: use the same in both"
            )
        if self.engine == "dask":
            raise ConfigError("model.engine=dask: encoded files stream with numba, numpy or torch")

    @property
    def codec_bins(self) -> int:
        """Value bins of the codec: `bins`, or many more where bins are estimated privately."""
        return self.bins if self.binning == "uniform" else max(FINE, self.bins)

    def _discretizer(self, codec: Codec, budget: Budget) -> Discretizer | None:
        numbers = len(_numbers(codec))
        if self.binning == "uniform" or not numbers:
            return None
        kind = PrivateQuantiles if self.binning == "quantiles" else PrivTree
        return kind.planned(numbers, self.bins, budget, self.binning_fraction)


def _discretized(encoded: EncodedRows, discretizer: Discretizer, ledger: Ledger) -> EncodedRows:
    """The rows in bins of numbers that are estimated privately."""
    codec = encoded.codec
    numbers = _numbers(codec)
    histograms = encoded.counts([(j,) for j in numbers])
    values = [h[: codec.columns[j].value_bins] for j, h in zip(numbers, histograms, strict=True)]
    found = dict(zip(numbers, discretizer.discretize(values, ledger), strict=True))
    cuts = {j: bins.cuts for j, bins in found.items()}
    noisy = {j: (bins.noisy, bins.sigma) for j, bins in found.items() if bins.noisy is not None}
    return encoded.merged(bins_compression(codec, cuts, noisy))


def _numbers(codec: Codec) -> list[int]:
    """Columns whose value bins lie on an axis."""
    return [j for j, column in enumerate(codec.columns) if column.on_axis]


def compressed(
    rows: EncodedRows, noisy: Sequence[np.ndarray], sigma: float, most: int
) -> tuple[EncodedRows, list[Measurement]]:
    """Rows with rare codes merged, and the one-way measurements that go with them. `noisy`: one-way counts."""
    compression = rare_compression(rows.codec, rows.compression, noisy, sigma, most)
    measured = []
    for j, counts in enumerate(noisy):
        values = np.bincount(compression.maps[j], counts)
        # The sum of k noisy counts has sqrt(k) times their noise.
        measured.append(measurement((j,), values, sigma * np.sqrt(compression.members[j])))
    return rows.merged(compression), measured


def measurement(clique: Clique, counts: np.ndarray, sigma: float | np.ndarray) -> Measurement:
    """What the graphical model is given of noisy counts; exact ones (epsilon = inf) get a noise that is almost none."""
    noise = np.maximum(sigma, NOISELESS)
    return Measurement(clique, counts.astype(np.float64), noise if np.ndim(noise) else float(noise))


def one_way(columns: int) -> list[Clique]:
    """Every column by itself."""
    return [(j,) for j in range(columns)]
