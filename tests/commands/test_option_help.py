"""--help: at once, of all options, each with its default and its comment; and `import dpsynth` takes nothing along."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from dpsynth.commands.config_files import Comments, config_folder
from dpsynth.commands.option_help import print_help, wants_help

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "dp_accounting", "scipy", "pandas", "sklearn", "matplotlib", "numba")
MODELS = sorted(path.stem for path in (config_folder() / "model").glob("*.yaml"))


def python(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, timeout=120, env=environment
    )


def imported(code: str) -> set[str]:
    """The modules that a new process holds after running `code`."""
    outcome = python("-c", f"{code}\nimport sys\nprint('modules', *sys.modules)")
    assert outcome.returncode == 0, outcome.stderr
    return set(outcome.stdout.rpartition("modules ")[2].split())


def test_import_dpsynth_takes_no_heavy_package_along():
    assert imported("import dpsynth; dpsynth.DpsynthError; dpsynth.__version__").isdisjoint(HEAVY)


def test_names_are_imported_when_they_are_used():
    code = "import dpsynth\nfor name in dpsynth.__all__: getattr(dpsynth, name)\n"
    code += "for name in dpsynth.models.__all__: getattr(dpsynth.models, name)\n"
    code += "assert not hasattr(dpsynth, 'Tables') and not hasattr(dpsynth.models, 'GAN')\n"
    code += "assert {*dpsynth.__all__} <= {*dir(dpsynth)} and {*dpsynth.models.__all__} <= {*dir(dpsynth.models)}\n"
    assert "torch" in imported(code)


@pytest.mark.parametrize("command", ["train", "generate", "evaluate", "audit"])
def test_help_imports_no_heavy_package(command):
    code = f"import sys; sys.argv = ['x', '--help']\nfrom dpsynth.commands.entry import start\nstart({command!r})"
    assert imported(code).isdisjoint(HEAVY)


def paths(options: dict, prefix: str) -> set[str]:
    found = set()
    for key, value in options.items():
        if key != "_target_":
            found |= {f"{prefix}{key}"} | (paths(value, f"{prefix}{key}.") if isinstance(value, dict) else set())
    return found


@pytest.mark.parametrize("model", MODELS)
def test_every_option_of_a_model_is_shown_with_its_comment(model, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    print_help("train", "train.py", [f"model={model}", "--help"])
    shown = capsys.readouterr().out
    file = config_folder() / "model" / f"{model}.yaml"
    comments = Comments.read(file)
    wanted = paths(OmegaConf.to_container(OmegaConf.load(file)), "model.")
    lines = {line.split("=")[0].split(" ")[2] for line in shown.splitlines() if line.startswith("  model.")}
    assert lines == wanted
    words = " ".join(shown.split())
    for path in wanted:
        assert comments.of[path.removeprefix("model.")] in words, f"{path} needs a comment"
    assert comments.head[0] in words


def test_given_options_show_their_given_values(capsys):
    print_help("train", "train.py", ["model=mst", "privacy.epsilon=3", "-h"])
    shown = capsys.readouterr().out
    assert "privacy.epsilon=3 " in shown
    assert "model=mst" in shown


def test_a_reproduction_explains_the_options_that_it_adds(capsys):
    print_help("train", "train.py", ["reproduction=datalens_mnist_eps1", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "model.published.sigma=5000 noise of a sum of votes" in words


def test_a_config_folder_of_ones_own_is_shown(tmp_path, capsys):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# My method.\n_target_: my.Method\nsteps: 7  # of mine\n")
    print_help("train", "train.py", ["--config-dir", str(tmp_path), "model=mine", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "model=mine My method." in words
    assert "model.steps=7 of mine" in words


@pytest.mark.parametrize("word", ["model=gan", "model.steepness=3", "model=[", "privacy.epsilon={"])
def test_words_that_do_not_compose_end_in_one_line(word, capsys):
    with pytest.raises(SystemExit) as stop:
        print_help("train", "train.py", [word, "--help"])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")


def test_only_the_flags_ask_for_help():
    assert wants_help(["model=maf", "-h"])
    assert not wants_help(["run=--help.d", "n=3"])


def test_comments_are_read_by_the_path_of_their_key(tmp_path):
    file = tmp_path / "some.yaml"
    file.write_text(
        "# @package _global_\n# Head.\na: '#'   # sign\nb:  # group\n  c: 1  # inner\n  d: 2\ne: 3  # last\n"
    )
    comments = Comments.read(file)
    assert comments.head == ("Head.",)
    assert comments.of == {"a": "sign", "b": "group", "b.c": "inner", "e": "last"}
    assert Comments.read(tmp_path / "none.yaml") == Comments((), {})


def test_python_m_dpsynth_is_the_command():
    outcome = python("-m", "dpsynth", "--help")
    assert outcome.returncode == 0
    assert "usage: dpsynth COMMAND" in outcome.stdout
