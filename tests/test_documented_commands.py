"""Commands of the documentation parse; those of docs/coming_from.md run, and every name of ours on it exists."""

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
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(page: Path) -> list[str]:
    """Lines of the page's shell blocks, without what is only sketched."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if " ... " not in line]


# A sweep is no one run, and `example` is a method that the reader writes.
TRAIN = sorted(
    line
    for line in {line for page in PAGES for line in commands(page)}
    if line.startswith("python train.py") and " -m " not in line and "model=example" not in line
)
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
def test_every_training_command_of_the_documentation_parses(line):
    words = shlex.split(line, comments=True)[2:]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        found = compose("train", words)
    options = typed(TrainOptions, found)
    assert isinstance(options.recipe(), Synthesizer)


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


def test_commands_that_are_run_leave_nothing_beside_their_folder():
    for line in commands(ROOT / "docs" / "coming_from.md"):
        assert "train.py" not in line or "dry_run=true" in line or " run=outputs/" in line, line


@pytest.mark.slow
@pytest.mark.parametrize("page", ["coming_from", "private_evolution", "choosing_a_method"])
def test_the_commands_of_a_page_run(page, tmp_path):
    """Those that train on data which are not at hand, or for long, are planned."""
    for name in ("train.py", "generate.py", "evaluate.py"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copy(ROOT / "examples" / "people.yaml", tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for line in commands(ROOT / "docs" / f"{page}.md"):
        words = shlex.split(line, comments=True)
        if not words or (page != "coming_from" and ("FOLDER" in line or words[1] == "generate.py")):
            continue  # needs a run or images of the reader
        if page != "coming_from" and words[1] == "train.py":
            words.append("privacy.dry_run=true")
        start = [sys.executable, *words[1:]] if words[0] == "python" else [sys.executable, "-m", *words]
        done = subprocess.run(start, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
