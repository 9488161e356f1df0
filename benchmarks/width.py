"""How long wide tables take, and how much memory: each method on tables of ever more columns.

    python benchmarks/width.py [100 400 1000] [--methods MST Independent] [--rows 600] [--codes 2] [--limit 600]

Columns follow a hidden walk, so that neighbours depend on each other. Each method and width runs in a process of its
own: wall seconds of the plan, the fit, a sample of as many rows, saving and loading, CPU seconds and peak resident
memory of all of it beside the plan's estimate. A method that refuses is shown with the line it prints.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table as Shown

HEADINGS = ("method", "columns", "plan s", "fit s", "sample s", "save s", "load s", "CPU s", "peak MB", "planned MB")


def measure(method: str, columns: int, rows: int, codes: int) -> dict[str, Any]:
    """The figures of one run, in this process; `refused` when the method says no."""
    from dpsynth import models
    from dpsynth.data import Category, Domain, Table
    from dpsynth.errors import DpsynthError
    from dpsynth.models.contract import fitted as artifact
    from dpsynth.privacy.accounting.budget import Budget
    from dpsynth.training import listen

    domain = Domain(
        tuple(Category(f"c{j}", categories=tuple(map(str, range(codes)))) for j in range(columns)), rows=rows
    )
    generator = np.random.default_rng(0)
    walk = generator.random((rows, 1)) + generator.normal(0, 0.15, (rows, columns)).cumsum(1)
    values = np.clip(np.floor(walk * codes), 0, codes - 1).astype(int)
    table = Table(pd.DataFrame({f"c{j}": values[:, j].astype(str) for j in range(columns)}), domain)
    found: dict[str, Any] = {"before MB": _peak()}
    begun, cpu = time.perf_counter(), time.process_time()

    def lap(step: str) -> None:
        nonlocal begun
        found[f"{step} s"], begun = time.perf_counter() - begun, time.perf_counter()

    recipe = getattr(models, method)()
    try:
        plan = recipe.plan(domain, Budget(1.0, 1e-5))
        lap("plan")
        found["planned MB"] = plan.memory_bytes / 2**20
        fitted = recipe.fit(table, plan, progress=listen("lines"))
        lap("fit")
        fitted.sample(rows, seed=0)
        lap("sample")
        with tempfile.TemporaryDirectory() as folder:
            fitted.save(Path(folder) / "model")
            lap("save")
            artifact.load(Path(folder) / "model")
            lap("load")
    except DpsynthError as error:
        found["refused"] = str(error)
    return {**found, "CPU s": time.process_time() - cpu, "peak MB": _peak()}


def _peak() -> float:
    """MB that this process has held at most; VmHWM, since ru_maxrss begins with the memory of the parent."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))[0]) / 1024


def alone(method: str, columns: int, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run in a process of its own, which is stopped at the limit."""
    words = [sys.executable, __file__, "--alone", method, str(columns)]
    words += ["--rows", str(options.rows), "--codes", str(options.codes)]
    try:
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, timeout=options.limit)
    except subprocess.TimeoutExpired:
        return {"refused": f"not done in {options.limit} s"}
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="Times and memory of methods on wide tables.")
    parser.add_argument("columns", nargs="*", type=int, default=[100, 400, 1000])
    parser.add_argument("--methods", nargs="+", default=["Independent", "MST"], help="names of dpsynth.models")
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--codes", type=int, default=2, help="values of each column")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a run is stopped")
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(measure(options.alone[0], int(options.alone[1]), options.rows, options.codes)))
        return
    console = Console(width=140)
    shown = Shown(title=f"{options.rows:,} rows, {options.codes} values a column")
    for heading in HEADINGS:
        shown.add_column(heading, justify="left" if heading == "method" else "right")
    for columns in options.columns:
        for method in options.methods:
            found = alone(method, columns, options)
            figures = [f"{found[name]:.2f}" if name in found else "" for name in HEADINGS[2:]]
            shown.add_row(method, str(columns), *figures)
            if "refused" in found:
                console.print(f"{method}, {columns} columns: {found['refused']}", highlight=False)
    console.print(shown)


if __name__ == "__main__":
    main()
