"""The folder of one run: what may be handed out in `release/`, what may not in `private/`.

    run/release/   model.json  model.safetensors  privacy.json  synthetic.csv
    run/private/   config.yaml  rows.key  data.txt  checkpoint/  train_log.csv  scores.json  report.html  figures/

A run is finished when `release/` is there: it is written aside and appears whole.  Finished runs are never
overwritten by accident.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from dpsynth.errors import ArtifactError, ConfigError


@dataclass(frozen=True)
class RunFolder:
    """One run's folder and what is where in it."""

    path: Path

    @property
    def release(self) -> Path:
        return self.path / "release"

    @property
    def private(self) -> Path:
        return self.path / "private"

    @property
    def config(self) -> Path:
        return self.private / "config.yaml"

    @property
    def rows_key(self) -> Path:
        """The secret key by which the rows of this run were selected (data/selection.py)."""
        return self.private / "rows.key"

    def keep_key(self, key: bytes) -> None:
        """Write the key, for its owner's eyes only."""
        with open(os.open(self.rows_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(key.hex() + "\n")

    def kept_key(self) -> bytes:
        """The key of this run; `ArtifactError` when it did not stay with the run."""
        try:
            return bytes.fromhex(self.rows_key.read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            raise ArtifactError(
                f"{self.rows_key}: missing or damaged, so the rows that this run was trained on cannot be found again; "
                " start a new run, or judge the release with real=... holdout=... synthetic=... schema=..."
            ) from None

    @property
    def checkpoint(self) -> Path:
        return self.private / "checkpoint"

    @property
    def finished(self) -> bool:
        return self.release.is_dir()

    @property
    def unfinished(self) -> bool:
        return self.config.exists() and not self.finished

    @classmethod
    def claim(cls, wanted: Path, overwrite: bool = False) -> "RunFolder":
        """A folder of one's own: `wanted` if it is free, else the next free of `wanted-2`, `wanted-3`, ...

        overwrite: take `wanted` itself and remove the run in it.  Raises `ConfigError` when what is there is
        no run.
        """
        run = cls(wanted)
        if overwrite and wanted.exists():
            if not (run.finished or run.unfinished or (wanted.is_dir() and not any(wanted.iterdir()))):
                raise ConfigError(f"run={wanted}: exists and is not the folder of a run; choose another one")
            for part in (run.release, run.private):
                shutil.rmtree(part, ignore_errors=True)
        for candidate in _names(wanted):
            run = cls(candidate)
            candidate.mkdir(parents=True, exist_ok=True)
            try:
                run.private.mkdir(mode=0o700)  # made by one process only: this is the claim
            except FileExistsError:
                continue
            if any(entry.name != "private" for entry in candidate.iterdir()):
                run.private.rmdir()
                continue
            return run
        raise AssertionError("unreachable: there is always another number")

    @classmethod
    def to_resume(cls, wanted: Path) -> "RunFolder":
        """The latest unfinished run among `wanted`, `wanted-2`, ...; `ArtifactError` when there is none."""
        last = None
        for candidate in _names(wanted):
            if not candidate.exists():
                break
            if cls(candidate).unfinished:
                last = cls(candidate)
        if last is None:
            state = "is finished" if cls(wanted).finished else "does not exist" if not wanted.exists() else "is no run"
            raise ArtifactError(f"run={wanted}: nothing to resume, it {state}; leave out resume=true to start one")
        return last

    def abandon(self) -> None:
        """Remove a claimed folder in which nothing has happened yet."""
        shutil.rmtree(self.private, ignore_errors=True)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()


def free_name(wanted: Path) -> Path:
    """`wanted`, or the first of `wanted-2`, `wanted-3`, ... that does not exist; the suffix stays at the end."""
    for candidate in _names(wanted.with_suffix("")):
        if not (path := candidate.with_name(candidate.name + wanted.suffix)).exists():
            return path
    raise AssertionError("unreachable: there is always another number")


def _names(wanted: Path):
    yield wanted
    number = 2
    while True:
        yield wanted.with_name(f"{wanted.name}-{number}")
        number += 1
