"""A plan as a person reads it: the budget, and what a table will be worth; from public facts, before data are opened.

After the run, the guarantee in a sentence.
"""

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from dpsynth.data.database import DatabaseDomain
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.table.domain import Domain
from dpsynth.models.auto.prediction import METHODS, predicted
from dpsynth.models.auto.rule import Signal, chosen, warnings
from dpsynth.models.contract.preparation import UNKNOWN_ROWS
from dpsynth.privacy.accounting.accounting import prove
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.ledger import Plan

EPSILONS = (0.3, 1.0, 3.0, 10.0)


def print_plan(plan: Plan, domain: Domain | ImageDomain | DatabaseDomain, console: Console) -> None:
    """Who spends what: one line for each charge, the total that is proven, and the public settings behind it.

    The epsilon of a line is what it would cost alone; together they cost less than the sum.
    """
    budget = plan.budget
    table = Table(title="Privacy budget, planned without opening the data", title_justify="left")
    for name, justify in (
        ("release", "left"),
        ("mechanism", "left"),
        ("epsilon alone", "right"),
        ("delta", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for charge in plan.charges:
        alone = prove([charge], budget).epsilon
        words = ", ".join(f"{key} {_short(value)}" for key, value in charge.detail.items())
        table.add_row(charge.name, words, _short(alone), _short(charge.delta) if charge.delta else "")
    table.add_section()
    proven = f"proven by {plan.proven.accountant}" if budget.private else "not private: epsilon is infinite"
    table.add_row("together", proven, _short(plan.proven.epsilon), _short(plan.proven.delta))
    table.add_row("allowed", f"{budget.unit}, {budget.neighbours}", _short(budget.epsilon), _short(budget.delta))
    console.print(table)
    settings = ", ".join(f"{key} {_short(value)}" for key, value in plan.settings.items() if value is not None)
    console.print(f"{settings}; memory about {plan.memory_bytes / 2**20:.0f} MiB", highlight=False, soft_wrap=True)
    warning = budget.warn_delta(domain.rows)
    if warning:
        console.print(f"[bold]Warning:[/] {warning}", highlight=False, soft_wrap=True)


def print_statement(statement: Mapping[str, Any], console: Console) -> None:
    """The guarantee of a finished run in a sentence, as loud as it must be when there is none."""
    style = "bold" if statement["private"] else "bold red"
    console.print(f"[{style}]Guarantee:[/] {statement['guarantee']}", highlight=False, soft_wrap=True)


def print_advice(domain: Domain | ImageDomain | DatabaseDomain, budget: Budget, console: Console) -> None:
    """Expected errors of the methods over marginals at several epsilons, the method of auto, and warnings."""
    if not isinstance(domain, Domain) or not budget.private:
        return
    signal = Signal.of(domain, budget)
    table = Table(
        title="Expected errors, predicted from the schema alone",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for name in (
        "epsilon",
        "auto takes",
        "noise in a\ncolumn",
        "\nin a pair",
        *(f"{name}\n1-way 2-way" for name in METHODS),
    ):
        table.add_column(name, justify="left" if name == "auto takes" else "right", no_wrap=True)
    for epsilon in sorted({*EPSILONS, budget.epsilon}):
        there = signal.with_epsilon(epsilon)
        found = predicted(there)
        cells = [f"{p.one_way:.3f}" + ("" if p.two_way is None else f" {p.two_way:5.3f}") for p in found]
        style = "bold" if epsilon == budget.epsilon else None
        noise = (f"{there.column_sigma:.3g}", f"{there.pair_sigma:.3g}" if there.columns > 1 else "")
        table.add_row(f"{epsilon:g}", chosen(there).method, *noise, *cells, style=style)
    console.print(table)
    known = f"{signal.rows:,} rows" if domain.rows is not None else (
        f"{UNKNOWN_ROWS:,} rows, since the schema declares none (write `rows:` into it, a rough public number)"
    )  # fmt: skip
    console.print(
        "Noise in rows, as the standard deviation of a count; errors as total variation (0 exact, 1 all wrong); for "
        f"{known} of {signal.columns} columns, on a distribution drawn from the schema: real tables differ.",
        highlight=False,
    )


def print_warnings(
    domain: Domain | ImageDomain | DatabaseDomain, budget: Budget, console: Console, rows: int | None, model: str
) -> None:
    """Say where noise exceeds signal.

    rows: the number of rows, if it is known better than the domain has it. model: as `model=` calls it.
    """
    if not isinstance(domain, Domain):
        return
    for sentence in warnings(Signal.of(domain, budget, rows), model):
        console.print(f"[bold]Warning:[/] {sentence}.", highlight=False)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return "inf" if math.isinf(value) else f"{value:.4g}"
    return str(value)
