"""How fast is `dpsynth encode`? CPU seconds and peak memory on a CSV of Adult repeated, beside Arrow's bare read.

    python benchmarks/reading_speed.py [--copies 360] [--folder FOLDER]

360 copies are 17.6 million rows, about 2 GB.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from pyarrow import csv as arrow_csv

from dpsynth.data import sources
from dpsynth.marginals.counting.raw_rows import encode_files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=wanted.folder) as scratch:
        file = Path(scratch) / "adult.csv"
        table = sources.load("adult", holdout=0).train
        header, rows = table.to_csv(Path(scratch) / "once.csv").read_bytes().split(b"\n", 1)
        with file.open("wb") as stream:
            stream.write(header + b"\n")
            for _ in range(wanted.copies):
                stream.write(rows)
        size = file.stat().st_size / 1e6
        begun = time.process_time()
        encoded, _ = encode_files(file, Path(scratch) / "out.parquet", table.domain)
        spent = time.process_time() - begun
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        described = f"{size:,.0f} MB, {spent:.1f} CPU s, {size / spent:.0f} MB/s, peak {peak:.0f} MB"
        print(f"encode: {len(encoded):,} rows, {described}")
        begun = time.process_time()
        for _ in arrow_csv.open_csv(file):
            pass
        spent = time.process_time() - begun
        print(f"Arrow's bare read: {spent:.1f} CPU s, {size / spent:.0f} MB/s")


if __name__ == "__main__":
    main()
