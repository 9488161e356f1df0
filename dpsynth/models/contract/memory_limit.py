"""A limit on the memory that a piece of work may take in this process, where the system can set one.

A model file states sizes of networks and tables. Whoever wrote it can state any, so a model is built under a limit that
follows from the size of the file: an allocation beyond it fails at once, instead of filling the machine.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HEADROOM = 7 * 2**28  # bytes: libraries reserve memory when they are first used, Arrow alone a gigabyte
HEADROOM_OF_A_CORE = 2**25  # for the stack and the buffers of its thread


@contextmanager
def limited(more: int) -> Iterator[None]:
    """Let the memory of the process grow by `more` bytes at most, beside what libraries need, inside the block.

    An allocation beyond that raises `MemoryError`, or `RuntimeError` from torch. Only Linux keeps such a limit
    (RLIMIT_DATA: writable memory that no file stands behind); elsewhere the block runs without one. Other threads of
    the process share the limit while the block runs.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _used() + more + HEADROOM + HEADROOM_OF_A_CORE * (os.cpu_count() or 1)
    if any(limit not in (resource.RLIM_INFINITY, -1) and limit <= wanted for limit in (soft, hard)):
        yield  # a stricter limit holds already
        return
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    try:
        yield
    finally:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _used() -> int:
    """Bytes of writable memory that the process has now."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmData:"):
            return 1024 * int(line.split()[1])
    return 0
