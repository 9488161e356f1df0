"""A limit on the memory that a piece of work may take in this process, where the system can set one.

A model file states sizes of networks and tables. Whoever wrote it can state any, so a model is built under a limit that
follows from the size of the file: an allocation beyond it fails at once, instead of filling the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LEAST = 2**30  # bytes: threads and libraries that are loaded on the way reserve address space, too


@contextmanager
def limited(more: int) -> Iterator[None]:
    """Let the address space of the process grow by at most `more` bytes, 1 GiB at least, inside the block.

    An allocation beyond that raises `MemoryError`, or `RuntimeError` from torch. Only Linux keeps such a limit;
    elsewhere the block runs without one. Other threads of the process share the limit while the block runs.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    wanted = pages * resource.getpagesize() + max(more, LEAST)
    before = soft if soft != resource.RLIM_INFINITY else None
    if (before is not None and before <= wanted) or (hard != resource.RLIM_INFINITY and hard < wanted):
        yield  # a stricter limit holds already
        return
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
