"""How a program is asked to stop: Ctrl-C, SIGTERM (a batch system, `kill`) and SIGHUP (a terminal that closes).

All three become an exception, so that whatever is open is closed, what is half-written is removed, and the person reads
how to go on. Only SIGKILL cannot be answered.
"""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "the terminal was closed"}


class Stopped(KeyboardInterrupt):
    """A signal asked the program to end. number: of the signal."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = int(number)


@contextmanager
def stoppable() -> Generator[None]:
    """Raise `Stopped` in the main thread when one of `SIGNALS` arrives; those that are ignored stay ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def answer(number: int, frame: object) -> None:
        raise Stopped(_WORDS[signal.Signals(number).name], number)

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, answer)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
