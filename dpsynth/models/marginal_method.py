"""What the methods over marginals share: codes, bins, and a first look at every column.

1  the codec gives every column codes, from the domain alone; bins of numbers may be bought (`binning`)
2  rows become codes once, in chunks; from then on only counts of codes are asked for
3  a method asks for counts, adds noise through `dpsynth.privacy`, and fits a law to what comes out
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from dpsynth.data.codec import Codec
from dpsynth.data.domain import Domain
from dpsynth.data.table import Table
from dpsynth.errors import ConfigError
from dpsynth.marginals.counting import Engine
from dpsynth.marginals.encoded_files import EncodedFiles
from dpsynth.marginals.graphical_model import Measurement
from dpsynth.models.coded_rows import Clique, CodedRows
from dpsynth.models.fitted import Fitted
from dpsynth.models.merging import bins_merging, rare_merging
from dpsynth.models.synthesizer import MethodPlan, Rows, Run, Synthesizer
from dpsynth.privacy.accounting import Charge
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.privtree import PrivTree
from dpsynth.privacy.quantiles import PrivateQuantiles
from dpsynth.training.device import processor_threads

Binning = Literal["uniform", "quantiles", "privtree"]
FINE = 1024  # fine public bins of a number whose bins are bought
COLUMN_BYTES = 40_000  # of a column beside its codes and cells: objects of its tables, the codec and the model
UNKNOWN_ROWS = 30_000  # stands for the number of rows when the schema declares none
NOISELESS = 1.0  # the least noise a model is told of, in rows: exact counts (epsilon = inf) are all alike


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
    `binning_share` of the budget. engine, threads, address: how counts are made (`marginals/counting.py`); never what
    they are.
    """

    learns_from: ClassVar[tuple[type[Rows], ...]] = (Table, EncodedFiles)

    bins: int = 32
    binning: Binning = "uniform"
    binning_share: float = 0.1
    engine: Literal["numba", "numpy", "torch", "dask"] = "numba"
    threads: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise ConfigError(f"model.bins={self.bins}: must be at least 1")
        if self.binning not in ("uniform", "quantiles", "privtree"):
            raise ConfigError(f"model.binning '{self.binning}': choose uniform, quantiles or privtree")
        if not 0 < self.binning_share < 1:
            raise ConfigError(f"model.binning_share={self.binning_share}: must lie between 0 and 1")
        _ = self.counting  # refuses an engine that is not known

    @property
    def counting(self) -> Engine:
        return Engine(engine=self.engine, threads=self.threads, address=self.address)

    @abstractmethod
    def _releases(self, domain: Domain, sizes: tuple[int, ...], budget: Budget, before: Sequence[Charge]) -> MethodPlan:
        """The plan of the method itself for columns of `sizes` codes; `before` holds all other charges."""

    @abstractmethod
    def _learn(self, rows: CodedRows, total: int, plan: Any, ledger: Ledger, run: Run) -> Fitted:
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

    def _fit(self, table: Table | EncodedFiles, rows: int, plan: MarginalPlan, ledger: Ledger, run: Run) -> Fitted:
        """Encoded files stream: no raw row is opened, and memory does not grow with their rows."""
        if isinstance(table, EncodedFiles):
            self._refuse_unlike(table)
        codec = table.codec if isinstance(table, EncodedFiles) else plan.codec.under(table.domain)
        coded = CodedRows.of(codec, table, self.counting)
        if plan.discretizer:
            coded = _discretized(coded, plan.discretizer, ledger)
        # Inference is thousands of small operations: threads that wait for each other on a busy machine made AIM ten
        # times slower. Counting has threads of its own.
        with processor_threads(run.settings.threads or 1):
            return self._learn(coded, rows, plan.method, ledger, run)

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
        """Value bins of the codec: `bins`, or many more where bins are bought."""
        return self.bins if self.binning == "uniform" else max(FINE, self.bins)

    def _discretizer(self, codec: Codec, budget: Budget) -> Discretizer | None:
        numbers = len(_numbers(codec))
        if self.binning == "uniform" or not numbers:
            return None
        kind = PrivateQuantiles if self.binning == "quantiles" else PrivTree
        return kind.planned(numbers, self.bins, budget, self.binning_share)


def _discretized(coded: CodedRows, discretizer: Discretizer, ledger: Ledger) -> CodedRows:
    """The rows in bins of numbers that are estimated privately."""
    codec = coded.codec
    numbers = _numbers(codec)
    histograms = coded.counts([(j,) for j in numbers])
    values = [h[: codec.columns[j].value_bins] for j, h in zip(numbers, histograms, strict=True)]
    found = dict(zip(numbers, discretizer.discretize(values, ledger), strict=True))
    cuts = {j: bins.cuts for j, bins in found.items()}
    noisy = {j: (bins.noisy, bins.sigma) for j, bins in found.items() if bins.noisy is not None}
    return coded.merged(bins_merging(codec, cuts, noisy))


def _numbers(codec: Codec) -> list[int]:
    """Columns whose value bins lie on an axis."""
    return [j for j, column in enumerate(codec.columns) if column.on_axis]


def compressed(
    rows: CodedRows, noisy: Sequence[np.ndarray], sigma: float, most: int
) -> tuple[CodedRows, list[Measurement]]:
    """Rows with rare codes merged, and the one-way measurements that go with them. `noisy`: one-way counts."""
    merging = rare_merging(rows.codec, rows.merging, noisy, sigma, most)
    measured = []
    for j, counts in enumerate(noisy):
        values = np.bincount(merging.maps[j], counts)
        # The sum of k noisy counts has sqrt(k) times their noise.
        measured.append(measurement((j,), values, sigma * np.sqrt(merging.members[j])))
    return rows.merged(merging), measured


def measurement(clique: Clique, counts: np.ndarray, sigma: float | np.ndarray) -> Measurement:
    """What the graphical model is told of noisy counts; exact ones (epsilon = inf) get a noise that is almost none."""
    noise = np.maximum(sigma, NOISELESS)
    return Measurement(clique, counts.astype(np.float64), noise if np.ndim(noise) else float(noise))


def one_way(columns: int) -> list[Clique]:
    """Every column by itself."""
    return [(j,) for j in range(columns)]
