"""python -m tests.mutants [names] [--jobs 2]: try mutants, print a table, exit 1 when one survives.

Names may be names, parts of names, or bug classes such as B26; without any, all mutants are tried.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence

os.environ.setdefault("OMP_NUM_THREADS", "1")

from .catalogue import MUTANTS
from .mutant import Mutant
from .trials import Outcome, tried


def chosen(names: Sequence[str]) -> list[Mutant]:
    """The mutants that any of `names` speaks of; all without names."""
    if not names:
        return list(MUTANTS)
    known = {each.name for each in MUTANTS}

    def asked(mutant: Mutant, name: str) -> bool:
        return mutant.name == name if name in known else name in mutant.name or name in mutant.bugs.split()

    return [each for each in MUTANTS if any(asked(each, name) for name in names)]


def lines(outcomes: Iterator[Outcome]) -> Iterator[tuple[str, bool]]:
    """Rows of a Markdown table, and whether each is as it should be."""
    for each in outcomes:
        if each.mutant is None:
            what = each.problem or f"fails without any bug: {each.test}"
            yield f"| none | | {what} | {each.seconds:.1f} |", False
            continue
        caught = f"`{each.test.removeprefix('tests/')}`" if each.caught else f"**{each.problem or 'survived'}**"
        yield f"| {each.mutant.name} | {each.mutant.bugs} | {caught} | {each.seconds:.1f} |", each.caught


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names, or bug classes; all by default")
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time")
    parser.add_argument("--unchanged", action=argparse.BooleanOptionalAction, default=True,
                        help="first see that the guards pass without any bug")  # fmt: skip
    options = parser.parse_args()
    mutants = chosen(options.names)
    if not mutants:
        parser.error(f"no mutant is called {' or '.join(options.names)}")
    print("| mutant | class | caught by | s |\n|---|---|---|---|", flush=True)
    good, tries = 0, 0
    for line, well in lines(tried(mutants, options.jobs, options.unchanged)):
        print(line, flush=True)
        good, tries = good + well, tries + 1
    print(f"\n{good} of {len(mutants)} mutants were caught.")
    return 0 if good == tries == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
