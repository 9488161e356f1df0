"""A lock on the folder of a run: one process writes, or several read.

The operating system holds it and gives it back when the process ends, however it ends, so nobody has to clean up after
a crash. The lock file is hidden and empty, and whoever is last removes it. Where no lock can be had (a folder that may
not be written, a system without `fcntl`), readers go on without one: nobody can write there either.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dpsynth.errors import ConfigError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

NAME = ".lock"


class FolderLock:
    """The lock of `folder`, which has to exist."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._file = folder, -1

    @property
    def path(self) -> Path:
        return self.folder / NAME

    def take(self, writing: bool, wait: bool = False) -> bool:
        """Take the lock for writing, or for reading beside other readers; False when others hold it.

        wait: wait until it is free instead.
        """
        assert self._file < 0, "taken already"
        if fcntl is None:
            return True
        how = (fcntl.LOCK_EX if writing else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB)
        while True:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._file, how)
            except BaseException as error:
                self._close()
                if isinstance(error, BlockingIOError):
                    return False
                raise
            if self._current():
                return True
            self._close()  # its file was removed between opening and locking: another one counts now

    def release(self) -> None:
        """Give the lock back, and remove its file when nobody else holds it."""
        if self._file < 0:
            return
        try:
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._current():
                self.path.unlink(missing_ok=True)
        except OSError:  # others read, or the folder may not be written
            pass
        finally:
            self._close()

    def _close(self) -> None:
        os.close(self._file)  # which unlocks it
        self._file = -1

    def _current(self) -> bool:
        """Whether the locked file is the one that others would open."""
        try:
            return os.path.samestat(os.fstat(self._file), self.path.stat())
        except FileNotFoundError:
            return False


@contextmanager
def reading(folder: Path) -> Iterator[FolderLock | None]:
    """Hold the lock of `folder` for reading; None where there can be no lock.

    Raises `ConfigError` while somebody writes.
    """
    lock = FolderLock(folder)
    try:
        free = lock.take(writing=False)
    except OSError:  # nothing can be written here, so nobody writes
        yield None
        return
    if not free:
        raise ConfigError(in_use(folder))
    try:
        yield lock
    finally:
        lock.release()


def in_use(folder: Path) -> str:
    """What to say when another process holds the lock."""
    return f"run={folder}: another process is at work in this folder; wait until it ends, or choose another one"
