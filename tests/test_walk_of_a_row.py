"""docs/architecture.md names the files that see private rows or the noise; a traced run says which they are."""

import re
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from dpsynth.commands import train
from dpsynth.data.selection import Selection
from dpsynth.data.sources import load
from dpsynth.privacy.noise.random import seeded_key

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dpsynth"
PAGE = ROOT / "docs" / "architecture.md"
ROWS = 1187  # of the file; like the number that is chosen of it, no other size of the run
CHOSEN = 20_000  # of 30,000 declared rows: a row is chosen with probability 2/3
METHODS = {  # small, every row in every batch and shard
    "maf": (f"model.batch_size={CHOSEN}", "model.steps=2", "model.fit_steps=2"),
    "aim": ("model.rounds=2", "model.iterations=5", "model.workload=2"),
    "datalens": (
        "model.rounds=2",
        "model.teacher.count=1",
        f"model.teacher.batch={ROWS}",
        "model.student.steps=1",
        "model.student.last_steps=1",
    ),
}


class Walk:
    """The files of the package of which a function held one number or text for each private row, or numbers that are
    released; `numbers` are the counts of rows by which the former are known."""

    def __init__(self, numbers: set[int]) -> None:
        self.numbers = numbers
        self.rows: set[str] = set()
        self.noise: set[str] = set()
        self._releases = 0
        self._ended = False

    def sees(self, value: Any, depth: int = 2) -> bool:
        """Whether `value` is an array with a place for each row, or a short collection of such."""
        if isinstance(value, pd.DataFrame | pd.Series | pd.Index | pa.Table | pa.ChunkedArray | pa.Array):
            return len(value) in self.numbers
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return len(value) in self.numbers or (
                depth > 0 and len(value) < 50 and any(self.sees(each, depth - 1) for each in value)
            )
        return isinstance(value, np.ndarray | torch.Tensor) and not self.numbers.isdisjoint(value.shape)

    def __call__(self, frame: FrameType, event: str, returned: Any) -> None:
        code = frame.f_code
        if self._ended or event not in ("call", "return") or not code.co_filename.startswith(f"{PACKAGE}/"):
            return
        file = str(Path(code.co_filename).relative_to(PACKAGE))
        if code.co_qualname == "Ledger.release":
            self._releases += 1 if event == "call" else -1
        if event == "return":
            self._ended = code.co_qualname == "Synthesizer.fit"
            if self._releases and file.startswith("privacy/noise/"):
                self.noise.add(file)
            if self.sees(returned) or any(self.sees(value) for value in list(frame.f_locals.values())):
                self.rows.add(file)


@pytest.mark.parametrize("method", METHODS)
def test_the_page_names_the_files_that_see_rows_or_noise(method, tmp_path, monkeypatch):
    bundled = PACKAGE / "data" / "files" / "adult.parquet"
    pd.read_parquet(bundled).sample(ROWS, random_state=0).to_parquet(tmp_path / "adult.parquet", index=False)
    options = {"path": str(tmp_path), "holdout": 0, "n_train": CHOSEN}
    chosen = load("adult", Selection(seeded_key(0), "add_remove"), **options).train
    monkeypatch.chdir(tmp_path)
    words = [f"data.{name}={value}" for name, value in options.items()]
    words += [
        "data=adult",
        "columns=[age, sex, capital-gain, income]",
        "privacy.noise=seeded",
        "trainer.progress=quiet",
        "n=50",
    ]
    monkeypatch.setattr(sys, "argv", ["train.py", f"model={method}", *words, *METHODS[method]])
    walk = Walk({ROWS, len(chosen)})
    opened = train.rows_to_fit

    def begin(*arguments: Any) -> Any:
        """Planning needs no tracing: no data are open yet."""
        threading.setprofile(walk)
        sys.setprofile(walk)
        return opened(*arguments)

    monkeypatch.setattr(train, "rows_to_fit", begin)
    try:
        train.main()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    walk.rows |= walk.noise | {"privacy/ledger.py"}
    named = named_on_the_page(method)
    assert {file for file in walk.rows if not file.startswith("data/columns/")} == named - {"data/columns/"}
    assert f"`{method}`: {len(named)} files" in PAGE.read_text()


def named_on_the_page(method: str) -> set[str]:
    """The files that the tables of the page name: of all methods, and of `method`."""
    rows = [row.split("|")[1:-1] for row in PAGE.read_text().splitlines() if row.startswith("| ")]
    shared = [row for row in rows if re.match(r" \d ", row[0])]
    own = [row for row in rows if row[0] == f" `{method}` "]
    assert shared
    assert own
    text = " ".join(cell for row in shared + own for cell in row[1:])
    found = set()
    for folder, stems, file in re.findall(r"`([a-z_/]+/)(?:\{([a-z_,]+)\}\.py|([a-z_]+\.py)?)`", text):
        found |= {f"{folder}{stem}.py" for stem in stems.split(",")} if stems else {folder + file}
    return found
