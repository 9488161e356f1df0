"""The folder of one run: what is safe to share in `release/`, what is not in `private/`.

    run/release/   model.json  model.safetensors  privacy.json  synthetic.csv
    run/private/   config.yaml  rows.key  data.txt  intake.json  checkpoint/  train_log.csv
                   scores.json  report.html  figures/

`private/` is made with everything that a resumed run needs, and appears whole: it is the claim. A run is finished when
`release/` is there, which is written to a temporary place and appears whole, too.  A finished run is never overwritten
by accident, and with `overwrite` only once its successor is finished. Whoever writes in the folder holds its lock
(folder_lock.py).
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dpsynth.errors import ArtifactError, ConfigError
from dpsynth.runs.folder_lock import NAME as LOCK
from dpsynth.runs.folder_lock import FolderLock, in_use, reading

KEY_BYTES = 32


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

    @property
    def checkpoint(self) -> Path:
        return self.private / "checkpoint"

    @property
    def finished(self) -> bool:
        return self.release.is_dir()

    @property
    def unfinished(self) -> bool:
        return self.config.exists() and not self.finished

    def kept_key(self) -> bytes:
        """The key of this run; `ArtifactError` when it did not stay with the run."""
        try:
            key = bytes.fromhex(self.rows_key.read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise ArtifactError(
                f"{self.rows_key}: missing or damaged, so the rows that this run was trained on cannot be found again; "
                "start a new run, or evaluate the release with real=... holdout=... synthetic=... schema=..."
            )
        return key

    def keep_key(self, key: bytes) -> None:
        """Write the key, for its owner's eyes only."""
        with open(os.open(self.rows_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(key.hex() + "\n")

    @classmethod
    def claim(cls, wanted: Path, fill: Callable[["RunFolder"], object]) -> tuple["RunFolder", FolderLock]:
        """A folder of one's own, and its lock: `wanted` if it is free, else the next free of `wanted-2`, `wanted-3`...

        fill: writes what `private/` must hold from its first moment on into the `private` of the run it is given; when
        it fails, nothing stays.
        """
        for candidate in _names(wanted):
            made = not candidate.exists()
            candidate.mkdir(parents=True, exist_ok=True)
            run, lock = cls(candidate), FolderLock(candidate)
            if not lock.take(writing=True):
                continue
            try:
                if not run._foreign() and not run.private.exists() and not run.release.exists():
                    run._remove_leftovers()
                    run._appear(fill)
                    return run, lock
            except BaseException:
                lock.release()
                if made and not any(candidate.iterdir()):
                    candidate.rmdir()
                raise
            lock.release()
        raise AssertionError("unreachable: there is always another number")

    @classmethod
    def first_free(cls, wanted: Path) -> Path:
        """The folder that `claim` would take now."""
        for candidate in _names(wanted):
            run = cls(candidate)
            try:
                if not candidate.exists() or (candidate.is_dir() and all(_part(e.name) for e in candidate.iterdir())):
                    return run.path
            except OSError:  # a folder that may not be read; `claim` says so
                return run.path
        raise AssertionError("unreachable: there is always another number")

    def _appear(self, fill: Callable[["RunFolder"], object]) -> None:
        """Make `private/`, readable by its owner alone, filled from the beginning."""
        temporary = Path(tempfile.mkdtemp(prefix=".private-", dir=self.path))  # mode 0700
        try:
            (temporary / "private").mkdir(mode=0o700)
            fill(RunFolder(temporary))
            os.rename(temporary / "private", self.private)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _foreign(self) -> list[Path]:
        """What lies in the folder and belongs to no run."""
        return [entry for entry in self.path.iterdir() if not _own(entry.name)]

    @classmethod
    def to_overwrite(cls, wanted: Path) -> bool:
        """Whether there is a run at `wanted` to be replaced. Raises `ConfigError` where something else lies, or while
        another process is at work there."""
        run, lock = cls(wanted), FolderLock(wanted)
        if not wanted.exists() or (wanted.is_dir() and not any(entry.name != LOCK for entry in wanted.iterdir())):
            return False
        if not (run.finished or run.unfinished):
            raise ConfigError(f"run={wanted}: exists and is not the folder of a run; choose another one")
        if not lock.take(writing=True):
            raise ConfigError(in_use(wanted))
        lock.release()
        return True

    def replace(self, wanted: Path, own: FolderLock) -> "RunFolder":
        """Put this finished run, whose lock `own` the caller holds, into the place of the one at `wanted`.

        The old one is there until the new one can take its place, and comes back if that fails. Anything else in the
        old folder stays. Waits for those who read the old run.
        """
        restore(wanted)
        lock, old = FolderLock(wanted), _replaced(wanted)
        if wanted.exists():
            lock.take(writing=True, wait=True)
        try:
            if wanted.exists():
                os.rename(wanted, old)
            try:
                os.rename(self.path, wanted)
            except OSError:
                if old.exists():
                    os.rename(old, wanted)
                raise
            own.folder = wanted
            for entry in RunFolder(old)._foreign() if old.exists() else ():
                os.rename(entry, wanted / entry.name)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            lock.release()
        return RunFolder(wanted)

    @classmethod
    def to_resume(cls, wanted: Path) -> tuple["RunFolder", FolderLock]:
        """The latest unfinished run among `wanted`, `wanted-2`, ..., and its lock.

        Raises `ArtifactError` when there is none, `ConfigError` while another process is at work in it.
        """
        cls(wanted).clear()
        last = None
        for candidate in _names(wanted):
            if not candidate.exists():
                break
            if cls(candidate).unfinished:
                last = cls(candidate)
        if last is None:
            state = "is finished" if cls(wanted).finished else "does not exist" if not wanted.exists() else "is no run"
            raise ArtifactError(f"run={wanted}: nothing to resume, it {state}; leave out resume=true to start one")
        lock = FolderLock(last.path)
        if not lock.take(writing=True):
            raise ConfigError(in_use(last.path))
        if not last.unfinished:  # finished a moment ago
            lock.release()
            raise ArtifactError(f"run={last.path}: nothing to resume, it is finished; leave out resume=true")
        last._remove_leftovers()
        return last, lock

    def clear(self) -> None:
        """Remove what a process that was killed left behind, and say so; nothing happens while others work here."""
        restore(self.path)
        lock = FolderLock(self.path)
        try:
            if not self.path.is_dir() or not lock.take(writing=True):
                return
        except OSError:  # a folder in which nothing can be written
            return
        try:
            self._remove_leftovers()
        finally:
            lock.release()

    def _remove_leftovers(self) -> None:
        """Parts of files that never became whole and, in a finished run, the checkpoint with the key of the noise."""
        found = [
            entry
            for folder in (self.path, self.release, self.private, self.checkpoint)
            if folder.is_dir()
            for entry in folder.iterdir()
            if _part(entry.name)
        ]
        if self.finished and self.checkpoint.exists():
            found.append(self.checkpoint)
        for entry in found:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
            if entry.exists():
                print(f"could not remove {entry}, left behind by a run that was killed; remove it", file=sys.stderr)
            else:
                print(f"removed {entry}, left behind by a run that was killed", file=sys.stderr)

    def abandon(self) -> None:
        """Remove a claimed folder in which nothing has happened yet; the caller holds its lock."""
        shutil.rmtree(self.private, ignore_errors=True)
        if self.path.is_dir() and not any(entry.name != LOCK for entry in self.path.iterdir()):
            shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def run_being_read(folder: str | Path) -> Iterator[None]:
    """Clear what a killed process left in a run, and keep others from writing there while the block runs.

    folder: of the run, or its `release/`; a release without a run around it is not locked. Raises `ConfigError` while
    the run is being trained.
    """
    path = Path(folder)
    path = path.parent if path.name == "release" and (path.parent / "private").is_dir() else path
    run = RunFolder(path)
    run.clear()
    if not run.private.is_dir():
        yield
        return
    with reading(path):
        yield


def restore(wanted: Path) -> None:
    """Put a run back whose replacement was killed between two renames; its successor is whole beside it."""
    old = _replaced(wanted)
    if not old.exists():
        return
    if wanted.exists():
        for entry in RunFolder(old)._foreign():
            if not (wanted / entry.name).exists():
                os.rename(entry, wanted / entry.name)
        shutil.rmtree(old, ignore_errors=True)
        print(f"removed {old}, a run that was replaced before", file=sys.stderr)
    else:
        os.rename(old, wanted)
        print(f"restored {wanted}, whose replacement was killed", file=sys.stderr)


def _replaced(wanted: Path) -> Path:
    """Where a run is kept while another takes its place."""
    return wanted.with_name(f".{wanted.name}.replaced")


def _part(name: str) -> bool:
    """Whether a name is that of something written to a temporary place: by `write_whole`, `temporary_folder`,
    `write_state`, `claim`."""
    return name.endswith((".part", ".partial")) or name.startswith((".release-", ".private-", ".generate-"))


def _own(name: str) -> bool:
    return name in ("release", "private", LOCK) or _part(name)


def free_name(wanted: Path) -> Path:
    """`wanted`, or the first of `wanted-2`, `wanted-3`, ... that does not exist; the suffix stays at the end."""
    for candidate in _names(wanted.with_suffix("")):
        if not (path := candidate.with_name(candidate.name + wanted.suffix)).exists():
            return path
    raise AssertionError("unreachable: there is always another number")


def _names(wanted: Path) -> Iterator[Path]:
    yield wanted
    number = 2
    while True:
        yield wanted.with_name(f"{wanted.name}-{number}")
        number += 1
