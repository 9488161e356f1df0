"""Trying mutants: each in a copy of the tree, by its guarding tests alone.

A trial forks this process, in which the libraries that the package builds on are imported already (that takes longer
than most guards), never the package itself: the child imports it from the copy. Nothing leaks from one mutant to the
next: no byte code is written (that of the unchanged tree is compiled once, and belongs to a file by its hash), numba's
belongs to its one file by time and size, hypothesis keeps its examples in a folder of each trial, and the copy is
restored before it is used again.
"""

from __future__ import annotations

import compileall
import contextlib
import gc
import importlib
import json
import os
import py_compile
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from .mutant import ROOT, Mutant

COPIED = (
    "dpsynth", "tests", "configs", "docs", "pyproject.toml", "README.md", "SECURITY.md", "train.py", "generate.py",
    "evaluate.py",
)  # fmt: skip
LIBRARIES = (
    "torch", "pandas", "pyarrow.parquet", "scipy.stats", "scipy.optimize", "sklearn", "numba", "hydra", "omegaconf",
    "dp_accounting", "dp_accounting.rdp", "dp_accounting.pld.privacy_loss_distribution", "opacus.grad_sample",
    "cryptography.hazmat.primitives.ciphers", "safetensors.torch", "hypothesis", "mpmath", "rich.progress", "xdist",
    "matplotlib.figure", "sklearn.datasets", "PIL.Image",
)  # fmt: skip
SECONDS = 300.0  # that the guards of one mutant may take
OPTIONS = (
    "-n0", "-x", "-q", "-p", "no:cacheprovider", "-m", "slow or not slow", "--hypothesis-seed=0", "--tb=line",
    "--disable-warnings",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What the guards said. test: the first that failed, "" when none did. problem: why nothing can be said."""

    mutant: Mutant | None
    test: str
    seconds: float
    problem: str = ""

    @property
    def caught(self) -> bool:
        return bool(self.test) and not self.problem


class Watch:
    """A pytest plugin that keeps the first failure, as hypothesis finds it: making it small would take longer."""

    def __init__(self) -> None:
        self.test, self.passed = "", 0

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        found = (Phase.explicit, Phase.reuse, Phase.generate)
        for function in {getattr(item.obj, "__func__", item.obj) for item in items if hasattr(item, "obj")}:
            own = getattr(function, "_hypothesis_internal_use_settings", None)
            if own is not None:
                function._hypothesis_internal_use_settings = settings(own, phases=found)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.test:
            self.test = report.nodeid
        self.passed += report.when == "call" and report.passed


class Copy:
    """A copy of the tree, in which one file at a time is changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy2(source, folder / name)
        checked = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(folder / "dpsynth", quiet=2, invalidation_mode=checked)

    @contextlib.contextmanager
    def with_bug(self, mutant: Mutant | None) -> Iterator[None]:
        """The copy with the bug inside the block; None changes nothing."""
        if mutant is None:
            yield
            return
        path = self.folder / mutant.file
        sound = path.read_bytes()
        path.write_text(mutant.mutated(sound.decode()), encoding="utf-8")
        try:
            yield
        finally:
            path.write_bytes(sound)


class Trial:
    """The guards of one mutant in a process of their own."""

    def __init__(self, copy: Copy, mutant: Mutant | None, guards: Sequence[str]) -> None:
        self.copy, self.mutant, self.guards = copy, mutant, tuple(guards)
        self._bug = copy.with_bug(mutant)
        self._bug.__enter__()
        self.scratch = Path(tempfile.mkdtemp(prefix="trial-", dir=copy.folder.parent))
        self.begun = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.process = os.fork()
        if not self.process:
            self._run()

    def outcome(self) -> Outcome | None:
        """What came of it; None while it runs."""
        ended, status = os.waitpid(self.process, os.WNOHANG)
        seconds = time.monotonic() - self.begun
        if not ended:
            if seconds <= SECONDS:
                return None
            os.killpg(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
        result = self.scratch / "result.json"
        described = json.loads(result.read_text()) if result.exists() else {"code": None, "test": "", "passed": 0}
        output = (self.scratch / "output.txt").read_text(errors="replace")
        problem = ""
        if not ended:
            problem = f"not done in {SECONDS:.0f} s"
        elif described["code"] not in (0, 1) or status:
            problem = f"pytest ended with {described['code']}: {' '.join(output[-600:].split())}"
        self._bug.__exit__(None, None, None)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return Outcome(self.mutant, described["test"], seconds, problem)

    def _run(self) -> None:
        """In the child: pytest on the copy. Does not return."""
        try:
            os.setsid()
            output = os.open(self.scratch / "output.txt", os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.chdir(self.copy.folder)
            os.environ |= {
                "PYTHONPATH": str(self.copy.folder),
                "PYTHONDONTWRITEBYTECODE": "1",
                "NUMBA_CACHE_DIR": str(self.copy.folder / "numba"),
                "HYPOTHESIS_STORAGE_DIRECTORY": str(self.scratch / "hypothesis"),
            }
            os.environ.pop("PYTEST_XDIST_WORKER", None)
            sys.dont_write_bytecode = True
            sys.modules["numba"].config.reload_config()
            here = {str(ROOT), "", os.curdir}
            sys.path[:] = [str(self.copy.folder), *(entry for entry in sys.path if entry not in here)]
            for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
                del sys.modules[name]
            main: Any = sys.modules["__main__"]  # not to be imported again by processes that a test spawns
            main.__spec__ = None
            main.__dict__.pop("__file__", None)
            watch = Watch()
            code = int(pytest.main([*OPTIONS, *self.guards], plugins=[watch]))
            package = sys.modules.get("dpsynth")
            if package is not None and not str(package.__file__).startswith(str(self.copy.folder)):
                code = -1
                print(f"the package was imported from {package.__file__}")
            (self.scratch / "result.json").write_text(
                json.dumps({"code": code, "test": watch.test, "passed": watch.passed})
            )
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)


def tried(mutants: Sequence[Mutant], jobs: int = 1, unchanged: bool = True) -> Iterator[Outcome]:
    """Outcomes as they come.

    Args:
        mutants: To try.
        jobs: Trials at a time.
        unchanged: Whether the guards are first run on the unchanged copy, where they must pass; a failure there is an
            outcome without a mutant, and the last.
    """
    for name in LIBRARIES:
        importlib.import_module(name)
    assert "dpsynth" not in sys.modules, "the package must be imported by the trials alone"
    gc.freeze()  # pages that children share are not touched by their collector
    with tempfile.TemporaryDirectory(prefix="dpsynth-mutants-") as scratch:
        copies = [Copy(Path(scratch) / f"tree-{k}") for k in range(min(jobs, max(1, len(mutants))))]
        if unchanged:
            sound = list(_all(copies, [(None, part) for part in _parts(mutants, len(copies))]))
            failed = [each for each in sound if each.test or each.problem]
            if failed:
                yield from failed
                return
        yield from _all(copies, [(mutant, mutant.guards) for mutant in mutants])


def _all(copies: Sequence[Copy], work: Sequence[tuple[Mutant | None, Sequence[str]]]) -> Iterator[Outcome]:
    waiting, free, running = list(work), list(copies), list[Trial]()
    try:
        while waiting or running:
            while waiting and free:
                running.append(Trial(free.pop(), *waiting.pop(0)))
            for trial in list(running):
                outcome = trial.outcome()
                if outcome is not None:
                    running.remove(trial)
                    free.append(trial.copy)
                    yield outcome
            time.sleep(0.02)
    finally:
        for trial in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(trial.process, signal.SIGKILL)


def _parts(mutants: Sequence[Mutant], count: int) -> list[list[str]]:
    """The distinct guards in `count` parts, a file in one part."""
    guards = sorted({each for mutant in mutants for each in mutant.guards})
    files = sorted({each.split("::")[0] for each in guards})
    parts: list[list[str]] = [[] for _ in range(count)]
    for k, file in enumerate(files):
        parts[k % count] += [each for each in guards if each.split("::")[0] == file]
    return [part for part in parts if part]
