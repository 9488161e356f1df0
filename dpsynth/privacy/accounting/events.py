"""The events that the ledger composes, those of dp_accounting, and their form in JSON.

Convention: every `noise_multiplier` is the noise scale divided by the sensitivity UNDER THE RELATION OF THE
BUDGET. A clipped sum under replace_one has sensitivity 2 C, so noise of standard deviation 2 C z is
`GaussianDpEvent(z)`. (dp_accounting's own PLD accountant reads the same event as z = s / C under REPLACE_ONE,
its RDP accountant as s / sensitivity; `accounting.py` therefore never hands it that relation for a Gaussian.)
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import attr
import dp_accounting
import numpy as np
from dp_accounting import (
    ComposedDpEvent,
    DpEvent,
    GaussianDpEvent,
    NoOpDpEvent,
    PoissonSampledDpEvent,
    SampledWithoutReplacementDpEvent,
    SelfComposedDpEvent,
)
from dp_accounting.dp_event import DiscreteLaplaceDpEvent

from dpsynth.errors import ArtifactError

_KINDS: dict[str, type[DpEvent]] = {
    kind.__name__.removesuffix("DpEvent"): kind
    for kind in (
        ComposedDpEvent,
        SelfComposedDpEvent,
        PoissonSampledDpEvent,
        SampledWithoutReplacementDpEvent,
        GaussianDpEvent,
        DiscreteLaplaceDpEvent,
        NoOpDpEvent,
        dp_accounting.NonPrivateDpEvent,
    )
}


def describe(event: DpEvent) -> dict[str, Any]:
    """An event as a json-able dictionary: {"kind": name, and its parameters, nested events likewise}.

    >>> describe(GaussianDpEvent(2.0))
    {'kind': 'Gaussian', 'noise_multiplier': 2.0}
    """
    kind = type(event).__name__.removesuffix("DpEvent")
    if _KINDS.get(kind) is not type(event):
        raise ArtifactError(f"the ledger does not know events of type {type(event).__name__}")
    fields = {field.name: _plain(getattr(event, field.name)) for field in attr.fields(type(event))}
    return {"kind": kind, **fields}


def restore(state: Mapping[str, Any]) -> DpEvent:
    """The inverse of `describe`."""
    kind = _KINDS.get(str(state.get("kind")))
    if kind is None:
        raise ArtifactError(f"unknown privacy event {state.get('kind')!r}")
    fields = {key: _rich(value) for key, value in state.items() if key != "kind"}
    try:
        return kind(**fields)
    except TypeError:
        raise ArtifactError(f"the privacy event {state['kind']} has wrong parameters") from None


def leaves(event: DpEvent, count: int = 1) -> Iterator[tuple[DpEvent, int]]:
    """The parts that an event composes, each with its number of repetitions; order is of no importance.

    Gaussians composed on ONE sample are one Gaussian with 1 / z^2 = sum of 1 / z_i^2 (a rotation of the joint
    output), so a sampled event always comes out as a sampled single Gaussian. Rate 1 is no sampling; rate 0
    is nothing.
    """
    if count == 0 or isinstance(event, NoOpDpEvent):
        return
    if isinstance(event, SelfComposedDpEvent):
        yield from leaves(event.event, count * event.count)
    elif isinstance(event, ComposedDpEvent):
        for part in event.events:
            yield from leaves(part, count)
    elif isinstance(event, PoissonSampledDpEvent):
        inner = _merged(event.event)
        if event.sampling_probability == 1:
            yield inner, count
        elif event.sampling_probability > 0:
            yield PoissonSampledDpEvent(event.sampling_probability, inner), count
    elif isinstance(event, SampledWithoutReplacementDpEvent):
        inner = _merged(event.event)
        if event.sample_size == event.source_dataset_size:
            yield inner, count
        elif event.sample_size > 0:
            yield SampledWithoutReplacementDpEvent(event.source_dataset_size, event.sample_size, inner), count
    else:
        yield event, count


def _merged(event: DpEvent) -> DpEvent:
    """One Gaussian for a composition of Gaussians; any other event as it is."""
    parts = list(leaves(event))
    multipliers = [(part.noise_multiplier, n) for part, n in parts if isinstance(part, GaussianDpEvent)]
    if len(multipliers) < len(parts) or not parts:
        return event
    if any(z == 0 for z, _ in multipliers):
        return GaussianDpEvent(0.0)
    if len(parts) == 1 and parts[0][1] == 1:
        return parts[0][0]
    return GaussianDpEvent(1.0 / math.sqrt(sum(n / z**2 for z, n in multipliers)))


def _plain(value: Any) -> Any:
    if isinstance(value, DpEvent):
        return describe(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast(Sequence[Any], value)]
    return value.item() if isinstance(value, np.generic) else value


def _rich(value: Any) -> Any:
    if isinstance(value, Mapping):
        return restore(cast(Mapping[str, Any], value))
    if isinstance(value, list):
        return [_rich(item) for item in cast(list[Any], value)]
    return value
