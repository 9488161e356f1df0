"""The privacy statement of a run (privacy.json) in words that a data steward can check.

Nothing here proves anything: it restates what the ledger wrote. Keys and events it does not know are shown as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dpsynth.report.wording import small

_DESCRIBED = {
    *("private", "guarantee", "target", "proven", "neighbours", "unit"),
    *("rows_per_person", "charges", "rows", "noise", "finished"),
}
_NEIGHBOURS = {
    "add_remove": "tables that differ by one row more or less; the exact number of rows is protected too",
    "replace_one": "tables with equally many rows of which one differs; the number of rows is public",
}
_ACCOUNTANTS = {"PLD": "privacy loss distributions (PLD)", "RDP": "Renyi differential privacy (RDP)"}
_MECHANISMS = {
    "DiscreteLaplace": "discrete Laplace noise on counts",
    "NonPrivate": "no noise: not private",
}


@dataclass(frozen=True)
class ReleaseLine:
    """One line of the ledger in words: what was looked at, how noisily, how often, and which fraction of the rows."""

    name: str
    mechanism: str
    noise: str
    times: str
    rows: str


def promises(statement: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(what, in words) for every fact of the statement but its releases."""
    target, proven = _mapping(statement.get("target")), _mapping(statement.get("proven"))
    epsilon, delta = proven.get("epsilon", target.get("epsilon")), proven.get("delta", target.get("delta"))
    described: list[tuple[str, str]] = [("Promise", str(statement.get("guarantee", "the statement names none")))]
    if statement.get("private") is True and _finite(epsilon):
        described.append(("In other words", _odds(float(epsilon), delta, str(statement.get("unit", "one row")))))
    if target:
        described.append(("Epsilon", f"{small(target.get('epsilon'))} allowed, {small(epsilon)} proven"))
        described.append(("Delta", f"{small(target.get('delta'))} allowed, {small(delta)} proven"))
    relation = str(statement.get("neighbours", ""))
    if relation:
        described.append(("Neighbouring tables", _NEIGHBOURS.get(relation, relation)))
    if "unit" in statement:
        described.append(("What is protected", str(statement["unit"])))
    if "accountant" in proven:
        described.append(("Proven by", _proof(proven)))
    if statement.get("rows") is not None:
        described.append(("Rows that may be named", f"{statement['rows']:,}, declared or counted with noise"))
    if "noise" in statement:
        noise = str(statement["noise"])
        described.append(("Noise", "drawn from cryptographic randomness" if noise == "secure" else noise))
    if "finished" in statement:
        described.append(("Plan", "carried out in full" if statement["finished"] else "not carried out to its end"))
    described += [(_label(key), plain(value)) for key, value in statement.items() if key not in _DESCRIBED]
    return described


def releases(statement: Mapping[str, Any]) -> list[ReleaseLine]:
    """What looked at the data, in the order of the ledger; a charge that makes unlike releases has several lines."""
    found: list[ReleaseLine] = []
    for charge in statement.get("charges") or []:
        own = f", and a probability of {small(charge['delta'])} of its own" if charge.get("delta") else ""
        detail = _mapping(charge.get("detail"))
        for event, times, rows in _leaves(_mapping(charge.get("event")), 1, "all"):
            mechanism, noise = _mechanism(event, detail)
            found.append(ReleaseLine(str(charge.get("name", "")), mechanism, noise + own, f"{times:,}", rows))
    return found


def plain(value: Any) -> str:
    """Any value of a statement or of the settings as text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, Mapping):
        return ", ".join(f"{_label(key).lower()} {plain(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(plain(item) for item in value)
    return small(value)


def _odds(epsilon: float, delta: Any, unit: str) -> str:
    factor = (
        f"{math.exp(epsilon):,.3g}" if epsilon < 7 else f"{math.exp(epsilon):,.0f}" if epsilon < 30 else "beyond 1e13"
    )
    text = (
        f"whatever was released would have been at most {factor} times as probable, or as improbable, without the data "
        f"of {unit}; a probability of {small(delta)} is exempt from that"
    )
    return text + (". So large a factor says little: read it with care" if epsilon > 10 else "")


def _proof(proven: Mapping[str, Any]) -> str:
    """Which accountant proved it, and what others prove; of a person with several rows, both of one row."""
    chosen, row = str(proven["accountant"]), _mapping(proven.get("one row"))
    bounds, unit = _mapping((row or proven).get("bounds")), " for one row" if row else ""
    said = [f"{name} proves {small(value)}{unit}" for name, value in bounds.items() if row or name != chosen]
    if row:
        delta, person = small(row.get("delta")), small(proven.get("epsilon"))
        said.append(f"at delta {delta}, which gives {person} for all rows of a person")
    return _ACCOUNTANTS.get(chosen, chosen) + (f"; {', '.join(said)}" if said else "")


def _mechanism(event: Mapping[str, Any], detail: Mapping[str, Any]) -> tuple[str, str]:
    """(mechanism, how noisy it is); which of those that cost as much as a Gaussian one, the charge's remarks say."""
    kind = str(event.get("kind", ""))
    if kind != "Gaussian":
        facts = ", ".join(f"{_label(key).lower()} {plain(value)}" for key, value in event.items() if key != "kind")
        return _MECHANISMS.get(kind, kind or "not said"), facts
    if "epsilon of a choice" in detail:
        epsilon = small(detail["epsilon of a choice"])
        return "exponential mechanism (a noisy choice)", f"epsilon {epsilon} for each choice"
    if "mu" in detail:
        return "several releases within a budget of Gaussian DP", f"mu {small(detail['mu'])} in all"
    if "sigma" in detail:
        return "rounded Gaussian noise on counts", f"standard deviation {small(detail['sigma'])} rows"
    return "Gaussian noise", f"{small(event.get('noise_multiplier'))} times what one row can change"


def _leaves(event: Mapping[str, Any], times: int, rows: str) -> Iterator[tuple[Mapping[str, Any], int, str]]:
    """The parts that an event composes, how often, and of which rows each is made."""
    kind = str(event.get("kind", ""))
    if kind == "SelfComposed":
        yield from _leaves(_mapping(event.get("event")), times * int(event.get("count", 1)), rows)
    elif kind == "Composed":
        for part in event.get("events") or []:
            yield from _leaves(_mapping(part), times, rows)
    elif kind == "PoissonSampled":
        fraction = f"each with probability {small(event.get('sampling_probability'))}"
        yield from _leaves(_mapping(event.get("event")), times, fraction)
    elif kind == "SampledWithoutReplacement":
        fraction = f"{event.get('sample_size', 0):,} of {event.get('source_dataset_size', 0):,}"
        yield from _leaves(_mapping(event.get("event")), times, fraction)
    elif kind != "NoOp":
        yield event, times, rows


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _label(key: Any) -> str:
    return str(key).replace("_", " ").capitalize()
