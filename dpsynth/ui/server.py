"""Serves the page to this computer alone.

The server listens on the loopback address. Other users of the computer could reach that, so the address holds a
random token, without which the page shows and does nothing. Nothing is loaded from elsewhere, and no usage statistics
are sent anywhere.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

from streamlit.web.cli import main as streamlit_command

from dpsynth.errors import ConfigError
from dpsynth.ui.background_command import commands

ADDRESS = "127.0.0.1"
TOKEN, FOLDER = "DPSYNTH_UI_TOKEN", "DPSYNTH_UI_FOLDER"  # environment variables that tell the page
LARGEST_UPLOAD = 2000  # megabytes; larger files are named by their path
_STARTING = 60.0  # seconds
_GRACE = 25.0  # seconds in which running commands save their state


def serve(folder: Path, port: int, browser: bool) -> None:
    """Serve until Ctrl-C. Raises `ConfigError` when the folder or the port cannot be used."""
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(f"--folder {folder}: {error.strerror}") from None
    port = _free(port)
    token = uuid4().hex  # 122 bits from the operating system
    address = f"http://{ADDRESS}:{port}/?token={token}"
    server = subprocess.Popen(
        [sys.executable, "-m", "dpsynth.ui.server", str(Path(__file__).with_name("page.py")), *_flags(port)],
        env={**os.environ, TOKEN: token, FOLDER: str(folder)},
        stdin=subprocess.PIPE,  # closed when this process ends, however it ends; then the server ends, too
        stdout=subprocess.DEVNULL,  # its own greeting
        start_new_session=True,  # Ctrl-C is for this process alone
    )
    try:
        _wait(server, port)
        print(f"{address}\nFor you alone: who has this address can read the data. Projects: {folder}\n"
              "Ctrl-C ends it; training that runs saves its state first.", flush=True)  # fmt: skip
        if browser:
            webbrowser.open_new_tab(address)
        server.wait()
    finally:
        assert server.stdin is not None, "made with one"
        server.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            server.wait(_GRACE)
        server.kill()
    raise ConfigError(f"the server of the page ended by itself (exit code {server.returncode})")


def run_server(words: Sequence[str]) -> None:
    """Run Streamlit in this process until the one that started it ends. words: of `streamlit run`."""
    Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = ["streamlit", "run", *words]
    streamlit_command()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()  # returns when the other end is closed
    commands().stop_all()
    os._exit(0)


def _flags(port: int) -> list[str]:
    settings = {
        "server.address": ADDRESS,
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": LARGEST_UPLOAD,
        "server.enableXsrfProtection": "true",
        "server.enableStaticServing": "false",
        "logger.level": "warning",
        "browser.gatherUsageStats": "false",
        "browser.serverAddress": ADDRESS,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",  # a traceback may hold private values
    }
    return [f"--{key}={value}" for key, value in settings.items()]


def _free(port: int) -> int:
    """The port, or any free one for 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise ConfigError(f"--port {port}: {error.strerror}; leave it out to take a free one") from None
        return int(probe.getsockname()[1])


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    """Until the page answers."""
    end = time.monotonic() + _STARTING
    while time.monotonic() < end and server.poll() is None:
        with suppress(URLError, OSError), urlopen(f"http://{ADDRESS}:{port}/_stcore/health", timeout=1):
            return
        time.sleep(0.1)
    raise ConfigError("the server of the page did not start; try another --port")


if __name__ == "__main__":
    run_server(sys.argv[1:])
