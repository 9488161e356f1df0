"""Columns seen from a height, for use as parents: height h joins 2^h neighbouring value bins of a number.

A category has height 0 only; spikes and missing keep codes of their own at every height. Heights follow from the codec
and the merging, so they are public and need not be saved. For counting, a view from above is one more column of codes
(`marginals/heights.py`; Zhang et al. 2017, section 5.3, calls this a taxonomy tree).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dpsynth.data.codec import Codec
from dpsynth.marginals.encoded_files import EncodedFiles
from dpsynth.marginals.heights import Height, append_heights
from dpsynth.models.coded_rows import CodedRows, MappedFiles
from dpsynth.models.merging import Merging

LEAST_BINS = 2


class View(NamedTuple):
    """A column seen from a height."""

    column: int
    height: int


class Views:
    """All views of the merged codes of a table.

    maps: for every view the (merged codes,) code it sees. sizes: codes of every view. positions: the column of `codes`
    that holds it.
    """

    def __init__(self, codec: Codec, merging: Merging, coarsen: bool = True) -> None:
        self.maps = {View(j, 0): np.arange(size) for j, size in enumerate(merging.sizes)}
        for j, column in enumerate(codec.columns):
            if not (column.on_axis and coarsen):
                continue
            bins, size = int(merging.maps[j][: column.value_bins].max()) + 1, merging.sizes[j]
            for height in range(1, math.ceil(math.log2(bins / LEAST_BINS)) + 1):
                joined = np.arange(bins) >> height
                rest = np.arange(joined[-1] + 1, joined[-1] + 1 + size - bins)
                self.maps[View(j, height)] = np.concatenate([joined, rest])
        self.sizes = {view: int(m.max()) + 1 for view, m in self.maps.items()}
        self.positions = {view: k for k, view in enumerate(self.maps)}

    def codes(self, rows: CodedRows) -> np.ndarray | EncodedFiles:
        """(rows, views) codes, column-major, or files that are seen so. Private."""
        if isinstance(rows.codes, EncodedFiles):
            seen = [(view.column, m[rows.merging.maps[view.column]]) for view, m in self.maps.items()]
            return MappedFiles.of(rows.codes, seen)
        above = [Height(view.column, tuple(m.tolist())) for view, m in self.maps.items() if view.height]
        return append_heights(rows.codes, rows.sizes, above)[0] if above else rows.codes

    def fitting(self, columns: Sequence[int], cells: float) -> tuple[View, ...] | None:
        """Views of `columns` with at most `cells` cells together: the widest is coarsened until they fit. None if they
        never do."""
        views = [View(j, 0) for j in columns]
        while math.prod(self.sizes[view] for view in views) > cells:
            higher = [k for k, (j, height) in enumerate(views) if View(j, height + 1) in self.maps]
            if not higher:
                return None
            widest = max(higher, key=lambda k: self.sizes[views[k]])
            views[widest] = View(views[widest].column, views[widest].height + 1)
        return tuple(views)
