"""One small bug, as a change of one place of one file, and the tests that have to notice it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutant:
    """A bug that a careless author might write.

    Attributes:
        name: Distinct; what is wrong, in a few words.
        bugs: Bug classes of docs/pitfalls.md, such as "B26", separated by blanks.
        file: Path below the root of the project.
        old: Source text that is replaced. It occurs exactly once in the file.
        new: What stands there instead.
        guards: Node ids of the tests that must fail; at least one of them has to.
    """

    name: str
    bugs: str
    file: str
    old: str
    new: str
    guards: tuple[str, ...]

    def mutated(self, source: str) -> str:
        """The file's text with the bug. Raises `ValueError` when `old` does not occur exactly once."""
        found = source.count(self.old)
        if found != 1:
            raise ValueError(f"mutant {self.name!r}: its text stands {found} times in {self.file}, not once")
        return source.replace(self.old, self.new)


def guard(file: str, *tests: str) -> tuple[str, ...]:
    """Node ids of tests of one file below tests/."""
    return tuple(f"tests/{file}::{test}" for test in tests)


def contract(check: str, model: str, *details: str, images: bool = False) -> tuple[str, ...]:
    """Node ids of a check of the contract of all methods.

    check: what_is_drawn, replay, neighbours, spends or plans. details: as in brackets of the test's name; by default
    add_remove, and for replays epsilon 1 too.
    """
    what = {
        "what_is_drawn": "test_what_is_drawn_is_what_is_charged",
        "replay": f"test_replay_without_the_first_the_middle_and_the_last_{'image' if images else 'row'}",
        "neighbours": "test_replay_on_neighbouring_images" if images else "test_replay_on_a_neighbouring_table",
        "spends": "test_a_fit_spends_what_was_planned",
        "plans": "test_a_plan_needs_no_data_and_keeps_to_the_budget",
    }[check]
    usual = {"replay": "add_remove-1.0", "neighbours": "add_remove-60", "plans": "add_remove-1.0"}
    file = "test_image_contract.py" if images else "test_contract.py"
    return guard(file, *(f"{what}[{model}-{each}]" for each in details or (usual.get(check, "add_remove"),)))
