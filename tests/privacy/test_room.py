"""Only dpsynth/privacy draws privacy noise, spends budget or reaches for secrets."""

import ast
from pathlib import Path

import pytest

import dpsynth

PACKAGE = Path(dpsynth.__file__).parent
OUTSIDE = sorted(path for path in PACKAGE.rglob("*.py") if "privacy" not in path.relative_to(PACKAGE).parts[:1])
FORBIDDEN = {"dp_accounting", "secrets", "cryptography"}


def offences(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in FORBIDDEN:
                yield node.module
            if node.module == "os":
                yield from (alias.name for alias in node.names if alias.name == "urandom")
        elif isinstance(node, ast.Attribute) and node.attr in ("urandom", "SystemRandom"):
            yield node.attr


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_privacy_outside_the_room(path):
    assert not list(offences(ast.parse(path.read_text())))


def test_the_search_finds_what_it_looks_for():
    bad = "import dp_accounting.rdp\nfrom secrets import token_bytes\nfrom os import urandom\nos.urandom(3)"
    assert len(list(offences(ast.parse(bad)))) == 4


def test_mechanisms_take_no_randomness_but_the_streams():
    """In dpsynth/privacy, entropy comes from random.py alone, and nothing there uses a global generator."""
    for path in sorted((PACKAGE / "privacy").glob("*.py")):
        names = set(offences(ast.parse(path.read_text()))) - {"dp_accounting"}
        names = {name for name in names if not name.startswith(("dp_accounting", "cryptography"))}
        assert names <= ({"urandom"} if path.name == "random.py" else set()), path.name
        text = path.read_text()
        assert "torch.randn" not in text, path.name
        assert "np.random.normal" not in text, path.name
