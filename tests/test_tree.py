"""The rules of the house, read from the files: imports, names, sizes, and the map in the README."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dpsynth"
FILES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = [ROOT / name for name in ("train.py", "generate.py", "evaluate.py")]

# Rooms that each room may import; all may import errors, and themselves.
ARROWS = {
    "errors": set(),
    "data": set(),
    "privacy": {"data", "networks"},
    "networks": {"data"},
    "marginals": {"data", "privacy"},
    "training": {"data", "privacy"},
    "evolution": {"data", "networks", "marginals"},
    "metrics": {"data"},
    "figures": {"data", "metrics"},
    "report": {"data", "metrics", "figures"},
    "vi": {"data", "privacy", "networks", "training"},
    "inference": set(),
    "models": {"data", "privacy", "networks", "marginals", "training", "evolution", "vi"},
    "testing": {"data", "privacy", "models"},
    "commands": {"data", "privacy", "marginals", "training", "models", "metrics", "figures", "report"},
}
BANNED_NAMES = {"utils", "util", "helpers", "helper", "base", "core", "common", "misc", "tools", "stuff"}
PRIVACY_ONLY = {"dp_accounting", "cryptography", "secrets"}
NO_PICKLE = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
WRITES_PICKLE = PACKAGE / "data" / "datalens_files.py"  # for the scripts of an old project; never reads one


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room(path: Path) -> str:
    """The room of a file: its folder below dpsynth/, or its own name for dpsynth/errors.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Dotted names of everything a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: write absolute imports"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def attributes(path: Path) -> set[str]:
    """Dotted attributes a file reads, such as torch.load."""
    return {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows_point_one_way(path):
    if path == PACKAGE / "__init__.py":
        return
    own = room(path)
    assert own in ARROWS, f"{own}/ is a room without a rule: add it to ARROWS"
    reached = {name.split(".")[1] for name in imports(path) if name.startswith("dpsynth.")}
    allowed = ARROWS[own] | {own, "errors"}
    assert reached <= allowed, f"{name_of(path)} imports {', '.join(sorted(reached - allowed))}"


@pytest.mark.parametrize("path", [path for path in FILES if room(path) != "privacy"], ids=name_of)
def test_only_privacy_draws_noise_and_accounts(path):
    found = {name.split(".")[0] for name in imports(path)}
    assert not found & PRIVACY_ONLY
    assert not attributes(path) & {"os.urandom", "os.getrandom", "random.SystemRandom"}
    assert not {name for name in imports(path) if name in ("os.urandom", "random.SystemRandom")}


@pytest.mark.parametrize("path", FILES + SCRIPTS, ids=name_of)
def test_no_pickle(path):
    found = {name for name in imports(path) if name.split(".")[0] in NO_PICKLE}
    assert found == ({"joblib"} if path == WRITES_PICKLE else set())
    assert {name for name in attributes(path) if name.startswith("joblib")} <= {"joblib.dump"}
    assert not attributes(path) & {"torch.load", "torch.save", "pd.read_pickle", "torch.jit.load"}
    for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
        if ast.unparse(call.func) == "np.load":
            assert [ast.unparse(word) for word in call.keywords] == ["allow_pickle=False"]
    assert not {name for name in attributes(path) if name.endswith((".to_pickle", ".read_pickle"))}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_one_idea_with_a_noun_for_a_name(path):
    assert path.stem not in BANNED_NAMES
    assert not re.search(r"_v\d+$|\d$", path.stem), "no versions in names"
    lines = path.read_text().splitlines()
    assert len(lines) <= 400, f"{len(lines)} lines: split it"
    assert ast.get_docstring(ast.parse(path.read_text())), "begin with a docstring that says what the file is for"


@pytest.mark.parametrize("path", FILES + SCRIPTS, ids=name_of)
def test_nothing_is_left_half_done(path):
    text = path.read_text()
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text)
    assert "raise NotImplementedError" not in text
    assert not re.search(r"/(work|root|home)/", text), "no paths of one machine"


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_scripts_fit_on_a_page(path):
    assert len(path.read_text().splitlines()) <= 60


def test_the_map_in_the_readme_equals_the_disk():
    """Every file of the package stands in the README once, with a line that says what it is."""
    section = (ROOT / "README.md").read_text().split("## Map", 1)[1].split("\n## ", 1)[0]
    entries = re.findall(r"^ *(\S+\.py) {2,}\S.*$", section, re.MULTILINE)
    folder, found = "", []
    for line in section.splitlines():
        if match := re.match(r"^(dpsynth/\S*/|dpsynth/)\s", line + " "):
            folder = match[1]
        elif match := re.match(r"^ +(\S+\.py) {2,}\S", line):
            found.append(folder + match[1])
    assert len(entries) >= len(found)
    assert len(found) == len(set(found)), "a file is listed twice"
    disk = {name_of(path) for path in FILES if path.name != "__init__.py"}
    assert set(found) == disk, f"missing: {sorted(disk - set(found))}; gone: {sorted(set(found) - disk)}"


def test_tests_mirror_the_package():
    """tests/data/test_codec.py belongs to dpsynth/data/codec.py: no test folder without its room."""
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()} | {"mutants"}  # bugs of every room
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= rooms
