"""Encoded tables on disk: Parquet files of codes that stream back in blocks, whatever their number of rows.

A file has one uint8 or uint16 column of codes for every column of the domain, in row groups of about a million
rows, dictionary-encoded and not compressed (about as many bits as a code needs, and fast to read). Its metadata
hold the domain, the bins and sizes of the codec, and a hash of the content, so raw data are needed only once. The
codes are the private rows in another spelling: keep them as safe as the rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dpsynth.data.table.codec import Codec
from dpsynth.data.table.domain import Domain
from dpsynth.data.table.tabular_files import find, write_whole
from dpsynth.errors import ArtifactError

ROW_GROUP = 1_048_576
_KEY = b"dpsynth.encoded"
_FORMAT = 2
Paths = str | Path | Iterable[str | Path]


@dataclass(frozen=True)
class Partition:
    """Row groups first to stop of one file."""

    path: Path
    first: int
    stop: int
    rows: int


@dataclass(frozen=True)
class EncodedFiles:
    """One or several encoded files of the same domain and bins.

    domain, bins  what the codes mean: `Codec(domain, bins)`
    sizes         number of codes of every column
    hashes        of the content of each file: equal for equal rows in equal order
    partitions    every row group of every file, in order
    """

    paths: tuple[Path, ...]
    domain: Domain
    bins: int
    sizes: tuple[int, ...]
    hashes: tuple[str, ...]
    partitions: tuple[Partition, ...]
    rows_per_person: ClassVar[None] = None  # codes name no persons, so a budget for persons is refused
    coverage: tuple[str, ...] = ()  # which rows of the data they hold, for the statement; () for all

    @classmethod
    def open(cls, path: Paths) -> EncodedFiles:
        """The files that a path, a glob, a folder or a list of these names; reads their metadata only.

        Raises `DataError` if there is none, `ArtifactError` if one is no encoded file or differs in domain or bins.
        """
        paths = tuple(find(path))
        metas = [_metadata(file) for file in paths]
        first, _ = metas[0]
        for file, (meta, _) in zip(paths, metas, strict=True):
            if (meta["domain"], meta["bins"]) != (first["domain"], first["bins"]):
                raise ArtifactError(
                    f"'{file}' was encoded with another schema or bins than '{paths[0]}'; encode it again"
                )
        groups = tuple(
            Partition(file, g, g + 1, stored.row_group(g).num_rows)
            for file, (_, stored) in zip(paths, metas, strict=True)
            for g in range(stored.num_row_groups)
        )
        hashes = tuple(meta["content"] for meta, _ in metas)
        return cls(paths, Domain.from_dict(first["domain"]), first["bins"], tuple(first["sizes"]), hashes, groups)

    def __len__(self) -> int:
        return sum(partition.rows for partition in self.partitions)

    @property
    def content_hash(self) -> str:
        """One name for the whole content, for caches."""
        return self.hashes[0] if len(self.hashes) == 1 else hashlib.sha256("".join(self.hashes).encode()).hexdigest()

    @cached_property
    def codec(self) -> Codec:
        """The codec that made the codes, for decoding."""
        return Codec(self.domain, self.bins)

    def blocks(self, columns: Sequence[int] | None = None) -> Iterator[np.ndarray]:
        """Blocks (rows, columns) of codes in Fortran order, one for each row group, in the order of the files.

        Only `columns` (all by default) are read and set; the others hold anything. A thread reads the next block
        meanwhile, so three blocks are in memory at most.
        """
        wanted = range(len(self.sizes)) if columns is None else columns
        return _ahead(read_blocks(self.partitions, wanted, self.sizes))

    def verify(self) -> None:
        """Read all codes once. Raises `ArtifactError` where one is no code of its column, or a file is damaged.

        For those who must not fail halfway: an error that depends on rows, after noise was drawn, would reveal them.
        """
        for _ in self.blocks():
            pass

    def pieces(self, rows: int) -> list[Partition]:
        """Partitions of about so many rows, or one row group, each within one file."""
        joined: list[Partition] = []
        for group in self.partitions:
            if joined and joined[-1].path == group.path and joined[-1].rows + group.rows <= rows:
                last = joined.pop()
                group = Partition(last.path, last.first, group.stop, last.rows + group.rows)
            joined.append(group)
        return joined


def read_blocks(partitions: Iterable[Partition], columns: Sequence[int], sizes: Sequence[int]) -> Iterator[np.ndarray]:
    """The codes of each row group of some partitions, (rows, len(sizes)) in Fortran order, with only `columns` set."""
    for path, parts in groupby(partitions, key=lambda partition: partition.path):
        try:
            with pq.ParquetFile(path) as stored:
                names = [stored.schema_arrow.names[j] for j in columns]
                for part in parts:
                    for group in range(part.first, part.stop):
                        yield _block(stored.read_row_group(group, columns=names), columns, sizes)
        except (OSError, ValueError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise ArtifactError(f"'{path}' cannot be read ({reason}); encode the table again") from None


def _block(table: pa.Table, columns: Sequence[int], sizes: Sequence[int]) -> np.ndarray:
    """(rows, len(sizes)) codes. Raises `ValueError` for what is no code: counting does not check bounds again."""
    block = np.empty((len(sizes), len(table)), dtype=np.uint8 if max(sizes) <= 256 else np.uint16)
    for place, j in enumerate(columns):
        filled = 0
        for piece in table.column(place).chunks:
            codes = piece.to_numpy(zero_copy_only=False)
            if (
                piece.null_count
                or codes.dtype not in (np.uint8, np.uint16)
                or (len(codes) and int(codes.max()) >= sizes[j])
            ):
                raise ValueError(f"column '{table.column_names[place]}' holds other values than its {sizes[j]} codes")
            block[j, filled : filled + len(piece)] = codes
            filled += len(piece)
    return block.T


def _ahead(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same blocks, each read by a thread while the one before it is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        coming = reader.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = reader.submit(next, blocks, None)
            yield block


def _metadata(file: Path) -> tuple[dict[str, Any], pq.FileMetaData]:
    """What an encoded file says about itself, and its row groups."""
    try:
        with pq.ParquetFile(file) as opened:
            stored = opened.metadata
        meta = json.loads((stored.metadata or {}).get(_KEY, b"{}"))
    except (OSError, ValueError, RecursionError, pa.ArrowException) as error:
        raise ArtifactError(f"'{file}' cannot be read as Parquet: {' '.join(str(error).split())}") from None
    if not isinstance(meta, dict) or type(meta.get("format")) is not int or meta["format"] != _FORMAT:
        raise ArtifactError(f"'{file}' is no encoded table of this version; make one with: dpsynth encode FILES OUT")
    try:
        domain = Domain.from_dict(meta["domain"])
        agrees = list(Codec(domain, meta["bins"]).sizes) == meta["sizes"] and isinstance(meta["content"], str)
        agrees = agrees and stored.schema.to_arrow_schema().names == list(domain.names)
    except Exception as error:  # whatever a foreign description makes the classes raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ArtifactError(f"'{file}': its description is damaged ({reason:.200}); encode the table again") from None
    if not agrees:
        raise ArtifactError(f"'{file}': its description and its columns disagree; encode the table again")
    return meta, stored


def write_encoded(
    path: str | Path, codec: Codec, blocks: Iterable[np.ndarray], row_group: int = ROW_GROUP
) -> EncodedFiles:
    """Write blocks (rows, columns) of codes as one encoded file that appears whole or not at all."""
    names = list(codec.domain.names)
    types = [pa.uint8() if size <= 256 else pa.uint16() for size in codec.sizes]
    digests = [hashlib.sha256() for _ in names]

    def write(temporary: Path) -> None:
        options: dict[str, Any] = {"compression": "none", "use_dictionary": True, "write_statistics": False}
        with pq.ParquetWriter(temporary, pa.schema(list(zip(names, types, strict=True))), **options) as writer:
            for block in _regrouped(blocks, row_group):
                arrays = []
                for j, kind in enumerate(types):
                    column = np.ascontiguousarray(block[:, j], dtype=kind.to_pandas_dtype())
                    digests[j].update(column.astype(column.dtype.newbyteorder("<")).tobytes())
                    arrays.append(pa.array(column))
                writer.write_table(pa.table(arrays, names=names), row_group_size=row_group)
            meaning = {"format": _FORMAT, "domain": codec.domain.to_dict(), "bins": codec.bins, "sizes": codec.sizes}
            content = hashlib.sha256(json.dumps(meaning, sort_keys=True).encode())
            for digest in digests:
                content.update(digest.digest())
            writer.add_key_value_metadata({_KEY: json.dumps(meaning | {"content": content.hexdigest()})})

    return EncodedFiles.open(write_whole(path, write))


def _regrouped(blocks: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """The same rows in blocks of exactly `rows`, but for the last."""
    waiting: list[np.ndarray] = []
    count = 0
    for block in blocks:
        while count + len(block) >= rows:
            waiting.append(block[: rows - count])
            block = block[rows - count :]
            yield np.concatenate(waiting)
            waiting, count = [], 0
        if len(block):
            waiting.append(block)
            count += len(block)
    if waiting:
        yield np.concatenate(waiting)
