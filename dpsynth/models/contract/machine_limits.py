"""What a run may take of the machine: refused before anything is allocated, with the figure and what to do.

The figures are estimates from public facts (columns, codes, settings), so a refusal says nothing of the data.

A model file states sizes of networks and tables. Whoever wrote it can state any, so a model is built under a limit that
follows from the size of the file (`limited`): an allocation beyond it fails at once, instead of filling the machine.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from dpsynth.errors import ConfigError
from dpsynth.privacy.ledger import Plan
from dpsynth.training import TrainerSettings, resolve_device

GROUP = Path("/sys/fs/cgroup")  # of a container with a limit of its own
HEADROOM = 7 * 2**28  # bytes: libraries reserve memory when they are first used, Arrow alone a gigabyte
HEADROOM_OF_A_CORE = 2**25  # for the stack and the buffers of its thread


def available_memory() -> int | None:
    """Bytes that this process may still take without swapping; None where the system does not say."""
    found: list[int] = []
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        found.append(1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))))
    with suppress(OSError, ValueError):
        limit, used = (int((GROUP / name).read_text(encoding="utf-8")) for name in ("memory.max", "memory.current"))
        found.append(max(0, limit - used))
    if not found:
        with suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(found, default=None)


def refuse_beyond_memory(plan: Plan, settings: TrainerSettings) -> None:
    """`ConfigError` when a fit on the processor needs more memory than the machine has left."""
    if resolve_device(settings.device).type != "cpu":
        return
    free = available_memory()
    if free is not None and plan.memory_bytes > free:
        raise ConfigError(
            f"the fit takes about {plan.memory_bytes / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB are free: "
            "use fewer columns, bins or categories, or model=mst or independent, or a larger machine"
        )


def refuse_beyond_free_memory(needed: int, what: str, advice: str) -> None:
    """`ConfigError` when `what` takes more memory than the machine has left."""
    free = available_memory()
    if free is not None and needed > free:
        raise ConfigError(
            f"{what}: about {needed / 2**30:,.1f} GiB of memory, and {free / 2**30:.1f} are free: {advice}"
        )


def refuse_beyond_disk(needed: int, path: Path, what: str) -> None:
    """`ConfigError` when a file at `path` of about `needed` bytes does not fit on its disk."""
    folder = next((parent for parent in path.absolute().parents if parent.is_dir()), Path("/"))
    free = shutil.disk_usage(path if path.is_dir() else folder).free
    if needed > free:
        raise ConfigError(
            f"{what}: the file would have about {needed / 2**30:,.1f} GiB, and {free / 2**30:.1f} are free where it "
            "is written: ask for fewer rows, or another disk"
        )


def refuse_beyond_hours(hours: float, most: float, reason: str, advice: str) -> None:
    """`ConfigError` when a fit would take longer than `most` hours by its estimate."""
    if hours > most:
        raise ConfigError(
            f"{reason}, about {hours:,.0f} hours of work, more than model.most_hours={most:g}: {advice}, or raise the "
            "limit"
        )


@contextmanager
def limited(more: int) -> Generator[None]:
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
