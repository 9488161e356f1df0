"""docs/coming_from.md: every command of ours parses, every option, method and Python name of ours exists."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from dpsynth.models.contract.synthesizer import Synthesizer
from dpsynth.runs.options import TrainOptions, typed

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
TEXT = (ROOT / "docs" / "coming_from.md").read_text()
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
TRAIN = [line for line in COMMANDS if line.startswith("python train.py")]
PEERS = (
    "SDV",
    "smartnoise-synth",
    "synthcity",
    "dpmm and mbi",
    "google/dpsynth",
    "DataLens",
    "DP-MAF",
    "d3p and twinify",
    "DPSDA",
    "Pasteur",
)


def test_every_tool_has_a_table_with_refusals_and_a_command():
    sections = {part.splitlines()[0]: part for part in TEXT.split("\n## ")[1:]}
    for peer in PEERS:
        [section] = [part for title, part in sections.items() if title.startswith(peer)]
        assert "| here |" in section, peer
        assert re.search(r"^\| (refused|not offered|otherwise)\b", section, re.MULTILINE), peer
        assert "```bash" in section, peer


@pytest.mark.parametrize("line", TRAIN)
def test_every_training_command_parses(line):
    words = shlex.split(line)[2:]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        found = compose("train", words)
    options = typed(TrainOptions, found)
    assert isinstance(options.recipe(), Synthesizer)
    assert found.privacy.dry_run or "run=" in line, "opens data: give it a folder"


@cache
def options() -> frozenset[str]:
    """Every option of train by its dotted name."""
    found: set[str] = set()

    def walk(name: str, node: object) -> None:
        found.add(name)
        if isinstance(node, dict):
            for key, value in node.items():
                walk(f"{name}.{key}", value)

    for group in ("model", "data"):
        for path in (CONFIGS / group).glob("*.yaml"):
            walk(group, OmegaConf.to_container(OmegaConf.load(path)))
    for path in (CONFIGS / "reproduction").glob("*.yaml"):
        walk("", OmegaConf.to_container(OmegaConf.load(path)))
    for group in ("privacy", "trainer"):
        walk(group, OmegaConf.to_container(OmegaConf.load(CONFIGS / group / "default.yaml")))
    return frozenset(name.removeprefix(".") for name in found)


def test_every_option_of_ours_exists():
    named = set(re.findall(r"`((?:model|privacy|trainer|data)\.[\w.]+)", TEXT)) - {"privacy.json"}
    assert len(named) > 25
    assert named <= options(), named - options()


def test_every_method_and_data_set_of_ours_exists():
    for group, name in re.findall(r"(?<![.\w])(model|data|reproduction)=(\w+)", TEXT):
        assert (CONFIGS / group / f"{name}.yaml").exists(), f"{group}={name}"


def test_every_python_name_of_ours_exists():
    for name in sorted(set(re.findall(r"\bdpsynth(?:\.\w+)+", TEXT))):
        parts = name.split(".")
        for end in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:end]))
                break
            except ModuleNotFoundError:
                continue
        for part in parts[end:]:
            found = getattr(found, part)
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        for line in re.findall(r"^from dpsynth.*$", block, re.MULTILINE):
            exec(line, {})
        compile(block, "docs/coming_from.md", "exec")


@pytest.mark.slow
def test_every_command_runs(tmp_path):
    for name in ("train.py", "generate.py", "evaluate.py"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for line in COMMANDS:
        words = shlex.split(line)
        start = [sys.executable, *words[1:]] if words[0] == "python" else [sys.executable, "-m", *words]
        done = subprocess.run(start, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
