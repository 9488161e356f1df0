"""All mechanisms of dpsynth/privacy, and the cases that their own tests declare.

A test file in tests/privacy/mechanisms/ may declare `LARGEST_MOVE`: by class, the fields of a mechanism, how it asks,
and two rows. The first row comes or goes under add_remove, the second takes its place under replace_one, and the query
moves by as much as is declared. The checks of all mechanisms (test_largest_moves.py, test_ledger.py) read it, so that a
new mechanism needs no edit of theirs.
"""

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpsynth.privacy
from dpsynth.privacy import Mechanism

OWN = sorted((Path(__file__).parent / "mechanisms").glob("test_*.py"))


def all_mechanisms() -> set[type[Mechanism]]:
    """Every concrete mechanism of the package, imported by anybody or not."""
    for module in pkgutil.walk_packages(dpsynth.privacy.__path__, "dpsynth.privacy."):
        importlib.import_module(module.name)
    return set(_concrete(Mechanism))


def _concrete(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield from _concrete(each)
        if not inspect.isabstract(each) and each.__module__.startswith("dpsynth.privacy."):
            yield each


def declared_cases() -> dict[type[Mechanism], tuple[dict[str, Any], Any, Any, Any]]:
    """Fields, question and two rows of every mechanism whose own test declares them."""
    found = {}
    for path in OWN:
        if "\nLARGEST_MOVE = " in path.read_text():
            spec = importlib.util.spec_from_file_location(f"declared_{path.stem}", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            found |= module.LARGEST_MOVE
    return found
