"""The catalogue fits the sources and the documentation, and a few of its mutants are tried; all of them when slow."""

import os
import re
import subprocess
import sys

import pytest

from .catalogue import MUTANTS, QUICK
from .mutant import ROOT

PAGE = ROOT / "docs" / "pitfalls.md"


def tried(*options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.mutants", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def problems(mutant):
    """What no longer fits; none when the mutant can be tried."""
    try:
        compile(mutant.mutated((ROOT / mutant.file).read_text(encoding="utf-8")), mutant.file, "exec")
    except (OSError, ValueError, SyntaxError) as error:
        yield f"{mutant.name}: {error}"
    if not mutant.guards:
        yield f"{mutant.name}: nothing guards against it"
    for each in mutant.guards:
        file, _, test = each.partition("::")
        name = test.partition("[")[0]
        if not (ROOT / file).is_file() or f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8"):
            yield f"{mutant.name}: no test {each}"


def test_every_mutant_fits_the_source_and_names_tests_that_exist():
    assert [problem for mutant in MUTANTS for problem in problems(mutant)] == []
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 70
    assert set(QUICK) <= {mutant.name for mutant in MUTANTS}


def test_the_page_holds_every_class_and_every_mutant():
    text = PAGE.read_text(encoding="utf-8")
    classes = re.findall(r"^\| (B\d+) \|", text, re.MULTILINE)
    assert classes == [f"B{k}" for k in range(1, 51)]
    assert {bug for mutant in MUTANTS for bug in mutant.bugs.split()} <= set(classes)
    listed = re.findall(r"^\| ([^|]+) \| [B0-9 ]+ \| `[^`]+` \|", text, re.MULTILINE)
    assert sorted(listed) == sorted(mutant.name for mutant in MUTANTS)


def test_some_mutants_are_caught():
    code, described = tried(*QUICK, "--no-unchanged")
    assert f"{len(QUICK)} of {len(QUICK)} mutants were caught" in described
    assert code == 0


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_all_mutants_are_caught_by_tests_that_pass_without_them():
    code, described = tried("--jobs", "2")
    assert code == 0, described
