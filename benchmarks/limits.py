"""Peak memory and time of every command where rows are many, and what is refused before it would take too much.

    python benchmarks/limits.py --gigabytes 0.25 --rows 5e6 --models independent mst

A CSV file of made-up people of the size that is asked for is trained on by each model, more rows are generated from the
last one as CSV and as Parquet, and its release is evaluated; each in a process of its own, whose peak memory the
system reports (resident, with everything that Python and PyTorch hold before they begin). Then come requests that no
machine can carry out: each has to end with one line, soon and small.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = """
columns:
  age: {kind: integer, bounds: [0, 110]}
  sex: {kind: category, categories: [female, male]}
  region: {kind: category, categories: [north, east, south, west, abroad], missing: true}
  job: {kind: category, categories: [JOBS]}
  income: {kind: number, bounds: [0, 250000], decimals: 2}
  hours: {kind: integer, bounds: [0, 99]}
  born: {kind: date, bounds: [1900-01-01, 2020-12-31]}
  member: {kind: boolean}
"""
JOBS = [f"occupation {number}" for number in range(60)]
BLOCK = 200_000


def people(rows: int, seed: int) -> pd.DataFrame:
    """Made-up rows with some dependence between columns."""
    generator = np.random.default_rng(seed)
    age = generator.integers(0, 111, rows)
    job = np.minimum(59, (age // 2 + generator.integers(0, 10, rows)))
    return pd.DataFrame(
        {
            "age": age,
            "sex": generator.choice(["female", "male"], rows),
            "region": generator.choice(["north", "east", "south", "west", "abroad", ""], rows),
            "job": np.array(JOBS)[job],
            "income": (generator.gamma(2.0, 1.0 + age, rows) * 300).clip(0, 250_000).round(2),
            "hours": generator.integers(0, 100, rows),
            "born": np.datetime_as_string(np.datetime64("2020-12-31") - age * 365, unit="D"),
            "member": generator.choice(["true", "false"], rows),
        }
    )


def written(path: Path, size: float) -> int:
    """Write rows of about `size` bytes; their number."""
    rows, seed = 0, 0
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            people(BLOCK, seed).to_csv(file, index=False, header=seed == 0)
            rows, seed = rows + BLOCK, seed + 1
    return rows


def measured(name: str, words: list[str], folder: Path) -> tuple[int, str]:
    """Run one command, and print its time and peak; its exit code and last line."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "dpsynth.commands", *words], cwd=folder, env=environment, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**10
    seconds = time.monotonic() - begun
    print(f"{name:44s} {seconds:7.1f} s wall {cpu:7.1f} s CPU {peak:7.0f} MiB  exit {code}", flush=True)
    lines = said.strip().splitlines()
    return code, lines[-1] if lines else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=0.25, help="of the CSV file")
    parser.add_argument("--rows", type=float, default=5e6, help="to generate")
    parser.add_argument("--models", nargs="+", default=["independent", "mst", "privbayes", "aim"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="limits-") as name:
        folder = Path(name)
        (folder / "people.yaml").write_text(SCHEMA.replace("JOBS", ", ".join(JOBS)))
        rows = written(folder / "people.csv", options.gigabytes * 1e9)
        print(f"{rows:,} rows, {(folder / 'people.csv').stat().st_size / 1e9:.2f} GB", flush=True)
        data = ["data=csv", "data.path=people.csv", "data.schema=people.yaml", "trainer.progress=quiet"]
        last = ""
        for model in options.models:
            last = model
            said = measured(f"train {model}", ["train", f"model={model}", *data, f"run={model}", "n=1000"], folder)
            if said[0]:
                print(said[1])
        n = f"n={int(options.rows)}"
        for suffix in (".csv", ".parquet"):
            measured(f"generate {n} {suffix}", ["generate", f"run={last}", n, f"out=more{suffix}"], folder)
        files = ["real=people.csv", "synthetic=more.csv", "schema=people.yaml", "figures=none", "metrics=quick"]
        for words in ([f"run={last}", "synthetic=more.csv", *files[3:]], files):
            code, said = measured(f"evaluate {words[0]}", ["evaluate", *words, "progress=quiet"], folder)
            if code:
                print(said)
        print("\nRefused before anything is allocated:")
        wide = "columns:\n" + "".join(f"  c{k}: {{kind: boolean}}\n" for k in range(1000))
        (folder / "wide.yaml").write_text(wide)
        names = ", ".join(f"v{k}" for k in range(60_000))
        (folder / "tall.yaml").write_text(f"columns:\n  a: {{kind: category, categories: [{names}]}}\n")
        many = ["data.path=people.csv", "trainer.progress=quiet", "run=no"]
        for title, words in (
            ("generate n=10^12", ["generate", f"run={last}", f"n={10**12}", "out=no.csv"]),
            ("aim, 1,000 columns", ["train", "model=aim", "data=csv", "data.schema=wide.yaml", *many]),
            ("privbayes, 1,000 columns", ["train", "model=privbayes", "data=csv", "data.schema=wide.yaml", *many]),
            ("maf, 60,000 categories", ["train", "model=maf", "data=csv", "data.schema=tall.yaml", *many]),
        ):
            print(" ", measured(title, words, folder)[1][:300])


if __name__ == "__main__":
    main()
