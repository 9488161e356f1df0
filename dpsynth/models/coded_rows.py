"""The private rows as codes, in memory or on disk, and the one thing that is done with them: counting.

Exact counts are private. They go nowhere but into a mechanism of `dpsynth.privacy`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from dpsynth.data.codec import Codec
from dpsynth.data.table import Table
from dpsynth.marginals.counting import Engine
from dpsynth.marginals.encoded_files import EncodedFiles, read_blocks
from dpsynth.models.merging import Merging

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
class CodedRows:
    """Rows in merged codes.

    codes: (rows, columns) uint8 or uint16, or files of codes. merging: from the codec's codes to these.
    """

    codec: Codec
    codes: np.ndarray | EncodedFiles
    merging: Merging
    engine: Engine

    @classmethod
    def of(cls, codec: Codec, rows: Table | EncodedFiles, engine: Engine) -> CodedRows:
        """A table in memory is encoded here; files were encoded before, and are not read yet."""
        codes = rows if isinstance(rows, EncodedFiles) else encoded(codec, rows)
        return cls(codec, codes, Merging.none(codec.sizes), engine)

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.merging.sizes

    def merged(self, further: Merging) -> CodedRows:
        """The same rows in fewer codes."""
        merging = self.merging.then(further)
        if isinstance(self.codes, EncodedFiles):
            codes: np.ndarray | EncodedFiles = MappedFiles.of(self.codes, list(enumerate(merging.maps)))
        else:
            codes = further(self.codes)
        return CodedRows(self.codec, codes, merging, self.engine)

    def counts(self, cliques: Sequence[Clique]) -> list[np.ndarray]:
        """Exact int64 counts of each clique, axes in the order of its columns. Private: for mechanisms only."""
        counted = self.engine.count(self.codes, self.sizes, list(cliques))
        return [counted[clique] for clique in cliques]


def encoded(codec: Codec, table: Table) -> np.ndarray:
    """(rows, columns) codes, column-major, made in chunks so that memory stays near that of the codes."""
    codes = np.empty((len(table), len(codec.sizes)), dtype=codec.dtype, order="F")
    for start in range(0, len(table), ENCODED_AT_ONCE):
        stop = start + ENCODED_AT_ONCE
        codes[start:stop] = codec.encode(table.frame.iloc[start:stop]).codes
    return codes
