"""The documentation: the site builds strictly and without network, and what the pages name exists."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import documented_files

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]
    if ".venv" not in path.parts
)
GENERATED = {"docs/map.md"}
# A command of mkdocs in a process that cannot reach any other machine.
OFFLINE = """
import socket, sys
def refuse(*args, **kwargs):
    raise OSError("the site is built without network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from mkdocs.__main__ import cli
cli(sys.argv[1:])
"""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "site_hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built strictly: a broken link, a page without a place, or a docstring that does not parse ends it."""
    for needed in ("mkdocs", "material", "mkdocstrings"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: pip install -e '.[docs]'")
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-c", OFFLINE, "build", "--strict", "--quiet", "--site-dir", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return out


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=\"?(?:https?:)?//[^\s\">]+", text)
        assert not loaded, f"{page.name}: {loaded}"
        assert "fonts.googleapis" not in text


def test_the_site_has_every_public_name_and_every_file(site):
    import dpsynth
    import dpsynth.models

    reference = " ".join(page.read_text() for page in (site / "reference").rglob("*.html"))
    for name in [*dpsynth.__all__, *dpsynth.models.__all__]:
        if name not in ("models", "__version__"):
            assert re.search(rf'id="dpsynth\.[\w.]*\b{name}"', reference), f"{name} is on no page of docs/reference"
    source_map = (site / "map" / "index.html").read_text()
    for path in (ROOT / "dpsynth").rglob("*.py"):
        assert path.name.startswith("__") or path.name in source_map, path.name


def test_links_are_rewritten_for_the_site(hooks):
    page = "[a](../README.md#use) ![b](../figs/adult_overview.png) [c](../dpsynth/errors.py) [d](schema.md) [e](https://x.org/y)"
    origin = ROOT / "docs" / "guarantee.md"
    assert hooks.rewritten(page, origin, "guarantee.md", "") == (
        "[a](index.md#use) ![b](figs/adult_overview.png) c [d](schema.md) [e](https://x.org/y)"
    )
    assert "[c](https://r.org/x/blob/main/dpsynth/errors.py)" in hooks.rewritten(
        page, origin, "guarantee.md", "https://r.org/x/"
    )
    below = hooks.rewritten("[a](../../SECURITY.md)", ROOT / "docs" / "reference" / "data.md", "reference/data.md", "")
    assert below == "[a](../security.md)"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", page.read_text()):
        found = (page.parent / target).resolve()
        assert found.exists() or name_of(found) in GENERATED, f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_named_in_the_text_exist(page):
    """`privacy/ledger.py` names a file by its last parts, `tests/privacy/` a folder."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    tops = [ROOT / top for top in ("dpsynth", "tests", "configs", "docs", "benchmarks", "examples")]
    files = [path.relative_to(ROOT).as_posix() for top in tops for path in top.rglob("*.*")]
    files += [path.name for path in ROOT.iterdir()]
    for name in re.findall(r"`((?:[\w.-]+/)*[\w-]+\.py)(?:::\w+)?`", text):
        if "my_" in name or "example" in name:
            continue  # a file that the reader writes
        assert any(f"/{file}".endswith(f"/{name}") for file in files), f"{name_of(page)} names {name}"
    for name in re.findall(r"`((?:dpsynth|tests|configs|docs|benchmarks|examples)/(?:[\w-]+/)*)`", text):
        assert (ROOT / name).is_dir(), f"{name_of(page)} names {name}"


def test_one_line_of_the_readme_is_what_ci_runs():
    lines = [
        line for line in (ROOT / "README.md").read_text().splitlines() if re.match(r"python3 -m venv .*pytest$", line)
    ]
    assert len(lines) == 1
    steps = [shlex.split(step) for step in lines[0].split("&&")]
    assert steps[0] == ["python3", "-m", "venv", ".venv"]
    run = [[Path(step[0]).name, *step[1:]] for step in steps[2:]]
    assert [step[:2] for step in run] == [
        ["ruff", "check"],
        ["ruff", "format"],
        ["pyright", "--pythonpath"],
        ["pytest"],
    ]
    assert "^python3 -m venv .*pytest$" in (ROOT / ".ci" / "run").read_text()
    assert "- run: .ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_programs_of_the_first_pages_compile(page):
    for number, program in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)):
        compile(program, f"{page}, program {number}", "exec")


@pytest.fixture
def checkout(tmp_path):
    """What the commands of the first pages need, without anything that an earlier one left."""
    for name in ("train.py", "generate.py", "evaluate.py"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_readme_work_when_pasted(checkout):
    text = (ROOT / "README.md").read_text()
    [block] = [block for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) if "examples/people.csv" in block]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for line in block.splitlines():
        words = [sys.executable, *shlex.split(line, comments=True)[1:]]
        done = subprocess.run(words, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (checkout / "outputs" / "aim-csv" / "release" / "synthetic.csv").exists()
    assert (checkout / "outputs" / "aim-csv" / "private" / "report.html").exists()


@pytest.mark.slow
def test_the_program_of_the_quick_start_runs(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    [program] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "quickstart.md").read_text(), re.DOTALL)
    exec(compile(program, "docs/quickstart.md", "exec"), {})
    assert len((checkout / "synthetic.csv").read_text().splitlines()) == 10_001


@pytest.mark.slow
def test_the_method_and_the_mechanism_of_the_documentation_need_no_edit_elsewhere(tmp_path):
    for name in ("dpsynth", "tests", "configs", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "train.py", "generate.py", "evaluate.py"):
        shutil.copy(ROOT / name, tmp_path)
    for name, text in documented_files().items():
        file = tmp_path / name
        assert not file.exists(), name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    privacy = [f"tests/privacy/test_{name}.py" for name in ("largest_moves", "ledger", "boundaries")]
    contract = [f"tests/test_{name}.py" for name in ("contract", "configs", "tree")]
    files = ["tests/models/example", "tests/privacy/mechanisms/test_clipped_sum.py", *privacy, *contract]
    chosen = "example or largest_moves or ledger or boundaries or clipped or tree"
    words = [sys.executable, "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", "-k", chosen, *files]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    words = [sys.executable, "-m", "ruff", "check", "dpsynth", "tests"]
    checked = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
