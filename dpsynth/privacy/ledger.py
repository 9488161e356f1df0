"""The plan of a run, made without data, and the ledger that holds the run to it."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dp_accounting import ComposedDpEvent, DpEvent, GaussianDpEvent, SelfComposedDpEvent, ZCDpEvent

from dpsynth.errors import ArtifactError, BudgetError
from dpsynth.privacy.accounting import TOLERANCE, Proven, prove
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.events import DiscreteGaussianDpEvent, ExponentialDpEvent, describe, leaves, restore
from dpsynth.privacy.random import Streams

Detail = Mapping[str, float | int | str]


@dataclass(frozen=True)
class Charge:
    """One planned or made release: who, which event, what delta of its own, and public remarks on it.

    `delta` is row-level and comes on top of the event (a threshold that may fail, a truncated batch).
    """

    name: str
    event: DpEvent
    delta: float = 0.0
    detail: Detail = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.delta < 1:
            raise BudgetError(f"the delta of charge {self.name!r} must lie in [0, 1), not {self.delta!r}")

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that json can hold."""
        return {
            "name": self.name,
            "event": describe(self.event),
            "delta": self.delta,
            "detail": dict(self.detail),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Charge:
        """The inverse of `to_dict`."""
        return cls(
            str(state["name"]),
            restore(state["event"]),
            float(state.get("delta", 0.0)),
            dict(state.get("detail", {})),
        )


@dataclass(frozen=True)
class Plan:
    """Everything a run will do to the data, from public facts only. Cannot exist above its budget.

    `settings` are the public numbers the model derived (noise multiplier, steps, rate); `memory_bytes` is an
    estimate. Raises BudgetError when the charges are proven to cost more than the budget, or two of them
    share a name.
    """

    budget: Budget
    charges: tuple[Charge, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    memory_bytes: int = 0
    proven: Proven = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "charges", tuple(self.charges))
        names = [charge.name for charge in self.charges]
        if len(set(names)) < len(names):
            raise BudgetError(f"two charges of one plan share a name: {', '.join(sorted(names))}")
        proven = prove(self.charges, self.budget)
        if self.budget.private and not (
            proven.epsilon <= self.budget.epsilon + TOLERANCE and proven.delta <= self.budget.delta * (1 + 1e-12)
        ):
            raise BudgetError(
                f"the plan costs epsilon {proven.epsilon:.4g} at delta {proven.delta:.3g}, "
                f"more than the budget of {self.budget.epsilon:g} at {self.budget.delta:g}: "
                "calibrate the noise or raise the budget"
            )
        object.__setattr__(self, "proven", proven)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that json can hold: what a dry run prints."""
        return {
            "budget": self.budget.to_dict(),
            "unit": self.budget.unit,
            "proven": _proven(self.proven),
            "charges": [charge.to_dict() for charge in self.charges],
            "settings": dict(self.settings),
            "memory_bytes": self.memory_bytes,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Plan:
        """The inverse of `to_dict`; the proof is made anew."""
        return cls(
            Budget.from_dict(state["budget"]),
            tuple(Charge.from_dict(charge) for charge in state["charges"]),
            dict(state.get("settings", {})),
            int(state.get("memory_bytes", 0)),
        )


class Ledger:
    """Counts what a run spends against its plan. A run may do less than planned, never more and nothing else.

    A planned `ZCDpEvent(rho)` is a purse: Gaussian, exponential and zCDP releases under its name may
    draw on it in any split, up to rho (for adaptive methods that choose their noise as they go; valid by zCDP
    composition).
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._left: dict[str, dict[str, int]] = {}
        self._rho: dict[str, float] = {}
        for charge in plan.charges:
            counts: dict[str, int] = {}
            purse = 0.0
            for leaf, count in leaves(charge.event):
                if isinstance(leaf, ZCDpEvent) and leaf.xi == 0:
                    purse += leaf.rho * count
                else:
                    key = _key(leaf)
                    counts[key] = counts.get(key, 0) + count
            self._left[charge.name] = counts
            self._rho[charge.name] = purse

    def spend(self, name: str, event: DpEvent, count: int = 1) -> None:
        """Record `count` releases of `event` under the charge `name`, before they are made.

        Raises BudgetError when the plan holds no such charge, no such event in it, or not so many of them.
        """
        if name not in self._left:
            raise BudgetError(
                f"nothing called {name!r} was planned; the plan holds {', '.join(self._left) or 'nothing'}"
            )
        left, purse = dict(self._left[name]), self._rho[name]
        for leaf, number in leaves(SelfComposedDpEvent(event, count)):
            key = _key(leaf)
            if left.get(key, 0) >= number:
                left[key] -= number
                continue
            rho = _rho(leaf)
            if rho is None or number * rho > purse * (1 + 1e-12):
                raise BudgetError(f"{name!r} would spend more than was planned: {number} x {key}")
            purse = max(0.0, purse - number * rho)
        self._left[name], self._rho[name] = left, purse

    @property
    def finished(self) -> bool:
        """True when everything countable in the plan has been spent."""
        return not any(count for counts in self._left.values() for count in counts.values())

    def statement(self, streams: Streams) -> dict[str, Any]:
        """The privacy statement of the run as json: what is promised, by whom proven, for which unit, with
        which noise."""
        budget = self.plan.budget
        if streams.privacy.infinite and budget.private:
            raise BudgetError("the streams are marked as epsilon = inf, but the budget is finite")
        secure = streams.noise == "secure"
        private = budget.private and secure
        if not budget.private:
            guarantee = "not private: epsilon is infinite"
        elif not secure:
            guarantee = "not private: seeded noise"
        else:
            guarantee = (
                f"({self.plan.proven.epsilon:.4g}, {self.plan.proven.delta:.4g})-differential privacy "
                f"for {budget.unit}, neighbours by {budget.neighbours}"
            )
        return {
            "private": private,
            "guarantee": guarantee,
            "target": {"epsilon": _number(budget.epsilon), "delta": budget.delta},
            "proven": _proven(self.plan.proven),
            "neighbours": budget.neighbours,
            "unit": budget.unit,
            "rows_per_person": budget.rows_per_person,
            "charges": [charge.to_dict() for charge in self.plan.charges],
            "finished": self.finished,
            "noise": "secure" if secure else "seeded: not private",
        }

    def state(self) -> dict[str, Any]:
        """What a PRIVATE checkpoint needs to go on counting."""
        return {
            "plan": self.plan.to_dict(),
            "left": json.loads(json.dumps(self._left)),
            "rho": dict(self._rho),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], plan: Plan | None = None) -> Ledger:
        """Continue a ledger; with `plan` given, refuse a state that was written under another plan."""
        stored = Plan.from_dict(state["plan"])
        if plan is not None and [c.to_dict() for c in plan.charges] != [c.to_dict() for c in stored.charges]:
            raise ArtifactError("the checkpoint was made under another privacy plan: start a new run")
        ledger = cls(plan or stored)
        ledger._left = {name: dict(counts) for name, counts in state["left"].items()}
        ledger._rho = {name: float(rho) for name, rho in state["rho"].items()}
        return ledger


def composed(events: Sequence[DpEvent]) -> DpEvent:
    """One event for several, for a charge that makes more than one release."""
    return events[0] if len(events) == 1 else ComposedDpEvent(list(events))


def _key(leaf: DpEvent) -> str:
    return json.dumps(describe(leaf), sort_keys=True)


def _rho(leaf: DpEvent) -> float | None:
    if isinstance(leaf, GaussianDpEvent) and leaf.noise_multiplier > 0:
        return 0.5 / leaf.noise_multiplier**2
    if isinstance(leaf, DiscreteGaussianDpEvent):
        return 0.5 / leaf.sigma**2
    if isinstance(leaf, ExponentialDpEvent):
        return leaf.epsilon**2 / 8
    if isinstance(leaf, ZCDpEvent) and leaf.xi == 0:
        return leaf.rho
    return None


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else "inf"


def _proven(proven: Proven) -> dict[str, Any]:
    return {
        "epsilon": _number(proven.epsilon),
        "delta": proven.delta,
        "accountant": proven.accountant,
        "bounds": {name: _number(epsilon) for name, epsilon in proven.bounds},
    }
