"""How every Hydra command starts and how it ends when something is wrong.

A mistake that its user can correct ends with one line on stderr and exit code 2; Ctrl-C with one line and 130;
only errors in the program itself show a traceback.  Hydra writes no folders of its own.
"""

import functools
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import hydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from dpsynth.commands.config_files import config_folder
from dpsynth.commands.near_misses import choice_hint, flag_mistake, option_hint
from dpsynth.errors import ConfigError, DpsynthError
from dpsynth.runs.command_line import FIXED, as_called, fixed, quoted
from dpsynth.runs.folder_lock import FolderLock
from dpsynth.training import stoppable

SCRATCH = "dpsynth-scratch-"
STALE = 60.0  # seconds after which a scratch folder that nobody has locked belongs to nobody
MISTAKES = (DpsynthError, HydraException, OmegaConfBaseException, OSError, MemoryError)


def launch(name: str, command: Callable[[DictConfig], None]) -> None:
    """Compose `configs/<name>.yaml` with the overrides of the command line, run `command` on it, and exit.

    With -m, `command` runs once for each combination; all run even if some fail.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # every exception reaches this function, not Hydra's own printer
    arguments = sys.argv
    try:
        if mistake := flag_mistake(name, arguments[1:]):
            raise ConfigError(mistake)
        with ending(), _scratch() as scratch:
            failed = scratch / "failed"
            job = _logging_mistakes(command, failed, name)
            os.environ["DPSYNTH_SCRATCH"] = str(scratch)  # where configs/*.yaml let Hydra write its multirun.yaml
            flags = [word for word in arguments[1:] if word in ("-m", "--multirun")]  # allowed anywhere
            words = quoted(arguments[1:])
            swept = [f"{FIXED}=[{','.join(fixed(words))}]"] if flags else []
            sys.argv = [arguments[0], *flags, *(word for word in words if word not in flags), *swept]
            hydra.main(config_path=str(config_folder()), config_name=name, version_base="1.3")(job)()
            mistaken = failed.exists()
    except MISTAKES as error:
        report_mistake(error, name, arguments[1:])
        sys.exit(2)
    finally:
        sys.argv = arguments
    if mistaken:
        sys.exit(2)


@contextmanager
def ending() -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and SIGHUP inside the block into one line and the exit code that shells give them."""
    try:
        with stoppable():
            yield
    except KeyboardInterrupt as stop:
        with suppress(OSError):  # the terminal may be gone
            print(f"stopped: {stop or 'interrupted'}", file=sys.stderr, flush=True)
        sys.exit(128 + getattr(stop, "number", signal.SIGINT))


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for as long as the block runs; those of processes that were killed are removed on the way."""
    for stale in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        with suppress(OSError, AttributeError):  # of somebody else, or gone; no os.getuid where there are no users
            found, lock = stale.lstat(), FolderLock(stale)
            mine = found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode)
            if mine and time.time() - found.st_mtime > STALE and lock.take(writing=True):
                shutil.rmtree(stale, ignore_errors=True)
                lock.release()
    with tempfile.TemporaryDirectory(prefix=SCRATCH) as folder:
        lock = FolderLock(Path(folder))
        lock.take(writing=True)
        try:
            yield Path(folder)
        finally:
            lock.release()


def report_mistake(error: BaseException, command: str, words: Sequence[str] = ()) -> None:
    """Print the one line of a mistake, or of each of several, with options as the command calls them.

    words: of the command line, to tell which option may have been meant by one that does not exist.
    """
    with suppress(OSError):  # the terminal may be gone
        for line in getattr(error, "lines", None) or [one_line(error)]:
            if words and (unknown := re.fullmatch(r"(unknown option ([\w.]+)); run with --help.*", line)):
                hint = option_hint(command, unknown[2], words)
                line = unknown[1] + hint if hint else line
            print(f"error: {as_called(line, command)}", file=sys.stderr)


def one_line(error: BaseException) -> str:
    """The message of `error` without line breaks, in the words of the command line."""
    text = " ".join(str(error).split())
    if isinstance(error, MissingConfigException):
        choice = str(error.missing_cfg_file)
        return f"{choice}: no such choice{choice_hint(choice, error.options or ())}"
    if isinstance(error, OverrideParseException):
        reason = re.sub(r" *See https?://.*", "", text)
        return f"cannot read the option {error.override} ({reason}); quote it as in 'where={{sex: Female}}'"
    if isinstance(error, HydraException):
        unknown = re.search(r"Could not override '([^']+)'", text)
        return f"unknown option {unknown[1]}; run with --help to see all options" if unknown else text
    if isinstance(error, MemoryError):
        return f"out of memory ({text or 'allocation failed'}); use fewer rows or a smaller model"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return text


def _logging_mistakes(command: Callable[[DictConfig], None], failed: Path, name: str) -> Callable[[DictConfig], None]:
    """`command`, reporting each job's own mistake when it happens and noting it in the file `failed`.

    A file, because the jobs of a sweep may run in other processes.
    """

    @functools.wraps(command)
    def job(config: DictConfig) -> None:
        try:
            command(config)
        except MISTAKES as error:
            report_mistake(error, name)
            failed.touch()

    return job
