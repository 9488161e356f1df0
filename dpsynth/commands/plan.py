"""dpsynth plan schema.yaml: what each method will be worth at each epsilon, before any data are opened."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from dpsynth.commands.near_misses import did_you_mean, meant
from dpsynth.commands.plan_tables import print_advice, print_warnings
from dpsynth.data.table.domain import Domain
from dpsynth.errors import ConfigError
from dpsynth.models.auto.rule import Signal, chosen
from dpsynth.privacy.accounting.budget import Budget

HELP = """usage: dpsynth plan SCHEMA.yaml [options]

Predict from public facts alone what the methods over marginals will be worth on a table, at several epsilons; name the
method that model=auto would take, and warn where noise exceeds signal. No data are opened.

  epsilon=1               of the run
  delta=1e-5              of the run
  rows=N                  about so many rows; null takes what the schema declares
  neighbours=add_remove   or replace_one
  rows_per_person=M       protect persons of at most M rows each; otherwise rows

What a given method spends on what: train.py model=... data.schema=SCHEMA.yaml privacy.dry_run=true"""
OPTIONS = ("epsilon", "delta", "rows", "neighbours", "rows_per_person")


def plan(arguments: Sequence[str]) -> None:
    """Run the command on its words."""
    if not arguments or {"-h", "--help"} & set(arguments):
        print(HELP)
        return
    for flag, value in zip(arguments, [*arguments[1:], "..."], strict=True):
        if flag.startswith("-"):
            key, sign, given = flag.lstrip("-").partition("=")
            hint = did_you_mean(meant(key, OPTIONS), given if sign else value)
            raise ConfigError(f"{flag}: options are written without dashes, as NAME=VALUE{hint}")
    files = [word for word in arguments if "=" not in word or Path(word).exists()]
    options: dict[str, str] = {}
    for word in arguments:
        key, _, value = word.partition("=")
        if word in files:
            continue
        if key.removeprefix("privacy.") not in OPTIONS:
            hint = did_you_mean(meant(key, OPTIONS), value) or f"; there are {', '.join(OPTIONS)}"
            raise ConfigError(f"unknown option {word}{hint}")
        options[key.removeprefix("privacy.")] = value
    if len(files) != 1:
        raise ConfigError("name one schema: dpsynth plan SCHEMA.yaml; draft one with: dpsynth schema FILE.csv")
    if files[0].lower().endswith((".csv", ".parquet")):
        raise ConfigError(f"{files[0]}: holds data; name its schema, or draft one with: dpsynth schema {files[0]}")
    domain, budget = Domain.from_yaml(files[0]), _budget(options)
    rows = _whole(options, "rows")
    if rows is not None:
        domain = replace(domain, rows=rows)
    console = Console()
    print_advice(domain, budget, console)
    choice = chosen(Signal.of(domain, budget))
    console.print(f"model=auto takes {choice.method}: {choice.reason}.", highlight=False)
    print_warnings(domain, budget, console, None, "auto")


def _budget(options: dict[str, str]) -> Budget:
    neighbours = options.get("neighbours", "add_remove")
    if neighbours not in ("add_remove", "replace_one"):
        raise ConfigError(f"neighbours={neighbours}: choose add_remove or replace_one")
    epsilon, delta = _number(options, "epsilon", 1.0), _number(options, "delta", 1e-5)
    return Budget(epsilon, delta, neighbours, _whole(options, "rows_per_person"))


def _number(options: dict[str, str], key: str, default: float) -> float:
    try:
        return float(options.get(key, default))
    except ValueError:
        raise ConfigError(f"{key}={options[key]}: must be a number") from None


def _whole(options: dict[str, str], key: str) -> int | None:
    text = options.get(key, "null").replace(",", "").replace("_", "")
    if text == "null":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{key}={options[key]}: must be a whole number, 1 or more")
    return int(text)
