"""How fast is `dpsynth encode`? CPU seconds and peak memory on a CSV of Adult repeated, beside Arrow's bare read.

    python benchmarks/reading_speed.py [--copies 360] [--folder FOLDER]

360 copies are 17.6 million rows, about 2 GB. The command runs in a process of its own, as a user starts it: its CPU
seconds (user and system) and its peak memory are those of the whole process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pyarrow import csv as arrow_csv

from dpsynth.data import sources
from dpsynth.data.table.schema import dump_yaml


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=wanted.folder) as scratch:
        file, schema = Path(scratch) / "adult.csv", Path(scratch) / "adult.yaml"
        table = sources.load("adult", holdout=0).train
        schema.write_text(dump_yaml(table.domain.to_dict()), encoding="utf-8")
        header, rows = table.to_csv(Path(scratch) / "once.csv").read_bytes().split(b"\n", 1)
        with file.open("wb") as stream:
            stream.write(header + b"\n")
            for _ in range(wanted.copies):
                stream.write(rows)
        size = file.stat().st_size / 1e6
        words = [sys.executable, "-m", "dpsynth", "encode", file, Path(scratch) / "out.parquet", f"schema={schema}"]
        started = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(started.pid, 0)
        if os.waitstatus_to_exitcode(status):
            sys.exit("dpsynth encode failed")
        spent = used.ru_utime + used.ru_stime
        described = f"{size:,.0f} MB, {spent:.1f} CPU s, {size / spent:.0f} MB/s, peak {used.ru_maxrss / 1e3:.0f} MB"
        print(f"encode: {len(table) * wanted.copies:,} rows, {described}", flush=True)
        begun = time.process_time()
        for _ in arrow_csv.open_csv(file):
            pass
        spent = time.process_time() - begun
        print(f"Arrow's bare read: {spent:.1f} CPU s, {size / spent:.0f} MB/s")


if __name__ == "__main__":
    main()
