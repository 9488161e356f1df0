"""How far an evaluation is: a bar on a terminal, a line now and then elsewhere, on stderr.

No remaining time is guessed: scores that fit models come first and take a hundred times as long as the last ones.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dpsynth.metrics.comparison import Report

KINDS = ("auto", "bar", "lines", "quiet")
SECONDS = 10.0  # between two lines


@contextmanager
def following(title: str, kind: str = "auto") -> Iterator[Report]:
    """A function to report (done, in all, what was last done) to.

    kind: one of `KINDS`; `auto` draws a bar on a terminal and prints plain lines elsewhere.
    """
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else "lines"
    if kind == "bar":
        with _bar() as bar:
            task = bar.add_task(title, total=None, last="")
            yield lambda done, total, last: bar.update(task, completed=done, total=total, last=last)
    elif kind == "lines":
        yield _Lines(title)
    else:
        yield lambda done, total, last: None


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[last]}"),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


class _Lines:
    """One plain line every `SECONDS` seconds, and none for what takes less."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun = self._said = time.monotonic()

    def __call__(self, done: int, total: int, last: str) -> None:
        now = time.monotonic()
        if now - self._said < SECONDS:
            return
        self._said = now
        print(
            f"{self._title}: {done} of {total} done in {now - self._begun:.0f} s, {last}", file=sys.stderr, flush=True
        )
