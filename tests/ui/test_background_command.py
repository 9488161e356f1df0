"""Commands run beside the page, are stopped by a signal, and say what was wrong."""

import stat
import time

import pytest

from dpsynth.ui.background_command import BackgroundCommands, mistakes, printed


def ended(commands, log):
    end = time.monotonic() + 60
    while commands.alive(log) and time.monotonic() < end:
        time.sleep(0.05)
    return commands.exit_code(log)


def test_what_a_command_prints_is_kept_for_its_owner(tmp_path):
    commands, log = BackgroundCommands(), tmp_path / "logs" / "x.log"
    assert commands.start(["choose-epsilon", "1"], log)
    assert not commands.start(["choose-epsilon", "1"], log), "it runs already"
    assert ended(commands, log) == 0
    assert "advan" in printed(log)
    assert mistakes(log) == []
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_mistake_is_one_line(tmp_path):
    commands, log = BackgroundCommands(), tmp_path / "x.log"
    commands.start(["train", "model=auto", "data=csv", f"data.path={tmp_path}/gone.csv"], log)
    assert ended(commands, log) == 2
    assert len(mistakes(log)) == 1


@pytest.mark.parametrize("everything", [True, False])
def test_a_command_can_be_stopped(tmp_path, everything):
    commands, log = BackgroundCommands(), tmp_path / "x.log"
    commands.start(["ui", "--no-browser", "--folder", str(tmp_path / "projects")], log)  # runs until it is stopped
    end = time.monotonic() + 60
    while "token" not in printed(log) and time.monotonic() < end:
        time.sleep(0.1)
    commands.stop_all() if everything else commands.stop(log)
    assert ended(commands, log) is not None


def test_a_log_that_is_not_there(tmp_path):
    assert printed(tmp_path / "none.log") == ""
    assert BackgroundCommands().exit_code(tmp_path / "none.log") is None
