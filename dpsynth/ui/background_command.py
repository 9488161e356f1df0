"""Commands that take time, as processes of their own: training, evaluation, comparison.

A process outlives the browser's tab, is stopped by the signal that lets training save its state, and cannot take the
page down with it. What it prints goes to a file that only the owner may read.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock

_GRACE = 20.0  # seconds in which a stopped command may save its state
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_TAIL = 20_000  # bytes of a log that are read


class BackgroundCommands:
    """The commands that this server has started, by their log."""

    def __init__(self) -> None:
        self._running: dict[Path, subprocess.Popen[bytes]] = {}
        self._lock = Lock()  # browser sessions are threads

    def start(self, words: Sequence[str], log: Path) -> bool:
        """Run `dpsynth WORDS...` with its output in `log`; False, and nothing happens, if it runs already."""
        with self._lock:
            if self._alive(log):
                return False
            log.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                self._running[log] = subprocess.Popen(
                    [sys.executable, "-m", "dpsynth", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C at the server's terminal is passed on by stop_all
                    env={**os.environ, "COLUMNS": "110", "PYTHONUNBUFFERED": "1"},
                )
            finally:
                os.close(file)
            return True

    def alive(self, log: Path) -> bool:
        """Whether the command with this log still runs."""
        with self._lock:
            return self._alive(log)

    def exit_code(self, log: Path) -> int | None:
        """How it ended: 0 for success, None while it runs or if this server never started it."""
        with self._lock:
            process = self._running.get(log)
            return None if process is None else process.poll()

    def stop(self, log: Path) -> None:
        """Ask a command to save its state and end; returns at once."""
        with self._lock:
            if self._alive(log):
                self._running[log].send_signal(signal.SIGTERM)

    def stop_all(self) -> None:
        """Stop all commands and wait until they have saved their state."""
        with self._lock:
            alive = [process for log, process in self._running.items() if self._alive(log)]
            for process in alive:
                process.send_signal(signal.SIGTERM)
            for process in alive:
                try:
                    process.wait(_GRACE)
                except subprocess.TimeoutExpired:
                    process.kill()

    def _alive(self, log: Path) -> bool:
        process = self._running.get(log)
        return process is not None and process.poll() is None


@cache
def commands() -> BackgroundCommands:
    """Those of this server, shared by all browser sessions."""
    return BackgroundCommands()


def printed(log: Path) -> str:
    """The end of what a command printed, without colours."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return _ANSI.sub("", text).strip()


def mistakes(log: Path) -> list[str]:
    """The lines in which a command said what was wrong."""
    return [line.removeprefix("error: ") for line in printed(log).splitlines() if line.startswith("error: ")]
