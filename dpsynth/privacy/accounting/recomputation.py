"""The epsilon of a privacy statement, computed again by other accountants than those that proved it.

Independent means: the events are read from the statement's JSON by this file alone, composed as they stand by
`dp_accounting`'s own event accountants (PLD and RDP) rather than by our merged leaves, the conversion to persons is
solved again from the definition, and runs of DP-SGD and Gaussian noise are also given to the PRV accountant of Opacus
(Gopi, Lee, Wutschitz 2021, arXiv 2106.02848), and to `gdpnum` where that is installed, for mu of Gaussian DP
(Gomez et al. 2025, arXiv 2503.10945).

What this shows: that the stated epsilon follows from the stated releases. It cannot show that the program made these
releases and no others; for that see the replay audit and the noise meter.

Convention of the statement: noise multipliers are in units of the sensitivity under its own relation (`events.py`). An
unsampled Gaussian is then the same whatever the relation, and is composed under add/remove. Under replace_one, sampling
without replacement is known to RDP alone.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingImports=false

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dp_accounting
from dp_accounting import DpEvent, NeighboringRelation
from dp_accounting.pld import PLDAccountant  # pyright: ignore[reportAttributeAccessIssue]
from dp_accounting.rdp import RdpAccountant

from dpsynth.errors import ArtifactError

SLACK = 0.01  # relative; numerical accountants differ by less for the same guarantee
_NAMES = (
    "Composed", "SelfComposed", "PoissonSampled", "SampledWithoutReplacement", "Gaussian", "DiscreteLaplace", "NoOp",
    "NonPrivate",
)  # fmt: skip
_DEEPEST = 50
_PRV_ERROR = 0.01


@dataclass(frozen=True)
class Recomputation:
    """What other accountants say of a statement.

    Attributes:
        stated: (epsilon, delta) that the statement proves, for its unit.
        bounds: Epsilon by each accountant at that delta, for the same unit; upper bounds of the true one.
        mu: Gaussian DP of all releases together for one row, by gdpnum; None where it is not installed or not
            applicable.
    """

    stated: tuple[float, float]
    bounds: Mapping[str, float]
    mu: float | None = None

    @property
    def epsilon(self) -> float:
        """The smallest bound."""
        return min(self.bounds.values(), default=math.inf)

    @property
    def confirmed(self) -> bool | None:
        """Whether some independent bound is no larger than what is stated, up to `SLACK`.

        None where it is larger and only RDP, a loose bound, knows the releases.
        """
        if self.epsilon <= self.stated[0] * (1 + SLACK) + 1e-6:
            return True
        return None if set(self.bounds) == {"RDP"} else False


def recompute(statement: Mapping[str, Any]) -> Recomputation:
    """All that other accountants can say of a privacy statement. Raises `ArtifactError` where it cannot be read."""
    try:
        epsilon, delta = float(statement["proven"]["epsilon"]), float(statement["proven"]["delta"])
        relation, persons = str(statement["neighbours"]), statement.get("rows_per_person")
        rows = 1 if persons is None else int(persons)
        charges = [(_event(each["event"]), float(each.get("delta", 0.0))) for each in statement["charges"]]
        if not (0 < delta < 1 and rows >= 1 and relation in ("add_remove", "replace_one")):
            raise ValueError(f"delta {delta}, {rows} rows of a person, relation {relation}")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ArtifactError(f"the privacy statement cannot be read ({reason:.200})") from None
    if not math.isfinite(epsilon):
        return Recomputation((epsilon, delta), {})
    # Group privacy: (e, d) for one row gives (m e, d (1 + exp(e) + ... + exp((m - 1) e))) for m rows.
    row_epsilon = epsilon / rows
    row_delta = delta / math.fsum(math.exp(min(k * row_epsilon, 700.0)) for k in range(rows))
    left = row_delta - math.fsum(each for _, each in charges)
    if left <= 0:
        return Recomputation((epsilon, delta), {})
    events = [event for event, _ in charges]
    found: dict[str, float] = {}
    for name, bound in (("PLD", _pld), ("RDP", _rdp), ("PRV of Opacus", _prv)):
        value = bound(events, left, relation)
        if value is not None and math.isfinite(value):
            found[name] = rows * value
    return Recomputation((epsilon, delta), found, _mu(events, relation))


def _event(state: Any, depth: int = 0) -> DpEvent:
    """The event that a dictionary of the statement describes."""
    if not isinstance(state, dict) or state.get("kind") not in _NAMES or depth > _DEEPEST:
        raise ValueError(f"no known event: {state!s:.80}")
    kind = getattr(dp_accounting, f"{state['kind']}DpEvent", None) or getattr(
        dp_accounting.dp_event,  # pyright: ignore[reportAttributeAccessIssue]
        f"{state['kind']}DpEvent",
    )
    fields: dict[str, Any] = {}
    for key, value in state.items():
        if isinstance(value, list):
            fields[key] = [_event(each, depth + 1) for each in value]
        elif key != "kind":
            fields[key] = _event(value, depth + 1) if isinstance(value, dict) else value
    return kind(**fields)


def _pld(events: Sequence[DpEvent], delta: float, relation: str) -> float | None:
    if relation == "replace_one" and any(isinstance(leaf, dp_accounting.PoissonSampledDpEvent) for leaf in
                                         _parts(events)):  # fmt: skip
        return None
    return _composed(PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE), events, delta)


def _rdp(events: Sequence[DpEvent], delta: float, relation: str) -> float | None:
    known = {"add_remove": NeighboringRelation.ADD_OR_REMOVE_ONE, "replace_one": NeighboringRelation.REPLACE_ONE}
    return _composed(RdpAccountant(neighboring_relation=known[relation]), events, delta)


def _composed(accountant: Any, events: Sequence[DpEvent], delta: float) -> float | None:
    """The epsilon of an accountant of `dp_accounting`; None where it does not know an event."""
    for event in events:
        if not accountant.supports(event):
            return None
        accountant.compose(event)
    return float(accountant.get_epsilon(delta))


def _parts(events: Sequence[DpEvent]) -> list[DpEvent]:
    """All sampled or simple events of a composition, without their repetitions."""
    found: list[DpEvent] = []
    for event in events:
        if isinstance(event, dp_accounting.ComposedDpEvent):
            found += _parts(event.events)
        elif isinstance(event, dp_accounting.SelfComposedDpEvent):
            found += _parts([event.event])
        else:
            found.append(event)
    return found


def _steps(events: Sequence[DpEvent], count: int = 1) -> list[tuple[float, float, int]] | None:
    """(noise multiplier, sampling rate, steps) of each part; None unless all are Gaussian, Poisson-sampled or not."""
    found: list[tuple[float, float, int]] = []
    for event in events:
        if isinstance(event, dp_accounting.ComposedDpEvent):
            inner = _steps(event.events, count)
        elif isinstance(event, dp_accounting.SelfComposedDpEvent):
            inner = _steps([event.event], count * int(event.count))
        elif isinstance(event, dp_accounting.PoissonSampledDpEvent):
            below = _steps([event.event], count)
            alone = below is not None and len(below) == 1 and below[0][1:] == (1.0, count)
            inner = [(below[0][0], float(event.sampling_probability), count)] if alone and below else None
        elif isinstance(event, dp_accounting.GaussianDpEvent):
            inner = [(float(event.noise_multiplier), 1.0, count)] if event.noise_multiplier > 0 else None
        else:
            inner = [] if isinstance(event, dp_accounting.NoOpDpEvent) else None
        if inner is None:
            return None
        found += inner
    return found


def _prv(events: Sequence[DpEvent], delta: float, relation: str) -> float | None:
    """Opacus' upper bound, for Gaussian noise with and without Poisson sampling under add/remove."""
    steps = _steps(events)
    if not steps or (relation == "replace_one" and any(rate < 1 for _, rate, _ in steps)):
        return None
    from opacus.accountants.prv import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = steps
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(accountant.get_epsilon(delta, eps_error=_PRV_ERROR, delta_error=delta / 1000))
    except (ValueError, RuntimeError, MemoryError, OverflowError):  # it cannot cover the loss; the others can
        return None


def _mu(events: Sequence[DpEvent], relation: str) -> float | None:
    """mu of Gaussian DP, by gdpnum."""
    steps = _steps(events)
    if not steps or (relation == "replace_one" and any(rate < 1 for _, rate, _ in steps)):
        return None
    if all(rate == 1 for _, rate, _ in steps):
        return math.sqrt(math.fsum(count / noise**2 for noise, _, count in steps))
    if importlib.util.find_spec("gdpnum") is None:
        return None
    import gdpnum

    total = None
    for event in events:
        accountant = PLDAccountant(NeighboringRelation.ADD_OR_REMOVE_ONE).compose(event)
        total = accountant._pld if total is None else total.compose(accountant._pld)
    return float(gdpnum.PLDConverter(total).get_mu_and_regret()[0])
