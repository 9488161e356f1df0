"""The exponential mechanism: choose one of a public list of candidates, better scores more often.

Guarantee: candidate i is chosen with probability proportional to exp(epsilon * score_i / (2 * sensitivity)).
This is epsilon-DP (McSherry and Talwar 2007) and epsilon^2 / 8 - zCDP (Cesar and Rogers 2021, arXiv
2010.00107; Rogers and Steinke 2021), hence the event.

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
from dp_accounting import DpEvent
from numpy.typing import NDArray

from dpsynth.errors import BudgetError
from dpsynth.privacy.events import ExponentialDpEvent
from dpsynth.privacy.gaussian import check_scale
from dpsynth.privacy.random import PrivacyStream


def exponential_event(epsilon: float) -> DpEvent:
    """The event of one choice with parameter `epsilon`."""
    return ExponentialDpEvent(float(epsilon))


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
