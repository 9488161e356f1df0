"""dpsynth account FILE: what all runs on one data set have cost together, or a new account with its budget."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dpsynth.errors import ConfigError
from dpsynth.privacy.accounting.account import SLACK, Account, Statement
from dpsynth.privacy.accounting.budget import Budget

HELP = f"""usage: dpsynth account FILE [name=TEXT epsilon=E delta=D [options]]

Print what all runs that were charged to FILE have cost together, and what is left. With name=, epsilon= and delta=,
open a new account with that lifetime budget. Runs are charged to it with: train.py ... privacy.account=FILE

  name=TEXT                which data set this is, in your words
  epsilon=E, delta=D       what all runs together may cost, for ever
  neighbours=add_remove    or replace_one; that of every run
  rows_per_person=M        protect persons of at most M rows each (data.person); otherwise rows
  slack={SLACK:g}               the part of delta set aside for what is not Gaussian noise: sampled batches (maf, dpvi),
                           private categories; 0 refuses such runs"""
OPTIONS = ("name", "epsilon", "delta", "neighbours", "rows_per_person", "slack")


def account(arguments: Sequence[str]) -> None:
    """Run the command on its words."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(HELP)
        return
    file, *words = arguments
    options: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or key not in OPTIONS:
            raise ConfigError(f"unknown option {word}; there are {', '.join(OPTIONS)}")
        options[key] = value
    path = Path(file).expanduser()
    if options:
        opened(path, options)
    print_account(Account(path).statement(), path)


def opened(path: Path, options: dict[str, str]) -> None:
    """Open a new account at `path`."""
    for key in ("name", "epsilon", "delta"):
        if key not in options:
            raise ConfigError(f"{key} is missing: say {key}=...")

    def number(key: str, default: float = 0.0) -> float:
        try:
            return float(options[key]) if key in options else default
        except ValueError:
            raise ConfigError(f"{key}={options[key]}: must be a number") from None

    rows = options.get("rows_per_person")
    if rows is not None and not re.fullmatch(r"[0-9]{1,9}", rows):
        raise ConfigError(f"rows_per_person={rows}: must be a whole number")
    neighbours = options.get("neighbours", "add_remove")
    budget = Budget(number("epsilon"), number("delta"), neighbours, None if rows is None else int(rows))  # type: ignore[arg-type]
    if budget.rows_per_person is not None and neighbours == "replace_one":
        raise ConfigError("rows_per_person needs neighbours=add_remove, as data.person does")
    Account.create(path, options["name"], budget, number("slack", SLACK))


def print_account(statement: Statement, path: Path) -> None:
    """A table of the runs, what they cost together, and what is left."""
    console, budget = Console(), statement.budget
    console.print(
        f"Account of '{escape(statement.name)}': epsilon {budget.epsilon:g} at delta {budget.delta:g} for all runs "
        f"together, protecting {budget.unit}, neighbours by {budget.neighbours}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table()
    for name, justify in (("run", "left"), ("charged", "left"), ("releases", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("mu^2", "delta", "epsilon so far"):
        table.add_column(name, justify="right")
    for number, entry in enumerate(statement.entries, start=1):
        squared, delta = entry.cost
        table.add_row(
            f"{number} {escape(entry.run)}",
            entry.time,
            str(len(entry.charges)),
            f"{squared:.4g}",
            f"{delta:.3g}" if delta else "",
            f"{statement.epsilon_together(number):.4g}",
        )
    table.add_section()
    (squared, delta), (all_squared, all_delta) = statement.left, statement.total
    table.add_row("left", "", "", f"{squared:.4g}", f"{delta:.3g}", "")
    table.add_row("allowed", "", "", f"{all_squared:.4g}", f"{all_delta:.3g}", f"{budget.epsilon:.4g}")
    console.print(table)
    example = min(budget.delta, 10.0 ** math.floor(math.log10(budget.delta)))
    console.print(
        f"One more run may have epsilon {statement.epsilon_left(example):.4g} at delta {example:g} where all noise is "
        f"Gaussian; less where batches are sampled.\nLast entry: {statement.last}",
        highlight=False,
        soft_wrap=True,
    )
    if statement.torn:
        console.print(
            f"{escape(str(path))} ends in a line that was never finished; its run drew no noise, and the next run "
            "removes it.",
            highlight=False,
            soft_wrap=True,
        )
