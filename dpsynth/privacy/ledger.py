"""The plan of a run, made without data, and the ledger: the one gate between private data and what is released.

    plan = Plan(budget, (mechanism, ...))                  # public; cannot exist above its budget
    ledger = Ledger(plan, randomness)
    noisy = ledger.release(mechanism, exact_answer)        # checks, charges, draws, records

`Ledger.release` is the only way to noise. It takes a mechanism that the plan holds, field by field (or one under an
`AdaptiveBudget` of the same name, whose filter it must pass), charges one release of it before anything is drawn, and
lets the mechanism draw the noise that follows from the very fields it was charged by. Where rows are sampled, the gate
draws the batch and hands its row numbers to the caller's query. Privacy keys never leave this package.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import ArtifactError, BudgetError
from dpsynth.privacy import distributed as processes
from dpsynth.privacy.accounting.accounting import TOLERANCE, Proven, prove
from dpsynth.privacy.accounting.adaptive_budget import AdaptiveBudget, gaussian_cost
from dpsynth.privacy.accounting.budget import Budget
from dpsynth.privacy.accounting.events import describe
from dpsynth.privacy.mechanism import Mechanism
from dpsynth.privacy.mechanisms.shards import Sharding, Shards
from dpsynth.privacy.noise.random import PrivacyGenerator, RandomGenerators

Planned = Mechanism | AdaptiveBudget
_FILTER_ROUNDING = 1e-9  # relative: sums of costs in float64 may pass the total by far less


@dataclass(frozen=True)
class Plan:
    """Everything a run will do to the data, from public facts only. Cannot exist above its budget.

    Attributes:
        budget: The target.
        charges: Mechanisms, and adaptive budgets, under distinct names.
        memory_bytes: An estimate of the peak.
        proven: What all of `charges` costs together.

    Raises:
        BudgetError: The charges are proven to cost more than the budget, two share a name, one is derived for another
            neighbour relation than that of the budget, or one has no noise although epsilon is finite.
    """

    budget: Budget
    charges: tuple[Planned, ...]
    memory_bytes: int = 0
    proven: Proven = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "charges", tuple(self.charges))
        names = [each.name for each in self.charges]
        if len(set(names)) < len(names):
            raise BudgetError(f"two charges of one plan share a name: {', '.join(sorted(names))}")
        for each in self.charges:
            if each.neighbours != self.budget.neighbours:
                raise BudgetError(
                    f"{each.name!r} is derived for {each.neighbours}, but the budget is for {self.budget.neighbours}"
                )
            if isinstance(each, Mechanism):
                each.check()
                if each.noiseless and self.budget.private:
                    raise BudgetError(f"{each.name!r} adds no noise, which only a run with epsilon = inf may do")
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

    @property
    def settings(self) -> Mapping[str, Any]:
        """Public numbers behind the plan, for people."""
        return {}

    def named(self, name: str) -> Planned:
        """The charge called `name`; BudgetError when there is none."""
        for each in self.charges:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.charges) or "nothing"
        raise BudgetError(f"nothing called {name!r} was planned; the plan holds {known}")

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that json can hold: what a dry run prints."""
        return {
            "budget": self.budget.to_dict(),
            "unit": self.budget.unit,
            "proven": _proven(self.proven, self.budget),
            "charges": [charge_dict(each) for each in self.charges],
            "settings": dict(self.settings),
            "memory_bytes": self.memory_bytes,
        }


