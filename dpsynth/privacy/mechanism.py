"""What a private release is: one frozen object that is planned, charged and drawn.

A mechanism holds the public parameters of one kind of release under one name: the neighbour relation, the sensitivity
of its query, its noise, how often it is released, and how rows are sampled for it. The privacy event that the
accountant composes (`release_event`) and the noise that is drawn (`draw`) are both computed from these fields, so a
charge and a draw cannot disagree. Only `Ledger.release` calls `draw`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar, Literal

from dp_accounting import DpEvent, SelfComposedDpEvent

from dpsynth.errors import BudgetError
from dpsynth.privacy.accounting.budget import Neighbours
from dpsynth.privacy.dpsgd.sampling import FixedSizeBatches, PoissonBatches
from dpsynth.privacy.noise.keystream import Keystream

Norm = Literal["l1", "l2", "linf"]
Detail = Mapping[str, float | int | str]


@dataclass(frozen=True, kw_only=True)
class Mechanism(ABC):
    """A private release as it is planned: public facts only.

    Attributes:
        name: In the plan, the ledger and the audits; distinct within a plan.
        neighbours: The relation that `sensitivity` speaks of; that of the budget.
        releases: How many times it may be released, in steps 0 to releases - 1.
    """

    name: str
    neighbours: Neighbours
    releases: int = 1

    norm: ClassVar[Norm] = "l2"

    def __post_init__(self) -> None:
        count = self.releases
        if isinstance(count, bool) or not isinstance(count, Integral) or count < 1:
            raise BudgetError(f"{self.name!r}: the number of releases must be a whole number above 0, not {count!r}")
        object.__setattr__(self, "releases", int(count))

    @property
    @abstractmethod
    def sensitivity(self) -> float:
        """The largest distance, in `norm`, between the queries of one release on neighbouring data."""

    @property
    @abstractmethod
    def release_event(self) -> DpEvent:
        """What one release costs, sampling included. Noise is in units of the sensitivity."""

    @abstractmethod
    def draw(self, query: Any, noise: Keystream) -> Any:
        """The noisy answer to the exact, private `query`. Called by the gate alone, with a key stream of its own."""

    @property
    def noiseless(self) -> bool:
        """True when nothing would be added; only a run without a finite epsilon may do that."""
        return False

    @property
    def batches(self) -> PoissonBatches | FixedSizeBatches | None:
        """How the rows of every release are sampled; None when every row takes part."""
        return None

    @property
    def event(self) -> DpEvent:
        """What all releases cost together."""
        return self.release_event if self.releases == 1 else SelfComposedDpEvent(self.release_event, self.releases)

    @property
    def delta(self) -> float:
        """Row-level delta of its own, on top of the event (a threshold that may fail), for all releases together."""
        return 0.0

    @property
    def detail(self) -> Detail:
        """Public remarks for the budget table and the privacy statement."""
        return {}

    def check(self) -> None:
        """Raise BudgetError when the sensitivity is not a positive finite number and noise is to be added."""
        if not self.noiseless and not (math.isfinite(self.sensitivity) and self.sensitivity > 0):
            raise BudgetError(f"the sensitivity of {self.name!r} must be finite and above 0, not {self.sensitivity!r}")


def scale_of(name: str, noise: float) -> float:
    """`noise` if it is a finite number, 0 or more; BudgetError otherwise."""
    if not (math.isfinite(noise) and noise >= 0):
        raise BudgetError(f"the noise of {name!r} must be finite and not below 0, not {noise!r}")
    return float(noise)


def euclidean(name: str, norm: Norm) -> None:
    """BudgetError unless `norm` is l2: Gaussian noise is charged by the Euclidean distance of neighbouring answers."""
    if norm != "l2":
        raise BudgetError(f"{name!r}: Gaussian noise is charged for an l2 sensitivity, not for one in {norm}")
