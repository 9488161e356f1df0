"""What a training step says about itself: which figures are public, what a person sees, what `private/` keeps.

A step returns figures by name. A plain number is private: a loss, the median gradient norm or the number of rows in a
batch is computed from private rows without noise, and a terminal is often recorded, copied into reports or kept
by a build server. Only what its author marks as `Public` is shown there; all figures are kept in `private/`.

A listener is called when training starts, every `log_every` steps, and when it stops.  Most figures (loss, gradient
norm) come from private data without noise. The terminal shows those that a step marked as `Public` alone, unless
`trainer.private_console=true`; the files in `private/` hold all.
"""

import csv
import importlib.util
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from dpsynth.errors import ConfigError


@dataclass(frozen=True)
class Public:
    """A figure that follows from public facts and released numbers alone.

    value: a number, or a zero-dimensional tensor. What is computed from it is private again unless it is marked, too.
    """

    value: float | Tensor


Figure = float | Tensor | Public  # a plain number or zero-dimensional tensor is private
Figures = Mapping[str, Figure]


def number(figure: Figure) -> float:
    """The figure itself, whether it may be shown or not."""
    return float(figure.value if isinstance(figure, Public) else figure)


def settled(figures: Figures) -> dict[str, float | Public]:
    """The same figures with their tensors moved to the processor."""
    return {
        name: Public(number(figure)) if isinstance(figure, Public) else number(figure)
        for name, figure in figures.items()
    }


def public(figures: Figures) -> dict[str, float]:
    """The figures that may be shown anywhere."""
    return {name: number(figure) for name, figure in figures.items() if isinstance(figure, Public)}


# -------------------- Progress --------------------------------------------------------------

KINDS = ("auto", "bar", "lines", "quiet")


class Listener(Protocol):
    """Anything that follows a training run."""

    def start(self, title: str, first: int, steps: int) -> None:
        """Training goes from step `first` (0, or later when resumed) to `steps`."""
        ...

    def update(self, step: int, figures: Figures) -> None:
        """`step` steps are done; `figures` belong to the last one, private unless they are `Public`."""
        ...

    def stop(self) -> None:
        """Training ended, for whatever reason."""
        ...


class Quiet:
    """Says nothing."""

    def start(self, title: str, first: int, steps: int) -> None: ...

    def update(self, step: int, figures: Figures) -> None: ...

    def stop(self) -> None: ...


class Together:
    """Several listeners as one."""

    def __init__(self, *listeners: Listener):
        self.listeners = listeners

    def start(self, title: str, first: int, steps: int) -> None:
        for listener in self.listeners:
            listener.start(title, first, steps)

    def update(self, step: int, figures: Figures) -> None:
        for listener in self.listeners:
            listener.update(step, figures)

    def stop(self) -> None:
        for listener in self.listeners:
            listener.stop()


class Bar:
    """A progress bar with the remaining time and the latest figures: public ones, or all with `private`."""

    def __init__(self, console: Console | None = None, private: bool = False):
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
        )
        self._bar = Progress(*columns, console=console or Console(stderr=True), transient=False)
        self._task, self._private = None, private

    def start(self, title: str, first: int, steps: int) -> None:
        self._task = self._bar.add_task(title, total=steps, completed=first, figures="")
        self._bar.start()

    def update(self, step: int, figures: Figures) -> None:
        assert self._task is not None, "update before start"
        self._bar.update(self._task, completed=step, figures=_readable(figures, self._private))

    def stop(self) -> None:
        self._bar.stop()


class Lines:
    """One plain line every `seconds`, for log files and terminals that cannot redraw.

    Shows public figures, or all with `private`.
    """

    def __init__(self, stream: TextIO | None = None, seconds: float = 10.0, private: bool = False):
        self._stream = stream or sys.stderr
        self._seconds, self._private = seconds, private

    def start(self, title: str, first: int, steps: int) -> None:
        self._title, self._first, self._steps = title, first, steps
        self._begun = self._said = time.monotonic()

    def update(self, step: int, figures: Figures) -> None:
        now = time.monotonic()
        if now - self._said < self._seconds and step < self._steps:
            return
        self._said = now
        left = (now - self._begun) / max(step - self._first, 1) * (self._steps - step)
        parts = (f"{self._title}: step {step}/{self._steps}", f"{left:.0f} s left", _readable(figures, self._private))
        line = ", ".join(part for part in parts if part)
        print(line, file=self._stream, flush=True)

    def stop(self) -> None: ...


class CsvLog:
    """`train_log.csv`: one row for each figure of each update, for every training of the run.

    A training that is resumed writes the rows after its first step again.
    """

    HEAD = ("training", "step", "seconds", "figure", "value")

    def __init__(self, path: Path):
        self.path = path

    def start(self, title: str, first: int, steps: int) -> None:
        self._title, self._begun = title, time.monotonic()
        kept: list[list[str]] = []
        if self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                kept = list(csv.reader(file))[1:]
        self._file = self.path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerow(self.HEAD)
        self._writer.writerows(row for row in kept if row[0] != title or int(row[1]) <= first)

    def update(self, step: int, figures: Figures) -> None:
        seconds = f"{time.monotonic() - self._begun:.2f}"
        for name, figure in figures.items():
            self._writer.writerow([self._title, step, seconds, name, repr(number(figure))])
        self._file.flush()

    def stop(self) -> None:
        self._file.close()


class TensorBoard:
    """The same figures as TensorBoard events in `folder`.  Raises `ConfigError` when it is not installed."""

    def __init__(self, folder: Path):
        if importlib.util.find_spec("tensorboard") is None:
            raise ConfigError("trainer.tensorboard=true: TensorBoard is not installed; run pip install tensorboard")
        self.folder = folder

    def start(self, title: str, first: int, steps: int) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter  # slow to import, and optional

        self._writer: Any = SummaryWriter(str(self.folder / title.replace(" ", "-")), purge_step=first + 1)

    def update(self, step: int, figures: Figures) -> None:
        for name, figure in figures.items():
            self._writer.add_scalar(name, number(figure), step)

    def stop(self) -> None:
        self._writer.close()


def listen(
    kind: str = "auto", folder: Path | None = None, tensorboard: bool = False, private_console: bool = False
) -> Listener:
    """The listeners for `trainer.progress=kind`, logging into `folder` (a run's `private/`) when one is given.

    `auto` draws a bar on a terminal and prints plain lines elsewhere.
    private_console: let the terminal show private figures, too.
    """
    if kind not in KINDS:
        raise ConfigError(f"trainer.progress={kind}: choose one of {', '.join(KINDS)}")
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else "lines"
    terminal: Listener = Quiet()
    if kind != "quiet":
        terminal = Bar(private=private_console) if kind == "bar" else Lines(private=private_console)
    listeners: list[Listener] = [terminal]
    if folder is not None:
        listeners.append(CsvLog(folder / "train_log.csv"))
    if tensorboard:
        if folder is None:
            raise ConfigError("trainer.tensorboard=true: needs the folder of a run to write into")
        listeners.append(TensorBoard(folder / "tensorboard"))
    return Together(*listeners)


def _readable(figures: Figures, private: bool) -> str:
    shown = {name: number(figure) for name, figure in figures.items()} if private else public(figures)
    return ", ".join(f"{name.replace('_', '-')} {value:.3g}" for name, value in shown.items())
