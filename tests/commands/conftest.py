"""The commands, run in this process as a person would run them, on the model of docs/adding_a_model.md."""

import importlib
import importlib.util
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
        """The one line of an error a person can mend."""
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
