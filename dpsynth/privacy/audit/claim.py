"""What a plan claims, in the terms in which an audit can contradict it, and what an audit found beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SampledWithoutReplacementDpEvent

from dpsynth.privacy.accounting.accounting import Charge
from dpsynth.privacy.accounting.events import leaves
from dpsynth.privacy.audit.error_rates import LowerBound
from dpsynth.privacy.ledger import Plan


@dataclass(frozen=True)
class Claim:
    """epsilon at delta for one unit of the budget; mu where all releases together are claimed to be mu-Gaussian DP.

    secret_batches: whether part of the proof is that nobody knows which rows stood in which batch.
    """

    epsilon: float
    delta: float
    mu: float | None = None
    secret_batches: bool = False

    @classmethod
    def of(cls, plan: Plan) -> Claim:
        """The claim of a plan."""
        epsilon, delta = float(plan.proven.epsilon), float(plan.proven.delta)
        mu = composed_mu(plan.charges) if plan.budget.rows_per_person in (None, 1) else None
        return cls(epsilon, delta, mu, _sampled(plan.charges))


@dataclass(frozen=True)
class Finding:
    """One line of an audit.

    subject: what was audited. sees: what the attacker sees. runs: of the program, in all. audited_epsilon: the lower
    bound at the claim's delta; audited_mu: of a Gaussian claim. seconds: that it took.
    """

    subject: str
    data: str
    sees: str
    claimed_epsilon: float
    delta: float
    claimed_mu: float | None
    audited_epsilon: float
    audited_mu: float | None
    runs: int
    confidence: float
    seconds: float
    detail: dict[str, Any]

    @classmethod
    def of(
        cls, subject: str, data: str, sees: str, claim: Claim, bound: LowerBound, seconds: float, **detail: Any
    ) -> Finding:
        """From the scores of many runs. A bound by way of mu counts only against a Gaussian claim."""
        epsilon = bound.epsilon if claim.mu is None else max(bound.epsilon, bound.epsilon_by_mu)
        counted = {
            "epsilon_direct": bound.epsilon,
            "false_positives": f"{bound.errors.false_positives} of {bound.errors.negatives}",
            "false_negatives": f"{bound.errors.false_negatives} of {bound.errors.positives}",
        }
        mu = None if claim.mu is None else bound.mu
        return cls(
            subject, data, sees, claim.epsilon, claim.delta, claim.mu, epsilon, mu, bound.runs,
            bound.errors.confidence, seconds, {**counted, **detail},
        )  # fmt: skip

    @property
    def refuted(self) -> bool:
        """Whether the claim is false at this confidence."""
        return self.audited_epsilon > self.claimed_epsilon

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that json can hold; an infinite epsilon is written as "inf"."""
        content = {**asdict(self), "refuted": self.refuted}
        return {key: "inf" if value == math.inf else value for key, value in content.items()}


def composed_mu(charges: Sequence[Charge]) -> float | None:
    """mu of all charges together where each is Gaussian DP (Dong, Roth, Su 2019, Corollary 3.3), else None."""
    total = 0.0
    for charge in charges:
        if charge.delta:
            return None
        for leaf, count in leaves(charge.event):
            if not isinstance(leaf, GaussianDpEvent) or leaf.noise_multiplier == 0:
                return None
            total += count / leaf.noise_multiplier**2
    return math.sqrt(total)


def _sampled(charges: Sequence[Charge]) -> bool:
    kinds = (PoissonSampledDpEvent, SampledWithoutReplacementDpEvent)
    return any(isinstance(leaf, kinds) for charge in charges for leaf, _ in leaves(charge.event))
