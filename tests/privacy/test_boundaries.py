"""Only dpsynth/privacy draws privacy noise, spends budget or reaches for secrets.

Everything else may plan mechanisms and hand queries to `Ledger.release`. A module that mentions a privacy generator, a
key stream, the draw of a mechanism or the inside of the ledger could release what nobody charged, so it may not.
"""

import ast
from pathlib import Path

import pytest

import dpsynth

PACKAGE = Path(dpsynth.__file__).parent
PRIVACY = sorted(path for path in (PACKAGE / "privacy").rglob("*.py") if "audit" not in path.parts)
OUTSIDE = sorted(path for path in PACKAGE.rglob("*.py") if "privacy" not in path.relative_to(PACKAGE).parts[:1])
FORBIDDEN = {"dp_accounting", "secrets", "cryptography"}
ENTROPY = {"urandom", "SystemRandom", "getrandom"}
INSIDE = {  # of streams and of the ledger
    "PrivacyGenerator",
    "Keystream",
    "keystream",
    "_privacy_generator",
    "_randomness",
    "_charge",
    "_charged",
    "_as_planned",
    "_pass_filter",
    "_made",
    "_spent",
    "_released",
    "sample_rounded_gaussian",
}
# The few that need a part of this, each with what and why.
ALLOWED = {
    "training/checkpoint.py": {"PrivacyGenerator", ".privacy"},  # keeps the key of a run in its private folder
}
# Who else draws: networks, populations and workloads, from seeded generators that are no part of the guarantee.
SAMPLERS = {
    "Workload",
    "calibrated_tree",
    "draw",
    "guide",
    "population",
    "self.network",
    "self.population",
    "self.student",
    "student",
}


def offences(tree):
    """Names of what only dpsynth/privacy may use."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in FORBIDDEN:
                yield node.module
            if node.module in ("os", "random"):
                yield from (alias.name for alias in node.names if alias.name in ENTROPY)
        elif isinstance(node, ast.Attribute) and node.attr in ENTROPY:
            yield node.attr


def intrusions(tree):
    """Uses of the inside of the gate: streams, keys, draws, charges."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.name.split(".")[-1] in INSIDE)
        elif isinstance(node, ast.Name) and node.id in INSIDE:
            yield node.id
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            asked = node.args[1].value if isinstance(node.args[1], ast.Constant) else None
            yield from {asked} & (INSIDE | {"privacy", "draw"})
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            if node.attr in INSIDE:
                yield node.attr
            elif node.attr == "privacy" and owner not in ("dpsynth", "options", "self.options"):
                yield ".privacy"
            elif node.attr == "draw" and owner not in SAMPLERS:
                yield f"{owner}.draw"


def names(path):
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", OUTSIDE, ids=names)
def test_no_secrets_and_no_accounting_outside_dpsynth_privacy(path):
    assert not list(offences(ast.parse(path.read_text())))


@pytest.mark.parametrize("path", OUTSIDE, ids=names)
def test_nothing_outside_dpsynth_privacy_goes_around_the_gate(path):
    assert set(intrusions(ast.parse(path.read_text()))) <= ALLOWED.get(names(path), set())


def test_what_is_allowed_is_used():
    for name, allowed in ALLOWED.items():
        assert allowed <= set(intrusions(ast.parse((PACKAGE / name).read_text()))), name


def test_the_search_finds_what_it_looks_for():
    bad = "import dp_accounting.rdp\nfrom secrets import token_bytes\nfrom os import urandom\nos.urandom(3)"
    assert len(list(offences(ast.parse(bad)))) == 4


@pytest.mark.parametrize(
    "line",
    [
        "streams.privacy.release(mechanism, query, 0)",
        "run.streams.privacy",
        "ledger._randomness",
        "ledger._privacy_generator.keystream('a')",
        "ledger._charge(mechanism, 0)",
        "ledger._spent.clear()",
        "stream.keystream('a', 0)",
        "plan.mechanism.draw(query, stream)",
        "mechanism.draw",
        "super().draw(query, noise)",
        "getattr(ledger, '_privacy_generator')",
        "getattr(streams, 'privacy')",
        "PrivacyGenerator.fresh()",
        "from dpsynth.privacy.noise.random import PrivacyGenerator",
        "from dpsynth.privacy.noise.random import PrivacyGenerator as Source",
        "from dpsynth.privacy.noise.keystream import Keystream",
        "import dpsynth.privacy.noise.keystream",
        "from dpsynth.privacy.noise.integer_noise import sample_rounded_gaussian",
    ],
)
def test_ways_around_the_gate_are_found(line):
    assert list(intrusions(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "ledger.release(mechanism, query)",
        "import dpsynth.privacy",
        "from dpsynth.privacy.noise.random import RandomGenerators",
        "dpsynth.privacy.Ledger",
        "options.privacy.budget()",
        "self.network.draw(labels, generator)",
        "streams.seeded.model('weights')",
    ],
)
def test_the_gate_itself_may_be_used(line):
    assert not list(intrusions(ast.parse(line)))


def test_mechanisms_take_no_randomness_but_the_generators():
    """In dpsynth/privacy, entropy comes from random.py alone, and nothing there uses a global generator."""
    for path in PRIVACY:
        used = set(offences(ast.parse(path.read_text())))
        found = {name for name in used if name.split(".")[0] not in ("dp_accounting", "cryptography")}
        assert found <= ({"urandom"} if path.name == "random.py" else set()), path.name
        text = path.read_text()
        assert "torch.randn" not in text, path.name
        assert "np.random.normal" not in text, path.name


def test_draws_are_called_by_the_stream_alone():
    """Within dpsynth/privacy too: `PrivacyGenerator.release`, and the meter that measures draws."""
    callers = {
        path.name
        for path in PRIVACY
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "draw"
    }
    assert callers == {"random.py", "noise_meter.py"}


def test_only_the_ledger_asks_the_stream_for_a_release():
    """`release` of a mechanism, a query and a step, of anything but a ledger: the ledger, and the audits' streams."""
    callers = {
        path.name
        for path in PRIVACY
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "release"
        and ast.unparse(node.func.value) != "ledger"
    }
    assert callers == {"ledger.py", "noise_meter.py", "replay.py"}
