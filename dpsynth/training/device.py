"""Where training runs: device names, processor threads and optional compilation."""

import os
from collections.abc import Generator
from contextlib import contextmanager

import torch

from dpsynth.errors import ConfigError
from dpsynth.privacy.distributed import together

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(name: str = "auto") -> torch.device:
    """The torch device called `name`; `auto` takes CUDA, then Apple's MPS, then the processor.

    A numbered CUDA device ("cuda:1") is accepted; under torchrun every process takes a CUDA device of its own.
    Raises `ConfigError` when the device does not exist here.
    """
    kind = name.partition(":")[0]
    if kind not in DEVICES:
        raise ConfigError(f"trainer.device={name}: choose one of {', '.join(DEVICES)}")
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind == "auto":
        name = kind = next(each for each in ("cuda", "mps", "cpu") if present[each])
    if name == "cuda" and together():  # torchrun numbers the processes of a machine
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    if not present[kind]:
        raise ConfigError(f"trainer.device={name}: this machine has no such device; use auto or cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"trainer.device={name}: not a device name; write for example cuda:0") from None
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"trainer.device={name}: this machine has {torch.cuda.device_count()} CUDA devices")
    return device


@contextmanager
def processor_threads(count: int | None) -> Generator[None]:
    """Let torch use `count` threads inside the block; None leaves its own choice."""
    if count is None:
        yield
        return
    if count < 1:
        raise ConfigError(f"trainer.threads={count}: needs at least one thread, or null for torch's own choice")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