class Ledger:
    """Charges and draws every release of one run. A run may do less than planned, never more and nothing else.

    It is also a part of training checkpoints (`state_dict`), so that a resumed run knows what was released before.
    """

    def __init__(self, plan: Plan, randomness: RandomGenerators) -> None:
        self.plan = plan
        self._randomness = randomness
        self._privacy_generator: PrivacyGenerator = randomness.privacy
        self._as_planned = {each.name: repr(each) for each in plan.charges}  # `plan` is in the hands of methods
        self._lock = threading.Lock()  # two threads must not pass a check together
        self._made: dict[str, set[int]] = {each.name: set() for each in plan.charges}
        self._spent: dict[str, float] = {each.name: 0.0 for each in plan.charges}
        self._left_out: set[str] = set()

    @property
    def budget(self) -> Budget:
        """The budget of the plan."""
        return self.plan.budget

    def release(
        self,
        mechanism: Mechanism,
        query: Any,
        step: int | None = None,
        *,
        rows: int | None = None,
        partial: bool = False,
    ) -> Any:
        """The noisy answer of `mechanism` to a private query, charged, drawn and recorded.

        Args:
            mechanism: One that the plan holds, or one under an adaptive budget of its name.
            query: The exact answer (array, tensor, list of tensors, mapping), within the mechanism's sensitivity.
                Tensors may be overwritten. Where the mechanism samples rows: a function from the row numbers of the
                batch, int64 (batch,), to the exact answer.
            step: Which of the mechanism's releases this is; by default the next one.
            rows: Number of private rows to sample from, for mechanisms that sample.
            partial: Under `torch.distributed`, `query` is this process's part of a sum of tensors: the parts are added
                up, rank 0 draws the batch and the noise, and every process receives the same answer. A query function
                is then given this process's rows of the batch.

        Raises:
            BudgetError: The plan does not hold this release, or it was made before.
        """
        if mechanism.batches is None:
            step = self._charge(mechanism, step)
        elif rows is None or not callable(query):
            raise BudgetError(f"{mechanism.name!r} samples rows: give their number, and a function of the batch")
        else:
            step = self._charge(mechanism, step)
            query = query(self._batch(mechanism, step, rows, partial))
        if not (partial and processes.together()):
            return self._privacy_generator.release(mechanism, query, step)
        return processes.summed(query, lambda total: self._privacy_generator.release(mechanism, total, step))

    def shards(self, sharding: Sharding, rows: int, people: NDArray[np.int64] | None = None) -> Shards:
        """Which teacher each private row belongs to, for the whole run; see `shards.py`. Nothing is released."""
        return processes.leading_value(self._privacy_generator.shards(sharding, rows, people))

    def uniforms(self, name: str, rows: int, columns: int) -> NDArray[np.float64]:
        """(rows, columns) uniform numbers in (0, 1), those of row i from words of its own under the secret key.

        For randomised encodings of private rows. As with batches, a row that comes or goes may be taken to leave the
        numbers of all others as they are, because all words are independent under the key. Nothing is released.
        """
        return processes.leading_value(self._privacy_generator.uniforms(name, rows, columns))

    def leave_out(self, mechanism: Planned) -> None:
        """Say that what is left of `mechanism` will not be released, by a rule that does not depend on data."""
        self.plan.named(mechanism.name)
        self._left_out.add(mechanism.name)

    def remaining(self, budget: AdaptiveBudget) -> float:
        """What is left of an adaptive budget, in mu^2; infinite without a finite epsilon."""
        return max(0.0, budget.total - self._spent[budget.name]) if budget.private else math.inf

    @property
    def unmade(self) -> tuple[str, ...]:
        """Names of planned charges that are neither released as often as planned nor left out."""

        def done(each: Planned) -> bool:
            made = len(self._made[each.name])
            return each.name in self._left_out or (
                made > 0 if isinstance(each, AdaptiveBudget) else made == each.releases
            )

        return tuple(each.name for each in self.plan.charges if not done(each))

    @property
    def finished(self) -> bool:
        """True when every planned release was made, or was left out explicitly."""
        return not self.unmade

    def statement(self) -> dict[str, Any]:
        """The privacy statement of the run as json: what is promised, by whom proven, for which unit, with
        which noise."""
        budget, secure = self.plan.budget, self._randomness.noise == "secure"
        if not budget.private:
            guarantee = "not private: epsilon is infinite"
        elif not secure:
            guarantee = "not private: seeded noise"
        elif not self.finished:
            guarantee = f"not stated: the plan was not carried out; not released: {', '.join(self.unmade)}"
        else:
            guarantee = (
                f"({self.plan.proven.epsilon:.4g}, {self.plan.proven.delta:.4g})-differential privacy "
                f"for {budget.unit}, neighbours by {budget.neighbours}"
            )
        return {
            "private": budget.private and secure and self.finished,
            "guarantee": guarantee,
            "target": {"epsilon": _number(budget.epsilon), "delta": budget.delta},
            "proven": _proven(self.plan.proven, budget),
            "neighbours": budget.neighbours,
            "unit": budget.unit,
            "rows_per_person": budget.rows_per_person,
            "charges": [charge_dict(each) for each in self.plan.charges],
            "finished": self.finished,
            "noise": "secure" if secure else "seeded: not private",
        }

    def state_dict(self) -> dict[str, Any]:
        """What has been released, for a PRIVATE checkpoint."""
        return {
            "planned": {each.name: repr(each) for each in self.plan.charges},
            "made": {name: sorted(steps) for name, steps in self._made.items()},
            "spent": dict(self._spent),
            "left_out": sorted(self._left_out),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting. Releases made again since (with the same key and data, hence the same) count once.

        Raises:
            ArtifactError: The state was written under another plan.
        """
        if state_dict["planned"] != {each.name: repr(each) for each in self.plan.charges}:
            raise ArtifactError("the checkpoint was made under another privacy plan: start a new run")
        for name, steps in state_dict["made"].items():
            self._made[name] |= set(steps)
            self._spent[name] = max(self._spent[name], float(state_dict["spent"][name]))
        self._left_out |= set(state_dict["left_out"])

    def _charge(self, mechanism: Mechanism, step: int | None) -> int:
        """Count one release of `mechanism`, before it is made; the step it stands for."""
        with self._lock:
            return self._charged(mechanism, step)

    def _charged(self, mechanism: Mechanism, step: int | None) -> int:
        """As `_charge`, by one thread at a time."""
        planned = self.plan.named(mechanism.name)
        if repr(planned) != self._as_planned.get(planned.name):
            raise BudgetError(f"{planned.name!r} was changed since it was planned and proven")
        made = self._made[mechanism.name]
        if step is not None and (isinstance(step, bool) or not isinstance(step, Integral)):
            raise BudgetError(f"{mechanism.name!r}: a step is a whole number, not {step!r}")
        step = len(made) if step is None else int(step)
        if step in made:
            raise BudgetError(
                f"the release {mechanism.name!r} of step {step} was made already; its noise must not be reused"
            )
        if isinstance(planned, AdaptiveBudget):
            self._pass_filter(planned, mechanism)
        elif planned != mechanism:
            raise BudgetError(f"{mechanism.name!r} is not the release that was planned: {mechanism} is not {planned}")
        elif not 0 <= step < planned.releases:
            raise BudgetError(
                f"{mechanism.name!r} would spend more than was planned: step {step} of {planned.releases}"
            )
        made.add(step)
        return step

    def _pass_filter(self, budget: AdaptiveBudget, mechanism: Mechanism) -> None:
        """Take the cost of `mechanism` from an adaptive budget, or raise BudgetError."""
        mechanism.check()
        if mechanism.neighbours != budget.neighbours or mechanism.releases != 1 or mechanism.delta:
            raise BudgetError(f"{mechanism.name!r}: one release under {budget.neighbours} at a time, without a delta")
        if not budget.private:
            return
        cost = math.inf if mechanism.noiseless else gaussian_cost(mechanism.event)
        if self._spent[budget.name] + cost > budget.total * (1 + _FILTER_ROUNDING):
            raise BudgetError(
                f"{mechanism.name!r} would spend more than was planned: {cost:.3g} of mu^2, "
                f"{self.remaining(budget):.3g} are left"
            )
        self._spent[budget.name] += cost

    def _batch(self, mechanism: Mechanism, step: int, rows: int, partial: bool) -> NDArray[np.int64]:
        """The row numbers of batch `step`, or this process's part of them."""
        if partial and processes.together():
            return processes.divided(lambda: self._privacy_generator.batch(mechanism, step, rows))
        return self._privacy_generator.batch(mechanism, step, rows)


def charge_dict(charge: Planned) -> dict[str, Any]:
    """A planned charge as it stands in a plan or a privacy statement; JSON-able."""
    return {
        "name": charge.name,
        "event": describe(charge.event),
        "delta": charge.delta,
        "detail": {key: _number(value) if isinstance(value, float) else value for key, value in charge.detail.items()},
    }


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else "inf"


def _proven(proven: Proven, budget: Budget) -> dict[str, Any]:
    """What was proven, for the unit of the budget. What accountants prove is about one row; where a person has several,
    it stands apart, so that nobody compares figures of one row with those of a person."""
    stated = {"epsilon": _number(proven.epsilon), "delta": proven.delta, "accountant": proven.accountant}
    bounds = {name: _number(epsilon) for name, epsilon in proven.bounds}
    if (budget.rows_per_person or 1) == 1 or not budget.private:
        return {**stated, "bounds": bounds}
    one_row = {"epsilon": _number(min(epsilon for _, epsilon in proven.bounds)), "delta": budget.row_level.delta}
    return {**stated, "one row": {**one_row, "bounds": bounds}}
