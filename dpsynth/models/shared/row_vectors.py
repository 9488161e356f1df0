"""Rows of a table as vectors and back, for methods whose generator writes vectors.

Every column but the label is a block of the vector, one entry for each code of the codec: a row is the one-hot vector
of its codes, and a generator answers with a distribution over each block's codes (softmax). A number is the
distribution over few value bins, its point masses and "missing"; the value within a bin is drawn evenly. So every
vector, whatever a network wrote, gives a row inside the domain, point masses and missing values have probabilities of
their own, and the view is exact: the codes of a decoded one-hot vector are the codes it was made of.

The label is a class, not part of the vector. All sizes follow from the domain, never from data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.data.columns import Category
from dpsynth.data.table.codec import Codec, Encoded
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.table import Table
from dpsynth.models.contract.fitted import Generators


@dataclass(frozen=True)
class Block:
    """Entries start .. stop-1 of the vector: a distribution over the codes of one column, so its head is a softmax.

    position: of the column in the domain. on_axis: the first `value_bins` codes lie on an axis, one after the other.
    """

    column: str
    position: int
    start: int
    stop: int
    value_bins: int
    on_axis: bool

    @property
    def size(self) -> int:
        return self.stop - self.start

    @property
    def span(self) -> slice:
        return slice(self.start, self.stop)


class VectorView:
    """The vectors of one domain. `bins`: most value bins of a number or date.

    blocks: of the vector, in the order of the columns. width: of the vector, 0 when the label is the only column.
    classes: number of codes of the label column (missing is one of them where the label may be missing), 1 without a
    label. Only a category or boolean can be the class; a label with a value axis is a block like any other.
    """

    def __init__(self, domain: Domain, bins: int = 32) -> None:
        self.domain, self.bins = domain, bins
        self.codec = Codec(domain, bins)
        label = domain.label
        self.label = label if label is not None and isinstance(domain[label], Category) else None
        blocks, start = [], 0
        for position, column in enumerate(self.codec.columns):
            if column.name != self.label:
                stop = start + column.size
                blocks.append(Block(column.name, position, start, stop, column.value_bins, column.on_axis))
                start = stop
        self.blocks: tuple[Block, ...] = tuple(blocks)
        self.width = start
        self.classes = 1 if self.label is None else self.codec[self.label].size

    @property
    def sizes(self) -> tuple[int, ...]:
        """Codes of each block; the layout of the heads of a generator."""
        return tuple(block.size for block in self.blocks)

    def codes(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """((n, blocks) int64 codes within each block, (n,) int64 class) of the rows."""
        codes = self.codec.encode(table.frame).codes.astype(np.int64)
        labels = np.zeros(len(codes), np.int64)
        if self.label is not None:
            labels = codes[:, self.domain.position(self.label)].copy()
        return codes[:, [block.position for block in self.blocks]], labels

    def one_hot(self, codes: np.ndarray) -> np.ndarray:
        """(n, width) float32 vectors of (n, blocks) codes."""
        vectors = np.zeros((len(codes), self.width), np.float32)
        starts = np.array([block.start for block in self.blocks], np.int64)
        np.put_along_axis(vectors, codes + starts, np.float32(1), axis=1)
        return vectors

    def encode(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """((n, width) float32 vectors, (n,) int64 class) of the rows."""
        codes, labels = self.codes(table)
        return self.one_hot(codes), labels

    def distributions(self, vectors: np.ndarray) -> list[np.ndarray]:
        """(n, size) float64 distributions over the codes of each block. Total: entries that are negative or not finite
        count as 0, and a block without mass is uniform."""
        distributions = []
        for block in self.blocks:
            mass = np.nan_to_num(vectors[:, block.span].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
            mass = np.maximum(mass, 0.0)
            total = mass.sum(axis=1, keepdims=True)
            distributions.append(np.where(total > 0, mass / np.where(total > 0, total, 1.0), 1.0 / block.size))
        return distributions

    def decode(self, vectors: np.ndarray, labels: np.ndarray, generators: Generators) -> pd.DataFrame:
        """n rows inside the domain, as a frame: each code is drawn from its block's distribution, each value from its
        bin.

        vectors: (n, width) any floats, one distribution over codes per block. labels: (n,) class of each row.
        """
        codes = np.empty((len(vectors), len(self.domain)), self.codec.dtype)
        if self.label is not None:
            codes[:, self.domain.position(self.label)] = np.clip(labels, 0, self.classes - 1)
        for block, distribution in zip(self.blocks, self.distributions(vectors), strict=True):
            level = generators.numpy.random((len(distribution), 1))
            # 1 - u lies in (0, 1]: the first code whose cumulative mass reaches it has mass of its own.
            reached = np.cumsum(distribution, axis=1) >= (1.0 - level) * distribution.sum(axis=1, keepdims=True) * (
                1 - 1e-12
            )
            codes[:, block.position] = reached.argmax(axis=1)
        return self.codec.decode(Encoded(codes), generators.numpy)

    def fixed(self, where: Mapping[str, Any]) -> tuple[dict[int, int], int | None]:
        """Legal conditions as ({block number: code}, class or None)."""
        found: dict[int, int] = {}
        label: int | None = None
        numbers = {block.column: k for k, block in enumerate(self.blocks)}
        for name, value in where.items():
            code, _ = self.codec.encode_value(name, value)
            if name == self.label:
                label = code
            else:
                found[numbers[name]] = code
        return found, label
