"""Rows of persons as codes, and their weighted counts: a person counts once, however many rows there are.

Rows are kept sorted by their weight, so that rows of the same weight are counted together by the engine for plain rows,
and its counts are multiplied. Exact counts are private: they go nowhere but into a mechanism of `dpsynth.privacy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dpsynth.data.columns.raw import series_of
from dpsynth.data.table.codec import Codec
from dpsynth.data.table.table import Table
from dpsynth.marginals.counting.counting import Engine
from dpsynth.models.marginal.method import Clique, EncodedRows
from dpsynth.models.shared.domain_compression import DomainCompression
from dpsynth.privacy.mechanisms.weights import row_weights


@dataclass(frozen=True)
class WeightedRows(EncodedRows):
    """As `EncodedRows`, in memory.

    weights: the distinct weights, ascending. ends: for each the number of rows up to its last one.
    """

    weights: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    @classmethod
    def weighted(cls, codec: Codec, rows: Table, persons: np.ndarray, number: int, engine: Engine) -> WeightedRows:
        """persons: (rows,) the person of each row, of `number`."""
        units = row_weights(persons, number)
        order = np.argsort(units, kind="stable")
        weights, counts = np.unique(units, return_counts=True)
        codes = np.empty((len(rows), len(codec.sizes)), dtype=codec.dtype, order="F")
        for j, column in enumerate(codec.columns):
            reading = column.column.read(series_of(rows.frame, column.name), rows.domain.missing_values)
            codes[:, j] = column.encode(reading)[0][order]
        none = DomainCompression.none(codec.sizes)
        ends = tuple(np.cumsum(counts).tolist())
        return cls(codec, codes, none, engine, weights=tuple(weights.tolist()), ends=ends)

    def merged(self, further: DomainCompression) -> WeightedRows:
        fewer = super().merged(further)
        return WeightedRows(
            self.codec, fewer.codes, fewer.compression, self.engine, fewer.known, self.weights, self.ends
        )

    def counts(self, cliques: Sequence[Clique]) -> list[np.ndarray]:
        """Sums of weights in units of `weights.GRID` a person, int64; else as of `EncodedRows`."""
        assert isinstance(self.codes, np.ndarray)
        found = [np.zeros([self.sizes[j] for j in clique], dtype=np.int64) for clique in cliques]
        for weight, start, end in zip(self.weights, (0, *self.ends), self.ends, strict=False):
            part = np.asfortranarray(self.codes[start:end])
            counted = self.engine.count(part, self.sizes, list(cliques))
            for table, clique in zip(found, cliques, strict=True):
                table += weight * counted[clique]
        return found
