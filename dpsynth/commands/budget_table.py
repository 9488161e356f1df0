"""The budget as a person reads it: before the data are opened, and after the run."""

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from dpsynth.data.database import DatabaseDomain
from dpsynth.data.image.domain import ImageDomain
from dpsynth.data.table.domain import Domain
from dpsynth.privacy.accounting.accounting import prove
from dpsynth.privacy.ledger import Plan


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


def _short(value: Any) -> str:
    if isinstance(value, float):
        return "inf" if math.isinf(value) else f"{value:.4g}"
    return str(value)
