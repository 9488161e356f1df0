"""The server of the page ends with the command that started it, however that ends, and answers nobody else."""

import os
import signal
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import pytest

pytest.importorskip("streamlit", reason="the page needs the extra 'ui'")


def answers(address):
    try:
        with urlopen(address, timeout=2):
            return True
    except (URLError, OSError):
        return False


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind(tmp_path, number):
    words = [sys.executable, "-m", "dpsynth", "ui", "--no-browser", "--folder", str(tmp_path / "projects")]
    command = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = command.stdout.readline().split("?")[0]
    assert address.startswith("http://127.0.0.1:")
    assert answers(address)
    command.send_signal(number)
    _, said = command.communicate(timeout=120)
    assert command.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in said
    end = time.monotonic() + 60
    while answers(address) and time.monotonic() < end:
        time.sleep(0.2)
    assert not answers(address)
