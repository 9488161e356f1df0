"""How fast marginals are counted, beside numpy, polars, duckdb and Pasteur's kernel.

    python benchmarks/marginals_speed.py [--rows 1e7] [--repeats 5] [--threads 2] [--pasteur native.so] [--json FILE]

The table: 16 columns of 2 to 50 values, Zipf-like (exponent .8), independent, uint8, drawn with seed 0. The requests:
50 random pairs and 20 random triples of at most 32,768 cells. Methods take turns; each shows its fastest turn and
the median, in wall and CPU seconds. A turn of a one-thread method during which the processor was shared (wall / CPU
above 1.1) does not count and is repeated, a few times; a method none of whose turns counts is marked busy: no time,
only its least CPU seconds. Methods marked * count 14 of the 70 requests, times 5, in at most two turns. All counts
are compared first.

--pasteur names the compiled module `pasteur.marginal.native` of Pasteur 0.3.1, for this Python. Build it with
-march=x86-64-v3: GCC 12 makes it 20 times slower with its own -march=native on newer processors.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from dpsynth.data import Codec, sources
from dpsynth.marginals.counting.counting import Engine, available_threads
from dpsynth.marginals.counting.numba_kernel import NumbaTally
from dpsynth.marginals.counting.plan import Clique, _planned, make_plan

Counts = dict[Clique, np.ndarray]
FRACTION = 5  # slow methods count one request in five
PATIENCE = 4  # times the turns asked for, at most
BUSY = 1.1  # wall / CPU of one thread from which on a turn does not count


def table(rows: int, seed: int = 0) -> tuple[np.ndarray, tuple[int, ...]]:
    """((rows, 16) uint8 codes in Fortran order, sizes)."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(2, 51, 16)
    codes = np.empty((rows, 16), dtype=np.uint8, order="F")
    for j, size in enumerate(sizes):
        weights = np.arange(1, size + 1) ** -0.8
        codes[:, j] = np.searchsorted(np.cumsum(weights / weights.sum())[:-1], generator.random(rows))
    return codes, tuple(int(size) for size in sizes)


def workload(sizes: tuple[int, ...], seed: int = 0) -> list[Clique]:
    """50 pairs and 20 triples."""
    generator = np.random.default_rng(seed)
    pairs = list(itertools.combinations(range(16), 2))
    triples = [t for t in itertools.combinations(range(16), 3) if np.prod([sizes[j] for j in t]) <= 32_768]
    chosen = [pairs[i] for i in generator.choice(len(pairs), 50, replace=False)]
    return chosen + [triples[i] for i in generator.choice(len(triples), 20, replace=False)]


