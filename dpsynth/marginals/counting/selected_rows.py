"""The training rows of raw files as one encoded file, in bounded memory: read once, and chosen by the secret key.

The rows chosen, and their codes, are those that `Table.read`, `split` and `subset` would give (`data/selection.py` has
the derivation). What the choice needs of all rows at once, how many equal rows stand before each, is counted from
digests on disk: they are put into files by one byte of the digest, so equal rows meet in one file, in their order.

Memory does not grow with the rows but for one byte each, and eight more under `replace_one`. On the disk of `folder`
lie the codes, twice while the training rows are taken out, and 24 bytes for each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from dpsynth.data.columns.raw import series_of
from dpsynth.data.selection import Selection, check_fraction, check_rows, limit_probability
from dpsynth.data.table.codec import Codec
from dpsynth.data.table.domain import Domain
from dpsynth.marginals.counting.encoded_files import EncodedFiles, write_encoded
from dpsynth.marginals.counting.raw_rows import ROWS, RawRows

PARTS = 256  # files of digests
_RECORD = 3  # words: position, and the digest's two


@dataclass(frozen=True)
class Parts:
    """How the rows are divided: a holdout fraction, then a limit on the training rows; None for none.

    Raises `ConfigError` as `Table.split` and `Table.subset`.
    """

    selection: Selection
    holdout: float | None = None
    n_train: int | None = None
    declared: int | None = None  # rows, for the limit under add_remove

    def __post_init__(self) -> None:
        if self.holdout:
            check_fraction(self.holdout)
        if self.n_train is not None:
            check_rows(self.n_train)
            if self.by_content:
                limit_probability(self.n_train, self.declared)

    @property
    def whole(self) -> bool:
        """Whether all rows are training rows."""
        return not self.holdout and self.n_train is None

    @property
    def by_content(self) -> bool:
        return self.selection.neighbours == "add_remove"

    @property
    def coverage(self) -> tuple[str, ...]:
        """What the statement says of the training rows, as a `Table` has it."""
        found: list[str] = []
        if self.holdout:
            rest = f"{1 - self.holdout:.4g}"
            found.append(f"each row with probability {rest}" if self.by_content else f"{rest} of the rows")
        if self.n_train is not None and self.by_content:
            found.append(f"each row with probability {limit_probability(self.n_train, self.declared):.4g}")
        elif self.n_train is not None:
            found.append(f"{self.n_train} rows")
        return tuple(found)

    def divided(self, rows: int, contents: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """((rows,) bool training, (rows,) bool holdout). contents: digests, needed where choice is by content."""
        held = np.zeros(rows, dtype=bool)
        if self.holdout and contents is not None:
            held = self.selection.chosen("holdout", contents, self.holdout)
        elif self.holdout:
            held = self.selection.fixed("holdout", rows, round(rows * self.holdout))
        train = ~held
        if self.n_train is not None:
            rest = np.flatnonzero(train)
            if contents is not None:
                kept = self.selection.chosen("n_train", contents[rest], limit_probability(self.n_train, self.declared))
            else:
                kept = self.selection.fixed("n_train", len(rest), self.n_train)
            train[rest[~kept]] = False
        return train, held


class DividedRows:
    """Which rows of a long table are training rows and which are held out, told from blocks that come one by one."""

    def __init__(self, parts: Parts, folder: Path) -> None:
        self.parts, self.folder, self.rows = parts, folder, 0

    def add(self, frame: pd.DataFrame) -> None:
        """The next rows, with all columns of the table."""
        if self.parts.by_content and not self.parts.whole:
            columns = [series_of(frame, name) for name in frame.columns]
            contents = self.parts.selection.digests(columns, len(frame))
            places = np.arange(self.rows, self.rows + len(frame), dtype=np.uint64)
            records = np.column_stack([places, contents])
            part = (contents[:, 0] % PARTS).astype(np.int64)
            records = records[np.argsort(part, kind="stable")]
            for number, some in enumerate(np.split(records, np.cumsum(np.bincount(part, minlength=PARTS))[:-1])):
                if len(some):
                    with self._file(number).open("ab") as file:
                        file.write(np.ascontiguousarray(some, dtype="<u8").tobytes())
        self.rows += len(frame)

    def masks(self) -> tuple[np.ndarray, np.ndarray]:
        """((rows,) bool training, (rows,) bool holdout). The digests are removed."""
        if not self.parts.by_content or self.parts.whole:
            return self.parts.divided(self.rows, None)
        train, held = np.zeros(self.rows, dtype=bool), np.zeros(self.rows, dtype=bool)
        for number in range(PARTS):
            file = self._file(number)
            if not file.exists():
                continue
            records = np.fromfile(file, dtype="<u8").astype(np.uint64).reshape(-1, _RECORD)
            file.unlink()
            places = records[:, 0].astype(np.int64)
            train[places], held[places] = self.parts.divided(len(places), records[:, 1:])
        return train, held

    def _file(self, number: int) -> Path:
        return self.folder / f"digests-{number}"


def encode_selected(
    raw: RawRows, domain: Domain, bins: int, parts: Parts, folder: Path
) -> tuple[EncodedFiles, dict[str, int]]:
    """The training rows as one encoded file in `folder`, and how many of them break each constraint (private).

    Args:
        raw: The files, with all their columns.
        domain: Of the columns that are learned; complete.
        bins: The most bins of a number.
        parts: How rows are chosen.
        folder: For private rows; must exist, and is the caller's to remove.

    Raises:
        What `RawRows.blocks` and `Codec` raise.
    """
    codec, divided = Codec(domain, bins), DividedRows(parts, folder)
    rules, broken = domain.constraints, folder / "broken"

    def everything() -> Iterator[np.ndarray]:
        with broken.open("wb") as file:
            for codes, frame in raw.blocks(codec):
                divided.add(frame)
                if rules:
                    file.write(np.column_stack([~rule.satisfied(frame) for rule in rules]).astype(np.uint8).tobytes())
                yield codes

    found = write_encoded(folder / "all.parquet", codec, everything())
    train, _ = divided.masks()
    counts = _broken(broken, train, [str(rule) for rule in rules])
    broken.unlink()
    if not parts.whole:
        everyone = found

        def training() -> Iterator[np.ndarray]:
            start = 0
            for block in everyone.blocks():
                yield block[train[start : start + len(block)]]
                start += len(block)

        found = write_encoded(folder / "training.parquet", codec, training())
        (folder / "all.parquet").unlink()
    return replace(found, coverage=parts.coverage), counts


def _broken(file: Path, train: np.ndarray, rules: list[str]) -> dict[str, int]:
    """Training rows that break each rule."""
    counts = np.zeros(len(rules), dtype=np.int64)
    with file.open("rb") as stream:
        for start in range(0, len(train) if rules else 0, ROWS):
            kept = train[start : start + ROWS]
            block = np.frombuffer(stream.read(len(kept) * len(rules)), dtype=np.uint8).reshape(len(kept), len(rules))
            counts += block[kept].sum(axis=0, dtype=np.int64)
    return dict(zip(rules, counts.tolist(), strict=True))
