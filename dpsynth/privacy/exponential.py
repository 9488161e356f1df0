"""The exponential mechanism: choose one of a public list of candidates, better scores more often.

Guarantee: candidate i is chosen with probability proportional to exp(epsilon * score_i / (2 * sensitivity)).
This is epsilon-DP (McSherry and Talwar 2007) and epsilon^2 / 8 - zCDP (Cesar and Rogers 2021, arXiv
2010.00107; Rogers and Steinke 2021), hence the event.

Among many releases it may be charged as a Gaussian instead (`composed_event`). Between neighbours the weights of all
candidates change by factors within exp(+-epsilon / 2), so the log ratio of the chances of a candidate lies in [t -
epsilon, t] for some t in [0, epsilon] (bounded range: Durfee and Rogers 2019, arXiv 1905.04273). Hence the trade-off
function is at least that of a coin with the log ratios t and t - epsilon, which is straight between (0, 1), its kink
and (1, 0); a Gaussian trade-off function through the kink is convex, so it lies below (Dong, Roth and Su 2019, arXiv
1905.02383). The kink of t = epsilon / 2 asks for the largest mu, 2 Phi^-1(1 / (1 + exp(-epsilon / 2))), about
0.627 epsilon (`tests/privacy/test_exponential.py` runs over t). So one choice is mu-Gaussian DP, at any place in an
adaptive composition, which costs 1.57 times its zCDP but composes with Gaussians without loss.

Neighbours: either relation. `sensitivity` is the largest change of any one score between neighbours UNDER THE
RELATION OF THE RUN (an l-infinity sensitivity). The factor 2 serves scores that may rise for one candidate
and fall for another.

Floats: the choice is the largest of epsilon * score / (2 * sensitivity) + Gumbel noise in float64, which has
exactly that law on real numbers; rounding shifts probabilities by about 2^-50 relative. Severity:
Theoretical.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import numpy as np
from dp_accounting import DpEvent, GaussianDpEvent, NonPrivateDpEvent, SelfComposedDpEvent
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri

from dpsynth.errors import BudgetError
from dpsynth.privacy.events import ExponentialDpEvent
from dpsynth.privacy.gaussian import check_scale
from dpsynth.privacy.ledger import Charge
from dpsynth.privacy.random import PrivacyStream


def exponential_event(epsilon: float) -> DpEvent:
    """The event of one choice with parameter `epsilon`."""
    return ExponentialDpEvent(float(epsilon))


def composed_event(epsilon: float) -> DpEvent:
    """The same choice as a Gaussian event, for a plan that composes it with Gaussian releases."""
    if np.isinf(epsilon):
        return NonPrivateDpEvent()
    return GaussianDpEvent(float(-0.5 / ndtri(1.0 / (1.0 + np.exp(0.5 * epsilon)))))


def composed_epsilon(noise_multiplier: float) -> float:
    """The parameter of a choice that composes like a Gaussian release with this multiplier; infinite for 0."""
    half = 0.5 / noise_multiplier if noise_multiplier else np.inf
    return float(2.0 * (log_ndtr(half) - log_ndtr(-half)))


def choices_charge(name: str, choices: int, epsilon: float) -> Charge:
    """The charge of `choices` choices with parameter `epsilon` each, beside Gaussian releases."""
    detail = {"choices": choices, "epsilon of a choice": float(epsilon) if np.isfinite(epsilon) else "inf"}
    return Charge(name, SelfComposedDpEvent(composed_event(epsilon), choices), detail=detail)


def exponential(
    stream: PrivacyStream,
    name: str,
    scores: NDArray[np.float64],
    *,
    sensitivity: float,
    epsilon: float,
    step: int = 0,
) -> int:
    """The position of the chosen one of (candidates,) scores.

    `epsilon` may be infinite only in a run with infinite epsilon; the best score is then chosen. Non-finite
    scores count as the worst. Raises BudgetError for an empty list, which is a public mistake.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise BudgetError(f"{name!r} needs a list of at least one candidate")
    check_scale(stream, name, 0.0 if np.isinf(epsilon) else 1.0 / epsilon if epsilon > 0 else -1.0, sensitivity)

    def draw(query: NDArray[np.float64]) -> int:
        clean = np.where(np.isfinite(query), query, -1e300)
        if np.isinf(epsilon):
            return int(np.argmax(clean))
        uniform = (stream.keystream(name, step).words64(query.size) >> np.uint64(11)).astype(np.float64)
        gumbel = -np.log(-np.log((uniform + 0.5) * 2.0**-53))
        return int(np.argmax(epsilon / (2.0 * sensitivity) * (clean - clean.max()) + gumbel))

    parameters = {"mechanism": "exponential", "epsilon": epsilon, "candidates": values.size}
    return stream.release(
        name, values, sensitivity=sensitivity, norm="linf", draw=draw, parameters=parameters, step=step
    )
