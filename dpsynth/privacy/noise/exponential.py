"""The exponential mechanism: choose one of a public list of candidates, better scores more often.

Guarantee: candidate i is chosen with probability proportional to exp(epsilon * score_i / (2 * sensitivity)). This is
epsilon-DP (McSherry and Talwar 2007), and it is charged as the Gaussian release that it is dominated by, so that
choices compose with Gaussian releases, and may be made under an adaptive budget. Between neighbours the weights of all
candidates change by factors within exp(+-epsilon / 2), so the log ratio of the chances of a candidate lies in [t -
epsilon, t] for some t in [0, epsilon] (bounded range: Durfee and Rogers 2019, arXiv 1905.04273). Hence the trade-off
function is at least that of a coin with the log ratios t and t - epsilon, which is straight between (0, 1), its kink
and (1, 0); a Gaussian trade-off function through the kink is convex, so it lies below (Dong, Roth and Su 2019, arXiv
1905.02383). The kink of t = epsilon / 2 asks for the largest mu, 2 Phi^-1(1 / (1 + exp(-epsilon / 2))), about 0.627
epsilon (`tests/privacy/noise/test_exponential.py` runs over t). So one choice is mu-Gaussian DP, at any place in an
adaptive composition.

Neighbours: either relation. `sensitivity` is the largest change of any one score between neighbours UNDER THE
RELATION OF THE RUN (an l-infinity sensitivity). The factor 2 serves scores that may rise for one candidate
and fall for another.

Floats: the choice is the largest of epsilon * score / (2 * sensitivity) + Gumbel noise in float64, from uniform numbers
of 53 bits. On real numbers that has exactly the distribution above. With 53 bits Gumbel noise ends at 37, so a
candidate that needs more has chance 0 in place of at most its fraction of 2^-53 a candidate: probabilities are off by
at most about (number of candidates) x 2^-52 in absolute terms, which is no relative bound for the least likely ones.
Severity: Theoretical.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from dp_accounting import DpEvent, GaussianDpEvent, NonPrivateDpEvent
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri

from dpsynth.errors import BudgetError
from dpsynth.privacy.mechanism import Detail, Mechanism, Norm
from dpsynth.privacy.noise.keystream import Keystream


@dataclass(frozen=True, kw_only=True)
class ExponentialMechanism(Mechanism):
    """Choices by the exponential mechanism; a release is the position of the chosen one of (candidates,) scores.

    Attributes:
        bound: How far a neighbour can move any one score.
        epsilon: Of one choice; infinite only without a finite epsilon of the run, and the best score is then chosen.
    """

    bound: float
    epsilon: float

    norm: ClassVar[Norm] = "linf"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.epsilon > 0:
            raise BudgetError(f"epsilon of a choice {self.name!r} must be above 0, not {self.epsilon!r}")

    @property
    def sensitivity(self) -> float:
        return self.bound

    @property
    def noiseless(self) -> bool:
        return math.isinf(self.epsilon)

    @property
    def release_event(self) -> DpEvent:
        return NonPrivateDpEvent() if self.noiseless else GaussianDpEvent(gaussian_multiplier(self.epsilon))

    @property
    def detail(self) -> Detail:
        return {"choices": self.releases, "epsilon of a choice": "inf" if self.noiseless else float(self.epsilon)}

    def draw(self, query: NDArray[np.float64], noise: Keystream) -> int:
        """The position of the chosen score. Non-finite scores count as the worst."""
        if query.ndim != 1 or query.size == 0:  # a public mistake
            raise BudgetError(f"{self.name!r} needs a list of at least one candidate")
        clean = np.where(np.isfinite(query), query, -1e300)
        if self.noiseless:
            return int(np.argmax(clean))
        uniform = (noise.words64(query.size) >> np.uint64(11)).astype(np.float64)
        gumbel = -np.log(-np.log((uniform + 0.5) * 2.0**-53))
        return int(np.argmax(self.epsilon / (2.0 * self.sensitivity) * (clean - clean.max()) + gumbel))


def gaussian_multiplier(epsilon: float) -> float:
    """1 / mu of a choice with parameter `epsilon`: the noise multiplier of the Gaussian release that it is charged
    as."""
    return float(-0.5 / ndtri(1.0 / (1.0 + np.exp(0.5 * epsilon))))


def choice_epsilon(noise_multiplier: float) -> float:
    """The parameter of a choice that costs what a Gaussian release with this multiplier does; infinite for 0.

    The inverse of `gaussian_multiplier`.
    """
    half = 0.5 / noise_multiplier if noise_multiplier else np.inf
    return float(2.0 * (log_ndtr(half) - log_ndtr(-half)))
