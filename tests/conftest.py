"""What several test files share: a small table, and the model of docs/adding_a_model.md."""

import hashlib
import itertools
import os
import re
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings

from dpsynth.data import Boolean, Category, Date, Domain, Integer, Number
from dpsynth.data.table.table import Table

ROOT = Path(__file__).resolve().parents[1]

# A run of the suite can be repeated: generated inputs and keys follow from the tests' names. `DPSYNTH_TEST_RANDOM=1`
# draws them afresh. No deadline: a slow machine is no defect.
AFRESH = bool(os.environ.get("DPSYNTH_TEST_RANDOM"))
settings.register_profile("dpsynth", deadline=None, derandomize=not AFRESH)
settings.load_profile("dpsynth")
torch.set_num_threads(1)  # tensors are tiny here; threads that wait for each other cost more than they give


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """The whole suite runs in two processes, file by file; chosen files, and `-n`, run as asked."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    asked = "PYTEST_XDIST_WORKER" in os.environ or getattr(config.option, "numprocesses", 0) is not None
    if whole and not asked:  # without xdist, or inside one of its processes, nothing is divided
        config.option.numprocesses, config.option.dist = 2, "loadfile"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Keys within this process follow from the test's name; they differ from draw to draw as those of the system do."""
    drawn = itertools.count()

    def urandom(size: int) -> bytes:
        return hashlib.shake_256(f"{item.nodeid} {next(drawn)}".encode()).digest(size)

    with pytest.MonkeyPatch.context() as patch:
        if not AFRESH:
            patch.setattr(os, "urandom", urandom)
        return (yield)


def documented_files() -> dict[str, str]:
    """The files of docs/adding_a_model.md, by their titles."""
    page = (ROOT / "docs" / "adding_a_model.md").read_text()
    return dict(re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', page, re.DOTALL))


@pytest.fixture(scope="session")
def example():
    """The method of docs/adding_a_model.md: all names of its package dpsynth.models.example."""
    names = {"fitted": "dpsynth.models.example.fitted", "recipe": "dpsynth.models.example.recipe"}
    package = types.ModuleType("dpsynth.models.example")
    package.__path__ = []
    sys.modules[package.__name__] = package
    for file, name in names.items():
        module = types.ModuleType(name)
        sys.modules[name] = module
        exec(compile(documented_files()[f"dpsynth/models/example/{file}.py"], name, "exec"), module.__dict__)
        vars(package).update({key: value for key, value in vars(module).items() if not key.startswith("_")})
    yield package
    for name in (package.__name__, *names.values()):
        del sys.modules[name]


@pytest.fixture(scope="session")
def domain():
    """One column of every kind, with a label, missing values and a rule between columns."""
    return Domain(
        (
            Category("sex", categories=("Female", "Male"), missing=True),
            Integer("age", low=17, high=90),
            Number("gain", low=0.0, high=1000.0, point_masses=(0.0,)),
            Boolean("member"),
            Date(
                "joined",
                low=pd.Timestamp("1990-01-01").date(),
                high=pd.Timestamp("2020-12-31").date(),
                missing=True,
            ),
            Integer("limit", low=17, high=120),
            Category("income", categories=("<=50K", ">50K"), label=True),
        ),
        constraints=("age <= limit",),
        rows=400,
    )


def rows(n: int, seed: int = 0) -> pd.DataFrame:
    """n made-up rows that fit `domain`; income depends on age."""
    draw = np.random.default_rng(seed)
    age = draw.integers(17, 91, n)
    gain = np.where(draw.random(n) < 0.6, 0.0, draw.random(n) * 1000)
    joined = pd.Timestamp("1990-01-01") + pd.to_timedelta(draw.integers(0, 11_000, n), unit="D")
    return pd.DataFrame(
        {
            "sex": draw.choice(["Female", "Male", None], n, p=[0.45, 0.45, 0.1]),
            "age": age,
            "gain": gain,
            "member": draw.random(n) < 0.3,
            "joined": pd.Series(joined).mask(draw.random(n) < 0.2),
            "limit": np.minimum(age + draw.integers(0, 31, n), 120),
            "income": np.where(age + draw.normal(0, 15, n) > 55, ">50K", "<=50K"),
        }
    )


@pytest.fixture(scope="session")
def people(domain):
    """400 rows of `domain`."""
    return Table(rows(400), domain)


@pytest.fixture(scope="session")
def canaries():
    """A table of 98,765 rows with values that appear in no public place: a word in all, and a number in one of 2,000.

    A number that many rows share may be released: it says nothing of any one of them.
    """
    domain = Domain((Category("word", categories=("a", "b"), other="else"), Integer("code", low=0, high=10**9)))
    n = 98_765
    row = np.arange(n)
    code = np.where(row % 2000 == 0, 41_713_907, 10_007 * row % 10**9)
    return Table(pd.DataFrame({"word": ["canary-7f3a"] * n, "code": code}), domain)
