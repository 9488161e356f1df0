"""Counting on several processes or machines with Dask Distributed.

Every worker runs the whole plan on its own pieces of the table and hands on one array of counts for each scan:
what travels is cells, not rows. The arrays are added up in a tree, on the workers. A piece is a task that depends on
nothing but its file and row groups, so when a worker is lost the scheduler runs lost tasks again elsewhere, and every
piece enters the sum exactly once. Encoded files must have the same path on every worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from dpsynth.errors import ConfigError
from dpsynth.marginals.counting.encoded_files import EncodedFiles, Partition, read_blocks
from dpsynth.marginals.counting.numba_kernel import NumbaTally
from dpsynth.marginals.counting.plan import CountingPlan

_MOST_ROWS = 8_388_608  # of a piece
_PIECES_PER_THREAD = 4  # so that fast workers take over from slow ones
_FAN_IN = 8
_PATIENCE = 10  # seconds to reach a scheduler
_RETRIES = 3  # of a piece that raised, as when a shared disk hiccups


def totals_on_workers(
    source: EncodedFiles | np.ndarray, plan: CountingPlan, address: str | None = None, threads: int = 1
) -> list[np.ndarray]:
    """Flat int64 counts of each scan of the plan.

    address  of a running scheduler, such as tcp://10.0.0.1:8786; its workers count with as many threads as each has.
             None: a cluster within this process, of `threads` threads

    Raises `ConfigError` when Dask is not installed, the scheduler cannot be reached or workers keep dying.
    """
    with _client(address, threads) as client:
        from distributed.scheduler import KilledWorker

        pieces = _pieces(source, sum(client.nthreads().values()))
        options = {"pure": False, "retries": _RETRIES}
        sums = [client.submit(count_piece, piece, plan, **options) for piece in pieces]
        while len(sums) > 1:
            groups = [sums[start : start + _FAN_IN] for start in range(0, len(sums), _FAN_IN)]
            sums = [client.submit(add, group, **options) for group in groups]
        try:
            return sums[0].result()
        except KilledWorker as error:
            raise ConfigError(f"workers died while counting ({error}); give them more memory") from None


def count_piece(piece: Partition | np.ndarray, plan: CountingPlan) -> list[np.ndarray]:
    """Counts of each scan over one piece, by one thread; a worker runs as many pieces at once as it has threads."""
    tally = NumbaTally(plan.scans, plan.sizes)
    blocks = read_blocks([piece], plan.columns, plan.sizes) if isinstance(piece, Partition) else [piece]
    for block in blocks:
        tally.add(block)
    return tally.totals()


def add(parts: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """The sum of several lists of counts."""
    return [np.sum(arrays, axis=0) for arrays in zip(*parts, strict=True)]


def _pieces(source: EncodedFiles | np.ndarray, threads: int) -> Sequence[Partition | np.ndarray]:
    rows = min(max(len(source) // (_PIECES_PER_THREAD * max(threads, 1)), 1), _MOST_ROWS)
    if isinstance(source, EncodedFiles):
        return source.pieces(rows)
    return [source[start : start + rows] for start in range(0, len(source), rows)] or [source]


@contextmanager
def _client(address: str | None, threads: int) -> Iterator[Any]:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigError("engine=dask needs Dask Distributed: pip install 'dpsynth-torch[dask]'") from None
    if address is None:
        local: dict[str, Any] = {"n_workers": 1, "processes": False, "dashboard_address": ":0"}
        with LocalCluster(threads_per_worker=threads, **local) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise ConfigError(f"no Dask scheduler at {address!r} ({error}); check marginals.address") from None
    with client:
        if not client.nthreads():
            raise ConfigError(
                f"the Dask scheduler at {address!r} has no workers; start some with: dask worker {address}"
            )
        yield client
