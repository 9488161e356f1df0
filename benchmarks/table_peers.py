"""Published implementations that `tables.py` sets beside dpsynth, run by interpreters that have them installed.

    PYTHON table_peers.py            # prints which peers PYTHON has
    PYTHON table_peers.py FOLDER     # fits the one that FOLDER/facts.json names

    dpmm-aim, dpmm-mst               dpmm, which bins numbers privately by PrivTree with a tenth of epsilon
    mbi-aim, mbi-mst                 the papers on the inference of mbi (`mbi_peers.py`), 32 equal-width bins
    smartnoise-aim, smartnoise-mst   smartnoise-synth, on the same bins as categories

Each gets the declared bounds and categories. What a peer reads from the rows without paying for it (dpmm whether a
column has missing values, smartnoise-synth which codes occur) is in its favour. The script needs numpy and pandas of
any version, and nothing of dpsynth.
"""

# pyright: reportMissingImports=false

import importlib.metadata
import json
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PEERS = {
    "dpmm": ("dpmm-aim", "dpmm-mst"),
    "mbi": ("mbi-aim", "mbi-mst"),
    "smartnoise-synth": ("smartnoise-aim", "smartnoise-mst"),
}
BINS = 32
LONGEST = 600.0  # seconds after which a peer is given up


def peak_megabytes() -> float:
    """The most memory this process had; 0.0 where the system does not say.

    `getrusage` would do, but what it says of a child process begins at the peak of its parent.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def offered(python: str) -> list[str]:
    """The peers that an interpreter has installed."""
    try:
        said = subprocess.run([python, __file__], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return said.stdout.split()


def run_peer(python: str, peer: str, table: Any, epsilon: float, delta: float, seed: int) -> tuple[Any, float, float]:
    """(synthetic frame, seconds of the fit, peak megabytes) of a peer on a `dpsynth.data.Table`.

    Raises RuntimeError with the last line that the peer said when it failed.
    """
    from dpsynth.data.columns import Category
    from dpsynth.data.table.codec import Codec, Encoded
    from dpsynth.models.marginal.method import encoded

    domain: dict[str, Any] = {}
    frame = pd.DataFrame(index=range(len(table)))
    for column in table.domain.columns:
        values = table.frame[column.name]
        if isinstance(column, Category):
            domain[column.name] = {"categories": list(column.values)}
            frame[column.name] = values.astype(object).where(values.notna(), None)
        else:
            domain[column.name] = {"lower": column.start, "upper": column.stop}
            frame[column.name] = column.numbers(values)
    codec = Codec(table.domain, BINS)
    codes = encoded(codec, table)
    facts: dict[str, Any] = {"peer": peer, "epsilon": epsilon, "delta": delta, "seed": seed, "domain": domain}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame.to_csv(folder / "rows.csv", index=False)
        np.save(folder / "codes.npy", codes)
        if peer.startswith("mbi-"):
            facts["mbi"] = _mbi_facts(peer, list(codec.sizes), epsilon, delta, seed)
        (folder / "facts.json").write_text(json.dumps(facts))
        try:
            subprocess.run([python, __file__, name], check=True, capture_output=True, text=True, timeout=LONGEST + 60)
        except subprocess.CalledProcessError as error:
            lines = (error.stderr or error.stdout or "").strip().splitlines()
            raise RuntimeError(lines[-1] if lines else "it failed without a word") from None
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"not finished after {LONGEST:.0f} s") from None
        run = json.loads((folder / "run.json").read_text())
        if (folder / "synthetic_codes.npy").exists():
            drawn = np.load(folder / "synthetic_codes.npy").astype(codec.dtype)
            synthetic = codec.decode(Encoded(drawn), np.random.default_rng(seed))
        else:
            synthetic = pd.read_csv(folder / "synthetic.csv", dtype=dict.fromkeys(_texts(domain), "str"))
            synthetic = type(table)(synthetic, table.domain).frame
    return synthetic, run["seconds"], run["megabytes"]


def _texts(domain: dict[str, Any]) -> list[str]:
    return [name for name, facts in domain.items() if "categories" in facts]


def _mbi_facts(peer: str, sizes: list[int], epsilon: float, delta: float, seed: int) -> dict[str, Any]:
    from marginals_quality import LIMITS, largest_rho

    from dpsynth import Budget

    rho = largest_rho(Budget(epsilon, delta))
    return {"sizes": sizes, "rho": rho, "seed": seed, "method": peer.removeprefix("mbi-"), **LIMITS}


# -------------------- In the peer's interpreter ---------------------------------------------


def fit(folder: Path) -> None:
    """Fit the peer that facts.json names to the rows in `folder`, and write as many synthetic rows."""
    facts = json.loads((folder / "facts.json").read_text())
    begun = time.perf_counter()
    {"dpmm": _dpmm, "mbi": _mbi, "smartnoise": _smartnoise}[facts["peer"].partition("-")[0]](folder, facts)
    run = {"seconds": time.perf_counter() - begun, "megabytes": peak_megabytes()}
    (folder / "run.json").write_text(json.dumps(run))


def _dpmm(folder: Path, facts: dict[str, Any]) -> None:
    from dpmm.pipelines.aim import AIMPipeline
    from dpmm.pipelines.mst import MSTPipeline

    domain = facts["domain"]
    rows = pd.read_csv(folder / "rows.csv", dtype=dict.fromkeys(_texts(domain), "str"))
    kind = {"dpmm-aim": AIMPipeline, "dpmm-mst": MSTPipeline}[facts["peer"]]
    share = 0.1 * facts["epsilon"]
    pipeline = kind(epsilon=facts["epsilon"] - share, delta=facts["delta"], proc_epsilon=share)
    pipeline.fit(rows, domain, random_state=facts["seed"])
    pipeline.generate(n_records=len(rows), random_state=facts["seed"]).to_csv(folder / "synthetic.csv", index=False)


def _mbi(folder: Path, facts: dict[str, Any]) -> None:
    np.savez(folder / "asked.npz", codes=np.load(folder / "codes.npy"), **facts["mbi"])
    script = Path(__file__).with_name("mbi_peers.py")
    sys.argv = [str(script), str(folder / "asked.npz"), str(folder / "synthetic_codes.npy")]
    runpy.run_path(str(script), run_name="__main__")


def _smartnoise(folder: Path, facts: dict[str, Any]) -> None:
    from snsynth import Synthesizer

    codes = np.load(folder / "codes.npy").astype(np.int64)
    names = [f"c{j}" for j in range(codes.shape[1])]
    rows = pd.DataFrame(codes, columns=names)
    method = facts["peer"].removeprefix("smartnoise-")
    synthesizer = Synthesizer.create(method, epsilon=facts["epsilon"], delta=facts["delta"])
    synthesizer.fit(rows, preprocessor_eps=0.0, categorical_columns=names)
    drawn = synthesizer.sample(len(rows))
    np.save(folder / "synthetic_codes.npy", drawn[names].to_numpy().astype(np.int64))


def _has(distribution: str) -> bool:
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return distribution != "mbi" or not version.startswith(("0.", "1."))  # smartnoise-synth brings an old one


if __name__ == "__main__":
    if len(sys.argv) > 1:
        fit(Path(sys.argv[1]))
    else:
        print(*(peer for distribution, peers in PEERS.items() if _has(distribution) for peer in peers))
