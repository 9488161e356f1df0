"""How long do CSV, Parquet and encoded files take to write and to read, and how large are they?

    python benchmarks/file_formats.py [--rows 1000000] [--repeats 3] [--folder FOLDER]

The rows are those of Adult, repeated in an order of chance. Written and read are CPU seconds of this process, the least
of the repeats. Of the encoded file, writing is the encoding of rows in memory, and reading a pass over all codes, which
is all that counting needs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dpsynth.data import sources
from dpsynth.data.table.codec import Codec
from dpsynth.data.table.table import Table
from dpsynth.marginals.counting.encoded_files import EncodedFiles, write_encoded

BINS = 4096  # most value bins of a number, as `dpsynth encode` has them


def least(work: Callable[[], Any], repeats: int) -> float:
    """The least CPU seconds of some runs."""
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    wanted = parser.parse_args()
    adult = sources.load("adult", holdout=0).train
    table = adult.take(np.random.default_rng(0).integers(0, len(adult), wanted.rows))
    with tempfile.TemporaryDirectory(dir=wanted.folder) as scratch:
        print(f"{len(table):,} rows of {len(table.domain)} columns")
        for name, (path, write, read) in formats(table, Path(scratch)).items():
            written = least(write, wanted.repeats)
            taken = least(read, wanted.repeats)
            size = path.stat().st_size
            described = f"{size / 1e6:8.1f} MB, {size / len(table):5.1f} bytes a row"
            print(f"{name:8} written {written:6.2f} s, read {taken:6.2f} s, {described}")


def formats(table: Table, folder: Path) -> dict[str, tuple[Path, Callable[[], Any], Callable[[], Any]]]:
    """By name: the file, how it is written, how it is read."""
    domain = table.domain
    csv, parquet, encoded = folder / "rows.csv", folder / "rows.parquet", folder / "encoded.parquet"

    def encode() -> EncodedFiles:
        codec = Codec(domain, BINS)
        return write_encoded(encoded, codec, [codec.encode(table.frame).codes])

    return {
        "CSV": (csv, lambda: table.to_csv(csv), lambda: Table.read(csv, schema=domain)),
        "Parquet": (parquet, lambda: table.to_parquet(parquet), lambda: Table.read(parquet, schema=domain)),
        "encoded": (encoded, encode, lambda: EncodedFiles.open(encoded).verify()),
    }


if __name__ == "__main__":
    main()
