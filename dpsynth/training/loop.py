"""The one training loop of every gradient-trained model, and the average of the weights along its path.

The average is exponential, and post-processing: it costs nothing.

The number of steps is public and fixed beforehand; nothing the loop sees can end it early or choose a
checkpoint, because early stopping on private losses is a leak.  The model supplies the parts, the loop the
order: set the learning rate, `step(t)` leaves the privatised gradient in `.grad`, optimizer, weight average.

A run that was interrupted and resumed gives the same numbers as one that was not: module, optimizer, average,
step and model generators come back from the checkpoint, and the privacy noise of step t depends only on the
stored key and on t.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from dpsynth.errors import ConfigError
from dpsynth.training.checkpoint import NO_GENERATORS, Checkpoint, Stateful
from dpsynth.training.device import processor_threads
from dpsynth.training.progress import Figures, Listener, Quiet, settled
from dpsynth.training.stopping import SIGNALS, Stopped


class ExponentialAverage:
    """average <- d average + (1 - d) weights after every step, with d = min(decay, (t + 1) / (t + 10)).

    The ramp keeps the first, untrained weights from staying in the average of a short run.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self._average = [parameter.detach().clone() for parameter in module.parameters()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimizer step `step`, counted from 0."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for average, parameter in zip(self._average, self.module.parameters(), strict=True):
            average.lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        """Give the module the averaged weights; for the end of training."""
        for average, parameter in zip(self._average, self.module.parameters(), strict=True):
            parameter.copy_(average)

    def state_dict(self) -> dict[str, Any]:
        return {str(k): average for k, average in enumerate(self._average)}

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        for k, average in enumerate(self._average):
            average.copy_(state_dict[str(k)])


# -------------------- Loop ------------------------------------------------------------------


@dataclass(frozen=True)
class TrainerSettings:
    """How training runs on this machine; none of it changes the guarantee.

    device: auto, cpu, cuda, cuda:N or mps.  threads: processor threads, None for torch's choice.
    compile: run `module` through torch.compile.  checkpoint_minutes: time between checkpoints.
    log_every: steps between progress figures.  tensorboard, progress: see `dpsynth.training.progress.listen`.
    private_console: show what is computed from private rows without noise (losses, gradient norms, checksums of the
    data files) on the terminal too, instead of in `private/` alone.
    """

    device: str = "auto"
    threads: int | None = None
    compile: bool = False
    checkpoint_minutes: float = 5.0
    log_every: int = 25
    tensorboard: bool = False
    progress: str = "auto"
    private_console: bool = False

    def __post_init__(self):
        if self.log_every < 1:
            raise ConfigError(f"trainer.log_every={self.log_every}: must be at least 1")
        if self.checkpoint_minutes < 0:
            raise ConfigError(f"trainer.checkpoint_minutes={self.checkpoint_minutes}: must not be negative")


class Averaging(Stateful, Protocol):
    """A running average of the weights along the path of training."""

    def update(self, step: int) -> None:
        """Called after every optimizer step."""
        ...


class Interrupted(Stopped):
    """Training was asked to stop; the checkpoint holds everything up to `step`."""

    def __init__(self, step: int, steps: int, number: int = signal.SIGINT):
        super().__init__(f"interrupted after step {step} of {steps}", number)
        self.step, self.steps = step, steps


def train(
    module: nn.Module,
    step: Callable[[int], Figures],
    optimizer: torch.optim.Optimizer,
    schedule: Callable[[int], float],
    steps: int,
    averaging: Averaging | None = None,
    *,
    settings: TrainerSettings,
    generators: Mapping[str, torch.Generator] = NO_GENERATORS,
    more: Mapping[str, Stateful] | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Listener | None = None,
    title: str = "training",
) -> None:
    """Train `module` in place for exactly `steps` steps.

    step(t): leaves the gradient to apply in `.grad` of the parameters and returns figures (`loss`, `noise_to_signal`,
        ...): private, unless the step marks one as `Public`. Zero-dimensional tensors are only moved to the processor
        when they are logged.
    schedule(t): the factor on the optimizer's own learning rates at step t.
    generators: the random generators that `step` goes on using from step to step; they belong to the state.
    more: what else `step` remembers from step to step, by name.
    checkpoint: where state is kept; training goes on from it when it holds some.

    Raises `Interrupted` after Ctrl-C, SIGTERM or SIGHUP, once the current step is finished and saved.
    """
    progress = progress or Quiet()
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    parts: dict[str, Stateful] = {"module": module, "optimizer": optimizer, **(more or {})}
    if averaging is not None:
        parts["averaging"] = averaging
    first = checkpoint.restore(parts, generators) if checkpoint else 0
    if settings.compile:
        cast(Any, module).compile()

    progress.start(title, first, steps)
    try:
        with processor_threads(settings.threads), _interruptible(checkpoint is not None) as asked:
            saved = time.monotonic()
            for t in range(first, steps):
                for group in optimizer.param_groups:
                    group["lr"] = group["initial_lr"] * schedule(t)
                figures = _compiled(step, t) if settings.compile and t == first else step(t)
                optimizer.step()
                if averaging is not None:
                    averaging.update(t)

                done = t + 1
                if done % settings.log_every == 0 or done == steps:
                    progress.update(done, settled(figures))
                due = time.monotonic() - saved >= 60 * settings.checkpoint_minutes
                if checkpoint and (due or done == steps or asked):
                    checkpoint.save(done, parts, generators)
                    saved = time.monotonic()
                if asked:
                    raise Interrupted(done, steps, asked[0])
    finally:
        progress.stop()


def _compiled(step: Callable[[int], Figures], t: int) -> Figures:
    """The first step of a compiled module, where a machine without a compiler shows itself."""
    from torch._dynamo.exc import TorchDynamoException

    try:
        return step(t)
    except TorchDynamoException as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"trainer.compile=true does not work on this machine ({reason}); use false") from error


@contextmanager
def _interruptible(wanted: bool) -> Generator[list[int]]:
    """Note the first signal that asks to stop, for the loop to answer between steps; a second one is obeyed at once.

    Signals can only be caught in the main thread; elsewhere, and without a checkpoint, nothing is changed.
    """
    asked: list[int] = []
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def answer(number: int, frame: object) -> None:
        asked.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, answer)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
