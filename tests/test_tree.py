"""The structure of the package, read from its files: which package may import which, and who may touch secrets."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dpsynth"
FILES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = [ROOT / name for name in ("train.py", "generate.py", "evaluate.py")]

# Packages that each package may import; all may import errors, and themselves.
ARROWS = {
    "errors": set(),
    "data": set(),
    "inference": set(),
    "networks": {"data"},
    "privacy": {"data", "networks"},
    "marginals": {"data"},
    "training": {"data", "privacy"},
    "vi": {"data", "privacy", "networks", "training"},
    "models": {"data", "privacy", "networks", "marginals", "training", "vi"},
    "integrations": {"data", "training"},
    "release": {"data", "privacy", "models", "integrations"},
    "metrics": {"data"},
    "figures": {"data", "metrics"},
    "report": {"data", "metrics", "figures"},
    "runs": {"data", "privacy", "marginals", "training", "models"},
    "reproductions": {"data", "privacy", "metrics"},
    "evaluation": {"data", "privacy", "models", "metrics", "figures", "report", "reproductions", "runs"},
    "synthesis": {"data", "privacy", "models", "integrations"},
    "score_frame": {"data", "metrics", "evaluation", "synthesis"},
    "ui": {"data", "privacy", "models", "release", "runs", "synthesis"},
    "testing": {"data", "privacy", "models", "release"},
    "commands": {
        "data",
        "figures",
        "privacy",
        "marginals",
        "training",
        "models",
        "runs",
        "evaluation",
        "reproductions",
        "release",
        "ui",
    },
}
# The same among the methods: contract first, then what several methods use, then methods, then methods made of methods.
METHODS = {
    "contract": set(),
    "shared": {"contract"},
    "marginal": {"contract", "shared"},
    "pixels": {"contract", "shared"},
    "datalens": {"contract", "shared"},
    "merf": {"contract", "shared"},
    "mixture": {"contract"},
    "dpvi": {"contract", "shared"},
    "maf": {"contract", "shared", "pixels", "marginal"},
    "database": {"contract", "shared", "marginal"},
    "pe": {"contract", "shared", "marginal"},
    "auto": {"contract", "marginal", "shared"},
}
PRIVACY_ONLY = {"dp_accounting", "cryptography", "secrets"}
NO_PICKLE = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
WRITES_PICKLE = PACKAGE / "reproductions" / "datalens_files.py"  # for the scripts of an old project; never reads one


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def package_of(path: Path) -> str:
    """The package of a file: its folder below dpsynth/, or its own name for dpsynth/errors.py."""
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
    if path in (PACKAGE / "__init__.py", PACKAGE / "__main__.py"):  # the way in
        return
    own = package_of(path)
    assert own in ARROWS, f"{own}/ is a package without a rule: add it to ARROWS"
    reached = {name.split(".")[1] for name in imports(path) if name.startswith("dpsynth.")}
    allowed = ARROWS[own] | {own, "errors"}
    assert reached <= allowed, f"{name_of(path)} imports {', '.join(sorted(reached - allowed))}"


def test_the_arrows_have_no_cycle():
    for arrows in (ARROWS, METHODS):
        left = {name: set(reached) for name, reached in arrows.items()}
        while left:
            free = {name for name, reached in left.items() if not reached & left.keys()}
            assert free, f"a cycle among {', '.join(sorted(left))}"
            left = {name: reached for name, reached in left.items() if name not in free}


def test_the_picture_of_the_packages_has_every_arrow_pointing_down():
    picture = (ROOT / "docs" / "images" / "packages.svg").read_text()
    boxes = re.findall(r'id="package-(\w+)" class="\w+" x="\d+" y="(\d+)" width="\d+" height="(\d+)"', picture)
    top = {name: int(y) for name, y, _ in boxes}
    bottom = {name: int(y) + int(height) for name, y, height in boxes}
    assert set(top) == set(ARROWS) - {"errors"}
    wrong = [(name, each) for name, reached in ARROWS.items() for each in reached if not bottom[name] <= top[each]]
    assert not wrong, f"these imports do not point down in docs/images/packages.svg: {wrong}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "models").glob("*/*.py")), ids=name_of)
def test_methods_import_one_way(path):
    own = path.parent.name
    reached = {name.split(".")[2] for name in imports(path) if re.match(r"dpsynth\.models\.\w+", name)}
    allowed = METHODS.get(own, {"contract", "shared"}) | {own}
    assert reached <= allowed, f"{name_of(path)} imports {', '.join(sorted(reached - allowed))}"


def test_no_module_imports_itself_by_way_of_others():
    """Modules form no cycle, not even one that an import inside a function would hide."""
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES if path.name != "__init__.py"
    }
    left = {name: {each for each in imports(path) if each in names} - {name} for name, path in names.items()}
    while left:
        free = {name for name, reached in left.items() if not reached & left.keys()}
        assert free, f"a cycle among {', '.join(sorted(left))}"
        left = {name: reached for name, reached in left.items() if name not in free}


@pytest.mark.parametrize("path", [path for path in FILES if package_of(path) != "privacy"], ids=name_of)
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
def test_every_file_says_what_it_is_for(path):
    assert not re.search(r"_v\d+$|\d$", path.stem), "no versions in names"
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


def test_tests_mirror_the_package():
    """tests/data/table/test_codec.py belongs to dpsynth/data/table/: no test folder without its package."""
    tests = ROOT / "tests"
    for folder in sorted(path for path in tests.rglob("*") if path.is_dir() and path.name != "__pycache__"):
        below = folder.relative_to(tests)
        assert (PACKAGE / below).is_dir() or below.parts[0] == "mutants", f"tests/{below} has no package"
