"""Codes that are counted as one, and how they part again when rows are drawn.

Domain compression is decided from noisy counts or the domain, never from true counts, so it is public. Two uses:
- *cells*: fine bins of a number become the coarse cells that a model works with (`models/shared/value_cells.py`), and
part again by the fine distribution;
- *rare codes*: codes whose noisy count does not stand out of the noise say nothing by themselves and cost cells in
  every marginal (McKenna, Miklau and Sheldon 2021, arXiv 2108.04978, section 3.2, for columns without an order). Here
  neighbouring bins of a number are joined until they stand out; categories that do not are joined within their group
  of the column's hierarchy, the closest one that stands out; what is left over (and all where there is no hierarchy,
  and point masses and missing) is put into one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dpsynth.data.columns import Category
from dpsynth.data.columns.hierarchy import Path
from dpsynth.data.table.codec import Codec, ColumnCodes
from dpsynth.models.shared.value_cells import ValueCells

STANDS_OUT = 3.0  # standard deviations of the noise really added


@dataclass(frozen=True)
class DomainCompression:
    """For every column: maps[j] (codes,) the merged code of each code, every merged code in use; shares[j] (codes,) the
    part of its merged code's rows that a code gets, adding up to one within each."""

    maps: tuple[np.ndarray, ...]
    fractions: tuple[np.ndarray, ...]

    @classmethod
    def none(cls, sizes: Sequence[int]) -> DomainCompression:
        """Every code for itself."""
        return cls(tuple(np.arange(size) for size in sizes), tuple(np.ones(size) for size in sizes))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Merged codes of each column."""
        return tuple(int(m.max()) + 1 for m in self.maps)

    @property
    def members(self) -> tuple[np.ndarray, ...]:
        """(merged codes,) for every column: how many codes went into each."""
        return tuple(np.bincount(m) for m in self.maps)

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Merged codes (rows, columns) of codes (rows, columns), column-major, as narrow as they can be."""
        dtype = np.uint8 if max(self.sizes) <= 256 else np.uint16
        merged = np.empty(codes.shape, dtype=dtype, order="F")
        for j, m in enumerate(self.maps):
            merged[:, j] = m.astype(dtype)[codes[:, j]]
        return merged

    def then(self, further: DomainCompression) -> DomainCompression:
        """Domain compression merged codes again; `further` speaks of the codes that come out of this one."""
        pairs = list(zip(self.maps, self.fractions, further.maps, further.fractions, strict=True))
        return DomainCompression(tuple(g[m] for m, _, g, _ in pairs), tuple(s * t[m] for m, s, _, t in pairs))

    def parted(self, codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Codes (rows, columns) int64 for merged codes (rows, columns), each drawn by the fractions."""
        parted = np.empty(codes.shape, dtype=np.int64)
        for j, (m, fraction) in enumerate(zip(self.maps, self.fractions, strict=True)):
            order = np.argsort(m, kind="stable")
            ends = fraction[order].cumsum()  # the members of merged code k fill the interval [k, k + 1)
            drawn = np.searchsorted(ends, codes[:, j] + generator.random(len(codes)), side="right")
            starts = np.searchsorted(m[order], codes[:, j])
            drawn = np.clip(drawn, starts, starts + np.bincount(m)[codes[:, j]] - 1)  # rounding of the sums
            parted[:, j] = order[drawn]
        return parted

    def tensors(self) -> dict[str, torch.Tensor]:
        """For saving: only columns in which codes were merged or moved (one rare code alone becomes the last one)."""
        merged = [j for j, m in enumerate(self.maps) if not np.array_equal(m, np.arange(len(m)))]
        maps = {f"compression.{j}.map": torch.from_numpy(self.maps[j].astype(np.int64)) for j in merged}
        return maps | {
            f"compression.{j}.fractions": torch.from_numpy(self.fractions[j].astype(np.float64)) for j in merged
        }

    @classmethod
    def restore(cls, tensors: Mapping[str, torch.Tensor], sizes: Sequence[int]) -> DomainCompression:
        """The inverse of `tensors`, for columns with `sizes` codes."""
        maps, fractions = (list(parts) for parts in (cls.none(sizes).maps, cls.none(sizes).fractions))
        for j in range(len(sizes)):
            if f"compression.{j}.map" in tensors:
                maps[j] = tensors[f"compression.{j}.map"].numpy()
                fractions[j] = tensors[f"compression.{j}.fractions"].numpy()
        return cls(tuple(maps), tuple(fractions))


def cells_compression(codec: Codec, cells: Mapping[int, ValueCells]) -> DomainCompression:
    """Fine bins of the columns in `cells` joined in their coarse cells; other columns as they are."""
    maps, fractions = [], []
    for j, column in enumerate(codec.columns):
        m, masses = np.arange(column.size), np.ones(column.size)
        if j in cells:
            found = cells[j]
            others = np.arange(column.size - column.value_bins)
            m = np.concatenate([found.cells, found.cells[-1] + 1 + others])
            masses = np.concatenate([found.fractions, np.ones(len(others))])
            # A cell that is estimated to be empty is spread over its places.
            empty = np.bincount(m, masses)[m] <= 0
            masses[empty] = np.append(np.diff(found.cuts), np.ones(len(others)))[empty]
        maps.append(m)
        fractions.append(masses / np.bincount(m, masses)[m])
    return DomainCompression(tuple(maps), tuple(fractions))


def rare_compression(
    codec: Codec, current: DomainCompression, noisy: Sequence[np.ndarray], sigma: float, most: int
) -> DomainCompression:
    """Joins what does not stand out in noisy one-way counts of merged codes; at most `most` codes remain in a column.

    sigma: standard deviation of the noise of each count. Speaks of the codes that come out of `current`.
    """
    maps = []
    for j, counts in enumerate(noisy):
        column = codec.columns[j]
        ordered = int(current.maps[j][: column.value_bins].max()) + 1 if column.on_axis else 0
        runs = _runs(counts[:ordered], sigma)
        rest = counts[ordered:]
        rare = rest < max(STANDS_OUT * sigma, 0.5)
        if len(rest) > most:
            rare[np.argsort(-rest, kind="stable")[most - 1 :]] = True
        first = int(runs.max()) + 1 if ordered else 0
        joined = _groups(paths_of(column, current.maps[j]), rest, rare, sigma, most)
        maps.append(np.concatenate([runs, first + joined]).astype(np.int64))
    return DomainCompression(tuple(maps), tuple(_fractions(m, c, sigma) for m, c in zip(maps, noisy, strict=True)))


def _runs(counts: np.ndarray, sigma: float) -> np.ndarray:
    """Group numbers of neighbours: a group ends when its sum stands out; a weak last one joins the one before."""
    groups, group, total, length = [], 0, 0.0, 0
    for count in counts:
        groups.append(group)
        total, length = total + count, length + 1
        if total >= max(STANDS_OUT * sigma * length**0.5, 0.5):
            group, total, length = group + 1, 0.0, 0
    runs = np.array(groups, dtype=np.int64)
    return np.minimum(runs, max(group - 1, 0)) if length else runs


def paths_of(column: ColumnCodes, merged: np.ndarray) -> list[Path]:
    """The groups of each merged code of a category: those that all its categories share; none of other columns."""
    count = int(merged.max()) + 1
    declared = column.column
    if not isinstance(declared, Category) or declared.hierarchy is None:
        return [()] * count
    found: list[Path | None] = [None] * count
    for value, code in zip(declared.values, merged, strict=False):  # missing, the last code, is in no group
        path, before = declared.hierarchy.path(value), found[code]
        if before is not None:
            path = tuple(one for one, other in zip(path, before, strict=False) if one == other)
        found[code] = path
    return [path or () for path in found]


def _groups(paths: Sequence[Path], counts: np.ndarray, rare: np.ndarray, sigma: float, most: int) -> np.ndarray:
    """Group numbers of codes: each code that is not rare by itself, then groups of rare ones, then the rest.

    Of the rare codes those of the closest group whose counts together stand out are joined, from the deepest groups up.
    """
    groups = np.where(rare, -1, np.cumsum(~rare) - 1)
    number = int((~rare).sum())
    for depth in range(max(map(len, paths), default=0), 0, -1):
        members: dict[Path, list[int]] = {}
        for code in map(int, np.flatnonzero(groups < 0)):
            if len(paths[code]) >= depth:
                members.setdefault(paths[code][:depth], []).append(code)
        for codes in members.values():
            if number + 1 < most and counts[codes].sum() >= STANDS_OUT * sigma * len(codes) ** 0.5:
                groups[codes], number = number, number + 1
    return np.where(groups < 0, number, groups)


def _fractions(m: np.ndarray, noisy: np.ndarray, sigma: float) -> np.ndarray:
    """How the rows of a merged code are spread over its members: evenly, but for what the counts say above the noise.

    The counts are shrunk towards their mean by the part of their variance that the noise explains (James and Stein
    1961); nothing is left where they are noise, as for the many empty codes of a wide column.
    """
    sizes = np.bincount(m)
    mean = np.bincount(m, noisy) / sizes
    spread = noisy - mean[m]
    variance = np.bincount(m, spread**2) / np.maximum(sizes - 1, 1)
    kept = np.maximum(variance - sigma**2, 0.0) / np.maximum(variance, 1e-300)
    counts = np.maximum(np.maximum(mean, 0.0)[m] + kept[m] * spread, 0.0)
    totals = np.bincount(m, counts)[m]
    return np.where(totals > 0, counts / np.where(totals > 0, totals, 1.0), 1.0 / sizes[m])
