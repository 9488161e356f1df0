"""What counting out of core costs a row, and how much memory it takes, from a million rows to a billion.

    python benchmarks/marginals_scale.py [1e6 1e7 1e8] [--repeats 3] [--threads 2] [--folder DIR] [--json FILE]

The table and the 70 requests of `marginals_speed.py`. Encoded files are written, dropped from the page cache and
counted, each size in a process of its own: the least of the turns in wall and CPU time, and the peak resident memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from marginals_speed import table, workload
from rich.console import Console
from rich.table import Table

from dpsynth.data import Category, Codec, Domain
from dpsynth.marginals.counting.counting import Engine
from dpsynth.marginals.counting.encoded_files import EncodedFiles, write_encoded


def scale(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="marginals-scale-") as folder:
        shown = Table(title=f"{len(workload(table(1)[1]))} marginals out of core, {options.threads} threads")
        for heading in ("rows", "files GB", "write ns/row", "wall s", "ns/row", "CPU ns/row", "peak MB"):
            shown.add_column(heading, justify="right")
        figures: list[dict[str, float]] = []
        written, seconds = 0, 0.0
        for rows in sorted(int(float(size)) for size in options.rows):
            start = time.perf_counter()
            codec, blocks = rolled(rows - written, seed=written)
            write_encoded(Path(folder) / f"part-{written:012d}.parquet", codec, blocks)
            seconds += time.perf_counter() - start
            written = rows
            turns = [json.loads(alone(folder, options.threads)) for _ in range(options.repeats if rows < 2e8 else 1)]
            best = min(turns, key=lambda turn: turn["wall"])
            best["peak"] = max(turn["peak"] for turn in turns)
            assert best["rows"] == rows
            size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e9
            best |= {"gigabytes": size, "write_ns": seconds / rows * 1e9}
            figures.append(best)
            shown.add_row(
                f"{rows:,}",
                f"{size:.2f}",
                f"{seconds / rows * 1e9:.0f}",
                f"{best['wall']:.2f}",
                f"{best['wall'] / rows * 1e9:.1f}",
                f"{best['cpu'] / rows * 1e9:.1f}",
                f"{best['peak']:.0f}",
            )
            console.print(f"{rows:,} rows done", highlight=False)
        console.print(shown)
    return {"threads": options.threads, "sizes": figures}


def rolled(rows: int, seed: int, block: int = 1_048_576) -> tuple[Codec, Iterator[np.ndarray]]:
    """The codec of the table and blocks of its rows: one random block, each column turned by its own random step."""
    codes, sizes = table(block)
    domain = Domain(tuple(Category(f"c{j}", categories=tuple(map(str, range(s)))) for j, s in enumerate(sizes)))
    generator = np.random.default_rng(seed)

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, rows, block):
            turned = np.empty_like(codes)
            for j, step in enumerate(generator.integers(0, block, codes.shape[1])):
                turned[:, j] = np.roll(codes[:, j], step)
            yield turned[: rows - start]

    return Codec(domain), blocks()


def alone(folder: str, threads: int) -> str:
    """The figures of one size, measured in a process of its own."""
    words = [sys.executable, __file__, "--count", folder, "--threads", str(threads)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def count_folder(folder: str, threads: int) -> dict[str, float]:
    """Count the workload over all files of a folder that are not in memory."""
    files = EncodedFiles.open(folder)
    requests = workload(files.sizes)
    Engine(threads=threads).count(np.zeros((1, 16), dtype=np.uint8), files.sizes, requests)  # load the compiled kernel
    for path in files.paths:
        with path.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    wall, cpu = time.perf_counter(), time.process_time()
    counts = Engine(threads=threads).count(files, files.sizes, requests)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert all(int(table.sum()) == len(files) for table in counts.values())
    # VmHWM, not ru_maxrss: that one starts with the memory of the parent process
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))[0]) / 1024
    return {"rows": len(files), "wall": wall, "cpu": cpu, "peak": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost and memory of counting marginals out of core.")
    parser.add_argument("rows", nargs="*", default=["1e6", "1e7", "1e8"], help="so many rows each")
    parser.add_argument("--repeats", type=int, default=3, help="turns of every size")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", help="where files are written (default: the folder for temporary files)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--count", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.count:
        print(json.dumps(count_folder(options.count, options.threads)))
        return
    figures = scale(options, Console(width=120))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
