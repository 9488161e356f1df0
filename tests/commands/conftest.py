"""The commands, run in this process as a person would run them, on the model of docs/adding_a_model.md."""

import importlib
import importlib.util
import multiprocessing
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

TOY = ("data=toy", "data.rows=300")


@dataclass
class Outcome:
    """How a command ended: exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def mistake(self) -> str:
        """The one line of an error a person can repair."""
        assert self.code == 2, (self.code, self.out, self.err)
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err + self.out
        assert lines[0].startswith("error: ")
        return lines[0].removeprefix("error: ")


@pytest.fixture(scope="session")
def class_means():
    """The module class_means.py, as if it were dpsynth/models/class_means.py."""
    name = "dpsynth.models.class_means"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("class_means.py"))
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture
def command(example, class_means, tmp_path, monkeypatch, capfd):
    """command("train", "data=toy", ...) in an empty folder, with configs/model/example.yaml and class_means.yaml."""
    configs = tmp_path / "configs" / "model"
    configs.mkdir(parents=True)
    (configs / "example.yaml").write_text("_target_: dpsynth.models.example.Example\nbins: 16\n")
    (configs / "class_means.yaml").write_text("_target_: dpsynth.models.class_means.ClassMeans\n")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def run(name: str, *arguments: str) -> Outcome:
        own = ("--config-dir", str(configs.parent)) if name == "train" else ()
        if name == "train" and not any(argument.startswith("model=") for argument in arguments):
            own = (*own, "model=example")
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *own, *arguments])
        capfd.readouterr()
        code = 0
        try:
            importlib.import_module(f"dpsynth.commands.{name}").main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture
def finished(command, tmp_path):
    """The folder of a finished run."""
    outcome = command("train", *TOY, "run=mine", "trainer.progress=quiet")
    assert outcome.code == 0, outcome.err
    return tmp_path / "work" / "mine"


@pytest.fixture
def pictured(command, tmp_path):
    """The folder of a finished run of images."""
    options = ("model=class_means", "data=digits", "privacy.epsilon=8", "run=pictured", "trainer.progress=quiet")
    outcome = command("train", *options)
    assert outcome.code == 0, outcome.err
    return tmp_path / "work" / "pictured"


CHILD = """
import os, sys, importlib
os.chdir({folder!r})
sys.argv = {words!r}
for stream, name in ((1, "out"), (2, "err")):
    os.dup2(os.open({logs!r} + "." + name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
{before}
importlib.import_module("dpsynth.commands." + {name!r}).main()
"""


class Started:
    """A command in a process of its own."""

    def __init__(self, process, logs):
        self.process, self._logs = process, logs

    def end(self, seconds=60) -> Outcome:
        """How it ended."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, "still running"
        return Outcome(self.process.exitcode, *(Path(f"{self._logs}.{name}").read_text() for name in ("out", "err")))


@pytest.fixture(scope="session")
def forkserver():
    """Starts processes that have dpsynth imported already."""
    context = multiprocessing.get_context("forkserver")
    modules = [f"dpsynth.commands.{name}" for name in ("train", "generate", "evaluate", "encode")]
    context.set_forkserver_preload([*modules, "dpsynth.models", "dpsynth.data.sources.tables"])
    return context


@pytest.fixture
def start(forkserver, tmp_path, monkeypatch):
    """start("train", "data=toy", ...): begins a command in tmp_path/work, and does not wait; `before` is code to run
    first."""
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    monkeypatch.chdir(work)
    running = []

    def begin(name: str, *words: str, before: str = "") -> Started:
        logs = str(tmp_path / f"log-{len(running)}")
        text = CHILD.format(folder=str(work), words=[f"{name}.py", *words], logs=logs, before=before, name=name)
        process = forkserver.Process(target=exec, args=(text, {"__name__": "child"}))
        process.start()
        running.append(process)
        return Started(process, logs)

    yield begin
    for process in running:
        if process.is_alive():
            process.kill()
        process.join()
