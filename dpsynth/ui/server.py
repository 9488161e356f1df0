"""Serves the page to this computer alone.

The server listens on the loopback address. Other users of the computer could reach that, so the address holds a
random token, without which the page shows and does nothing. Nothing is loaded from elsewhere, and no usage statistics
are sent anywhere.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import streamlit  # noqa: F401  (the command says how to install it when it is not there)

from dpsynth.errors import ConfigError

ADDRESS = "127.0.0.1"
TOKEN, FOLDER = "DPSYNTH_UI_TOKEN", "DPSYNTH_UI_FOLDER"  # environment variables that tell the page
LARGEST_UPLOAD = 2000  # megabytes; larger files are named by their path
_STARTING = 60.0  # seconds
_GRACE = 30.0  # seconds in which running commands save their state


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
        [sys.executable, "-m", "streamlit", "run", str(Path(__file__).with_name("page.py")), *_flags(port)],
        env={**os.environ, TOKEN: token, FOLDER: str(folder)},
        stdout=subprocess.DEVNULL,  # its own greeting
        start_new_session=True,  # Ctrl-C reaches this process, which passes it on once
    )
    try:
        _wait(server, port)
        print(f"{address}\nFor you alone: who has this address can read the data. Projects: {folder}\n"
              "Ctrl-C ends it; training that runs saves its state first.", flush=True)  # fmt: skip
        if browser:
            webbrowser.open(address)
        server.wait()
    except KeyboardInterrupt:
        print("ending", flush=True)
    finally:
        with suppress(ProcessLookupError):
            server.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            server.wait(_GRACE)
        if server.poll() is None:
            server.kill()
    if server.returncode not in (0, -signal.SIGINT, 130):
        raise ConfigError(f"the server of the page ended by itself (exit code {server.returncode})")


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