def methods(
    codes: np.ndarray, sizes: tuple[int, ...], requests: list[Clique], threads: int, pasteur: Path | None
) -> tuple[dict[str, tuple[int, int, Callable[[], Counts]]], list[str]]:
    """name -> (threads, fraction of the requests that is counted, counting function); and lines on what is left out."""
    some = requests[::FRACTION]
    found: dict[str, tuple[int, int, Callable[[], Counts]]] = {}
    notes: list[str] = []

    def planned(own_threads: int) -> Callable[[], Counts]:
        def run() -> Counts:
            _planned.cache_clear()  # planning is part of the work
            return Engine(threads=own_threads).count(codes, sizes, requests)

        return run

    def unplanned(own_threads: int) -> Callable[[], Counts]:
        def run() -> Counts:
            tally = NumbaTally(requests, sizes, own_threads)
            tally.add(codes)
            return dict(zip(requests, tally.totals(), strict=True))

        return run

    for own_threads in dict.fromkeys((1, threads)):
        found[f"plan + numba, {plural(own_threads)}"] = (own_threads, 1, planned(own_threads))
        found[f"numba, no plan, {plural(own_threads)}"] = (own_threads, 1, unplanned(own_threads))
    if pasteur is not None:
        spec = importlib.util.spec_from_file_location("native", pasteur)
        assert spec is not None
        assert spec.loader is not None
        native = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(native)
        found["Pasteur C, whole columns"] = (1, 1, lambda: pasteur_counts(native, codes, sizes, requests, len(codes)))
        found["Pasteur C, 64K-row chunks"] = (1, 1, lambda: pasteur_counts(native, codes, sizes, requests, 65_536))
    else:
        notes.append("Pasteur's kernel left out: name its compiled module with --pasteur")

    def bincount() -> Counts:
        wide = {j: codes[:, j].astype(np.int64) for request in some for j in request}
        result: Counts = {}
        for request in some:
            index = wide[request[0]]
            for j in request[1:]:
                index = index * sizes[j] + wide[j]
            result[request] = np.bincount(index, minlength=int(np.prod([sizes[j] for j in request])))
        return result

    found["np.bincount *"] = (1, FRACTION, bincount)
    every = available_threads()
    try:
        import polars

        frame = polars.DataFrame({f"c{j}": np.ascontiguousarray(codes[:, j]) for j in range(16)})

        def group_by() -> Counts:
            frames = [frame.group_by([f"c{j}" for j in request]).len() for request in some]
            return {r: grouped([g[f"c{j}"].to_numpy() for j in r], g["len"].to_numpy(), sizes, r)
                    for r, g in zip(some, frames, strict=True)}  # fmt: skip

        def collect_all() -> Counts:
            lazy = [frame.lazy().group_by([f"c{j}" for j in request]).len() for request in some]
            return {r: grouped([g[f"c{j}"].to_numpy() for j in r], g["len"].to_numpy(), sizes, r)
                    for r, g in zip(some, polars.collect_all(lazy), strict=True)}  # fmt: skip

        found["polars group_by *"] = (every, FRACTION, group_by)
        found["polars collect_all *"] = (every, FRACTION, collect_all)
    except ImportError:
        notes.append("polars left out: not installed")
    try:
        import duckdb
        import pyarrow as pa

        base = duckdb.connect()
        base.register("source", pa.table({f"c{j}": np.ascontiguousarray(codes[:, j]) for j in range(16)}))
        base.execute("create table rows as select * from source")

        def duck() -> Counts:
            result: Counts = {}
            for request in some:
                names = ", ".join(f"c{j}" for j in request)
                got = base.execute(f"select {names}, count(*) as n from rows group by {names}").fetchnumpy()
                result[request] = grouped([got[f"c{j}"] for j in request], got["n"], sizes, request)
            return result

        found["duckdb group by *"] = (every, FRACTION, duck)
    except ImportError:
        notes.append("duckdb left out: not installed")
    return found, notes


def plural(threads: int) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}"


def grouped(keys: list[Any], counts: Any, sizes: tuple[int, ...], request: Clique) -> np.ndarray:
    """The table of a GROUP BY."""
    result = np.zeros([sizes[j] for j in request], dtype=np.int64)
    result[tuple(np.asarray(key, dtype=np.int64) for key in keys)] = np.asarray(counts)
    return result.ravel()


def pasteur_counts(
    native: Any, codes: np.ndarray, sizes: tuple[int, ...], requests: list[Clique], chunk: int
) -> Counts:
    """Pasteur's compiled kernel, called for each request on each chunk of rows."""
    tables = {r: np.zeros(int(np.prod([sizes[j] for j in r])), dtype=np.uint32) for r in requests}
    strides = {r: [int(np.prod([sizes[j] for j in r[k + 1 :]])) for k in range(len(r))] for r in requests}
    for start in range(0, len(codes), chunk):
        columns = [codes[start : start + chunk, j] for j in range(codes.shape[1])]
        for request in requests:
            native.marginal(tables[request], [(s, columns[j]) for s, j in zip(strides[request], request, strict=True)])
    return tables


