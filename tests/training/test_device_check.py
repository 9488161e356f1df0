"""benchmarks/device_check.py, where every machine can run it: the processor against itself, and a difference found."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "device_check.py"


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("device_check", FILE)
    assert spec is not None
    assert spec.loader is not None
    found = sys.modules["device_check"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    yield found
    del sys.modules["device_check"]


def test_counting_and_the_fused_step(module):
    for check in (module.check_counting(torch.device("cpu")), module.check_fused(torch.device("cpu"))):
        assert check.passed, check.line()


@pytest.mark.parametrize("name", ["maf", "dpvi", "merf", "datalens", "maf of images", "merf of images",
                                  "datalens of images"])  # fmt: skip
def test_a_fit_can_be_repeated(module, name):
    found = {each: (recipe, pictured) for each, recipe, pictured in module.recipes(2)}
    recipe, pictured = found[name]
    rows = module.images() if pictured else module.DISTRIBUTIONS["mixed"]().sample(module.ROWS, seed=0)
    check = module.check_method(name, recipe, rows, torch.device("cpu"))
    assert check.passed, check.line()
    assert check.apart == 0


def test_another_release_or_ledger_is_found(module):
    one = {"a": torch.tensor([1.0, 2.0]), "empty": torch.zeros(0)}
    assert module.apart(one, one) == 0
    assert module.apart(one, {**one, "a": torch.tensor([1.0, 2.1])}) == pytest.approx(0.05)
    assert module.apart(one, {"a": one["a"]}) == float("inf")
    assert not module.Check("x", 0.0, False, (1.0, 1.0)).passed
    assert not module.Check("x", 0.1, True, (1.0, 1.0)).passed
    assert "another ledger" in module.Check("x", 0.0, False, (1.0, 1.0)).line()
