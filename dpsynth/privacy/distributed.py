"""Several processes that train as one, as torchrun starts them: who leads, and one privacy key for all.

Every process holds all rows and goes through the same fit. Costly sums are divided and added up (`summed`); every other
query is made by each process. With the leader's key these are the same query with the same
noise, so they are one release, made several times. With a key of its own each process would draw noise of its own, and
the average over processes would reveal more than was charged.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

from dpsynth.errors import DpsynthError
from dpsynth.privacy.noise.random import PrivacyGenerator, RandomGenerators

Value = TypeVar("Value")


def together() -> bool:
    """Whether several processes train as one."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def leading() -> bool:
    """Whether this process is the one that writes; True when it is alone."""
    return not together() or distributed.get_rank() == 0


def shared(randomness: RandomGenerators) -> RandomGenerators:
    """The leader's random generators, on every process; `randomness` themselves when this process is alone."""
    if not together():
        return randomness
    sent: list[Any] = [(randomness.seed, randomness.privacy.state())]
    distributed.broadcast_object_list(sent, src=0)
    if leading():
        return randomness
    seed, state = sent[0]
    return RandomGenerators(seed, privacy=PrivacyGenerator.from_state(state))


def summed(part: Tensor, release: Callable[[Tensor], Tensor]) -> Tensor:
    """`release` of the sum of every process's `part`, called by rank 0 alone; the answer on every process."""
    distributed.reduce(part, 0)
    answer = release(part) if leading() else part
    distributed.broadcast(answer, 0)
    return answer


def divided(drawn: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
    """This process's part of the row numbers that rank 0 draws: every world-size-th of them."""
    rank, world = distributed.get_rank(), distributed.get_world_size()
    size = torch.zeros(1, dtype=torch.int64)
    rows = size
    if rank == 0:
        rows = torch.from_numpy(drawn())
        size = size + len(rows)
    distributed.broadcast(size, 0)
    if rank != 0:
        rows = torch.zeros(int(size), dtype=torch.int64)
    distributed.broadcast(rows, 0)
    return rows[rank::world].numpy()


def shared_key(key: bytes) -> bytes:
    """The leader's key on every process, so that all of them select the same rows."""
    return leading_value(key)


def leading_value(value: Value) -> Value:
    """The leader's `value` on every process; `value` itself when this process is alone."""
    if not together():
        return value
    sent: list[Any] = [value]
    distributed.broadcast_object_list(sent, src=0)
    return sent[0]


@contextmanager
def joined() -> Generator[None]:
    """Join the processes that torchrun has started beside this one, for the length of the block.

    Does nothing without torchrun, or where the processes are joined already. Raises `DpsynthError`, which names them,
    when others ended before this one and took it with them.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or distributed.is_initialized():
        yield
        return
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    others = _others()
    try:
        yield
    except (KeyboardInterrupt, RuntimeError):  # torchrun ends the rest, or a sum waits in vain
        gone = [rank for rank, number in others.items() if not _runs(number)]
        if not gone:
            raise
        ended = f"process {gone[0]} ended" if len(gone) == 1 else f"processes {', '.join(map(str, gone))} ended"
        raise DpsynthError(
            f"{ended} before process {distributed.get_rank()} of {distributed.get_world_size()} was done (torchrun "
            "says how); nothing was released, and several processes keep no checkpoint: start the run anew"
        ) from None
    finally:
        distributed.destroy_process_group()


def _others() -> dict[int, int]:
    """The numbers that the system gave the other processes on this computer, by rank."""
    told: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(told, (socket.gethostname(), os.getpid()))
    return {
        rank: number
        for rank, (host, number) in enumerate(told)
        if host == socket.gethostname() and number != os.getpid()
    }


def _runs(number: int) -> bool:
    """Whether there is a process with this number that has not ended."""
    try:
        os.kill(number, 0)
    except OSError:
        return False
    try:
        state = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (OSError, IndexError, UnicodeDecodeError):  # a system that does not say
        return True
    return state not in "ZX"