def measure(
    found: dict[str, tuple[int, int, Callable[[], Counts]]], repeats: int
) -> dict[str, dict[str, float | int | bool]]:
    """Seconds of each method for all requests: its fastest turn that counts, its median, and its CPU seconds."""
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    counted = dict.fromkeys(found, 0)
    for _ in range(PATIENCE * repeats):
        for name, (threads, fraction, run) in found.items():
            if counted[name] >= (repeats if fraction == 1 else min(repeats, 2)):
                continue
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            turns[name].append(((time.perf_counter() - wall) * fraction, (time.process_time() - cpu) * fraction))
            counted[name] += counts(threads, *turns[name][-1])
    figures: dict[str, dict[str, float | int | bool]] = {}
    for name, (threads, _, _) in found.items():
        valid = [turn for turn in turns[name] if counts(threads, *turn)]
        wall, cpu = min(valid, default=(float("nan"), min(turn[1] for turn in turns[name])))
        median = statistics.median(turn[0] for turn in turns[name])
        figures[name] = {"threads": threads, "wall": wall, "median": median, "cpu": cpu, "valid_turns": len(valid)}
    return figures


def counts(threads: int, wall: float, cpu: float) -> bool:
    """Whether a turn counts: one thread had its processor to itself."""
    return threads > 1 or wall <= BUSY * cpu


def check(found: dict[str, tuple[int, int, Callable[[], Counts]]], notes: list[str]) -> None:
    """Every method counts the same, cell by cell."""
    truth: Counts = {}
    for name, (_, _, run) in found.items():
        for request, counts in run().items():
            if not np.array_equal(truth.setdefault(request, counts.ravel()), counts.ravel()):
                notes.append(f"WRONG: {name} differs on {request}")
                break


def speed(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    codes, sizes = table(options.rows)
    requests = workload(sizes)
    found, notes = methods(codes, sizes, requests, options.threads, options.pasteur)
    check(found, notes)
    figures = measure(found, options.repeats)
    plan = make_plan(sizes, requests, rows=len(codes))
    planned = f"the plan makes {len(plan.scans)} scans of {plan.cells:,} cells"
    title = f"{len(requests)} marginals of {options.rows:,} rows; {planned}"
    shown = Table(title=title)
    for heading in ("method", "wall s", "median", "CPU s", "wall/CPU", "marginals/s", "x plan"):
        shown.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    ours = float(figures["plan + numba, 1 thread"]["wall"])
    for name, figure in figures.items():
        wall, median, cpu = (float(figure[key]) for key in ("wall", "median", "cpu"))
        cells = [f"{wall:.3f}", f"{median:.3f}", f"{cpu:.3f}", f"{wall / cpu:.2f}", f"{len(requests) / wall:.0f}"]
        if not figure["valid_turns"]:
            cells = ["busy", f"{median:.3f}", f"{cpu:.3f}", "> 1.1", "none"]
        shown.add_row(name, *cells, f"{wall / ours:.1f}")
    console.print(shown)
    for note in notes:
        console.print(note)
    adult_ms = adult(console)
    return {"rows": options.rows, "scans": len(plan.scans), "methods": figures, "adult_ms": adult_ms, "notes": notes}


def adult(console: Console, repeats: int = 30) -> dict[str, float]:
    """All pairs of Adult's columns, planning included."""
    train = sources.load("adult").train
    codec = Codec(train.domain, 32)
    codes = codec.encode(train.frame).codes
    pairs = list(itertools.combinations(range(len(codec.sizes)), 2))
    best: dict[str, float] = {"planning included": float("inf"), "planned before": float("inf")}
    for _ in range(repeats):
        _planned.cache_clear()
        for name in best:
            start = time.perf_counter()
            Engine(threads=1).count(codes, codec.sizes, pairs)
            best[name] = min(best[name], (time.perf_counter() - start) * 1e3)
    described = ", ".join(f"{name} {value:.1f} ms" for name, value in best.items())
    console.print(
        f"all {len(pairs)} pairs of Adult's {len(codec.sizes)} columns, {len(codes):,} rows, 1 thread: {described}"
    )
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds of counting marginals.")
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=10_000_000)
    parser.add_argument("--repeats", type=int, default=5, help="turns of every method")
    parser.add_argument("--threads", type=int, default=2, help="of the methods that are not on one thread")
    parser.add_argument("--pasteur", type=Path, help="compiled module pasteur.marginal.native")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    figures = speed(options, Console(width=120))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
